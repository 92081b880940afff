"""A small copy of the project, on a few hundred real images, to run the real pipeline in."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests import dvcs
from tests.builders import ROOT, write_data_set, write_params
from tests.files import md5_of, set_parameter

# What a run or a check by hand needs; parameters, remote and data are the tests' own.
PARTS = (
    *("stages", "pictures", "predict", "sweep", "tools", "dvc.yaml"),
    *("requirements", "requirements.txt", "pyproject.toml"),
    *(".gitignore", ".gitattributes", ".dvcignore", ".dvc/.gitignore"),
)
CONFIG = """\
[core]
    remote = storage
    analytics = false
    check_update = false
['remote "storage"']
    url = ~/mnist-pipeline-storage
    verify = true
"""


@dataclass
class Project:
    """A clone in a temporary folder, with the commands a user would type in it."""

    root: Path
    env: dict[str, str]

    def run(self, *command: str, check: bool = True, **options: Any) -> Any:
        """Run a command; on an unexpected failure show what it printed.

        With `options` for subprocess, DVC is a process of its own: see dvcs.py.
        """
        if command[0] == "dvc" and not options:
            done = dvcs.run([*command[1:]], self.root, self.env)
        else:
            done = subprocess.run(
                command, cwd=self.root, env=self.env, capture_output=True, text=True, **options
            )
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def repro(self, *arguments: str) -> list[str]:
        """Run `dvc repro` and return the stages that ran, in order."""
        done = self.run("dvc", "repro", *arguments)
        return re.findall(r"Running stage '(\w+)'", done.stdout)

    def set(self, key: str, value: Any) -> None:
        """Change one parameter, such as `train.epochs`, in params.yaml."""
        set_parameter(self.root / "params.yaml", key, value)

    def commit(self, message: str = "Work") -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def contents(self) -> dict[str, str]:
        """Return the md5 of each output of dvc.lock that is there, as its bytes say."""
        there = [name for name in self.outputs() if (self.root / name).exists()]
        return {name: md5_of(self.root / name) for name in there}

    def outputs(self) -> dict[str, str]:
        """Return the md5 that dvc.lock holds of each output of each stage."""
        lock = yaml.safe_load((self.root / "dvc.lock").read_text())
        return {
            out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]
        }


@dataclass
class Clone(Project):
    """One person's clone, whose commands may run with fewer rights."""

    prefix: tuple[str, ...] = ()

    def run(self, *command: str, check: bool = True, **options: Any) -> Any:
        return super().run(*self.prefix, *command, check=check, **options)


class Run(NamedTuple):
    """How the run of a stage ended: its exit code, its prints, the md5 of outputs after it."""

    code: int
    text: str
    outputs: dict[str, str]


def environment(home: Path) -> dict[str, str]:
    """Return an environment in which git and DVC see no settings or caches of this machine."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", "DVC_", "AWS_", "PYTEST_"))
    }
    identity = {
        f"GIT_{role}_{field}": value
        for role in ("AUTHOR", "COMMITTER")
        for field, value in (("NAME", "Tester"), ("EMAIL", "tester@example.org"))
    }
    return (
        kept
        | identity
        | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "DVC_SITE_CACHE_DIR": str(home / "site-cache"),
            "DVC_GLOBAL_CONFIG_DIR": str(home / "dvc-global"),
            "DVC_SYSTEM_CONFIG_DIR": str(home / "dvc-system"),
            "DVC_NO_ANALYTICS": "1",
        }
    )


def copy(part: str, folder: Path) -> None:
    """Copy a file or a folder of the repository to the same place in `folder`."""
    (folder / part).parent.mkdir(parents=True, exist_ok=True)
    if (ROOT / part).is_dir():
        kept_out = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / part, folder / part, ignore=kept_out)
    else:
        shutil.copy(ROOT / part, folder / part)


def create_project(folder: Path) -> Project:
    """Make a committed copy of the project in `folder` with 300 + 100 images and 2 epochs."""
    root = folder / "clone"
    home = folder / "home"
    root.mkdir(parents=True)
    home.mkdir()
    for part in PARTS:
        copy(part, root)
    (root / ".dvc/config").write_text(CONFIG)
    write_params(root)
    write_data_set(root / "data/raw/mnist")
    project = Project(root, environment(home))
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    project.commit("Start")
    return project


def create_stub(folder: Path) -> Project:
    """Make the same in `folder`, whose stages write their outputs in milliseconds: see stub.py."""
    project = create_project(folder)
    shutil.copy(ROOT / "tests/stub.py", project.root / "stage.py")
    pipeline = project.root / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace("python -m stages.", "python stage.py "))
    project.commit("Stubs")
    return project


def duplicate(project: Project, folder: Path) -> Project:
    """Copy a project with its home into `folder`."""
    shutil.copytree(project.root.parent, folder, dirs_exist_ok=True, symlinks=True)
    return Project(folder / "clone", environment(folder / "home"))


def fork(project: Project, *runs: str, **options: Any) -> list[Run]:
    """Run stages one after the other, and return how each ended: see forks.py."""
    done = project.run(sys.executable, str(ROOT / "tests/forks.py"), *runs, **options)
    return [Run(*found) for found in json.loads(done.stdout)]


def share(folder: Path) -> tuple[Clone, Clone]:
    """Publish `folder`/clone in a bare repository, and clone that for another person."""
    a, b = (Clone(folder / name, environment(folder / "home")) for name in ("clone", "b"))
    a.run("git", "clone", "--quiet", "--bare", ".", "../origin.git")
    a.run("git", "remote", "add", "origin", "../origin.git")
    a.run("git", "fetch", "--quiet", "origin")
    a.run("git", "branch", "--quiet", "--set-upstream-to", "origin/main")
    a.run("git", "clone", "--quiet", "../origin.git", "../b")
    b.run("git", "remote", "set-url", "origin", "../origin.git")  # so that a copy has its own
    return a, b
