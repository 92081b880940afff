"""Fail if dvc.lock is not of these parameters, data and code: somebody forgot `dvc repro`."""

import sys

from dvc.exceptions import DvcException
from dvc.repo import Repo

from stages.common.errors import InputError, in_one_line


def stale() -> list[str]:
    """Return the stages whose inputs are not those in dvc.lock; needs no data."""
    try:
        with Repo() as repo, repo.lock:
            stages = repo.index.stages
            return [s.addressing for s in stages if s.changed(allow_missing=True, upstream=stages)]
    except DvcException as error:
        raise InputError(f"dvc.lock can't be checked: {error}") from None


if __name__ == "__main__":
    with in_one_line("check_lock"):
        if found := stale():
            sys.exit(f"dvc.lock is stale ({', '.join(found)}): run dvc repro and commit dvc.lock")
        print("dvc.lock is fresh")
