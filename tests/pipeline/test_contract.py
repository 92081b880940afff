"""dvc.yaml declares exactly what the stages read and write; so what reruns can be foretold."""

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

from tests.builders import DEFAULTS, ROOT
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


ALL_PARAMS = leaves(DEFAULTS)


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


def locked(project: Project, stage: str, kind: str) -> set[str]:
    """Return the paths of the dependencies or outputs of a stage, as DVC understood dvc.yaml."""
    lock = yaml.safe_load((project.root / "dvc.lock").read_text())
    return {entry["path"] for entry in lock["stages"][stage][kind]}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not {".git", ".dvc", ".checkpoints"} & set(path.parts)
    }


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_opens_reads_and_writes_what_is_declared_and_nothing_else(
    stage: str, reproduced: Project
) -> None:
    """What a stage opens is what Python says it opens, in a process of its own.

    Files that C code opens by itself escape this witness: TensorFlow's own file system, HDF5, and
    libraries that are loaded. Arrays (memory-mapped ones too), tables, models and templates are
    opened by Python. What is written is seen on the disk, whoever wrote it.
    """
    # Muon uses all parameters of the other optimizers, and two more.
    for key, value in {"optimizer": "muon", "momentum": 0.9, "weight_decay": 0.1}.items():
        reproduced.set(f"train.{key}", value)
    root = reproduced.root
    outputs = locked(reproduced, stage, "outs")
    for output in outputs:
        (root / output).unlink()
    before = contents(root)
    report = root.parent / "report.json"
    reproduced.run(sys.executable, str(ROOT / "tests/witness.py"), stage, str(report))
    found = json.loads(report.read_text())

    after = contents(root)
    assert {path for path in after if before.get(path) != after[path]} == outputs
    assert set(before) <= set(after)
    dependencies = locked(reproduced, stage, "deps")
    uses = {
        dependency: [path for path in found["opened"] if Path(path).is_relative_to(dependency)]
        for dependency in dependencies
    }
    assert set(found["opened"]) - {"params.yaml"} == set().union(*uses.values())
    assert {path for path, opened in uses.items() if not opened} <= {"requirements.txt"}
    # Files in IDX have a test set of their own.
    unused = {"prepare.test_split"} if stage == "prepare" else set()
    assert set(found["params"]) == declared_params(stage) - unused
    assert found["tensorflow"] == (stage not in TENSORFLOW_FREE)


def test_every_parameter_is_read_by_some_stage() -> None:
    assert set().union(*map(declared_params, STAGES)) == ALL_PARAMS


def test_the_environment_is_a_dependency_of_every_stage() -> None:
    assert all("requirements.txt" in PIPELINE[stage]["deps"] for stage in STAGES)


def test_dvc_parses_yaml_in_c() -> None:
    # In Python, a repro with nothing to do takes a quarter longer: twice as long as `dvc version`.
    assert YAML(typ="safe").Parser.__name__ == "CParser"


# What is stale at once after a change; stages behind rerun if they are given other bytes.
RERUNS: dict[str, tuple[str, ...]] = {
    "prepare.*": ("prepare", "visualize"),
    "data/raw/mnist/*": ("prepare",),
    "seed": ("train", "visualize"),
    "model.*": ("train", "visualize"),
    "train.*": ("train", "visualize"),
    "train.validation_split": ("train", "evaluate", "visualize"),
    "visualize.*": ("visualize",),
    "pictures/*": ("prepare", "export"),
    "stages/prepare/*": ("prepare",),
    "stages/train/*": ("train",),
    "stages/evaluate/*": ("evaluate",),
    "stages/visualize/*": ("visualize",),
    "stages/export/*": ("export",),
    "stages/backend/*": ("train", "evaluate", "export"),
    "stages/common/*": ("prepare", "train", "evaluate", "visualize", "export"),
    "requirements.txt": ("prepare", "train", "evaluate", "visualize", "export"),
    "predict/*": ("export",),
    "sweep/*": (),
    "tools/*": (),
}


def other(value: Any) -> Any:
    """Return another value of the same type."""
    return value + 1 if isinstance(value, int | float) else [9] if value == [32, 64] else "other"


def row(change: str) -> str:
    """Return the row of the table that a parameter or a file falls under."""
    folder = f"{change.rpartition('/')[0]}/*"
    return next(key for key in (change, f"{change.split('.')[0]}.*", folder) if key in RERUNS)


def stale() -> set[str]:
    """Ask DVC, as `dvc status` does, which stages of this folder would run."""
    with Repo() as repo:
        return set(repo.status())


def test_the_rerun_table_holds_for_every_parameter_and_for_a_file_of_each_folder(
    reproduced: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in reproduced.env.items():
        monkeypatch.setenv(name, value)
    root = reproduced.root
    monkeypatch.chdir(root)
    shutil.copytree(root / "data/raw/mnist", root / "data/raw/other")
    (root / "data/raw/other/note.txt").write_text("another data set")
    good = (root / "params.yaml").read_text()
    matches = [[path for path in root.glob(key) if path.is_file()] for key in RERUNS]
    files = {str(paths[0].relative_to(root)) for paths in matches if paths}

    found, expected = {}, {}
    for change in sorted(ALL_PARAMS | files):
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
        expected[change] = set(RERUNS[row(change)])
        path.write_bytes(content)
    assert found == expected
    assert {row(change) for change in found} == set(RERUNS)
    assert stale() == set()


def test_every_file_of_the_stages_has_its_row() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "pictures", "predict", "stages"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    folders = "pictures/", "predict/", "stages/"
    assert {row(path) for path in listed} == {key for key in RERUNS if key.startswith(folders)}


def test_the_documentation_shows_the_rerun_table() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for page in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    shown = {
        change.strip().strip("`"): () if cells[1] == "no stage" else tuple(cells[1].split(", "))
        for cells in rows
        if len(cells) == 2 and set(cells[1].split(", ")) <= {*STAGES, "no stage"}
        for change in cells[0].split(",")
    }
    assert shown == RERUNS


def test_byte_code_and_finder_notes_and_line_endings_make_no_stage_stale(
    reproduced: Project,
) -> None:
    """A clone of a git that writes CR LF, in which scripts were imported and folders looked at."""
    reproduced.run("git", "clone", "--quiet", "--config", "core.autocrlf=true", ".", "../windows")
    clone = Project(reproduced.root.parent / "windows", reproduced.env)
    reproduced.run("dvc", "push")
    clone.run("dvc", "pull")
    for folder in [
        *clone.root.glob("stages/*"),
        clone.root / "pictures",
        clone.root / "data/raw/mnist",
    ]:
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__/model.cpython-311.pyc").write_bytes(b"byte code")
        (folder / ".DS_Store").write_bytes(b"notes")
    assert json.loads(clone.run("dvc", "status", "--json").stdout) == {}
