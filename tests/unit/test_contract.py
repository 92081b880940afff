"""dvc.yaml declares exactly what the stages read and write; so what reruns can be foretold."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from stages.common import paths
from tests.builders import DEFAULTS, ROOT, run
from tests.files import read_tree
from tests.project import Project
from tests.witness import witness

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
# A team's own may be read in some cases only, as by a schedule or an optimizer of its own.
OWN_PARAMS = leaves(YAML(typ="safe").load(ROOT / "tests/defaults.yaml"))


def declared_params(stage: str) -> set[str]:
    return {
        leaf
        for leaf in ALL_PARAMS
        for key in PIPELINE[stage].get("params", ())
        if leaf == key or leaf.startswith(f"{key}.")
    }


def declared(stage: str, *kinds: str) -> set[str]:
    """Return the paths of the dependencies or outputs of a stage."""
    entries = [entry for kind in kinds for entry in PIPELINE[stage].get(kind, [])]
    names = (next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries)
    return {name.replace("${prepare.dataset}", "mnist") for name in names}


def contents() -> dict[str, bytes]:
    kept_out = f"{paths.CHECKPOINTS}/"
    tree = read_tree(Path.cwd())
    return {path: content for path, content in tree.items() if not path.startswith(kept_out)}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_opens_reads_and_writes_what_is_declared_and_nothing_else(
    stage: str, prepared: Path
) -> None:
    project = Project(prepared, {})
    # Muon uses all parameters of the other optimizers, and two more; one thread is what is here.
    muon = {"optimizer": "muon", "momentum": 0.9, "weight_decay": 0.1, "threads": 1, "epochs": 1}
    for key, value in muon.items():
        project.set(f"train.{key}", value)
    if stage == "visualize":
        run("evaluate")
    outputs = declared(stage, "outs", "metrics", "plots")
    for output in outputs:
        Path(output).unlink(missing_ok=True)
    before = contents()
    found = witness(stage)

    after = contents()
    assert {path for path in after if before.get(path) != after[path]} == outputs
    assert set(before) <= set(after)
    opened = found.opened & set(before) - {"params.yaml"}  # not what it made for itself
    uses = {
        dependency: [path for path in opened if Path(path).is_relative_to(dependency)]
        for dependency in declared(stage, "deps")
    }
    assert opened == set().union(*uses.values())
    assert all(uses.values()), uses
    # Files in IDX have a test set of their own.
    unused = {"prepare.test_split"} if stage == "prepare" else set()
    assert found.params <= declared_params(stage)
    assert declared_params(stage) & OWN_PARAMS - found.params == unused
    assert ("stages.backend.runtime" in found.modules) == (stage not in TENSORFLOW_FREE)


def test_every_parameter_is_read_by_some_stage() -> None:
    assert set().union(*map(declared_params, STAGES)) == ALL_PARAMS


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
    "train.keep": ("train", "evaluate", "visualize"),
    "visualize.*": ("visualize",),
    "visualize.mistakes": ("evaluate", "visualize"),
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


def row(change: str) -> str:
    """Return the row of the table that a parameter or a file falls under."""
    folder = f"{change.rpartition('/')[0]}/*"
    return next(key for key in (change, f"{change.split('.')[0]}.*", folder) if key in RERUNS)


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
