"""Fail if dvc.lock isn't of these parameters, data and scripts: somebody forgot `dvc repro`."""

import re
import subprocess
import sys

FRESH = "Data and pipelines are up to date."


def main() -> None:
    # Needs no data, and exits with 0 though stages are stale: only its text tells.
    command = [sys.executable, "-m", "dvc", "repro", "--dry", "--allow-missing"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if FRESH not in done.stdout:
        # Where the data isn't here, the attempt to look at it fails.
        stale = re.findall(r"(?:Running stage|reproduce) '(\w+)'", done.stdout + done.stderr)
        reason = f"stale are {', '.join(stale)}" if stale else done.stderr.strip()
        sys.exit(f"dvc.lock is not fresh ({reason}): run dvc repro and commit dvc.lock")
    print("dvc.lock is fresh")


if __name__ == "__main__":
    main()
