"""A sweep goes on when its head can't fetch for a while, and blames what is to blame."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stages.common.errors import InputError
from sweep import __main__ as command
from sweep import cluster
from sweep.node import Trial
from tests.conftest import RunMain
from tests.unit.sweep.origin import COMMIT, SOURCE
from tools.results import Results

TRIALS = [Trial(f"sweep-{i}", (f"seed={i}",), 1) for i in range(4)]


class Head:
    """A sweep whose trials all succeed; `outages` of its fetches after them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outages: set[int] = set()
        self.fetches = 0
        self.ran: list[Trial] = []
        for name, stand_in in {
            "find_source": lambda: SOURCE,
            "choose_trials": lambda *_: TRIALS,
            "fetch": self.fetch,
            "PAUSE": 0,
        }.items():
            monkeypatch.setattr(command, name, stand_in)
        for name, stand_in in {
            "connect": lambda *_: None,
            "check_nodes": lambda *_: None,
            "run_trials": self.run_trials,
        }.items():
            monkeypatch.setattr(cluster, name, stand_in)

    def fetch(self, commit: str, trials: list[Trial]) -> dict[Trial, Results]:
        assert commit == COMMIT
        if trials == TRIALS and not self.ran:
            return {}
        self.fetches += 1
        if self.fetches in self.outages:
            raise ChildProcessError("fatal: unable to access 'https://origin/'")
        metrics = {
            f"{part}.{name}": 0.5
            for part in ("validation", "test")
            for name in ("accuracy", "loss")
        }
        return {trial: Results(trial.name, metrics, {}) for trial in trials}

    def run_trials(self, *_: Any) -> Iterator[tuple[Trial, str]]:
        for trial in TRIALS:
            self.ran.append(trial)
            yield trial, ""


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Head:
    return Head(monkeypatch)


@pytest.mark.parametrize("outages", [{1}, {2, 3}, {4}, {1, 2, 3, 4}])
def test_a_fetch_that_fails_is_tried_again_while_the_other_trials_run(
    outages: set[int], head: Head, run_main: RunMain
) -> None:
    head.outages = outages
    code, said = run_main(command.main, ["seed=0,1,2,3"])
    assert code == 0
    assert head.ran == TRIALS
    table = said[said.index("experiment ") :]
    assert all(trial.name in table for trial in TRIALS)


def test_what_could_not_be_fetched_at_all_is_said_after_the_table_of_the_rest(
    head: Head, run_main: RunMain
) -> None:
    head.outages = {3, 4, 5}
    code, said = run_main(command.main, ["seed=0,1,2,3"])
    assert code == 1
    assert head.ran == TRIALS
    assert "sweep-1" in said
    assert said.splitlines()[-3:] == [
        *(
            f"seed={i} not fetched: fatal: unable to access 'https://origin/'; its results are "
            "published: the same command again fetches them"
            for i in (2, 3)
        ),
        "sweep: 2 of 4 trials have no results",
    ]


def test_a_sweep_says_what_it_does_and_counts_its_trials_right(
    head: Head, run_main: RunMain
) -> None:
    _, said = run_main(command.main, ["seed=0,1,2,3"])
    steps = "4 of 4 trials to run", "Starting Ray, and checking that each node", "Running trials: "
    places = [said.index(step) for step in steps]
    assert places == sorted(places)
    assert "4/4" in said
    assert "5/4" not in said


def test_a_folder_too_long_for_rays_sockets_is_what_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(
        InputError, match=r"^Ray can't be used: .* cannot exceed 107 bytes"
    ) as raised:
        cluster.connect(None)
    assert str(raised.value).endswith("; set TMPDIR to a shorter path")
