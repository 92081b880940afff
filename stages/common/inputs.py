"""What a stage is computed from, as dvc.yaml declares it: parameters, code and data."""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.common import params
from stages.common.paths import PIPELINE

CODE = ".py", ".txt", ".jinja", ".js"  # git rewrites it, often unchanged, with every switch
LITTER = {"__pycache__", ".DS_Store"}  # as in .dvcignore, with .pyc files

Inputs = dict[str, object]  # by the dotted name of a parameter, or the path of a file


def declared(stage: str) -> tuple[dict[str, Any], Iterator[Path]]:
    """Return the parameters of `stage` by their dotted names, and its files, those in folders too.

    A data set may have a million files, so they are found one by one.
    Parameters that are missing are None: the schema of their section says what is wrong.
    """
    document = params.load_all()
    pipeline = YAML(typ="safe").load(PIPELINE)["stages"][stage]
    keys = pipeline.get("params", ())
    values = {name: v for key in keys for name, v in flatten(key, look_up(document, key))}
    # The one thing that dvc.yaml writes as ${...} is a parameter.
    names = (
        re.sub(r"\$\{(.+?)\}", lambda match: str(look_up(document, match[1])), name)
        for name in pipeline["deps"]
    )
    return values, (file for name in names for file in walk(Path(name)))


def look_up(document: Any, key: str) -> Any:
    """Return what is at a dotted key of params.yaml, or None."""
    for part in key.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document


def flatten(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the dotted names of all keys in a section of params.yaml, and their values."""
    if not isinstance(value, dict):
        yield name, value
        return
    for key, inner in value.items():
        yield from flatten(f"{name}.{key}", inner)


def walk(path: Path) -> Iterator[Path]:
    """Yield the files that lie in `path`, in a fixed order, or `path` itself if it is no folder."""
    if not path.is_dir():
        yield path
    for folder, inner, names in os.walk(path):
        inner[:] = sorted({*inner} - LITTER)
        for name in sorted({*names} - LITTER):
            if not name.endswith(".pyc"):
                yield Path(folder, name)


def snapshot(stage: str) -> Inputs:
    """Return what identifies the inputs of `stage` as they are now, to be compared later.

    Parameters and code count by their content, data by size, time and inode.
    """
    values, files = declared(stage)
    written = {name: repr(value) for name, value in values.items()}  # NaN is unlike itself
    return written | {str(file): identify(file) for file in files}


def identify(file: Path) -> object:
    """Return a value that changes when `file` does; None if it isn't there."""
    try:
        if file.suffix in CODE:
            return file.read_bytes()
        found = file.stat()
    except FileNotFoundError:
        return None
    # As bytes, which take half of a tuple's memory: of a data set's files, all are remembered.
    return b"%d %d %d" % (found.st_size, found.st_mtime_ns, found.st_ino)


def edited_since(moment: float, stage: str) -> list[str]:
    """Return which code of `stage` was edited after `moment`, in seconds since the epoch."""
    code = (file for file in declared(stage)[1] if file.suffix == ".py")
    now = time.time()  # a clock that is ahead, of a file server for example, tells nothing
    return [str(file) for file in code if moment < file.stat().st_mtime <= now]


def digest(stage: str) -> str:
    """Return a hash of all inputs of `stage`, by their contents, as 64 hexadecimal digits."""
    values, files = declared(stage)
    found = hashlib.sha256(repr(values).encode())
    for file in files:
        found.update(f"\0{file}\0".encode())
        with file.open("rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()
