"""The checks that a team runs by hand and on a pull request."""

import sys
from pathlib import Path

import pytest

from tests.builders import ROOT
from tests.project import Project, environment

pytestmark = pytest.mark.slow


def tool(project: Project, name: str) -> tuple[int, str]:
    """Run one of this repository's tools in `project`; return exit code and output."""
    project.env["PYTHONPATH"] = str(ROOT)
    done = project.run(sys.executable, "-m", f"tools.{name}", check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def flip_a_byte(path: Path) -> bytes:
    """Change one byte, keep the mode; return the content from before."""
    content, mode = path.read_bytes(), path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    path.chmod(mode)
    return content


def cached(project: Project, output: str) -> Path:
    md5 = project.outputs()[output]
    return project.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def test_verify_finds_a_flipped_byte_in_the_cache_that_dvc_trusts(reproduced: Project) -> None:
    assert tool(reproduced, "verify")[0] == 0
    path = cached(reproduced, "models/model.keras")
    content = flip_a_byte(path)
    assert "up to date" in reproduced.run("dvc", "status").stdout
    code, text = tool(reproduced, "verify")
    assert code == 1
    assert [line.split(":")[0] for line in text.splitlines()] == ["models/model.keras"]
    assert "the copy in the cache" in text
    path.chmod(0o644)
    path.write_bytes(content)
    assert tool(reproduced, "verify")[0] == 0


@pytest.mark.parametrize("output", ["reports/history.csv", "reports/metrics.json"])
def test_verify_finds_a_flipped_byte_in_the_workspace(reproduced: Project, output: str) -> None:
    flip_a_byte(reproduced.root / output)
    code, text = tool(reproduced, "verify")
    assert code == 1
    assert text.startswith(f"{output}: the copy in the workspace")


def test_verify_says_what_was_never_pulled(reproduced: Project) -> None:
    (reproduced.root / "models/model.keras").unlink()
    code, text = tool(reproduced, "verify")
    assert code == 0
    assert "Not here, and so not checked in the workspace: models/model.keras" in text
    n = len(reproduced.outputs())
    assert f"{n - 1} of {n} outputs checked" in text


def test_a_forgotten_push_is_noticed(reproduced: Project) -> None:
    storage = reproduced.root.parent / "home/mnist-pipeline-storage"
    code, text = tool(reproduced, "check_remote")
    assert code == 1
    in_git = reproduced.run("git", "ls-files").stdout.splitlines()
    assert set(text.splitlines()[1:]) == set(reproduced.outputs()) - set(in_git)
    reproduced.run("dvc", "push")
    assert tool(reproduced, "check_remote")[0] == 0
    md5 = reproduced.outputs()["reports/kernels.npy"]
    (storage / "files/md5" / md5[:2] / md5[2:]).unlink()
    code, text = tool(reproduced, "check_remote")
    assert (code, text.splitlines()[1:]) == (1, ["reports/kernels.npy"])


def test_verify_looks_into_a_folder_that_dvc_tracks(reproduced: Project) -> None:
    folder = reproduced.root / "data/raw/mine"
    folder.mkdir()
    (folder / "a").write_text("first")
    (folder / "b").write_text("second")
    reproduced.run("dvc", "add", "--quiet", "data/raw/mine")
    assert tool(reproduced, "verify")[0] == 0
    flip_a_byte(folder / "b")
    code, text = tool(reproduced, "verify")
    assert code == 1
    assert text.startswith("data/raw/mine: the copy in the workspace")
    assert f"({folder / 'b'})" in text


def test_a_remote_out_of_reach_is_said_in_one_line(reproduced: Project) -> None:
    reproduced.run("dvc", "remote", "modify", "--local", "storage", "url", "ssh://127.0.0.1:1/x")
    code, text = tool(reproduced, "check_remote")
    assert code == 1
    assert text.startswith("check_remote: The remote can't be asked: ")
    assert "127.0.0.1" in text
    assert len(text.splitlines()) == 1


def test_a_stale_lock_is_noticed_without_any_data(reproduced: Project) -> None:
    for folder in "data/prepared", "models", ".dvc/cache":
        reproduced.run("rm", "-rf", folder)
    assert tool(reproduced, "check_lock") == (0, "dvc.lock is fresh\n")
    reproduced.set("train.learning_rate", 0.002)
    code, text = tool(reproduced, "check_lock")
    # visualize, too, depends on the parameters of train, which its page shows.
    assert text == "dvc.lock is stale (train, visualize): run dvc repro and commit dvc.lock\n"
    assert code == 1


def test_a_lock_that_contradicts_itself_is_noticed_without_any_data(reproduced: Project) -> None:
    # As after `dvc repro train`, without the stages behind it.
    md5 = reproduced.outputs()["models/model.keras"]
    path = reproduced.root / "dvc.lock"
    before, after = path.read_text().rsplit(md5, 1)  # as evaluate's dependency
    path.write_text(f"{before}{'f' * 32}{after}")
    for folder in "models", ".dvc/cache":
        reproduced.run("rm", "-rf", folder)
    code, text = tool(reproduced, "check_lock")
    assert code == 1
    assert "(evaluate)" in text


def test_a_lock_that_cannot_be_read_is_said_in_one_line(reproduced: Project) -> None:
    (reproduced.root / "dvc.lock").write_text("]")
    code, text = tool(reproduced, "check_lock")
    assert code == 1
    assert text.startswith("check_lock: dvc.lock can't be checked: ")
    assert len(text.splitlines()) == 1


def test_the_committed_lock_is_fresh(reproduced_once: Project) -> None:
    here = Project(ROOT, reproduced_once.env)
    assert tool(here, "check_lock") == (0, "dvc.lock is fresh\n")


def test_an_audit_without_a_network_does_not_pass_for_one(reproduced: Project) -> None:
    (reproduced.root / "requirements").mkdir(exist_ok=True)
    (reproduced.root / "requirements/dev.txt").write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    reproduced.env |= {"HTTPS_PROXY": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}
    code, text = tool(reproduced, "audit")
    assert code == 2
    assert text.startswith("Not every package of requirements/dev.txt could be looked up: ")
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("printed", "exit_code", "expected"),
    [
        ("", 0, 0),
        ("Name  Version  ID\nkeras  3.0.0  CVE-1", 1, 1),
        ("Name  Skip Reason\nkeras  not found", 0, 2),
        ("", 1, 2),
    ],
    ids=["clean", "vulnerable", "skipped", "failed"],
)
def test_an_audit_tells_found_from_not_looked_up(
    printed: str, exit_code: int, expected: int, tmp_path: Path
) -> None:
    (tmp_path / "pip_audit.py").write_text(
        f"import sys\nprint({printed!r})\nprint('a reason', file=sys.stderr)\nsys.exit({exit_code})"
    )
    code, text = tool(Project(tmp_path, environment(tmp_path)), "audit")
    assert code == expected
    assert printed.splitlines()[-1:] == [] or printed.splitlines()[-1] in text
