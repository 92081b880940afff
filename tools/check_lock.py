"""Fail if dvc.lock is not of these parameters, data and code: somebody forgot `dvc repro`."""

import sys

from stages.common.errors import in_one_line
from tools.dvc_internals import stale_stages


def main() -> None:
    with in_one_line("check_lock"):
        if stale := stale_stages():
            sys.exit(f"dvc.lock is stale ({', '.join(stale)}): run dvc repro and commit dvc.lock")
        print("dvc.lock is fresh")


if __name__ == "__main__":
    main()
