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


class Recorder:
    """Stands for a section of params.yaml and notes which of its keys are read."""

    def __init__(self, name: str, section: Any) -> None:
        self._name, self._section = name, section

    def __getattr__(self, key: str) -> Any:
        return record(f"{self._name}.{key}", getattr(self._section, key))


def record(name: str, value: Any) -> Any:
    if isinstance(value, Section):
        return Recorder(name, value)
    seen.add(name)
    return value


def record_leaves(name: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            record_leaves(f"{name}.{key}".strip("."), item)
    else:
        seen.add(name)


stage, report = sys.argv[1], Path(sys.argv[2])
sys.path[0] = str(ROOT)
sys.addaudithook(hook)

from stages.common import params  # noqa: E402  # its files are opened under the hook
from stages.common.params import Section  # noqa: E402

load, load_all = params.load, params.load_all


def load_and_record(section: str, schema: Any) -> Any:
    # `load` itself reads the whole file.
    params.load_all = load_all
    value = record(section, load(section, schema))
    params.load_all = load_all_and_record
    return value


def load_all_and_record() -> dict[str, Any]:
    document = load_all()
    record_leaves("", document)
    return document


params.load, params.load_all = load_and_record, load_all_and_record
runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)
findings = {
    "opened": sorted(opened),
    "params": sorted(seen),
    "tensorflow": "tensorflow" in sys.modules,
}
report.write_text(json.dumps(findings))
