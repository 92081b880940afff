"""The model as a TFLite file, which LiteRT runs anywhere without TensorFlow."""

import hashlib
import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from predict.classifier import ABOUT, Classifier
from stages.backend.inference import batches
from stages.backend.runtime import keras
from stages.common.errors import InputError, is_lack_of_memory
from stages.common.files import md5
from stages.common.paths import MODEL, TFLITE

TOLERANCE = 1e-4  # of a probability; LiteRT adds up in another order than Keras
CLEAR = 1e-3  # by how much the likeliest class must lead for its answer to count


def convert(model: keras.Model) -> bytes:
    """Return `model` as a TFLite network; raise InputError if it has layers that can't be one.

    Errors of the system are raised as they are.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.tflite")
        try:
            model.export(path, format="litert", verbose=False)
        except Exception as error:  # the converter raises whatever the network provokes
            if isinstance(error, OSError) or is_lack_of_memory(error):
                raise  # a full disk, for example: no fault of the network
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(f"{MODEL}: can't become a TFLite file ({reason[0]})") from None
        return path.read_bytes()


def pack(network: bytes, source: Path, names: list[str], preparation: dict[str, Any]) -> bytes:
    """Return a TFLite `network` with all that it takes to use it, as `predict` reads it.

    It follows the network as JSON in a zip archive, TFLite's way of carrying files: the names of
    the classes, how a picture is prepared, and the md5 of the network and of the file, `source`,
    that it was made from.
    """
    about = {
        "classes": names,
        "preparation": preparation,
        source.name: md5(source),
        "network": hashlib.md5(network, usedforsecurity=False).hexdigest(),
    }
    stream = io.BytesIO(network)
    with zipfile.ZipFile(stream, "a") as archive:
        member = zipfile.ZipInfo(ABOUT)  # of 1980, the format's first year
        member.create_system = 3  # Unix, on any system
        archive.writestr(member, json.dumps(about, indent=2) + "\n")
    return stream.getvalue()


def run(exported: bytes, images: np.ndarray) -> np.ndarray:
    """Return the probabilities, float32 (n, classes), that `predict` computes for `images`.

    Raises InputError if LiteRT can't run the network.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        path.write_bytes(exported)
        try:
            classifier = Classifier(path)
        except (RuntimeError, ValueError) as error:  # an operation that TensorFlow alone has
            reason = str(error).partition(".")[0]
            raise InputError(f"{TFLITE}: LiteRT can't run it ({reason})") from None
    return np.concatenate([classifier.probabilities(batch) for batch in batches(images)])


def compare(found: np.ndarray, expected: np.ndarray) -> None:
    """Raise InputError unless LiteRT's probabilities, float32 (n, classes), are those of Keras."""
    difference = np.abs(found - expected).max()
    second, first = np.sort(expected, axis=1)[:, -2:].T
    other = (found.argmax(axis=1) != expected.argmax(axis=1)) & (first - second > CLEAR)
    if not difference <= TOLERANCE or other.any():  # nor if there is a NaN
        raise InputError(
            f"{TFLITE}: its probabilities differ from those of {MODEL} by up to {difference:.2g}, "
            f"and {other.sum()} answers differ; expected at most {TOLERANCE}, and none"
        )
