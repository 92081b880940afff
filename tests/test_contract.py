"""dvc.yaml declares exactly what the stages read and write; so what reruns can be foretold."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo
from ruamel.yaml import YAML

from stages.backend import runtime
from stages.common import params
from tests.builders import ROOT
from tests.project import Project

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGES = list(PIPELINE)
TENSORFLOW_FREE = {"prepare", "visualize"}


def leaves(document: Any, prefix: str = "") -> set[str]:
    """Return the dotted keys of everything in `document` that isn't a section."""
    if not isinstance(document, dict):
        return {prefix}
    return set().union(
        *(leaves(value, f"{prefix}.{key}".strip(".")) for key, value in document.items())
    )


ALL_PARAMS = leaves(yaml.safe_load((ROOT / "params.yaml").read_text()))


def declared_params(stage: str) -> set[str]:
    return {
        leaf
        for leaf in ALL_PARAMS
        for key in PIPELINE[stage].get("params", ())
        if leaf == key or leaf.startswith(f"{key}.")
    }


def declared_outputs(stage: str) -> set[str]:
    outs = [*PIPELINE[stage].get("outs", []), *PIPELINE[stage].get("metrics", [])]
    return {next(iter(out)) if isinstance(out, dict) else out for out in outs}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_each_imported_module_is_a_dependency_and_no_other(stage: str) -> None:
    program = (
        f"import json, sys, stages.{stage}\n"
        "print(json.dumps({name: getattr(module, '__file__', None)\n"
        "                  for name, module in sys.modules.items()\n"
        "                  if name.split('.')[0] in ('stages', 'tensorflow')}))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    imported = json.loads(printed)
    assert ("tensorflow" in imported) == (stage not in TENSORFLOW_FREE)
    files = {
        str(Path(path).relative_to(ROOT))
        for name, path in imported.items()
        if name.startswith("stages")
    }
    assert (ROOT / "stages/__init__.py").read_text() == "", "empty, and so no dependency"
    if "stages/report.py" in files:
        files.add("stages/report.html.jinja")
    declared = {dep for dep in PIPELINE[stage]["deps"] if dep.startswith("stages/")}
    assert declared == files - {"stages/__init__.py"}


class Recorder:
    """Stands for a section of params.yaml and notes which of its keys are read."""

    def __init__(self, name: str, section: Any, seen: set[str]) -> None:
        self._name, self._section, self._seen = name, section, seen

    def __getattr__(self, key: str) -> Any:
        value = getattr(self._section, key)
        name = f"{self._name}.{key}"
        if isinstance(value, params.Section):
            return Recorder(name, value, self._seen)
        self._seen.add(name)
        return value


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_the_declared_params_and_writes_the_declared_outputs(
    stage: str, reproduced_once: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "clone"
    shutil.copytree(reproduced_once.root, root, ignore=shutil.ignore_patterns(".git", ".dvc"))
    for output in declared_outputs(stage):
        (root / output).unlink()
    seen: set[str] = set()
    load = params.load

    def record(name: str, schema: Any) -> Any:
        value = load(name, schema)
        if isinstance(value, params.Section):
            return Recorder(name, value, seen)
        seen.add(name)
        return value

    monkeypatch.chdir(root)

    def record_everything() -> Any:
        document = params.read(params.PARAMS)
        seen.update(leaves(document))
        return document

    monkeypatch.setattr(params, "load", record)
    monkeypatch.setattr(params, "everything", record_everything)
    monkeypatch.setattr(runtime, "pin", lambda *_: None)
    before = {path for path in root.rglob("*") if path.is_file()}
    module = importlib.import_module(f"stages.{stage}")
    module.main()
    written = {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and path not in before and ".checkpoints" not in path.parts
    }
    assert seen == declared_params(stage)
    assert written == declared_outputs(stage) == {str(path) for path in module.OUTPUTS}


def test_every_parameter_is_read_by_some_stage() -> None:
    assert set().union(*map(declared_params, STAGES)) == ALL_PARAMS


def test_the_environment_is_a_dependency_of_every_stage() -> None:
    assert all("requirements.txt" in PIPELINE[stage]["deps"] for stage in STAGES)


def test_dvc_parses_yaml_in_c() -> None:
    # In Python, a repro with nothing to do takes a quarter longer: twice as long as `dvc version`.
    assert YAML(typ="safe").Parser.__name__ == "CParser"


@pytest.mark.parametrize("stage", STAGES)
def test_the_files_a_stage_says_it_reads_are_dependencies(stage: str) -> None:
    module = importlib.import_module(f"stages.{stage}")
    declared = {dep for dep in PIPELINE[stage]["deps"] if not dep.startswith(("stages/", "req"))}
    declared = {dep.removesuffix("/${prepare.dataset}") for dep in declared}
    assert declared == {str(path) for path in module.INPUTS}


# What is stale at once after a change; stages behind rerun if they are given other bytes.
RERUNS: dict[str, tuple[str, ...]] = {
    "seed": ("train", "visualize"),
    "prepare.*": ("prepare", "visualize"),
    "model.*": ("train", "visualize"),
    "train.*": ("train", "visualize"),
    "visualize.*": ("visualize",),
    "data/raw/mnist/*": ("prepare",),
    "requirements.txt": ("prepare", "train", "evaluate", "visualize"),
    "stages/archive.py": ("train", "evaluate"),
    "stages/augmentation.py": ("train",),
    "stages/batches.py": ("train",),
    "stages/checkpoint.py": ("train",),
    "stages/errors.py": ("prepare", "train", "evaluate", "visualize"),
    "stages/evaluate.py": ("evaluate",),
    "stages/figures.py": ("visualize",),
    "stages/files.py": ("prepare", "train", "evaluate", "visualize"),
    "stages/idx.py": ("prepare",),
    "stages/model.py": ("train",),
    "stages/params.py": ("prepare", "train", "visualize"),
    "stages/picture.py": (),
    "stages/predict.py": (),
    "stages/prepare.py": ("prepare",),
    "stages/report.html.jinja": ("visualize",),
    "stages/report.py": ("visualize",),
    "stages/runtime.py": ("train", "evaluate"),
    "stages/scores.py": ("evaluate", "visualize"),
    "stages/seeding.py": ("train",),
    "stages/train.py": ("train",),
    "stages/visualize.py": ("visualize",),
}


def other(value: Any) -> Any:
    """Return another value of the same type."""
    return value + 1 if isinstance(value, int | float) else [9] if value == [32, 64] else "other"


def expected_reruns(change: str) -> tuple[str, ...]:
    folder = f"{change.rpartition('/')[0]}/*"
    return next(
        RERUNS[key] for key in (change, f"{change.split('.')[0]}.*", folder) if key in RERUNS
    )


def stale() -> set[str]:
    """Ask DVC, as `dvc status` does, which stages of this folder would run."""
    with Repo() as repo:
        return set(repo.status())


@pytest.mark.slow
def test_the_rerun_table_holds_for_every_parameter_raw_file_and_script(
    reproduced: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in reproduced.env.items():
        monkeypatch.setenv(name, value)
    root = reproduced.root
    monkeypatch.chdir(root)
    files = [*root.glob("data/raw/mnist/*"), *root.glob("stages/*.*"), root / "requirements.txt"]
    inputs = {str(path.relative_to(root)) for path in files} - {"stages/__init__.py"}
    shutil.copytree(root / "data/raw/mnist", root / "data/raw/other")
    (root / "data/raw/other/note.txt").write_text("another data set")
    good = (root / "params.yaml").read_text()

    found, expected = {}, {}
    for change in sorted(ALL_PARAMS | inputs):
        path = root / ("params.yaml" if change in ALL_PARAMS else change)
        content = path.read_bytes()
        if change in ALL_PARAMS:
            value = yaml.safe_load(good)
            for key in change.split("."):
                value = value[key]
            reproduced.set(change, other(value))
        else:
            path.write_bytes(content + b"\n")
        found[change] = stale()
        expected[change] = set(expected_reruns(change))
        path.write_bytes(content)
    assert found == expected
    assert stale() == set()


def test_the_readme_shows_the_rerun_table() -> None:
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in (ROOT / "README.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    shown = {
        change.strip().strip("`"): () if stages == "no stage" else tuple(stages.split(", "))
        for row in rows
        if len(row) == 2 and set(row[1].split(", ")) <= {*STAGES, "no stage"}
        for change in row[0].split(",")
        for stages in row[1:]
    }
    assert shown == RERUNS
