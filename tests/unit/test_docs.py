"""What README and docs name exists: make's targets, modules, files, links and their headings."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.builders import ROOT

NAMES = "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md"
PAGES = [*(ROOT / name for name in NAMES), *sorted(ROOT.glob("docs/*.md"))]
FILE = r"[\w.][\w./-]*(?:/\*?|/[\w.-]+|\.(?:csv|html|json|keras|lock|md|npy|png|py|toml|txt|yaml))"
# What commands make, and what readers are told to make.
MADE = [
    *(".checkpoints", ".dvc/config.local", ".dvc/tmp/rwlock", ".venv/bin/activate"),
    *(".dvc/tmp/site", ".checkpoints/lock", "dvc_plots/index.html"),
    *(".venv/bin/dvc", ".venv/bin/pytest"),
    *("data/raw/.gitignore", "data/raw/shapes.dvc", "data/raw/shapes/circle/0.jpg"),
    *("model.onnx", "about.json"),
]


def run(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def existing() -> set[str]:
    """Return every file of the repository and every output, and the folders that they are in."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    outs = [
        next(iter(out)) if isinstance(out, dict) else out
        for stage in stages
        for kind in ("outs", "metrics", "plots")
        for out in stage.get(kind, [])
    ]
    files = {Path(name) for name in [*run("git", "ls-files").splitlines(), *outs, *MADE]}
    return {str(path) for file in files for path in (file, *file.parents)}


def code(page: Path) -> list[str]:
    """Return what a page shows as code: between backticks, and in indented lines."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"`([^`]+)`", text) + re.findall(r"^ {4}(.+)$", text, re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the names under which GitHub links to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def targets() -> set[str]:
    (declared,) = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(), re.M)
    return set(declared.replace("\\", "").split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    there = existing()
    pieces = code(page)
    for piece in pieces:
        for target in re.findall(r"\bmake (?:\w+=\S+ )*([a-z.][\w/-]*)", piece):
            assert target in targets() | there, f"make {target}"
        for module in re.findall(r"\bpython -m ([\w.]+)", piece):
            path = module.replace(".", "/")
            assert {f"{path}.py", f"{path}/__main__.py"} & there, f"python -m {module}"
    words = re.split(r"[\s,;()='\"]+", " ".join(pieces))
    for word in filter(re.compile(FILE).fullmatch, (word.rstrip(":") for word in words)):
        name = word.rstrip("/").removesuffix("/*")
        # A page may leave out the first folders.
        found = name in there or any(path.endswith(f"/{name}") for path in there)
        assert found or "NAME" in name, word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if not link.startswith("https://"):
            name, _, anchor = link.partition("#")
            linked = (page.parent / name).resolve() if name else page
            assert str(linked.relative_to(ROOT)) in existing(), link
            assert not anchor or anchor in anchors(linked), link


def test_the_readme_leads_to_every_page_and_each_picture_is_shown() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for path in map(Path, run("git", "ls-files", "docs").splitlines()):
        assert str(path) in text if path.suffix == ".md" else path.name in pages, path


def test_make_alone_lists_every_target() -> None:
    listed = re.findall(r"^  ([a-z-]+)  +\S.+$", run("make"), re.MULTILINE)
    assert set(listed) == targets() - {"help"}
    assert len(listed) == len(set(listed))
