"""Which installed packages are those of the lock."""

import contextlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from stages.common import environment
from tests.builders import ROOT
from tests.project import copy

LOCK = """\
a==1.0 \\
    --hash=sha256:1
b-c==2 ; sys_platform == 'win32' \\
    --hash=sha256:2
d==1 ; python_full_version < '3.13'
d==2 ; python_full_version >= '3.13'
"""


@pytest.mark.parametrize(
    ("here", "said"),
    [
        ({"a": "1.0"}, ""),
        ({"a": "1.0", "b-c": "2", "d": "1", "other": "7"}, ""),
        ({"a": "1.0", "d": "2"}, ""),
        ({}, "has no a; requirements.txt expects 1.0:"),
        ({"a": "1.1"}, "has a 1.1; requirements.txt expects 1.0:"),
        ({"a": "1.0", "b-c": "1"}, "has b-c 1; requirements.txt expects 2:"),
        ({"a": "1.0", "d": "3"}, "has d 3; requirements.txt expects 1:"),
    ],
)
def test_a_package_with_a_marker_may_be_missing_but_not_have_another_version(
    here: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text(LOCK)
    monkeypatch.setattr(environment, "LOCK", lock)
    monkeypatch.setattr(environment, "installed", lambda: here)
    with pytest.raises(SystemExit) if said else contextlib.nullcontext() as error:
        environment.require_locked()
    assert said in (str(error.value) if error else "")


def test_of_two_installations_the_one_that_is_imported_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for name in "Some_Pack.age-1.0.dist-info", "source.egg-info":
        (first / name).mkdir(parents=True)
    for name in "some_pack_age-2.0.dist-info", "other-3.0-py3.11.egg-info":
        (second / name).mkdir(parents=True)
    monkeypatch.setattr("sys.path", [str(tmp_path / name) for name in ("first", "second")])
    assert environment.installed() == {"some-pack-age": "1.0", "other": "3.0"}


def test_this_environment_is_the_locked_one() -> None:
    assert environment.installed()["tensorflow"] == version("tensorflow")
    environment.require_locked()


def test_a_stage_refuses_another_version_of_a_locked_package(tmp_path: Path) -> None:
    for part in "stages", "requirements.txt":
        copy(part, tmp_path)
    lock = tmp_path / "requirements.txt"
    lock.write_text(lock.read_text().replace("\npandas==", "\npandas==0.1."))
    command = [sys.executable, "-m", "stages.prepare"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("prepare: ")
    assert " has pandas " in line
    assert "requirements.txt expects 0.1." in line
    assert "pip install --require-hashes -r requirements.txt" in line


@pytest.mark.parametrize("module", ["stages.prepare", "stages.train", "stages.export"])
def test_a_python_without_the_environment_is_told_to_activate_it(module: str) -> None:
    command = [sys.executable, "-S", "-m", module]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{module.removeprefix('stages.')}: {sys.executable} has no ")
    assert "activate the environment (. .venv/bin/activate)" in line
