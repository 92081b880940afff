"""The comparison of two revisions: what it counts, what it concludes, and what it refuses."""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.stats import binomtest

from stages.common.errors import InputError
from stages.visualize.intervals import wilson
from tests.project import Project, environment
from tools.compare import Results, compare, describe, load

TABLES = np.random.default_rng(0).integers(0, 200, (50, 2)).tolist()
EDGES = [(0, 0), (0, 7), (7, 0), (1, 0), (9_999, 1), (500, 500)]


class Repository(Project):
    """A Git and DVC repository in which tests commit one after the other."""

    def commit(self, message: str = "Work") -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", message)


@pytest.fixture(scope="module")
def repository_once(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    root = tmp_path_factory.mktemp("compare")
    for name in ".dvc", "reports":
        (root / name).mkdir()
    (root / ".dvc/config").touch()
    repository = Repository(root, environment(root.parent))
    repository.run("git", "init", "--quiet", "--initial-branch", "main")
    return repository


@pytest.fixture
def repository(repository_once: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """The repository, as the current folder."""
    monkeypatch.chdir(repository_once.root)
    return repository_once


@pytest.fixture
def run_compare(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that runs the command here, and returns what it printed."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["compare", *arguments])
        monkeypatch.delitem(sys.modules, "tools.compare")
        runpy.run_module("tools.compare", run_name="__main__")
        return capsys.readouterr().out

    return run


def write_results(mistakes: list[int], test_set: str = "a", **sections: Any) -> None:
    """Write what the pipeline leaves in git of a model that mistook these of 1000 test images."""
    n = len(mistakes)
    metrics = {
        "validation": {"loss": 0.1, "accuracy": 0.9, "images": 500},
        "test": {"loss": 0.1, "accuracy": 1 - n / 1000, "errors": n, "images": 1000},
    }
    Path("reports/metrics.json").write_text(json.dumps(metrics | sections))
    rows = [f"{index},1,7\n" for index in mistakes]
    Path("reports/mistakes.csv").write_text("".join(["index,actual,predicted\n", *rows]))
    outs = [
        {"path": f"data/prepared/{name}_test.npy", "hash": "md5", "md5": test_set * 32, "size": 1}
        for name in "xy"
    ]
    stages = {"prepare": {"cmd": "python -m stages.prepare", "outs": outs}}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def test_fixed_and_broken_images_are_counted_by_their_index(
    repository: Repository, run_compare: Any
) -> None:
    write_results([*range(30), 100])
    repository.commit()
    write_results([100, 200, 201], validation={"accuracy": 0.95})
    found = json.loads(run_compare("main", "--json"))
    assert list(found) == ["base", "other", "fixed", "broken", "difference", "low", "high", "p"]
    assert found["base"] == {"revision": "main", "validation": 0.9, "test": 0.969}
    assert found["other"] == {"revision": "workspace", "validation": 0.95, "test": 0.997}
    assert (found["fixed"], found["broken"]) == (30, 2)
    assert found["difference"] == pytest.approx(0.997 - 0.969)
    assert found["low"] < found["difference"] < found["high"]


def test_a_revision_is_compared_from_git_whatever_the_workspace_has(repository: Repository) -> None:
    write_results([1, 2])
    repository.commit()
    write_results([2, 3, 4])
    repository.commit()
    for path in "reports/metrics.json", "reports/mistakes.csv", "dvc.lock":
        Path(path).unlink()
    found = compare(load("HEAD~1"), load("main"))
    assert (found["fixed"], found["broken"]) == (1, 2)
    assert (found["base"]["revision"], found["other"]["revision"]) == ("HEAD~1", "main")


def test_an_experiment_is_compared_by_its_name(repository: Repository) -> None:
    write_results([1, 2])
    repository.commit()
    base = repository.run("git", "rev-parse", "HEAD").stdout.strip()
    write_results([2])
    repository.commit()
    repository.run("git", "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/tidy-loon", "HEAD")
    repository.run("git", "reset", "--quiet", "--hard", base)
    found = compare(load("main"), load("tidy-loon"))
    assert (found["other"]["revision"], found["fixed"], found["broken"]) == ("tidy-loon", 1, 0)


def test_the_text_has_accuracies_images_interval_and_test(
    repository: Repository, run_compare: Any
) -> None:
    write_results(list(range(12)))
    repository.commit()
    write_results(list(range(6, 16)))
    lines = [" ".join(line.split()) for line in run_compare("main").splitlines()]
    assert lines[0] == "| accuracy | main | workspace |"
    assert lines[2:] == [
        "| validation | 90.00% | 90.00% |",
        "| test | 98.80% | 99.00% |",
        "",
        "6 images fixed, 4 broken: test accuracy +0.20 points, 95 % interval -0.37 to +0.66; "
        "exact McNemar test p = 0.754.",
        "The difference is within chance on these images.",
    ]


def test_the_judgement_turns_at_a_p_of_5_percent(repository: Repository) -> None:
    write_results([1])
    found = compare(load(None), load(None))
    assert describe(found | {"p": 0.05}).endswith("is within chance on these images.")
    *_, figures, judgement = describe(found | {"p": 0.0499}).splitlines()
    assert figures.endswith("p = 0.0499.")
    assert judgement.startswith("The two models differ on these images; whether the change or the")
    assert "seed=1,2,3" in judgement


def test_a_revision_does_not_differ_from_itself(repository: Repository) -> None:
    write_results([5])
    repository.commit()
    text = describe(compare(load("main"), load("main")))
    assert (
        "0 images fixed, 0 broken: test accuracy +0.00 points, 95 % interval +0.00 to +0.00; "
        "exact McNemar test p = 1.\nThe difference is within chance" in text
    )


def test_other_test_images_are_refused_in_one_line(
    repository: Repository, run_compare: Any
) -> None:
    write_results([1])
    repository.commit()
    write_results([2], test_set="b")
    with pytest.raises(SystemExit) as exit_:
        run_compare("main")
    said = "compare: main and workspace have different test sets (data/prepared/x_test.npy, "
    assert exit_.value.code == f"{said}data/prepared/y_test.npy)"


@pytest.mark.parametrize("lacking", ["reports/metrics.json", "reports/mistakes.csv", "dvc.lock"])
def test_a_revision_without_results_is_named(lacking: str, repository: Repository) -> None:
    write_results([1])
    Path(lacking).unlink()
    repository.commit()
    with pytest.raises(InputError, match=f"main lacks results .*{lacking}"):
        load("main")
    with pytest.raises(InputError, match=f"workspace lacks results .*{lacking}"):
        load(None)


@pytest.mark.parametrize("section", ["validation", "test"])
def test_figures_that_an_older_pipeline_did_not_write_are_named(
    section: str, repository: Repository
) -> None:
    sections: dict[str, Any] = {section: {"loss": 0.1}}
    write_results([1], **sections)
    with pytest.raises(InputError, match=rf"workspace lacks results \('{section}.accuracy'\)"):
        load(None)


def test_results_that_cannot_be_read_are_named(repository: Repository) -> None:
    write_results([1])
    Path("dvc.lock").write_text("<<<<<<< HEAD\nstages: [")  # a merge that is not over
    with pytest.raises(InputError, match="workspace lacks results "):
        load(None)


def test_an_unknown_revision_is_named(repository: Repository) -> None:
    write_results([1])
    repository.commit()
    with pytest.raises(InputError, match=r"nosuch lacks results \(unknown Git"):
        load("nosuch")


@pytest.mark.parametrize(("fixed", "broken"), TABLES + EDGES)
def test_statistics_are_those_of_scipy(fixed: int, broken: int) -> None:
    base = Results({}, 10_000, set(range(fixed)), [], {}, {})
    other = Results({}, 10_000, set(range(10_000 - broken, 10_000)), [], {}, {})
    found = compare(base, other)
    assert (found["fixed"], found["broken"]) == (fixed, broken)
    assert found["difference"] == (fixed - broken) / 10_000
    n = fixed + broken
    if not n:
        assert (found["p"], found["low"], found["high"]) == (1, 0, 0)
        assert wilson(0, 0) == (0, 1)
        return
    oracle = binomtest(fixed, n)
    assert found["p"] == pytest.approx(oracle.pvalue, rel=1e-9)
    low, high = oracle.proportion_ci(method="wilson")
    assert wilson(fixed, n) == pytest.approx((low, high), abs=1e-12)
    # When a share of n images was fixed, the others were broken.
    assert found["low"] == pytest.approx((low * n - (1 - low) * n) / 10_000, abs=1e-12)
    assert found["high"] == pytest.approx((high * n - (1 - high) * n) / 10_000, abs=1e-12)
