"""Several GPUs share each batch; here two virtual devices of the CPU stand for them."""

import io
import shutil
import signal
from pathlib import Path

import numpy as np

from tests.project import Project, environment, fork

# One step whose size does not depend on the loss, and what shrinks weights or draws at random.
STEP = {"epochs": 1, "steps_per_epoch": 1, "learning_rate": 1e-4, "weight_decay": 0.5}
MUON = {"optimizer": "muon", "momentum": 0.9, "weight_decay": 0.1}


def state(checkpoint: Path) -> list[np.ndarray]:
    """Return the weights of a model and the state of its optimizer."""
    with np.load(io.BytesIO(checkpoint.read_bytes()[32:])) as arrays:  # after the SHA-256
        return [arrays[str(i)] for i in range(len(arrays.files) - 1)]


def test_two_devices_learn_what_one_learns_and_resume_to_the_same_bytes(prepared: Path) -> None:
    """Without dropout, which each device draws for its own share, only rounding differs."""
    project = Project(prepared, environment(prepared.parent))
    for key, value in MUON.items():
        project.set(f"train.{key}", value)
    shutil.copy("params.yaml", "../whole.yaml")
    project.set("model.dropout", 0.0)
    for key, value in STEP.items():
        project.set(f"train.{key}", value)
    shutil.copy("params.yaml", "../step.yaml")
    whole, killed, resumed, two, one = fork(
        project,
        *("two-devices", "train@../whole.yaml", "forget", "train:between epochs", "train"),
        *("forget", "train@../step.yaml", "one-device", "train@../step.yaml"),
    )
    runs = whole, killed, resumed, two, one
    assert [run.code for run in runs] == [0, -signal.SIGKILL, 0, 0, 0]
    assert "Resuming after epoch 1 of 2" in resumed.text
    assert resumed.outputs == whole.outputs
    assert "Computing on 2 GPUs" in two.text
    assert "Computing on the CPU" in one.text
    states = [state(path) for path in Path(".checkpoints").glob("*.checkpoint")]
    for of_one, of_two in zip(*states, strict=True):
        np.testing.assert_allclose(of_one, of_two, rtol=0, atol=1.5e-8)
