"""Fail if the remote lacks an output that dvc.lock needs: somebody forgot `dvc push`."""

import sys

from dvc.repo import Repo

from stages.common.errors import InputError, in_one_line


def missing() -> list[str]:
    """Return what dvc.lock needs and the remote lacks; raise InputError if it can't be asked."""
    try:
        with Repo() as repo:
            status = repo.data_status(not_in_remote=True, remote_refresh=True)
    except Exception as error:  # each kind of remote has its own
        raise InputError(f"The remote can't be asked: {' '.join(str(error).split())}") from None
    return sorted(status["not_in_remote"])


if __name__ == "__main__":
    with in_one_line("check_remote"):
        if lacks := missing():
            sys.exit("\n".join(["The remote lacks, until somebody runs dvc push:", *lacks]))
        print("The remote has every output that dvc.lock needs")
