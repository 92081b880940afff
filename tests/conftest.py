"""Fixtures: a small project, and what is made once for all tests and all their processes."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests.builders import write_prepared
from tests.project import Project, copy, create_project, duplicate, environment

MakeOnce = Callable[[str, Callable[[Path], object]], Project]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slow tests first, so that at the end no process waits for another's slow one."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> MakeOnce:
    """A function that gives the project `name`, which the first process to ask for it makes."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # each worker has a folder in it

    def get(name: str, make: Callable[[Path], object]) -> Project:
        folder, done = base / name, base / f"{name}.done"
        with FileLock(base / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # what failed in another process
                make(folder)
                done.touch()
        return Project(folder / "clone", environment(folder / "home"))

    return get


@pytest.fixture(scope="session")
def prepared_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    for part in "stages", "requirements.txt":
        copy(part, folder)
    write_prepared(folder)
    return folder


@pytest.fixture
def prepared(prepared_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that train and evaluate read, as the current one.

    Stages are called in it, not started: it takes milliseconds. The tests' process pins its
    threads once, whatever a stage asks for.
    """
    from stages.backend import determinism

    shutil.copytree(prepared_once, tmp_path / "prepared")
    monkeypatch.chdir(tmp_path / "prepared")
    monkeypatch.setattr(determinism, "pin", lambda *_, **__: None)
    return tmp_path / "prepared"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh small project: committed, nothing run."""
    return create_project(tmp_path)


@pytest.fixture(scope="session")
def reproduced_once(make_once: MakeOnce) -> Project:
    """A small project after `dvc repro`, committed; what that printed is beside it.

    It is shared: change nothing in it.
    """

    def make(folder: Path) -> None:
        project = create_project(folder)
        done = project.run("dvc", "repro")
        (folder / "printed.json").write_text(json.dumps([done.stdout, done.stderr]))
        project.commit("Results")

    return make_once("reproduced", make)


@pytest.fixture
def reproduced(reproduced_once: Project, tmp_path: Path) -> Project:
    """A small project of one's own after `dvc repro`: outputs, cache and lock committed."""
    return duplicate(reproduced_once, tmp_path)


@pytest.fixture(scope="session")
def tried_once(make_once: MakeOnce, reproduced_once: Project) -> Project:
    """The reproduced project with an experiment, `slower`, in its workspace. It is shared."""

    def make(folder: Path) -> None:
        project = duplicate(reproduced_once, folder)
        done = project.run(
            "dvc", "exp", "run", "--name", "slower", "-S", "train.learning_rate=0.00005"
        )
        ran = re.findall(r"Running stage '(\w+)'", done.stdout)
        assert ran == ["train", "evaluate", "visualize"]

    return make_once("tried", make)


@pytest.fixture
def tried(tried_once: Project, tmp_path: Path) -> Project:
    return duplicate(tried_once, tmp_path)
