"""Look up the known vulnerabilities of every locked package.

Exits with 1 if there are any, with 2 if they could not be looked up.
"""

import json
import subprocess
import sys

LOCK = "requirements/dev.txt"


def main() -> None:
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip"]
    command += ["--progress-spinner=off", "--format=json", "--requirement", LOCK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    packages = json.loads(done.stdout)["dependencies"] if done.stdout.strip() else []
    audited = [package for package in packages if "vulns" in package]
    found = [
        f"{package['name']} {package['version']}: {vulnerability['id']}"
        for package in audited
        for vulnerability in package["vulns"]
    ]
    if found:
        sys.exit("\n".join(found))
    if not audited or len(audited) < len(packages):
        print(
            f"Only {len(audited)} of {len(packages)} packages of {LOCK} could be looked up: the "
            "network does not allow more here",
            file=sys.stderr,
        )
        sys.exit(2)
    print(f"No known vulnerability in the {len(audited)} packages of {LOCK}")


if __name__ == "__main__":
    main()
