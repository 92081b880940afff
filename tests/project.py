"""A small copy of the project, on a few hundred real images, to run the real pipeline in."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builders import ROOT, write_data_set

# The versioned project but for its data, and for files that a run replaces.
PARTS = ("stages", "dvc.yaml", "params.yaml", "requirements.txt", "pyproject.toml", ".gitignore")


@dataclass
class Project:
    """A clone in a temporary folder, with the commands a user would type in it."""

    root: Path
    env: dict[str, str]

    def run(self, *command: str, check: bool = True, **options: Any) -> Any:
        """Run a command; on an unexpected failure show what it printed."""
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
        path = self.root / "params.yaml"
        document = yaml.safe_load(path.read_text())
        *sections, leaf = key.split(".")
        target = document
        for section in sections:
            target = target[section]
        target[leaf] = value
        path.write_text(yaml.safe_dump(document))

    def commit(self, message: str = "Work") -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def outputs(self) -> dict[str, str]:
        """Return the md5 that dvc.lock holds of each output of each stage."""
        lock = yaml.safe_load((self.root / "dvc.lock").read_text())
        return {
            out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]
        }


def environment(home: Path) -> dict[str, str]:
    """Return an environment in which git and DVC see no settings or caches of this machine."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", "DVC_", "AWS_"))
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
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "DVC_SITE_CACHE_DIR": str(home / "site-cache"),
            "DVC_GLOBAL_CONFIG_DIR": str(home / "dvc-global"),
            "DVC_SYSTEM_CONFIG_DIR": str(home / "dvc-system"),
            "DVC_NO_ANALYTICS": "1",
        }
    )


def create_project(folder: Path) -> Project:
    """Make a committed copy of the project in `folder` with 300 + 100 images and 2 epochs."""
    root = folder / "clone"
    home = folder / "home"
    root.mkdir(parents=True)
    home.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, root / part)
    project = Project(root, environment(home))
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    (root / ".dvc").mkdir()
    for name in "config", ".gitignore":
        shutil.copy(ROOT / ".dvc" / name, root / ".dvc" / name)
    write_data_set(root / "data/raw/mnist")
    project.set("train.epochs", 2)
    project.set("train.batch_size", 32)
    project.commit("Start")
    return project
