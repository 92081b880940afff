"""Every package that is imported by name is declared, so that none is there by luck only."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest

from tests.builders import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: list[str] = PYPROJECT["tool"]["mypy"]["packages"]
REQUIRED: list[str] = PYPROJECT["project"]["dependencies"]
OPTIONAL: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]
# What requirements/dev.txt installs: see the Makefile.
FOR_TESTS = ("pipeline", "dev", "s3", "ssh", "sweep")
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


def imported(package: str) -> set[str]:
    """Return the first part of every absolute import in a package, wherever it stands."""
    modules = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module or "")
    return {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_import_is_declared(package: str) -> None:
    providers = packages_distributions()
    known = declared(EXTRAS.get(package, ()))
    others = imported(package) - sys.stdlib_module_names - set(PACKAGES)
    undeclared = {
        module: providers.get(module)
        for module in others
        # Several distributions share a namespace, such as ruamel.
        if not known & {normalise(name) for name in providers.get(module, [])}
    }
    assert undeclared == {}, "declare them in pyproject.toml"
