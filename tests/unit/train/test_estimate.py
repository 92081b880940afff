"""How long a run will take is said once, and only of a long one."""

import time

import pytest

from stages.train.estimate import Estimate


def train(estimate: Estimate, now: list[float], seconds: float, steps: int, epochs: int) -> None:
    """Ask for the batches of an epoch; the first step takes a minute, each other `seconds`."""
    for i, batch in enumerate(estimate.watch(iter(range(steps)), steps, epochs)):
        assert batch == i
        now[0] += seconds if i != 3 else 60


@pytest.mark.parametrize(
    ("seconds", "steps", "epochs", "said"),
    [
        (1, 300, 10, "\nAn epoch takes about 5 min, and all 10 to come about 50 min\n"),
        (20, 15, 12, "\nAn epoch takes about 5 min, and all 12 to come about 60 min\n"),
        (0.5, 200, 90, "\nAn epoch takes about 100 s, and all 90 to come about 2 h\n"),
        (1, 59, 10, ""),
        (20, 5, 90, ""),  # too few steps to tell
    ],
)
def test_a_long_run_is_announced_after_its_first_steps(
    seconds: float,
    steps: int,
    epochs: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    estimate = Estimate()
    train(estimate, now, seconds, steps, epochs)
    assert capsys.readouterr().out == said
    train(estimate, now, seconds, steps, epochs - 1)
    assert capsys.readouterr().out == "", "once"
