"""Several GPUs share each batch; here two virtual devices of the CPU stand for them."""

import signal
import sys
from pathlib import Path

import pandas as pd
import pytest

from stages.backend import archive
from stages.train.__main__ import __main__ as train
from tests.project import Project

pytestmark = pytest.mark.slow

TWO_DEVICES = """
import os, signal, sys
from stages.common import errors
from stages.backend import runtime
from stages.train.__main__ import seeding
from stages.train.__main__ import __main__ as train

pin, listed = runtime.pin, runtime.tf.config.list_logical_devices

def pin_and_split(*arguments):
    pin(*arguments)
    config = runtime.tf.config
    half = config.LogicalDeviceConfiguration()
    config.set_logical_device_configuration(config.list_physical_devices("CPU")[0], [half, half])

runtime.pin = pin_and_split
runtime.tf.config.list_logical_devices = lambda kind: listed("CPU")
if "killed in epoch 2" in sys.argv:
    seeded = seeding.seed_dropout
    seeding.seed_dropout = lambda model, seed, epoch: (
        os.kill(os.getpid(), signal.SIGKILL) if epoch == 2 else seeded(model, seed, epoch)
    )
sys.argv[0] = "train.py"
errors.run(train.main, train.INPUTS, train.OUTPUTS)
"""


@pytest.fixture
def prepared(project: Project) -> Project:
    (project.root.parent / "two_devices.py").write_text(TWO_DEVICES)
    project.env["PYTHONPATH"] = str(project.root)
    project.repro("prepare")
    return project


def train_on_two(project: Project, *arguments: str, check: bool = True) -> tuple[int, str]:
    script = str(project.root.parent / "two_devices.py")
    done = project.run(sys.executable, script, *arguments, check=check)
    return done.returncode, done.stdout + done.stderr


def outputs(project: Project) -> dict[Path, bytes]:
    return {path: (project.root / path).read_bytes() for path in train.OUTPUTS}


def test_two_devices_train_and_resume_to_the_same_bytes(prepared: Project) -> None:
    _, text = train_on_two(prepared)
    assert "Training on 2 GPUs" in text
    first = outputs(prepared)
    assert train_on_two(prepared, "killed in epoch 2", check=False)[0] == -signal.SIGKILL
    _, text = train_on_two(prepared)
    assert "Resuming after epoch 1 of 2" in text
    assert outputs(prepared) == first
    model = archive.load(prepared.root / train.MODEL)
    assert model.count_params() == 70_378


def test_two_devices_learn_what_one_learns(prepared: Project) -> None:
    """Without dropout, which each device draws for its own share, only rounding differs."""
    prepared.set("model.dropout", 0.0)
    train_on_two(prepared)
    two = pd.read_csv(prepared.root / train.HISTORY)
    prepared.run(sys.executable, "-m", "stages.train")
    one = pd.read_csv(prepared.root / train.HISTORY)
    pd.testing.assert_frame_equal(two, one, rtol=1e-3)
    assert one["loss"][1] < 0.9 * one["loss"][0]


def test_unequal_shares_are_refused_before_anything_starts(prepared: Project) -> None:
    prepared.set("train.batch_size", 27)
    code, text = train_on_two(prepared, check=False)
    assert code == 1
    assert "train.batch_size 27 gives a batch of 3 images to 2 GPUs" in text
    assert "Traceback" not in text
