"""What make does first: commands that start, and an index that nobody else can write to."""

import contextlib
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.cli import main as dvc
from dvc.repo import Repo

from stages.common.errors import InputError
from tests.builders import as_nobody
from tests.project import environment
from tools import setup


def config(*arguments: str) -> str:
    """Do what `dvc config` does, in this process: it takes milliseconds."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert dvc(["config", *arguments]) == 0
    return printed.getvalue().strip()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose user has chosen nothing; DVC's own folders are in a temporary home."""
    for name, value in environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DVC_SITE_CACHE_DIR")
    monkeypatch.setattr(setup, "config", config)
    clone = tmp_path / "clone"
    (clone / ".dvc").mkdir(parents=True)
    monkeypatch.chdir(clone)
    subprocess.run(["git", "init", "--quiet"], check=True)
    return clone


def test_what_dvc_unpickles_lies_where_nobody_else_can_write(here: Path) -> None:
    setup.make_private(setup.INDEX)
    setup.use_index()
    with Repo() as repo:
        index = Path(repo.site_cache_dir)
    assert index.is_relative_to(here / ".dvc/tmp/site")
    assert index.parent.stat().st_mode & 0o777 == 0o777, "DVC itself opens it to everybody"
    if os.geteuid():
        pytest.skip("only root can try what others can do")
    with as_nobody(here / ".git"), pytest.raises(PermissionError):
        index.rename(index.with_name("replaced"))


def test_a_folder_that_others_could_enter_is_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "a/site"
    folder.mkdir(parents=True)
    (folder / "cache.db").write_text("whose?")
    folder.chmod(0o755)
    setup.make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(folder.iterdir())
    (folder / "mine").touch()
    setup.make_private(folder)
    assert (folder / "mine").exists()


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("/elsewhere/site", "/elsewhere/site"),
        ("{here}/.dvc/tmp/site", "{here}/.dvc/tmp/site"),
        ("/before/.dvc/tmp/site", "{here}/.dvc/tmp/site"),
    ],
    ids=["the user's own", "ours", "ours, before the clone was moved"],
)
def test_a_place_that_is_set_stays_unless_the_clone_was_moved(
    found: str, expected: str, here: Path
) -> None:
    local = here / ".dvc/config.local"
    local.write_text(f"[core]\n    site_cache_dir = {found.format(here=here)}  \n")
    before = local.read_bytes()
    setup.use_index()
    assert config(setup.KEY) == expected.format(here=here)
    assert (local.read_bytes() == before) == (found == expected)
    after = local.read_bytes()
    setup.use_index()
    assert local.read_bytes() == after


def test_a_place_that_is_set_for_all_projects_stays(here: Path) -> None:
    config("--global", setup.KEY, "/elsewhere")
    setup.use_index()
    assert not (here / ".dvc/config.local").exists()


@pytest.mark.parametrize("name", ["env", "an environment", f"{'deep/' * 30}env"])
def test_an_environment_that_was_moved_or_copied_is_named(name: str, tmp_path: Path) -> None:
    made = tmp_path / name
    (made / "bin").mkdir(parents=True)
    python = made / "bin/python"
    python.symlink_to(sys.executable)
    # As pip writes it: Linux reads 127 bytes of the first line, and ends a path at a space.
    first = f"#!{python}\n"
    if len(first) > 127 or " " in str(python):
        first = f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n"
    (made / "bin/pip").write_text(f"{first}# -*- coding: utf-8 -*-\n")
    (tmp_path / "link").symlink_to(made)
    for same in made, tmp_path / "link":
        setup.check_place(same)

    shutil.copytree(made, tmp_path / "copy", symlinks=True)
    with pytest.raises(InputError) as refused:
        setup.check_place(tmp_path / "copy")
    assert str(refused.value).startswith(
        f"{tmp_path}/copy was moved or copied: its commands start {python}; "
    )
    made.rename(tmp_path / "moved")
    with pytest.raises(InputError, match="was moved or copied"):
        setup.check_place(tmp_path / "moved")
