"""Rebuilding HEAD: what is identical, and what differs."""

import json
import platform
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MakeOnce, RunMain
from tests.project import Project, duplicate
from tools import rebuild


@pytest.fixture(scope="session")
def tracked_once(make_once: MakeOnce, stub_once: Project) -> Project:
    """The stub, whose raw data DVC tracks, and whose cache and remote have all. It is shared."""

    def make(folder: Path) -> None:
        project = duplicate(stub_once, folder)
        project.run("git", "rm", "-r", "--quiet", "--cached", "data/raw/mnist")
        project.run("dvc", "add", "--quiet", "data/raw/mnist")
        project.run("dvc", "push", "--quiet")
        project.run("dvc", "config", "cache.dir", str(project.root / ".dvc/cache"))
        project.commit("The data is in the remote")

    return make_once("tracked", make)


@pytest.fixture
def here(tracked_once: Project, tmp_path: Path, enter: Callable[[Project], None]) -> Project:
    project = duplicate(tracked_once, tmp_path)
    enter(project)
    return project


def test_equal_bytes_are_identical_although_no_cache_was_used(
    here: Project, run_main: RunMain
) -> None:
    (here.root / "params.yaml").write_text("train: not committed\n")
    code, said = run_main(rebuild.main)
    assert code == 0
    system, *_, last = [line for line in said.splitlines() if line]
    assert platform.platform() in system
    assert system.endswith(f"Python {platform.python_version()}")
    for stage in "prepare", "train", "evaluate", "visualize", "export":
        assert f"Running stage '{stage}'" in said
    assert last == f"identical: all {len(here.outputs())} outputs have the md5 in dvc.lock"


def test_what_differs_is_named_with_the_metrics_of_both_sides(
    here: Project, run_main: RunMain, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = json.loads((here.root / "reports/metrics.json").read_text())
    monkeypatch.setenv("NOISE", "1")
    code, said = run_main(rebuild.main)
    assert code == 1
    (named,) = [line for line in said.splitlines() if "different from dvc.lock: " in line]
    assert {"models/model.keras,", "reports/metrics.json,"} < set(named.split())
    assert "data/prepared" not in named, "prepare gave the same"
    (sides,) = re.findall(r"^test.accuracy +(\S+) +(\S+)$", said, re.MULTILINE)
    committed, rebuilt = map(float, sides)
    assert committed == metrics["test"]["accuracy"] != rebuilt


def test_a_lock_of_other_bytes_and_a_pipeline_that_fails_are_noticed(
    here: Project, run_main: RunMain, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = here.root / "dvc.lock"
    md5 = here.outputs()["reports/index.html"]
    path.write_text(path.read_text().replace(md5, "f" * 32))
    here.commit()
    code, said = run_main(rebuild.main)
    assert code == 1
    assert "different from dvc.lock: reports/index.html\n" in said

    monkeypatch.setenv("FAIL", "train")
    code, said = run_main(rebuild.main)
    assert code == 1
    command = "dvc repro --pull --no-run-cache"
    assert said.splitlines()[-1] == f"rebuild: {command} failed in a clone of HEAD"
