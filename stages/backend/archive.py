"""A model as a `.keras` file: the same bytes for the same model, and no code run on loading."""

import io
import re
import tempfile
import zipfile
from pathlib import Path

from stages.backend.runtime import keras
from stages.common.errors import InputError
from stages.common.files import write_bytes


def save(model: keras.Model, path: Path) -> None:
    """Write `model` as a `.keras` file that any Keras 3 opens, the same bytes each time.

    Whoever loads it computes in float32, on every CPU alike, whatever `model` was trained in, and
    can train all its layers further.
    """
    for layer in model.layers:
        layer.trainable = True
        layer.dtype_policy = keras.DTypePolicy("float32")
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "model.keras")
        model.save(written)
        write_bytes(path, normalise(written.read_bytes()))


def normalise(archive: bytes) -> bytes:
    """Rewrite a `.keras` archive without its times, its members in the order of their names."""
    source = zipfile.ZipFile(io.BytesIO(archive))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as rewritten:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == "metadata.json":
                content = re.sub(rb"\d{4}-\d\d-\d\d@[\d:]+", b"1980-01-01@00:00:00", content)
            member = zipfile.ZipInfo(name)  # of 1980, the format's first year
            member.create_system = 3  # Unix, on any system
            rewritten.writestr(member, content)
    return target.getvalue()


def load(path: Path) -> keras.Model:
    """Load a `.keras` file; raise InputError if it is missing, damaged, or carries code."""
    try:
        with zipfile.ZipFile(path) as members:
            # From Python 3.13 on, zipfile checks no CRC of a member in which Keras seeks.
            if damaged := members.testzip():
                raise zipfile.BadZipFile(f"Bad CRC-32 for file '{damaged}'")
        return keras.models.load_model(path, safe_mode=True)
    except Exception as error:  # Keras raises whatever the damage provokes
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{path}: can't be loaded ({reason[0]}); expected a model saved by Keras, without code"
        ) from None
