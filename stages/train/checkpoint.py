"""Checkpoints, named after all that a training depends on: no other training resumes from one."""

import fcntl
import hashlib
import io
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from stages.backend.runtime import keras
from stages.common.files import write_bytes
from stages.common.paths import CHECKPOINTS

KEPT = 3  # of other trainings: the newest, so that one can go back to them


def path_for(settings: object, inputs: Iterable[Path]) -> Path:
    """Name the checkpoint of a training with `settings` and the contents of `inputs`.

    Of a folder among `inputs`, the names and contents of its Python files count.
    """
    digest = hashlib.sha256(repr(settings).encode())
    for path in inputs:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"\0{file}\0".encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return CHECKPOINTS / f"{digest.hexdigest()[:32]}.checkpoint"


def lock(stream: IO[str], checkpoint: Path, flags: int = 0) -> None:
    """Lock the byte of the lock file that stands for `checkpoint`, until `stream` is closed."""
    fcntl.lockf(stream, fcntl.LOCK_EX | flags, 1, int(checkpoint.stem[:15], 16))


@contextmanager
def exclusive(checkpoint: Path) -> Iterator[None]:
    """Let one process at a time train towards `checkpoint`, which is deleted on success.

    If `dvc repro` alone is killed, its training goes on: the next one waits for it here.
    """
    CHECKPOINTS.mkdir(exist_ok=True)
    with (CHECKPOINTS / "lock").open("w") as stream:
        try:
            lock(stream, checkpoint, fcntl.LOCK_NB)
        except OSError:
            print("Waiting for the same training, which still runs in this folder", flush=True)
            lock(stream, checkpoint)
        others = [path for path in CHECKPOINTS.glob("*.checkpoint") if path != checkpoint]
        for old in sorted(others, key=lambda path: -path.stat().st_mtime)[KEPT:]:
            with suppress(OSError):  # while it is trained, it stays
                lock(stream, old, fcntl.LOCK_NB)
                old.unlink()
                print(f"{old}: dropped; the newest {KEPT} of other trainings are kept", flush=True)
        yield
        checkpoint.unlink(missing_ok=True)


def variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


def save(path: Path, model: keras.Model, history: list[Any]) -> None:
    """Write the state after the epochs of `history`, after its SHA-256."""
    arrays = {str(i): variable.numpy() for i, variable in enumerate(variables(model))}
    buffer = io.BytesIO()
    np.savez(buffer, history=json.dumps(history), **arrays)
    content = buffer.getvalue()
    write_bytes(path, hashlib.sha256(content).digest() + content)


def restore(path: Path, model: keras.Model) -> list[Any]:
    """Set the model to the checkpoint's state, and return the history that was saved with it.

    Without a checkpoint, the history is empty; a damaged one is set aside, and reported on stderr.
    """
    if not path.exists():
        return []
    whole = path.read_bytes()
    digest, content = whole[:32], whole[32:]
    if hashlib.sha256(content).digest() != digest:
        aside = path.replace(path.with_name("damaged"))
        print(f"{path}: damaged; kept as {aside}, starting afresh", file=sys.stderr)
        return []
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        for i, variable in enumerate(variables(model)):
            variable.assign(archive[str(i)])
        return list(json.loads(str(archive["history"])))
