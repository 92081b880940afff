"""Run a stage in this process, and tell what it opened, which parameters it read, what it imported.

All modules of the pipeline are imported anew, from the current folder, so that their files are seen
to be opened. Python's own audit hooks tell; files that C code opens by itself escape them:
TensorFlow's own file system, HDF5, and libraries that are loaded. Arrays (memory-mapped ones too),
tables, models and templates are opened by Python.
"""

import importlib
import os
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

OURS = "stages", "pictures", "predict"


class Findings(NamedTuple):
    opened: set[str]  # files below the current folder, for reading
    params: set[str]  # by their dotted keys
    modules: set[str]


opened: set[str] | None = None


def hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or opened is None:
        return
    path, _, flags = arguments
    if isinstance(path, int) or flags & (os.O_WRONLY | os.O_RDWR):
        return
    place = Path(os.path.realpath(os.fsdecode(path)))
    if place.is_relative_to(Path.cwd()) and place.is_file() and not is_compared():
        opened.add(str(place.relative_to(Path.cwd())))


sys.addaudithook(hook)


def is_compared() -> bool:
    """Return whether inputs are looked at only to tell them from others, which is no use of one."""
    frame = sys._getframe(2)
    while frame.f_back and not frame.f_code.co_filename.endswith("stages/common/inputs.py"):
        frame = frame.f_back
    return frame.f_back is not None


class Section:
    """Stands for a section of params.yaml that was checked, and notes which keys are read."""

    def __init__(self, name: str, checked: Any, seen: set[str]) -> None:
        self._name, self._checked, self._seen = name, checked, seen

    def __getattr__(self, key: str) -> Any:
        return record(f"{self._name}.{key}", getattr(self._checked, key), self._seen)


class Mapping(dict[str, Any]):
    """Stands for a mapping in params.yaml, and notes which keys are read."""

    def __init__(self, name: str, content: dict[str, Any], seen: set[str]) -> None:
        super().__init__(content)
        self.name, self.seen = name, seen

    def __getitem__(self, key: str) -> Any:
        return record(f"{self.name}.{key}".strip("."), super().__getitem__(key), self.seen)

    def items(self) -> Any:
        return [(key, self[key]) for key in self]


def record(name: str, value: Any, seen: set[str]) -> Any:
    if hasattr(type(value), "model_fields"):
        return Section(name, value, seen)
    if isinstance(value, dict):
        return Mapping(name, value, seen)
    seen.add(name)
    return value


@contextmanager
def imported_anew() -> Iterator[None]:
    def ours() -> dict[str, Any]:
        return {name: sys.modules[name] for name in sys.modules if name.split(".")[0] in OURS}

    before, byte_code = ours(), sys.dont_write_bytecode
    for name in before:
        del sys.modules[name]
    sys.path.insert(0, str(Path.cwd()))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = byte_code
        sys.path.remove(str(Path.cwd()))
        for name in ours():
            del sys.modules[name]
        sys.modules.update(before)


def witness(stage: str) -> Findings:
    """Run a stage in the current folder as `python -m` does; return what it did."""
    global opened
    seen: set[str] = set()
    with imported_anew():
        opened = set()
        try:
            params: Any = importlib.import_module("stages.common.params")
            load_all, check = params.load_all, params.check

            def load(section: str, schema: Any) -> Any:
                # Checked first: the check reads every key, whether the stage uses it or not.
                return record(section, check(section, load_all()[section], schema), seen)

            params.load = load
            params.load_all = lambda: load_all() if is_compared() else record("", load_all(), seen)
            runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)
            return Findings(
                opened, seen, {name for name in sys.modules if name.split(".")[0] in OURS}
            )
        finally:
            opened = None
