"""The checks that a team runs by hand and on a pull request."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders import ROOT
from tests.conftest import RunMain
from tests.files import damage
from tests.project import Project
from tools import audit, check_lock, check_remote, verify


@pytest.fixture
def here(stub: Project, enter: Callable[[Project], None]) -> Project:
    """The stub as the current folder."""
    enter(stub)
    return stub


def test_verify_names_the_copies_with_a_flipped_byte_also_in_the_cache_that_dvc_trusts(
    here: Project, run_main: RunMain
) -> None:
    n = len(here.outputs())
    passes = f"{n} of {n} outputs checked: all match dvc.lock\n"
    assert run_main(verify.main) == (0, passes)
    md5 = here.outputs()["models/model.keras"]
    cached = Path(".dvc/cache/files/md5", md5[:2], md5[2:])
    damage(cached)
    assert "up to date" in here.run("dvc", "status").stdout
    code, said = run_main(verify.main)
    assert (code, len(said.splitlines())) == (1, 1)
    assert said.startswith(f"models/model.keras: the copy in the cache ({here.root / cached}) has")
    damage(cached)
    assert run_main(verify.main) == (0, passes)

    for output in "reports/history.csv", "reports/metrics.json":
        damage(Path(output))
        code, said = run_main(verify.main)
        assert code == 1
        assert said.startswith(f"{output}: the copy in the workspace")
        damage(Path(output))


def test_verify_says_what_was_never_pulled(here: Project, run_main: RunMain) -> None:
    Path("models/model.keras").unlink()
    code, said = run_main(verify.main)
    n = len(here.outputs())
    assert code == 0
    assert said.splitlines() == [
        "Not here, and so not checked in the workspace: models/model.keras",
        f"{n - 1} of {n} outputs checked: all match dvc.lock",
    ]


def test_verify_looks_into_a_folder_that_dvc_tracks(here: Project, run_main: RunMain) -> None:
    folder = here.root / "data/raw/mine"
    folder.mkdir()
    (folder / "a").write_text("first")
    (folder / "b").write_text("second")
    here.run("dvc", "add", "--quiet", "data/raw/mine")
    assert run_main(verify.main)[0] == 0
    damage(folder / "b")
    code, said = run_main(verify.main)
    assert code == 1
    assert said.startswith(f"data/raw/mine: the copy in the workspace ({folder / 'b'}) has md5")


def test_verify_names_each_file_that_neither_git_nor_dvc_keeps(
    here: Project, run_main: RunMain
) -> None:
    for name in "data/prepared/extra.npy", "models/old/model.keras", "reports/extra.csv":
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    assert here.run("git", "status", "--porcelain").stdout == "", "git says nothing of them"
    # A stage that writes leaves these, and a file that git keeps reaches everybody.
    Path("reports/.partial-metrics.json").touch()
    Path("models/notes.md").touch()
    here.run("git", "add", "--force", "models/notes.md")
    code, said = run_main(verify.main)
    assert code == 1
    assert said.splitlines() == [
        f"{name}: no stage declares it in dvc.yaml, so no colleague gets it; "
        "declare it as an output, or remove it"
        for name in ("data/prepared/extra.npy", "models/old/model.keras", "reports/extra.csv")
    ]


def test_a_forgotten_push_is_noticed(here: Project, run_main: RunMain) -> None:
    in_git = here.run("git", "ls-files").stdout.splitlines()
    missing = sorted(set(here.outputs()) - set(in_git))
    code, said = run_main(check_remote.main)
    assert code == 1
    assert said.splitlines() == ["Missing from the remote (run dvc push):", *missing]
    here.run("dvc", "push")
    assert run_main(check_remote.main)[0] == 0
    md5 = here.outputs()["reports/kernels.npy"]
    (here.root.parent / "home/mnist-pipeline-storage/files/md5" / md5[:2] / md5[2:]).unlink()
    code, said = run_main(check_remote.main)
    assert (code, said.splitlines()[1:]) == (1, ["reports/kernels.npy"])


def test_a_remote_out_of_reach_is_said_in_one_line(here: Project, run_main: RunMain) -> None:
    here.run("dvc", "remote", "modify", "--local", "storage", "url", "ssh://127.0.0.1:1/x")
    code, said = run_main(check_remote.main)
    assert (code, len(said.splitlines())) == (1, 1)
    assert said.startswith("check_remote: The remote can't be asked: ")
    assert "127.0.0.1" in said


def test_a_stale_lock_is_noticed_without_any_data(here: Project, run_main: RunMain) -> None:
    here.run("rm", "-rf", "data/prepared", "models", ".dvc/cache")
    assert run_main(check_lock.main) == (0, "dvc.lock is fresh\n")
    here.set("train.learning_rate", 0.002)
    # The page of visualize shows the parameters of train.
    said = "dvc.lock is stale (train, visualize): run dvc repro and commit dvc.lock\n"
    assert run_main(check_lock.main) == (1, said)
    here.run("git", "restore", "params.yaml")
    # As after `dvc repro train`, without the stages behind it: the lock contradicts itself.
    lock = here.root / "dvc.lock"
    before, after = lock.read_text().rsplit(here.outputs()["models/model.keras"], 1)  # export's
    lock.write_text(f"{before}{'f' * 32}{after}")
    code, said = run_main(check_lock.main)
    assert code == 1
    assert "(export)" in said


def test_a_lock_that_cannot_be_read_is_said_in_one_line(here: Project, run_main: RunMain) -> None:
    Path("dvc.lock").write_text("]")
    code, said = run_main(check_lock.main)
    assert (code, len(said.splitlines())) == (1, 1)
    assert said.startswith("check_lock: dvc.lock can't be checked: ")


@pytest.mark.parametrize("name", ["check_lock", "check_remote", "verify", "compare", "rebuild"])
def test_a_command_starts_by_its_name_and_ends_in_a_line_outside_a_repository(
    name: str, here: Project
) -> None:
    here.run("rm", "-rf", ".dvc", ".git")
    done = here.run(sys.executable, "-m", f"tools.{name}", check=False)
    assert done.returncode == (2 if name == "compare" else 1), "compare misses its argument"
    assert f"{name}: " in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.committed
def test_the_committed_lock_is_fresh(
    stub_once: Project, enter: Callable[[Project], None], run_main: RunMain
) -> None:
    enter(Project(ROOT, stub_once.env))
    assert run_main(check_lock.main) == (0, "dvc.lock is fresh\n")


def test_an_audit_without_a_network_does_not_pass_for_one(
    here: Project, run_main: RunMain, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "HTTPS_PROXY", "https_proxy":
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (here.root / "requirements/dev.txt").write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    code, said = run_main(audit.main)
    assert (code, len(said.splitlines())) == (2, 1)
    assert said.startswith("Not every package of requirements/dev.txt could be looked up: ")


@pytest.mark.parametrize(
    ("printed", "exit_code", "code", "line"),
    [
        ("", 0, 0, "No known vulnerability in the packages of requirements/dev.txt"),
        ("ID\nkeras 3.0.0 CVE-1", 1, 1, "keras 3.0.0 CVE-1"),
        ("", 1, 2, "Not every package of requirements/dev.txt could be looked up: keras: no such"),
    ],
)
def test_an_audit_tells_found_from_not_looked_up(
    printed: str, exit_code: int, code: int, line: str, here: Project, run_main: RunMain
) -> None:
    (here.root / "pip_audit.py").write_text(
        f"import sys; assert '--strict' in sys.argv; print({printed!r})\n"
        f"print('keras: no such', file=sys.stderr); sys.exit({exit_code})"
    )
    found, said = run_main(audit.main)
    assert (found, said.splitlines()[-1]) == (code, line)
