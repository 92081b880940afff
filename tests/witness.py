"""Run a stage as `python -m` does, and write down what it opened, read and imported.

A program, started in the stage's folder with the stage's name and the path of a JSON file:
- opened: the files below the folder that Python opened for reading;
- params: the parameters that the stage read, by their dotted keys;
- tensorflow: whether it was imported.

Opening a file to name the checkpoint is no use of it, and is left out, as are the checkpoints.
"""

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

ROOT = Path.cwd()
opened: set[str] = set()
seen: set[str] = set()


def is_for_the_key() -> bool:
    frame = sys._getframe(2)
    while frame.f_back and frame.f_code.co_name != "path_for":
        frame = frame.f_back
    return frame.f_code.co_name == "path_for"


def hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open":
        return
    path, _, flags = arguments
    if isinstance(path, int) or flags & (os.O_WRONLY | os.O_RDWR):
        return
    place = Path(os.path.realpath(os.fsdecode(path)))
    if place.is_relative_to(ROOT) and place.is_file() and not is_for_the_key():
        opened.add(str(place.relative_to(ROOT)))


class Section:
    """Stands for a section of params.yaml that was checked, and notes which keys are read."""

    def __init__(self, name: str, checked: Any) -> None:
        self._name, self._checked = name, checked

    def __getattr__(self, key: str) -> Any:
        return record(f"{self._name}.{key}", getattr(self._checked, key))


class Mapping(dict[str, Any]):
    """Stands for a mapping in params.yaml, and notes which keys are read."""

    def __init__(self, name: str, content: dict[str, Any]) -> None:
        super().__init__(content)
        self.name = name

    def __getitem__(self, key: str) -> Any:
        return record(f"{self.name}.{key}".strip("."), super().__getitem__(key))

    def items(self) -> Any:
        return [(key, self[key]) for key in self]


def record(name: str, value: Any) -> Any:
    if isinstance(value, params.Section):
        return Section(name, value)
    if isinstance(value, dict):
        return Mapping(name, value)
    seen.add(name)
    return value


stage, report = sys.argv[1], Path(sys.argv[2])
sys.path[0] = str(ROOT)
sys.addaudithook(hook)

from stages.common import params  # noqa: E402  # under the hook, which sees it opened

load_all = params.load_all


def load(section: str, schema: Any) -> Any:
    # Checked before it is watched: the check reads every key, whether the stage uses it or not.
    return record(section, params.check(section, load_all()[section], schema))


params.load = load
params.load_all = lambda: record("", load_all())
runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)
findings = {
    "opened": sorted(opened),
    "params": sorted(seen),
    "tensorflow": "tensorflow" in sys.modules,
}
report.write_text(json.dumps(findings))
