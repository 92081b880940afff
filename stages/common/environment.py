"""Check that the locked packages are installed, before any of them is imported."""

import re
import sys
import time
from pathlib import Path

STARTED = time.time()  # nothing else of the project was imported before
LOCK = Path(__file__).parents[2] / "requirements.txt"


def installed() -> dict[str, str]:
    """Return the version of each installed package, which the name of its folder tells."""
    found: dict[str, str] = {}  # importlib.metadata takes 0.3 s
    for folder in reversed(sys.path):
        for info in Path(folder).glob("*-*.*-info"):  # .dist-info, or .egg-info of an old pip
            name, version = info.stem.split("-")[:2]
            found[re.sub(r"[-_.]+", "-", name).lower()] = version  # as the lock has it
    return found


def program() -> str:
    """Return the name of what was started, such as `train` for python -m stages.train."""
    words = sys.orig_argv  # while packages are imported, sys.argv does not have it yet
    module = words[words.index("-m") + 1] if "-m" in words else Path(sys.argv[0]).stem
    return module.rpartition(".")[2]


def require_locked() -> None:
    """Exit with one line, and code 1, unless the packages of requirements.txt are installed.

    One with a marker may be missing here, or have the version that another marker gives it.
    """
    here = installed()
    lock = LOCK.read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)( ;)?", lock, re.MULTILINE)
    for name, version, marker in pins:
        found = here.get(name)
        if (name, found, marker) not in pins and (found or not marker):
            sys.exit(
                f"{program()}: {sys.executable} has {name if found else 'no'} {found or name}; "
                f"requirements.txt expects {version}: activate the environment "
                "(. .venv/bin/activate) or run pip install --require-hashes -r requirements.txt"
            )
