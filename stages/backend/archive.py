"""A model as a `.keras` file: the same bytes for the same model, and no code run on loading."""

import json
import re
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stages.backend import dense
from stages.backend.layers import leaves
from stages.backend.runtime import keras
from stages.common.errors import InputError, is_lack_of_memory
from stages.common.files import replacing

# What initialised the weights, and what would quantize them: predictions need neither, and earlier
# versions of Keras stop at arguments that they don't know, even at those that are null.
UNUSED = re.compile("_initializer$|^quantization_config$")


def strip(config: Any) -> Any:
    """Return a layer's or a model's configuration without what only training needs."""
    if isinstance(config, dict):
        return {key: strip(value) for key, value in config.items() if not UNUSED.search(key)}
    return [strip(value) for value in config] if isinstance(config, list) else config


def save(model: keras.Model, path: Path) -> None:
    """Write `model` as a `.keras` file, which Keras 3.10 and later versions open.

    The same model gives the same bytes. It is changed so that whoever loads the file computes in
    float32, whatever `model` was trained in, and can train all its layers further.
    """
    for layer in leaves(model):
        layer.trainable = True
        layer.dtype_policy = keras.DTypePolicy("float32")
    with (
        replacing(path) as partial,
        # On the disk that the model needs anyway: one less that can be full.
        TemporaryDirectory(dir=path.parent, prefix=".partial-") as folder,
    ):
        try:
            model.save(folder, zipped=False)
        except UnboundLocalError as error:  # of Keras, when the disk is full or TMPDIR missing
            raise OSError(0, " ".join(str(error.__context__).split())) from None
        with zipfile.ZipFile(partial, "w") as archive:
            for file in sorted(Path(folder).glob("*.*")):  # but not the empty folder assets
                content = file.read_bytes()
                if file.name == "config.json":
                    content = json.dumps(strip(json.loads(content))).encode()
                elif file.name == "metadata.json":  # when it was saved
                    content = re.sub(rb"\d{4}-\d\d-\d\d@[\d:]+", b"1980-01-01@00:00:00", content)
                member = zipfile.ZipInfo(file.name)  # of 1980, the format's first year
                member.create_system = 3  # Unix, on any system
                archive.writestr(member, content)


def load(path: Path) -> keras.Model:
    """Load a `.keras` file, to be computed alike on every CPU with AVX2.

    Raises InputError if it is missing, damaged, or carries code.
    """
    try:
        with zipfile.ZipFile(path) as members:
            # From Python 3.13 on, zipfile checks no CRC of a member in which Keras seeks.
            if damaged := members.testzip():
                raise zipfile.BadZipFile(f"Bad CRC-32 for file '{damaged}'")
        model = keras.models.load_model(path, safe_mode=True)
        dense.replace(model)
        return model
    except Exception as error:  # Keras raises whatever the damage provokes
        if is_lack_of_memory(error):
            raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{path}: can't be loaded ({reason[0]}); expected a model saved by Keras, without code"
        ) from None
