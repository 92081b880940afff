"""Fail if the remote lacks an output that dvc.lock needs: somebody forgot `dvc push`."""

import json
import subprocess
import sys

from stages.common.errors import InputError


def missing() -> list[str]:
    """Return what dvc.lock needs and the remote lacks; raise InputError if it can't be asked."""
    # Its exit code is 0 whatever it finds.
    command = [sys.executable, "-m", "dvc", "data", "status", "--not-in-remote", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = done.stderr.strip().splitlines()[0].removeprefix("ERROR: ")
        raise InputError(f"The remote can't be asked: {reason}")
    return sorted(json.loads(done.stdout).get("not_in_remote", []))


def main() -> None:
    try:
        lacks = missing()
    except InputError as error:
        sys.exit(str(error))
    if lacks:
        sys.exit("The remote lacks, until somebody runs dvc push:\n" + "\n".join(lacks))
    print("The remote has every output that dvc.lock needs")


if __name__ == "__main__":
    main()
