"""Fixtures: a small project, and what is made once for all tests and all their processes."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.builders import ROOT, write_prepared
from tests.project import (
    Clone,
    Project,
    copy,
    create_project,
    create_stub,
    duplicate,
    environment,
    share,
)

MakeOnce = Callable[[str, Callable[[Path], object]], Project]
RunMain = Callable[..., tuple[int, str]]

# What a team commits of its own. A test that depends on it would fail for them.
COMMITTED = {
    os.path.realpath(ROOT / name)
    for name in (
        *("params.yaml", "dvc.lock", ".dvc/config"),
        *("reports/metrics.json", "reports/mistakes.csv"),
    )
}
NAMES = tuple(Path(path).name for path in COMMITTED)
opened: set[str] = set()


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Remember which of the committed files this process opens; of others it sees nothing."""
    if event == "open" and str(arguments[0]).endswith(NAMES):
        opened.update({os.path.realpath(os.fsdecode(arguments[0]))} & COMMITTED)


def pytest_configure(config: pytest.Config) -> None:
    sys.addaudithook(watch)
    for marker in (
        "committed: reads parameters or results that a team commits",
        "weekly: takes minutes; runs only where WEEKLY is in the environment",
    ):
        config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let no process wait for another's.

    Slow tests come first, so that none is left at the end. The first of them makes the projects
    that take longest; meanwhile others run those that share no project, then those that do.
    """

    def uses(name: str, item: pytest.Item) -> bool:
        return name in getattr(item, "fixturenames", ())

    maker = next((item for item in items if uses("shapes_once", item)), None)

    def order(item: pytest.Item) -> tuple[bool, ...]:
        slow = item.get_closest_marker("slow") is not None
        return item is not maker, not slow, slow and uses("make_once", item)

    items.sort(key=order)
    for item in items:
        if item.get_closest_marker("weekly") and "WEEKLY" not in os.environ:
            item.add_marker(pytest.mark.skip(reason="is for the weekly workflow: set WEEKLY=1"))


@pytest.fixture(autouse=True)
def no_committed_file(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that opens what a team commits, unless it is marked as one that means to."""
    opened.clear()
    yield
    if not request.node.get_closest_marker("committed"):
        assert not opened, "would fail for a team that commits its own: mark it `committed`?"


@pytest.fixture
def enter(monkeypatch: pytest.MonkeyPatch) -> Callable[[Project], None]:
    """A function that makes a project's folder and environment those of this process."""

    def go(project: Project) -> None:
        monkeypatch.chdir(project.root)
        for name in os.environ.keys() - project.env.keys():
            monkeypatch.delenv(name)
        for name, value in project.env.items():
            monkeypatch.setenv(name, value)

    return go


@pytest.fixture
def run_main(capfd: pytest.CaptureFixture[str]) -> RunMain:
    """A function that calls a command's `main` here; it returns exit code and all that was said."""

    def run(main: Callable[..., None], *arguments: Any) -> tuple[int, str]:
        code: int | str | None = 0
        capfd.readouterr()
        try:
            main(*arguments)
        except SystemExit as stopped:
            code = stopped.code
        said = "".join(capfd.readouterr())
        if isinstance(code, str):  # which Python prints, and exits with 1
            return 1, f"{said}{code}\n"
        return code or 0, said

    return run


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> MakeOnce:
    """A function that gives the project `name`, which the first process to ask for it makes."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # each worker has a folder in it

    def get(name: str, make: Callable[[Path], object]) -> Project:
        folder, done = base / name, base / f"{name}.done"
        with FileLock(base / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # what failed in another process
                make(folder)
                done.touch()
        return Project(folder / "clone", environment(folder / "home"))

    return get


def pin() -> None:
    """Compute as the stages do, with one thread, before anything else is computed."""
    from stages.backend import determinism, runtime

    determinism.pin(threads=1)
    runtime.keras.utils.set_random_seed(1)  # for what draws random numbers outside of a stage


@pytest.fixture(scope="session", autouse=True)
def pinned() -> None:
    if "tensorflow" in sys.modules:
        pin()


@pytest.fixture(scope="session")
def prepared_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    for part in "stages", "predict", "pictures", "requirements.txt":
        copy(part, folder)
    pin()
    write_prepared(folder)
    return folder


@pytest.fixture
def prepared(prepared_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that train and evaluate read, as the current one.

    Stages are called in it, not started: it takes milliseconds. They pin what they do otherwise,
    but one thread, since TensorFlow can't change their number any more.
    """
    from stages.backend import determinism

    shutil.copytree(prepared_once, tmp_path / "prepared")
    monkeypatch.chdir(tmp_path / "prepared")
    real = determinism.pin
    monkeypatch.setattr(determinism, "pin", lambda threads, *other, **more: real(1, *other, **more))
    return tmp_path / "prepared"


@pytest.fixture(scope="session")
def exported_once(prepared_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which export has run, after `prepared`. It is shared: change nothing in it."""
    from stages.export import __main__ as export

    folder = tmp_path_factory.mktemp("exported") / "exported"
    shutil.copytree(prepared_once, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        export.main()
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh small project: committed, nothing run."""
    return create_project(tmp_path)


@pytest.fixture(scope="session")
def reproduced_once(make_once: MakeOnce) -> Project:
    """A small project after `dvc repro`, committed; what that printed is beside it.

    It is shared: change nothing in it.
    """

    def make(folder: Path) -> None:
        project = create_project(folder)
        done = project.run("dvc", "repro")
        (folder / "printed.json").write_text(json.dumps([done.stdout, done.stderr]))
        project.commit("Results")

    return make_once("reproduced", make)


@pytest.fixture
def reproduced(reproduced_once: Project, tmp_path: Path) -> Project:
    """A small project of one's own after `dvc repro`: outputs, cache and lock committed."""
    return duplicate(reproduced_once, tmp_path)


@pytest.fixture(scope="session")
def stub_once(make_once: MakeOnce) -> Project:
    """The same with stubs for its stages. It is shared: change nothing in it."""

    def make(folder: Path) -> None:
        project = create_stub(folder)
        project.repro()
        project.commit("Results")

    return make_once("stub", make)


@pytest.fixture
def stub(stub_once: Project, tmp_path: Path) -> Project:
    return duplicate(stub_once, tmp_path)


@pytest.fixture(scope="session")
def team_once(make_once: MakeOnce, stub_once: Project) -> Project:
    """The stub, pushed to `origin.git` and to the storage in its home, and a second clone, `b`."""

    def make(folder: Path) -> None:
        project = duplicate(stub_once, folder)
        share(folder)
        project.run("dvc", "push")

    return make_once("team", make)


@pytest.fixture
def team(team_once: Project, tmp_path: Path) -> tuple[Clone, Clone]:
    """Two clones in one home: A has pushed all, B has pulled nothing."""
    duplicate(team_once, tmp_path)
    a, b = (Clone(tmp_path / name, environment(tmp_path / "home")) for name in ("clone", "b"))
    return a, b
