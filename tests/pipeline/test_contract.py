"""What DVC makes of dvc.yaml: what reruns what, and what makes no stage stale."""

import json
import shutil
from collections.abc import Callable
from typing import Any

from dvc.repo import Repo

from tests.builders import DEFAULTS
from tests.project import Project
from tests.unit.test_contract import ALL_PARAMS, RERUNS, row


def other(value: Any) -> Any:
    return value + 1 if isinstance(value, int | float) else "other"


def stale() -> set[str]:
    """Ask DVC, as `dvc status` does, which stages of this folder would run."""
    with Repo() as repo:
        return set(repo.status())


def test_the_rerun_table_holds_for_every_parameter_and_for_a_file_of_each_folder(
    stub: Project, enter: Callable[[Project], None]
) -> None:
    enter(stub)
    root = stub.root
    shutil.copytree(root / "data/raw/mnist", root / "data/raw/other")
    (root / "data/raw/other/note.txt").write_text("another data set")
    matches = [[path for path in root.glob(key) if path.is_file()] for key in RERUNS]
    files = {str(paths[0].relative_to(root)) for paths in matches if paths}

    found, expected = {}, {}
    for change in sorted(ALL_PARAMS | files):
        path = root / ("params.yaml" if change in ALL_PARAMS else change)
        content = path.read_bytes()
        if change in ALL_PARAMS:
            value: Any = DEFAULTS
            for key in change.split("."):
                value = value[key]
            stub.set(change, other(value))
        else:
            path.write_bytes(content + b"\n")
        found[change] = stale()
        expected[change] = set(RERUNS[row(change)])
        path.write_bytes(content)
    assert found == expected
    assert {row(change) for change in found} == set(RERUNS)
    assert stale() == set()


def test_byte_code_and_finder_notes_and_line_endings_make_no_stage_stale(
    stub: Project,
) -> None:
    """A clone of a git that writes CR LF, in which scripts were imported and folders looked at."""
    stub.run("git", "clone", "--quiet", "--config", "core.autocrlf=true", ".", "../windows")
    clone = Project(stub.root.parent / "windows", stub.env)
    stub.run("dvc", "push")
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
