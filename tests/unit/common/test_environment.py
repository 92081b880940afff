"""Which installed packages are those of the lock."""

import contextlib
from importlib.metadata import version
from pathlib import Path

import pytest

from stages.common import environment

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
        environment.require_locked("tests")
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
    environment.require_locked("tests")
