"""Look up the known vulnerabilities of every locked package.

Exits with 1 if there are any, and with 2 if not every package could be looked up.
"""

import subprocess
import sys

LOCK = "requirements/dev.txt"

if __name__ == "__main__":
    command = (sys.executable, "-m", "pip_audit", "--disable-pip", "--progress-spinner=off")
    done = subprocess.run([*command, "-r", LOCK], capture_output=True, text=True, check=False)  # noqa: S603
    table = done.stdout.strip()
    if done.returncode and table:
        sys.exit(table)
    if done.returncode or table:  # it failed, or it lists the packages that it skipped
        reason = (table or done.stderr.strip()).splitlines()[-1]
        print(f"Not every package of {LOCK} could be looked up: {reason}", file=sys.stderr)
        sys.exit(2)
    print(f"No known vulnerability in the packages of {LOCK}")
