"""Which trials a sweep runs, and what it refuses before anything starts."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.common.errors import InputError
from sweep import plan
from sweep.__main__ import main
from sweep.node import Trial
from tests.builders import DEFAULTS
from tests.conftest import RunMain
from tests.unit.sweep.origin import COMMIT, Origin


def choose(*arguments: str, samples: int | None = None, **options: Any) -> list[Trial]:
    defaults = {"commit": COMMIT, "cpus": None}
    return plan.choose_trials(arguments=arguments, samples=samples, **defaults | options)


def overrides(*arguments: str) -> list[tuple[str, ...]]:
    return [trial.overrides for trial in choose(*arguments)]


@pytest.fixture(autouse=True)
def beside_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test run in a folder with a params.yaml that no team changes."""
    YAML().dump(DEFAULTS, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)


def test_values_separated_by_commas_make_a_grid() -> None:
    assert overrides("train.learning_rate=0.0005,0.002", "model.dropout=0.3,0.4", "seed=7") == [
        ("train.learning_rate=0.0005", "model.dropout=0.3", "seed=7"),
        ("train.learning_rate=0.0005", "model.dropout=0.4", "seed=7"),
        ("train.learning_rate=0.002", "model.dropout=0.3", "seed=7"),
        ("train.learning_rate=0.002", "model.dropout=0.4", "seed=7"),
    ]


def test_a_list_is_one_value() -> None:
    assert overrides("model.filters=[8,16],[4]") == [
        ("model.filters=[8,16]",),
        ("model.filters=[4]",),
    ]


def test_a_combination_is_tried_once_however_it_is_written() -> None:
    assert len(overrides("seed=1,2,1", "model.dropout=0,0.0")) == 2
    one, two = choose("seed=7", "visualize.dpi=50"), choose("visualize.dpi=50", "seed=7")
    assert one[0].name == two[0].name


def test_a_name_tells_commits_and_parameters_apart() -> None:
    names = {
        choose(argument, commit=commit)[0].name
        for commit in (COMMIT, "d" * 40)
        for argument in ("seed=1", "seed=2", "train.epochs=1")
    }
    assert len(names) == 6
    assert all(re.fullmatch(r"sweep-[0-9a-f]{16}", name) for name in names)


def test_two_trials_of_one_name_are_refused_and_not_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan, "name_of", lambda *_: "sweep-1")
    with pytest.raises(InputError, match="seed=1 and seed=2 have one name, sweep-1: "):
        choose("seed=1,2")


def test_a_trial_gets_the_cpus_it_trains_with_or_those_it_is_given() -> None:
    assert [trial.cpus for trial in choose("train.threads=1,3")] == [1, 3]
    assert [trial.cpus for trial in choose("train.threads=1,3", cpus=2)] == [2, 2]


def test_the_seed_draws_a_sample_that_a_larger_one_contains(tmp_path: Path) -> None:
    arguments = "visualize.dpi=50,60,70,80,90,110", "seed=1,2"
    drawn = choose(*arguments, samples=5)
    assert drawn == choose(*arguments, samples=5)
    assert len(set(drawn)) == 5
    everything = choose(*arguments)
    assert drawn != everything[:5]
    assert set(drawn) < set(choose(*arguments, samples=8)) < set(everything)
    assert set(choose(*arguments, samples=99)) == set(everything)
    assert len(everything) == 12
    params = tmp_path / "params.yaml"
    params.write_text(params.read_text().replace("seed: 42", "seed: 43"))
    assert drawn != choose(*arguments, samples=5)


def test_a_few_of_many_combinations_are_drawn_and_checked_at_once() -> None:
    digits = ",".join(map(str, range(1, 11)))
    keys = "seed", "train.epochs", "model.dense_units", "visualize.mistakes"
    started = time.process_time()
    drawn = choose(*(f"{key}={digits}" for key in keys), samples=20)  # of 10,000
    assert len({trial.name for trial in drawn}) == 20
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.lerning_rate=1,2", "params.yaml: Could not override 'train.lerning_rate'."),
        ("rate=1", "params.yaml: Could not override 'rate'."),
        ("train.epochs.more=1", "params.yaml: Could not override 'train.epochs.more'."),
        ("+train.rate=1", "params.yaml: train.rate: unknown key; expected epochs, "),
        ("train.epochs", "train.epochs: Error parsing override 'train.epochs'"),
        ("train.epochs=1,", "train.epochs=1,: mismatched input"),
        ("train.epochs=glob(*)", "Glob override 'train.epochs=glob(*)' is not supported."),
        ("seed=interval(1,3)", "seed=interval(1,3): BasicSweeper does not support sweep type"),
        ("seed=${nothing}", "params.yaml: Interpolation key 'nothing' not found"),
        ("seed=???", "params.yaml: Missing mandatory value: seed"),
    ],
)
def test_what_is_no_parameter_is_refused(override: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)) as refused:
        choose(override)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed=1,-1", "seed: found -1; "),
        ("prepare.dataset=../mnist", "prepare.dataset: found '../mnist'; "),
        ("model.filters=[8,16],[8,0]", "model.filters.1: found 0; "),
        ("train.optimizer=adam,adamw", "train.optimizer: found 'adamw'; "),
        ("train.threads=two", "train.threads: found 'two'; "),
        ("train.augmentation=0.1", "train.augmentation: found 0.1; "),
        ("visualize.dpi=1e9", "visualize.dpi: found 1000000000.0; "),
        ("~train.epochs", "train.epochs: missing"),
    ],
)
def test_a_value_that_its_stage_would_refuse_is_refused_before_anything_starts(
    override: str, said: str
) -> None:
    with pytest.raises(InputError, match=re.escape(f"params.yaml: {said}")) as refused:
        choose(override)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--samples", "-3", "at least 1"),
        ("--samples", "0", "at least 1"),
        ("--cpus", "0", "at least 1"),
        ("--gpus", "-1", "at least 0"),
        ("--gpus", "nan", "at least 0"),
        ("--gpus", "inf", "a fraction of one or a whole number"),
        ("--gpus", "1.5", "a fraction of one or a whole number"),
    ],
)
def test_a_number_out_of_range_is_refused(
    option: str, value: str, expected: str, run_main: RunMain
) -> None:
    line = f"sweep: {option} {value}: expected {expected}\n"
    assert run_main(main, ["seed=1,2", option, value]) == (1, line)


@pytest.mark.parametrize(
    "url",
    [
        "https://ghp_secret@127.0.0.1:1/x.git",
        "https://user:ghp_secret@127.0.0.1:1/x.git",
        "https://user:ghp_se@cret@127.0.0.1:1/x.git",
        "http://user:ghp_secret@127.0.0.1:1/x.git",
        "ssh://git:ghp_secret@127.0.0.1:1/x.git",
    ],
)
def test_credentials_in_the_address_of_origin_are_refused_and_not_shown(
    url: str, origin: Origin
) -> None:
    origin.git("remote", "set-url", "origin", url)
    with pytest.raises(InputError, match="use SSH or a Git credential helper") as refused:
        plan.find_source()
    assert "ghp_se" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["ssh://git@127.0.0.1:1/x.git", "https://127.0.0.1:1/x@y.git", "../x:y@z.git"]
)
def test_an_address_without_credentials_is_asked(url: str, origin: Origin) -> None:
    origin.git("remote", "set-url", "origin", url)
    asked = r"port 1[: ]|does not appear to be a git|cannot run ssh"  # where there is no ssh
    with pytest.raises(ChildProcessError, match=asked):
        plan.find_source()
