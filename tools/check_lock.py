"""Fail if dvc.lock is not of these parameters, data and code: somebody forgot `dvc repro`."""

import sys

from dvc.exceptions import DvcException
from dvc.repo import Repo

from stages.common.errors import InputError, in_one_line

if __name__ == "__main__":
    with in_one_line("check_lock"):
        try:
            with Repo() as repo, repo.lock:
                stages = repo.index.stages
                changed = [s for s in stages if s.changed(allow_missing=True, upstream=stages)]
        except DvcException as error:
            raise InputError(f"dvc.lock can't be checked: {error}") from None
        if stale := ", ".join(stage.addressing for stage in changed):
            sys.exit(f"dvc.lock is stale ({stale}): run dvc repro and commit dvc.lock")
        print("dvc.lock is fresh")
