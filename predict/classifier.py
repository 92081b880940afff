"""A model that the export stage wrote, run by LiteRT."""

import contextlib
import hashlib
import io
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from pictures import PictureError
from predict import picture

__all__ = ["ABOUT", "Classifier", "ModelError", "PictureError"]

ABOUT = "about.json"  # what the network is for: stages/export/litert.py describes it
quiet = threading.Lock()  # held while the whole process's stderr is discarded


class ModelError(ValueError):
    """A file that can't be used as a model: its path, what was found, what was expected."""


def unpack(path: Path) -> tuple[bytes, dict[str, Any]]:
    """Return the network in an exported model, and what the file says about it.

    Raises ModelError if `path` is missing, damaged, or anything else.
    """
    try:
        content = path.read_bytes()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:  # TFLite's: it follows the network
            member = archive.getinfo(ABOUT)
            about = json.loads(archive.read(member))
        network = content[: member.header_offset]
        if hashlib.md5(network, usedforsecurity=False).hexdigest() != about["network"]:
            raise ValueError("damaged")
    except OSError as error:
        reason = error.strerror
    except KeyError:
        reason = f"no {ABOUT} in it"
    except (ValueError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError) as error:
        reason = str(error)
    else:
        return network, about
    raise ModelError(
        f"{path}: {reason}; expected a model that the export stage wrote: dvc repro makes it, "
        "dvc pull fetches it"
    )


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Discard what C++ code writes to stderr: LiteRT says there how it will compute.

    One thread at a time: a second one would find the null device as stderr, and restore that.
    """
    with quiet:
        stderr = os.dup(2)
        with Path(os.devnull).open("w") as sink:
            os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


class Classifier:
    """Classifies pictures, each prepared as the model's data set was.

    The model at `path` is read once; raises ModelError if it can't be used. Threads may share a
    classifier: they read pictures side by side, while one at a time computes, on one core. The
    probabilities have the same bytes on every x86-64 CPU with AVX2, in batches of any size.

    names: the classes, in the order of the model's outputs.
    shape: the height, the width and the channels (1 or 3) of an image.
    """

    def __init__(self, path: str | Path) -> None:
        network, about = unpack(Path(path))
        self.names: list[str] = about["classes"]
        self.shape: tuple[int, int, int] = tuple(about["preparation"]["shape"])
        self._preparation = about["preparation"] | {"shape": self.shape}
        with silent():
            self._network = Interpreter(model_content=network, num_threads=1)
            self._network.allocate_tensors()
        (self._input,) = self._network.get_input_details()
        (self._output,) = self._network.get_output_details()
        self._lock = threading.Lock()

    def classify(self, path: str | Path) -> dict[str, float]:
        """Return the probability of each class for the picture at `path`, the likeliest first.

        Raises PictureError, in one line that names the file, unless it is a PNG, JPEG or WebP
        file on which something can be seen.
        """
        image = picture.load(Path(path), **self._preparation)
        (probabilities,) = self.probabilities(image[np.newaxis])
        ranked = np.argsort(-probabilities, kind="stable")
        return {self.names[i]: float(probabilities[i]) for i in ranked}

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return float32 (n, classes) for prepared `images`, float32 (n, *shape) in [0, 1]."""
        with self._lock:
            self._network.resize_tensor_input(self._input["index"], images.shape)
            self._network.allocate_tensors()
            self._network.set_tensor(self._input["index"], images)
            self._network.invoke()
            probabilities: np.ndarray = self._network.get_tensor(self._output["index"])
        return probabilities
