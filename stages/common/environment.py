"""Check that the locked packages are installed, before any of them is imported."""

import re
import sys
from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements.txt"


def locked(text: str) -> dict[str, tuple[set[str], bool]]:
    """Return each package's versions in a lock, and whether it is needed: it has no marker."""
    found: dict[str, tuple[set[str], bool]] = {}
    for name, version, marker in re.findall(r"^([\w.-]+)==([^\s;]+)( ;)?", text, re.MULTILINE):
        versions, _ = found.setdefault(name, (set(), not marker))
        versions.add(version)
    return found


def installed() -> dict[str, str]:
    """Return the version of each installed package, which the name of its folder tells."""
    found: dict[str, str] = {}  # importlib.metadata takes 0.3 s
    for folder in reversed(sys.path):
        for info in Path(folder).glob("*.dist-info"):
            name, _, version = info.stem.partition("-")
            found[re.sub(r"[-_.]+", "-", name).lower()] = version  # as the lock has it
    return found


def require_locked(program: str) -> None:
    """Exit with one line, and code 1, unless the packages of requirements.txt are installed."""
    here = installed()
    for name, (versions, needed) in locked(LOCK.read_text(encoding="utf-8")).items():
        if here.get(name) not in versions and (needed or name in here):
            found = f"{name} {here[name]}" if name in here else f"no {name}"
            sys.exit(
                f"{program}: {sys.executable} has {found}; requirements.txt expects "
                f"{' or '.join(sorted(versions))}: activate the environment (. .venv/bin/activate) "
                "or run pip install --require-hashes -r requirements.txt"
            )
