"""Who imports whom is written down: other packages in pyproject.toml, our own in the docs."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions

import pytest

from tests.builders import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: list[str] = PYPROJECT["tool"]["mypy"]["packages"]
REQUIRED: list[str] = PYPROJECT["project"]["dependencies"]
OPTIONAL: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]
# What requirements/dev.txt installs: see the Makefile.
FOR_TESTS = ("pipeline", "dev", "s3", "ssh", "sweep")
PROVIDERS = packages_distributions()
# The extras that a package may use; those that are installed alone have none.
EXTRAS = {
    "stages": ("pipeline",),
    "tools": ("pipeline",),
    "sweep": ("pipeline", "sweep"),
    "benchmarks": FOR_TESTS,
    "tests": FOR_TESTS,
}


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extras: tuple[str, ...]) -> set[str]:
    """Return the distributions that pyproject.toml names, for everybody and for `extras`."""
    requirements = REQUIRED + [name for extra in extras for name in OPTIONAL[extra]]
    return {normalise(re.split(r"[\[<>=!~; ]", name)[0]) for name in requirements}


@cache
def imported(folder: str) -> set[str]:
    """Return what each absolute import in a folder names, wherever it stands, dotted."""
    names = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_every_import_is_declared(package: str) -> None:
    known = declared(EXTRAS.get(package, ()))
    modules = {name.partition(".")[0] for name in imported(package)}
    others = modules - sys.stdlib_module_names - set(PACKAGES)
    undeclared = {
        module: PROVIDERS.get(module)
        for module in others
        # Several distributions share a namespace, such as ruamel.
        if not known & {normalise(name) for name in PROVIDERS.get(module, [])}
    }
    assert undeclared == {}, "declare them in pyproject.toml"


def test_the_documentation_says_who_imports_whom() -> None:
    folders = [path.parent for path in ROOT.glob("stages/*/*.py")]
    rooms = {str(folder.relative_to(ROOT)) for folder in folders} | {*PACKAGES} - {"stages"}
    found = {
        room: {
            other
            for other in rooms - {room}
            for name in imported(room)
            if f"{name}.".startswith(f"{other.replace('/', '.')}.")
        }
        for room in rooms - {"tests"}  # they may import all
    }
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[\w/]+`) \| (nothing|`.+) \|$", page, re.MULTILINE)
    shown = {room.strip("`"): {*re.findall(r"`([\w/]+)`", others)} for room, others in rows}
    assert shown == found
    # Each room stands below those that it imports.
    places = {room: place for place, room in enumerate(shown)}
    assert all(places[other] < places[room] for room in shown for other in shown[room])
