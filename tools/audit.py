"""Look up the known vulnerabilities of every locked package.

Exits with 1 if there are any, and with 2 if not every package could be looked up.
"""

import subprocess
import sys

from stages.common.errors import in_one_line

LOCK = "requirements/dev.txt"
# With --strict, a package that can't be looked up is an error, and not a line in a table.
OPTIONS = "--strict", "--disable-pip", "--progress-spinner=off", "-r", LOCK


def main() -> None:
    with in_one_line("audit"):
        command = sys.executable, "-m", "pip_audit", *OPTIONS
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if not done.returncode:
            print(f"No known vulnerability in the packages of {LOCK}")
        elif table := done.stdout.strip():
            sys.exit(table)
        else:
            reason = done.stderr.strip().splitlines()[-1]
            print(f"Not every package of {LOCK} could be looked up: {reason}", file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    main()
