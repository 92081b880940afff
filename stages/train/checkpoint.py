"""Checkpoints, named after all that a run depends on: no other run resumes from one."""

import hashlib
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.backend.runtime import keras
from stages.common.files import write_bytes
from stages.common.paths import CHECKPOINTS

KEPT = 3  # of other runs: the newest, so that one can go back to them


def path_for(*key: str) -> Path:
    """Return the place of the checkpoint of the run that `key` describes."""
    return CHECKPOINTS / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}.checkpoint"


def prune(path: Path) -> None:
    """Delete all checkpoints but the one at `path` and the newest few of other runs."""
    others = [other for other in CHECKPOINTS.glob("*.checkpoint") if other != path]
    for old in sorted(others, key=lambda other: -other.stat().st_mtime)[KEPT:]:
        old.unlink()
        print(f"{old}: dropped; the newest {KEPT} of other runs are kept", flush=True)


def variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


def save(
    path: Path, model: keras.Model, history: list[Any], best: Sequence[np.ndarray] = ()
) -> None:
    """Write the state after the epochs of `history`, after its SHA-256, and the `best` weights."""
    arrays = {str(i): variable.numpy() for i, variable in enumerate(variables(model))}
    arrays |= {f"best {i}": weight for i, weight in enumerate(best)}
    buffer = io.BytesIO()
    np.savez(buffer, history=json.dumps(history), **arrays)
    content = buffer.getvalue()
    write_bytes(path, hashlib.sha256(content).digest() + content, at_once=True)


def restore(path: Path, model: keras.Model) -> tuple[list[Any], list[np.ndarray]]:
    """Set the model to the checkpoint's state; return the history and the best weights in it.

    Without a checkpoint, both are empty; a damaged one is set aside, and reported on stderr.
    """
    if not path.exists():
        return [], []
    whole = path.read_bytes()
    digest, content = whole[:32], whole[32:]
    if hashlib.sha256(content).digest() != digest:
        aside = path.replace(path.with_name("damaged"))
        print(f"{path}: damaged; kept as {aside}, starting afresh", file=sys.stderr)
        return [], []
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        for i, variable in enumerate(variables(model)):
            variable.assign(archive[str(i)])
        best = [archive[name] for name in archive.files if name.startswith("best ")]
        return list(json.loads(str(archive["history"]))), best
