"""Where a project lies: in a folder of a larger repository, in a clone without blobs, at another's.

On the stub, in this process: see the fixture `stub`.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sweep import node, plan, results
from tests.conftest import RunMain
from tests.files import read_tree
from tests.project import Project
from tools import compare, rebuild, verify


@pytest.fixture
def below(stub: Project, tmp_path: Path, enter: Callable[[Project], None]) -> Project:
    """The stub in a folder of a team's one large repository, pushed, as the current folder."""
    repository = tmp_path / "repository"
    root = repository / "teams/vision"
    shutil.copytree(stub.root, root, ignore=lambda _, names: {".git"} & {*names})
    project = Project(root, stub.env)
    project.run("git", "init", "--quiet", "--initial-branch", "main", str(repository))
    project.commit("The project")
    project.run("dvc", "push", "--quiet")
    project.run("git", "clone", "--quiet", "--bare", str(repository), str(tmp_path / "origin.git"))
    project.run("git", "remote", "add", "origin", "../origin.git")  # from the repository's folder
    (repository / "another-teams.txt").touch()  # which is not committed, and nobody's business here
    enter(project)
    return project


def test_the_tools_work_in_a_folder_of_a_larger_repository(
    below: Project, run_main: RunMain
) -> None:
    code, said = run_main(compare.main, ["HEAD"])
    assert (code, "0 images fixed, 0 broken" in said) == (0, True), said
    code, said = run_main(rebuild.main)
    assert (code, said.splitlines()[-1][:14]) == (0, "identical: all"), said
    code, said = run_main(verify.main)
    assert (code, "all match dvc.lock" in said) == (0, True), said


def test_a_sweep_works_in_a_folder_of_a_larger_repository(below: Project) -> None:
    source = plan.find_source()
    (trial,) = plan.choose_trials(source.commit, ["train.epochs=1"], None, None)
    node.publish(source, trial)
    (found,) = results.fetch(source.commit, [trial]).values()
    assert found.outputs["models/model.keras"] != below.outputs()["models/model.keras"]
    assert found.outputs["data/prepared/x_test.npy"] == below.outputs()["data/prepared/x_test.npy"]


@pytest.fixture
def without_blobs(stub: Project, tmp_path: Path, enter: Callable[[Project], None]) -> Project:
    """A clone of two commits of the stub that has the files of the last one alone."""
    stub.set("seed", 1)
    stub.repro()
    stub.commit("Another seed")
    stub.run("git", "config", "uploadpack.allowFilter", "true")
    options = "--quiet", "--filter=blob:none", f"file://{stub.root}"
    stub.run("git", "clone", *options, str(tmp_path / "partial"))
    project = Project(tmp_path / "partial", stub.env)
    enter(project)
    return project


def test_a_clone_without_blobs_gets_what_a_comparison_reads(
    without_blobs: Project, run_main: RunMain
) -> None:
    objects = len(read_tree(Path(".git/objects")))
    code, said = run_main(compare.main, ["HEAD~1", "HEAD"])
    assert (code, "images fixed" in said) == (0, True), said
    assert len(read_tree(Path(".git/objects"))) > objects, "it didn't have the blobs before"


def test_a_clone_without_blobs_that_is_cut_off_says_what_it_cannot_get(
    without_blobs: Project, stub: Project, run_main: RunMain
) -> None:
    gone = stub.root.rename(stub.root.with_name("gone"))
    code, said = run_main(compare.main, ["HEAD~1", "HEAD"])
    assert code == 1
    (line,) = said.splitlines()
    assert line.startswith("compare: HEAD~1: this clone was made without blobs, and can't get one")
    advice = "where its remote can be reached, git fetch --refetch --no-filter gets them all"
    assert line.endswith(f"; {advice}")

    gone.rename(stub.root)
    without_blobs.run("git", "fetch", "--refetch", "--no-filter")
    stub.root.rename(gone)
    assert run_main(compare.main, ["HEAD~1", "HEAD"])[0] == 0
    # DVC's own commands read history without git, and hang where a blob is missing.
    without_blobs.run("dvc", "metrics", "diff", "HEAD~1", timeout=60)


def test_a_repository_of_another_user_is_named_with_what_to_do(
    stub: Project,
    enter: Callable[[Project], None],
    run_main: RunMain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enter(stub)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    from sweep import __main__ as sweep

    for main, arguments in (
        (compare.main, [["HEAD"]]),
        (verify.main, []),
        (rebuild.main, []),
        (sweep.main, [["seed=1,2"]]),
    ):
        code, said = run_main(main, *arguments)
        assert code == 1
        (line,) = said.splitlines()
        assert f"fatal: detected dubious ownership in repository at '{stub.root}' To add" in line
        assert line.endswith(f"git config --global --add safe.directory {stub.root}")
