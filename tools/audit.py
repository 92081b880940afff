"""Look up the known vulnerabilities of every locked package.

Exits with 1 if there are any, and with 2 if not every package could be looked up.
"""

import subprocess
import sys

LOCK = "requirements/dev.txt"

if __name__ == "__main__":
    audit = ("-m", "pip_audit", "--disable-pip", "--progress-spinner=off", "--strict", "-r", LOCK)
    done = subprocess.run([sys.executable, *audit], capture_output=True, text=True, check=False)  # noqa: S603
    if vulnerabilities := done.stdout.strip():
        sys.exit(vulnerabilities)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1]
        print(f"Not every package of {LOCK} could be looked up: {reason}", file=sys.stderr)
        sys.exit(2)
    print(f"No known vulnerability in the packages of {LOCK}")
