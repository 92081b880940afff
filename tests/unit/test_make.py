"""make runs the environment's commands, even where the shell would find others."""

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.builders import ROOT


def write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The Makefile and its locks, in a folder whose name has a space."""
    folder = tmp_path / "my project"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copy(ROOT / "requirements.txt", folder)
    return folder


@pytest.fixture
def installed(folder: Path) -> Path:
    """The same with an environment, whose commands print their arguments."""
    for name in "dvc", "python", "pip", "pytest":
        write_script(folder / ".venv/bin" / name, f'printf "{name}<%s>\\n" "$@"')
    (folder / ".venv/pipeline").touch()
    return folder


def make(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--silent", *arguments]
    return subprocess.run(
        command, cwd=folder, env={"PATH": "/usr/bin:/bin"} | env, capture_output=True, text=True
    )


def test_every_command_of_the_environment_is_called_by_its_path(installed: Path) -> None:
    """GNU make 3.81, of macOS, would not find them otherwise; the one here would."""
    shutil.copytree(ROOT / "requirements", installed / "requirements")
    targets = "repro", "quick", "diff", "plots", "compare", "verify", "rebuild", "bench", "lock"
    printed = make(installed, "--always-make", "--dry-run", *targets).stdout
    called = re.findall(r"^\s*(\S*\b(?:dvc|pip|pytest|python|uv)) ", printed, re.MULTILINE)
    assert len(called) >= len(targets)
    assert {command.rpartition("/")[0] for command in called} == {".venv/bin"}


def test_what_the_commands_start_is_the_environments_as_well(installed: Path) -> None:
    write_script(installed / ".venv/bin/dvc", "python -m stages.prepare")
    assert "python<-m>\npython<stages.prepare>\n" in make(installed, "repro").stdout


def test_repro_begins_with_a_ready_clone_and_ends_with_what_the_run_gave(installed: Path) -> None:
    printed = make(installed, "repro").stdout.splitlines()
    setup, outcome = (["python<-m>", f"python<tools.{name}>"] for name in ("setup", "outcome"))
    assert printed == [*setup, "dvc<repro>", *outcome]
    write_script(installed / ".venv/bin/dvc", "echo failed; exit 1")
    assert make(installed, "repro").stdout.splitlines() == [*setup, "failed"]


def test_an_installation_is_announced_on_stderr_since_a_targets_output_may_go_to_a_file(
    installed: Path,
) -> None:
    (installed / ".venv/pipeline").unlink()
    done = make(installed, "diff")
    assert done.stderr.splitlines()[:3] == [
        "Installing the packages of requirements.txt into .venv, which takes some minutes the "
        "first time",
        "python<-m>",
        "python<pip>",
    ]
    again = make(installed, "diff")
    assert again.stderr == ""
    assert again.stdout == done.stdout
    assert "pip" not in done.stdout


def test_the_packages_for_the_tests_are_installed_at_once_with_those_of_the_pipeline(
    installed: Path,
) -> None:
    shutil.copytree(ROOT / "requirements", installed / "requirements")
    (installed / ".venv/pipeline").unlink()
    done = make(installed, "quick")
    assert re.findall(r"requirements\S+>", done.stderr) == ["requirements/dev.txt>"]
    assert "pytest<not slow>\n" in done.stdout
    assert make(installed, "quick").stderr == ""


@pytest.mark.parametrize(
    ("config", "url", "expected"),
    [
        ("config", "~/mnist-pipeline-storage", []),
        ("config", "s3://team/mnist", ["requirements/s3.txt>"]),
        ("config.local", "ssh://me@host/folder", ["requirements/ssh.txt>"]),
    ],
)
def test_the_packages_that_the_remote_needs_are_installed_as_its_address_tells(
    config: str, url: str, expected: list[str], installed: Path
) -> None:
    shutil.copytree(ROOT / "requirements", installed / "requirements")
    (installed / ".dvc").mkdir()
    (installed / ".dvc" / config).write_text(f"['remote \"storage\"']\n    url = {url}\n")
    assert re.findall(r"requirements\S+>", make(installed, "check-remote").stderr) == expected
    assert make(installed, "check-remote").stderr == ""
    assert re.findall(r"requirements\S+>", make(installed, "quick").stderr) == [
        "requirements/dev.txt>"
    ], "which has them too"


def test_commands_find_the_stages_and_a_name_for_the_user_whatever_the_environment_has(
    installed: Path,
) -> None:
    write_script(installed / ".venv/bin/dvc", 'echo "${PYTHONSAFEPATH-unset} $LOGNAME"')
    write_script(installed / "nameless/id", "exit 1")
    nameless = {"PATH": f"{installed}/nameless:/usr/bin:/bin"}
    system = pwd.getpwuid(os.getuid()).pw_name
    names: list[tuple[dict[str, str], str]] = [
        ({}, system),
        (nameless, "user"),
        ({"USER": "me"}, "me"),
        ({"LOGNAME": "me"}, "me"),
    ]
    for env, found in names:
        assert f"\nunset {found}\n" in make(installed, "repro", PYTHONSAFEPATH="1", **env).stdout


@pytest.mark.parametrize("name", ["release 1; touch ran", "$(touch ran)", "a'b\"c", "`touch ran`"])
def test_the_name_of_a_branch_is_one_argument_and_never_run(installed: Path, name: str) -> None:
    for target, commands in ("diff", 3), ("plots", 1), ("compare", 1):
        assert make(installed, target, BASE=name).stdout.count(f"<{name}>\n") == commands
    assert not (installed / "ran").exists()


def test_a_recipe_is_run_with_its_parameters_and_without_its_comments(installed: Path) -> None:
    (installed / "recipes").mkdir()
    (installed / "recipes/small").write_text("# It's small.\n\nseed=1\nmodel.filters=[8,9]\n")
    (installed / "model.filters=8").touch()  # which the shell would find for [8,9]
    done = make(installed, "recipe", NAME="small")
    arguments = "exp", "run", "-S", "seed=1", "-S", "model.filters=[8,9]"
    assert re.findall("dvc<(.+)>", done.stdout) == [*arguments]


@pytest.mark.parametrize("name", ["", "big", "$(touch ran)", ".."])
def test_without_the_name_of_a_recipe_make_lists_them(installed: Path, name: str) -> None:
    (installed / "recipes").mkdir()
    for recipe in "large", "small":
        (installed / "recipes" / recipe).touch()
    done = make(installed, "recipe", NAME=name)
    assert done.returncode
    assert "dvc" not in done.stdout
    line = f"make recipe: found NAME='{name}'; expected one of large small"
    assert done.stderr.splitlines()[0] == line
    assert not (installed / "ran").exists()


def test_an_environment_that_could_not_be_completed_is_removed(folder: Path) -> None:
    """As on Debian without python3-venv, which leaves an environment without pip."""
    write_script(
        folder / "python",
        '[ "$1" = -c ] || { mkdir -p .venv/bin; touch .venv/bin/python; exit 1; }',
    )
    for name in "pip", "dvc":
        write_script(folder / "system" / name, "touch used")
    done = make(folder, "repro", "PYTHON=./python", PATH=f"{folder}/system:/usr/bin:/bin")
    assert done.returncode
    assert done.stderr.startswith("Making an environment in .venv\n"), "which takes seconds"
    assert "need the package python3-venv" in done.stderr
    assert not (folder / ".venv").exists()
    assert not (folder / "used").exists()


def test_a_python_without_tensorflow_is_refused_in_one_line(folder: Path) -> None:
    write_script(folder / "python", 'exec python3 -c "import sys; sys.version_info = (3, 14); $2"')
    done = make(folder, "repro", "PYTHON=./python")
    assert done.returncode
    assert done.stderr.splitlines()[0].startswith("Python 3.11, 3.12 or 3.13 is needed")
    assert not (folder / ".venv").exists()
