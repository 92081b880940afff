"""A Git remote as a sweep sees it, without DVC's commands."""

import json
import subprocess
from pathlib import Path
from typing import Any

from sweep.node import Source, Trial

COMMIT = "c" * 40
TESTER = {"name": "Tester", "email": "tester@example.org"}
SOURCE = Source("nowhere", COMMIT, TESTER, {})


class Origin:
    """A commit in a clone of its own, and experiments with it in the bare repository behind it."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "clone"
        self.git("init", "--quiet", "--bare", str(folder / "origin.git"), cwd=folder)
        self.git("clone", "--quiet", "origin.git", "clone", cwd=folder)
        self.git("commit", "--quiet", "--allow-empty", "--message", "Start")
        self.git("push", "--quiet", "origin", "HEAD")
        self.commit = self.git("rev-parse", "HEAD")

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        user = "-c", "user.name=Tester", "-c", "user.email=tester@example.org"
        command = ["git", *user, *arguments]
        done = subprocess.run(
            command, cwd=cwd or self.clone, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def push(self, settings: dict[str, Any]) -> Source:
        """Commit and push everything; return what a node clones, with these settings of DVC."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Work")
        self.git("push", "--quiet", "origin", "HEAD")
        url = str(self.clone.parent / "origin.git")
        return Source(url, self.git("rev-parse", "HEAD"), TESTER, settings)

    def publish(self, trial: Trial, metrics: dict[str, Any]) -> None:
        """Publish a trial as DVC does, from a clone that is not the sweep's."""
        path = self.clone / "reports/metrics.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(metrics))
        (self.clone / "dvc.lock").write_text("stages: {evaluate: {deps: [], outs: []}}")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", trial.name)
        reference = f"refs/exps/{self.commit[:2]}/{self.commit[2:]}/{trial.name}"
        self.git("push", "--quiet", "origin", f"HEAD:{reference}")
        self.git("reset", "--quiet", "--hard", self.commit)
