"""Checkpoints that a killed training resumes from, to the bytes of an uninterrupted one.

They lie in an undeclared folder, since DVC removes a stage's outputs before it runs, and are named
after everything the training depends on, so that one of another training is never resumed.
"""

import fcntl
import hashlib
import io
import sys
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
    return FOLDER / f"{digest.hexdigest()[:32]}.checkpoint"


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
        for other in FOLDER.glob("*.checkpoint"):
            if other != checkpoint:
                other.unlink()
        yield
        checkpoint.unlink(missing_ok=True)


def variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


def save(path: Path, model: keras.Model, history: Sequence[Sequence[float]]) -> None:
    """Write the state after `len(history)` epochs, behind its SHA-256.

    Raises InputError if it can't be written.
    """
    arrays = {str(i): variable.numpy() for i, variable in enumerate(variables(model))}
    buffer = io.BytesIO()
    np.savez(buffer, history=np.array(history), **arrays)
    content = buffer.getvalue()
    with replacing(path) as (partial,):
        partial.write_bytes(hashlib.sha256(content).digest() + content)


def restore(path: Path, model: keras.Model) -> list[list[float]]:
    """Set the model to the checkpoint's state and return its history, a row an epoch.

    Returns an empty history, and leaves the model as it is, if there is no checkpoint; a damaged
    one is set aside as `damaged`, which is said on stderr.
    """
    if not path.exists():
        return []
    whole = path.read_bytes()
    digest, content = whole[:32], whole[32:]
    if hashlib.sha256(content).digest() != digest:
        aside = path.replace(FOLDER / "damaged")
        print(f"{path}: damaged; kept as {aside}, starting afresh", file=sys.stderr)
        return []
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        for i, variable in enumerate(variables(model)):
            variable.assign(archive[str(i)])
        history: list[list[float]] = archive["history"].tolist()
    return history
