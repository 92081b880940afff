"""The table of a sweep's results, and how they are fetched."""

import shutil
from statistics import mean, stdev

import pytest

from sweep import results
from sweep.node import Trial
from tests.unit.sweep.origin import Origin
from tools import commands
from tools.results import Results


def measured(validation: float, test: float, images: int = 30, labels: str = "a") -> Results:
    """Return the results of a run with these accuracies; `labels` is the md5 of y_train."""
    metrics = {
        "validation.loss": 0.25,
        "validation.accuracy": validation,
        "validation.images": images,
        "test.loss": 0.5,
        "test.accuracy": test,
    }
    return Results("", metrics, {"data/prepared/y_train.npy": labels})


def tabulated(*runs: tuple[str, Results]) -> list[list[str]]:
    """Return the lines of each part of the table of these overrides and results."""
    trials = [
        (Trial(f"sweep-{i}", tuple(overrides.split()), 1), found)
        for i, (overrides, found) in enumerate(runs)
    ]
    parts = results.table(dict(trials)).split("\n\n")
    return [[" ".join(line.split()) for line in part.splitlines()] for part in parts]


def test_the_table_is_sorted_by_validation_accuracy_and_shows_the_test_figures_last() -> None:
    a, b, c = (f"model.dropout={d}" for d in (0.1, 0.2, 0.3))
    runs = (a, measured(0.97, 0.99)), (b, measured(0.98, 0.96)), (c, measured(0.9, 0.95))
    columns = "validation.accuracy validation.loss test.accuracy test.loss"
    assert tabulated(*runs) == [
        [
            f"experiment model.dropout {columns}",
            "sweep-1 0.2 0.98000 0.25000 0.96000 0.50000",
            "sweep-0 0.1 0.97000 0.25000 0.99000 0.50000",
            "sweep-2 0.3 0.90000 0.25000 0.95000 0.50000",
        ]
    ]


@pytest.mark.parametrize(
    ("overrides", "other", "differ"),
    [
        (
            ("train.validation_split=0.1", "train.validation_split=0.2"),
            measured(0.9, 0.9, images=60),
            "validation.images",
        ),
        (
            ("prepare.dataset=mnist", "prepare.dataset=fashion"),
            measured(0.9, 0.9, labels="b"),
            "data/prepared/y_train.npy",
        ),
        (("train.epochs=1", "train.epochs=2"), measured(0.9, 0.9), ""),
    ],
)
def test_a_table_of_different_validation_images_has_a_warning(
    overrides: tuple[str, str], other: Results, differ: str
) -> None:
    _, *rest = tabulated(*zip(overrides, (measured(0.9, 0.9), other), strict=True))
    warning = (
        "Warning: the validation accuracies are of different images and can't be compared; "
        f"these differ: {differ}"
    )
    assert rest == ([[warning]] if differ else [])


def test_seeds_are_repetitions_of_each_combination_of_the_other_values() -> None:
    accuracies = {"0.1": [0.97, 0.99, 0.98], "0.2": [0.985, 0.995, 0.99]}
    runs = [
        (f"seed={seed} model.dropout={dropout}", measured(accuracy, accuracy - 0.01 * seed))
        for dropout, repeated in accuracies.items()
        for seed, accuracy in enumerate(repeated, start=1)
    ]
    trials, (header, *rows) = tabulated(*runs)
    assert len(trials) == 7
    columns = "validation mean validation std validation worst test mean test std test worst"
    assert header == f"model.dropout n {columns}"
    assert [row.split()[:2] for row in rows] == [["0.2", "3"], ["0.1", "3"]]
    for dropout, _, *row in map(str.split, rows):
        validation = accuracies[dropout]
        test = [accuracy - 0.01 * seed for seed, accuracy in enumerate(validation, start=1)]
        expected = [f(x) for x in (validation, test) for f in (mean, stdev, min)]
        assert [float(value) for value in row] == pytest.approx(expected, abs=1e-5)


def test_where_only_the_seed_differs_one_row_is_left() -> None:
    runs = [(f"++seed={seed}", measured(0.9 + seed / 100, 0.9)) for seed in (1, 2)]
    _, (header, row) = tabulated(*runs)
    assert header.startswith("n validation mean")
    assert row.startswith("2 0.91500")


def test_the_results_of_all_published_trials_take_one_fetch(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [Trial(f"sweep-{i}", (f"seed={i}",), 1) for i in range(4)]
    for i, trial in enumerate(trials[:3]):
        origin.publish(trial, {"validation": {"accuracy": 0.9 + i / 100}})
    shutil.rmtree(origin.clone)
    origin.git("clone", "--quiet", "origin.git", "clone", cwd=origin.clone.parent)
    monkeypatch.chdir(origin.clone)
    called = []

    def call(*command: str) -> str:
        called.append(command[1])
        return commands.call(*command)

    monkeypatch.setattr(results, "call", call)
    found = results.fetch(origin.commit, trials)
    accuracies = {trial: run.metrics["validation.accuracy"] for trial, run in found.items()}
    assert accuracies == {trial: 0.9 + i / 100 for i, trial in enumerate(trials[:3])}
    assert [run.name for run in found.values()] == [trial.name for trial in trials[:3]]
    assert [command for command in called if command != "show"] == ["ls-remote", "fetch"]
    assert results.fetch(origin.commit, trials[3:]) == {}
