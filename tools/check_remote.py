"""Fail if the remote lacks an output that dvc.lock needs: somebody forgot `dvc push`."""

import json
import subprocess
import sys


def main() -> None:
    # Its exit code is 0 whatever it finds.
    command = [sys.executable, "-m", "dvc", "data", "status", "--not-in-remote", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = done.stderr.strip().splitlines()[0].removeprefix("ERROR: ")
        sys.exit(f"The remote can't be asked: {reason}")
    missing = json.loads(done.stdout).get("not_in_remote", [])
    if missing:
        sys.exit("The remote lacks, until somebody runs dvc push:\n" + "\n".join(sorted(missing)))
    print("The remote has every output that dvc.lock needs")


if __name__ == "__main__":
    main()
