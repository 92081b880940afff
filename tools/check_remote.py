"""Fail if an output that dvc.lock needs is not in the remote: somebody forgot `dvc push`."""

import sys

from stages.common.errors import in_one_line
from tools.dvc_internals import missing_from_remote


def main() -> None:
    with in_one_line("check_remote"):
        if missing := missing_from_remote():
            sys.exit("\n".join(["Missing from the remote (run dvc push):", *missing]))
        print("The remote has every output that dvc.lock needs")


if __name__ == "__main__":
    main()
