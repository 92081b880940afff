"""All tests in this folder run dvc, or processes that take as long: they are slow."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.builders import ROOT
from tests.project import Project, environment


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def clone(tmp_path: Path) -> Project:
    """A repository of what git tracks here and of what it will, as it is in the workspace."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    for path in {ROOT / name for name in listed if name}:
        if path.is_file() and not path.is_symlink():
            copied = tmp_path / "clone" / path.relative_to(ROOT)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copied)
    clone = Project(tmp_path / "clone", environment(tmp_path / "home"))
    clone.run("git", "init", "--quiet", "--initial-branch", "main")
    clone.commit("The project")
    return clone
