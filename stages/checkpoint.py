"""Checkpoints that a killed training resumes from, to the bytes of an uninterrupted one.

They lie in an undeclared folder, since DVC removes a stage's outputs before it runs, and are named
after everything the training depends on, so that one of another training is never resumed.
"""

import fcntl
import hashlib
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stages.files import replacing
from stages.runtime import keras

FOLDER = Path(".checkpoints")


def path_for(settings: str, inputs: Sequence[Path]) -> Path:
    """Name the checkpoint of a training with `settings` and the contents of `inputs`."""
    digest = hashlib.sha256(settings.encode())
    for path in inputs:
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return FOLDER / f"{digest.hexdigest()[:32]}.npz"


@contextmanager
def exclusive(checkpoint: Path) -> Iterator[None]:
    """Let one training at a time use the folder; keep `checkpoint` and drop stale ones.

    `dvc repro`, killed alone, leaves its training running: the next one waits for it here. When
    the block succeeds, the checkpoint has served and is removed.
    """
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for a training that still runs in this folder", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for other in FOLDER.glob("*.npz"):
            if other != checkpoint:
                other.unlink()
        yield
        checkpoint.unlink(missing_ok=True)


def variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


def save(path: Path, model: keras.Model, history: Sequence[Sequence[float]]) -> None:
    """Write the state after `len(history)` epochs; raise InputError if it can't be written."""
    arrays = {str(i): variable.numpy() for i, variable in enumerate(variables(model))}
    with replacing(path) as (partial,):
        np.savez(partial, history=np.array(history), **arrays)


def restore(path: Path, model: keras.Model) -> list[list[float]]:
    """Set the model to the checkpoint's state and return its history, a row an epoch.

    Returns an empty history, and leaves the model as it is, if there is no checkpoint; a damaged
    one, which the archive's checksums reveal, is set aside as `damaged` and said on stderr.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            history: list[list[float]] = archive["history"].tolist()
            values = [archive[str(i)] for i in range(len(variables(model)))]
    except FileNotFoundError:
        return []
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, OSError) as error:
        aside = path.replace(FOLDER / "damaged")
        print(f"{path}: damaged ({error}); kept as {aside}, starting afresh", file=sys.stderr)
        return []
    for variable, value in zip(variables(model), values, strict=True):
        variable.assign(value)
    return history
