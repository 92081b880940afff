"""The comparison of two revisions: what it counts, what it concludes, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.stats import binomtest

from stages.common.errors import InputError
from stages.visualize.intervals import wilson
from tests.conftest import RunMain
from tests.project import Project, environment
from tools.compare import compare, describe, load, main
from tools.results import Results

TABLES = np.random.default_rng(0).integers(0, 200, (50, 2)).tolist()
EDGES = [(0, 0), (0, 7), (7, 0), (1, 0), (9_999, 1), (500, 500)]


@pytest.fixture(scope="module")
def repository_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("compare")
    for name in ".dvc", "reports":
        (root / name).mkdir()
    (root / ".dvc/config").touch()
    repository = Project(root, environment(root.parent))
    repository.run("git", "init", "--quiet", "--initial-branch", "main")
    return repository


@pytest.fixture
def repository(repository_once: Project, enter: Callable[[Project], None]) -> Project:
    """A Git and DVC repository in which tests commit one after the other: the current folder."""
    enter(repository_once)
    return repository_once


def write_results(mistakes: list[int], arrays: str = "abcd", **sections: Any) -> None:
    """Write what the pipeline leaves in git of a model that mistook these of 1000 test images.

    `arrays` has a letter for the md5 of x_train, y_train, x_test and y_test.
    """
    n = len(mistakes)
    metrics = {
        "validation": {"loss": 0.1, "accuracy": 0.9, "images": 500},
        "test": {"loss": 0.1, "accuracy": 1 - n / 1000, "errors": n, "images": 1000},
    }
    Path("reports/metrics.json").write_text(json.dumps(metrics | sections))
    rows = [f"{index},1,7\n" for index in mistakes]
    Path("reports/mistakes.csv").write_text("".join(["index,actual,predicted\n", *rows]))
    names = ("x_train.npy", "y_train.npy", "x_test.npy", "y_test.npy", "classes.txt")
    outs = [
        {"path": f"data/prepared/{name}", "hash": "md5", "md5": letter * 32, "size": 1}
        for name, letter in zip(names, f"{arrays}e", strict=True)
    ]
    stages = {
        "prepare": {"cmd": "python -m stages.prepare", "outs": outs},
        "evaluate": {"cmd": "python -m stages.evaluate", "deps": outs[:4], "outs": []},
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def commit(repository: Project, mistakes: list[int], **options: Any) -> None:
    write_results(mistakes, **options)
    repository.run("git", "add", "--all")
    repository.run("git", "commit", "--quiet", "--allow-empty", "--message", "Results")


def test_fixed_and_broken_images_are_counted_by_their_index(
    repository: Project, run_main: RunMain
) -> None:
    commit(repository, [*range(30), 100])
    write_results([100, 200, 201], validation={"accuracy": 0.95, "images": 500})
    found = json.loads(run_main(main, ["main", "--json"])[1])
    figures = ["base", "other", "images", "fixed", "broken", "difference", "low", "high", "p"]
    assert list(found) == [*figures, "warning"]
    accuracies = {"validation": 0.9, "test": 0.969, "shared": pytest.approx(0.969)}
    assert found["base"] == {"revision": "main"} | accuracies
    accuracies = {"validation": 0.95, "test": 0.997, "shared": pytest.approx(0.997)}
    assert found["other"] == {"revision": "workspace"} | accuracies
    assert found["images"] == {"shared": 1000, "added": 0, "removed": 0, "relabelled": 0}
    assert (found["fixed"], found["broken"], found["warning"]) == (30, 2, "")
    assert found["difference"] == pytest.approx(0.997 - 0.969)
    assert found["low"] < found["difference"] < found["high"]


def test_a_revision_is_compared_from_git_whatever_the_workspace_has(repository: Project) -> None:
    commit(repository, [1, 2])
    commit(repository, [2, 3, 4])
    for path in "reports/metrics.json", "reports/mistakes.csv", "dvc.lock":
        Path(path).unlink()
    found = compare(load("HEAD~1"), load("main"))
    assert (found["fixed"], found["broken"]) == (1, 2)
    assert (found["base"]["revision"], found["other"]["revision"]) == ("HEAD~1", "main")


def test_an_experiment_is_compared_by_its_name(repository: Project) -> None:
    commit(repository, [1, 2])
    base = repository.run("git", "rev-parse", "HEAD").stdout.strip()
    commit(repository, [2])
    repository.run("git", "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/tidy-loon", "HEAD")
    repository.run("git", "reset", "--quiet", "--hard", base)
    found = compare(load("main"), load("tidy-loon"))
    assert (found["other"]["revision"], found["fixed"], found["broken"]) == ("tidy-loon", 1, 0)


def test_the_text_has_accuracies_images_interval_and_test(
    repository: Project, run_main: RunMain
) -> None:
    commit(repository, list(range(12)))
    write_results(list(range(6, 16)))
    code, said = run_main(main, ["main"])
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert code == 0
    assert lines[0] == "| accuracy | main | workspace |"
    assert lines[2:] == [
        "| validation | 90.00% | 90.00% |",
        "| test | 98.80% | 99.00% |",
        "",
        "6 images fixed, 4 broken: test accuracy +0.20 points, 95% interval -0.37 to +0.66; "
        "exact McNemar test p = 0.754.",
        "The difference is within chance on these images.",
    ]


@pytest.mark.parametrize(
    ("workspace", "differ"),
    [
        ({"validation": {"accuracy": 0.9, "images": 100}}, "validation.images"),
        ({"arrays": "xbcd"}, "data/prepared/x_train.npy"),
        ({"arrays": "xycd"}, "data/prepared/x_train.npy, data/prepared/y_train.npy"),
    ],
)
def test_validation_accuracies_of_different_images_have_a_warning(
    workspace: dict[str, Any], differ: str, repository: Project, run_main: RunMain
) -> None:
    commit(repository, [1])
    write_results([1], **workspace)
    code, said = run_main(main, ["main"])
    assert code == 0, "the test images are the same"
    assert said.splitlines()[-1] == (
        "Warning: the validation accuracies are of different images and can't be compared; "
        f"these differ: {differ}"
    )


def test_the_judgement_turns_at_a_p_of_5_percent(repository: Project) -> None:
    write_results([1])
    found = compare(load(None), load(None))
    assert describe(found | {"p": 0.05}).endswith("is within chance on these images.")
    *_, figures, judgement = describe(found | {"p": 0.0499}).splitlines()
    assert figures.endswith("p = 0.0499.")
    assert judgement == (
        "The models differ on these images. To tell whether the change or just the seed caused it, "
        "train both with several seeds (python -m sweep seed=1,2,3)."
    )


def test_a_revision_does_not_differ_from_itself(repository: Project) -> None:
    write_results([5])
    text = describe(compare(load(None), load(None)))
    assert (
        "0 images fixed, 0 broken: test accuracy +0.00 points, 95% interval +0.00 to +0.00; "
        "exact McNemar test p = 1.\nThe difference is within chance" in text
    )


@pytest.mark.parametrize("missing", ["reports/metrics.json", "reports/mistakes.csv", "dvc.lock"])
def test_a_revision_without_results_is_named(missing: str, repository: Project) -> None:
    commit(repository, [1])
    repository.run("git", "rm", "--quiet", missing)
    repository.run("git", "commit", "--quiet", "--message", "Removed")
    for revision in "main", None:
        with pytest.raises(InputError, match=f"{revision or 'workspace'} has no res.*{missing}"):
            load(revision)


@pytest.mark.parametrize("section", ["validation", "test"])
def test_figures_that_an_older_pipeline_did_not_write_are_named(
    section: str, repository: Project
) -> None:
    sections: dict[str, Any] = {section: {"loss": 0.1, "images": 500}}
    write_results([1], **sections)
    with pytest.raises(InputError, match=rf"workspace has no results \('{section}.accuracy'\)"):
        load(None)


def test_results_that_cannot_be_read_are_named(repository: Project) -> None:
    write_results([1])
    Path("dvc.lock").write_text("<<<<<<< HEAD\nstages: [")  # a merge that is not over
    with pytest.raises(InputError, match="workspace has no results "):
        load(None)


def test_an_unknown_revision_is_named(repository: Project) -> None:
    commit(repository, [1])
    with pytest.raises(InputError, match=r"^nosuch: unknown; expected a commit, a branch or an"):
        load("nosuch")


def test_statistics_are_those_of_scipy() -> None:
    for fixed, broken in TABLES + EDGES:
        figures = {"validation.accuracy": 0.9, "test.accuracy": 0.9, "test.images": 10_000}
        base = Results("a", figures, {}, dict.fromkeys(range(fixed), 7))
        mistaken = dict.fromkeys(range(10_000 - broken, 10_000), 7)
        found = compare(base, Results("b", figures, {}, mistaken))
        assert (found["fixed"], found["broken"]) == (fixed, broken)
        assert found["difference"] == (fixed - broken) / 10_000
        n = fixed + broken
        if not n:
            assert (found["p"], found["low"], found["high"]) == (1, 0, 0)
            assert wilson(0, 0) == (0, 1)
            continue
        oracle = binomtest(fixed, n)
        assert found["p"] == pytest.approx(oracle.pvalue, rel=1e-9)
        low, high = oracle.proportion_ci(method="wilson")
        assert wilson(fixed, n) == pytest.approx((low, high), abs=1e-12)
        # When a share of n images was fixed, the others were broken.
        assert found["low"] == pytest.approx((low * n - (1 - low) * n) / 10_000, abs=1e-12)
        assert found["high"] == pytest.approx((high * n - (1 - high) * n) / 10_000, abs=1e-12)
