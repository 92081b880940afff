"""Fixtures: a small project, and one that was reproduced once for all tests."""

import shutil
from pathlib import Path

import pytest

from tests.project import Project, create_project, environment


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh small project: committed, nothing run."""
    return create_project(tmp_path)


@pytest.fixture(scope="session")
def reproduced_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = create_project(tmp_path_factory.mktemp("reproduced"))
    assert project.repro() == ["prepare", "train", "evaluate", "visualize"]
    project.commit("Results")
    return project


@pytest.fixture
def reproduced(reproduced_once: Project, tmp_path: Path) -> Project:
    """A small project of one's own after `dvc repro`: outputs, cache and lock committed."""
    shutil.copytree(reproduced_once.root.parent, tmp_path, dirs_exist_ok=True, symlinks=True)
    return Project(tmp_path / "clone", environment(tmp_path / "home"))
