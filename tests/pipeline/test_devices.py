"""Several GPUs share each batch; here two virtual devices of the CPU stand for them."""

import io
import signal

import pandas as pd

from stages.backend import archive
from tests.project import Project, trainings


def outputs(project: Project) -> dict[str, bytes]:
    paths = "models/model.keras", "models/summary.txt", "reports/history.csv"
    return {path: (project.root / path).read_bytes() for path in paths}


def history(project: Project) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(outputs(project)["reports/history.csv"]))


def test_two_devices_train_and_resume_to_the_same_bytes(reproduced: Project) -> None:
    one = outputs(reproduced)
    ((code, text),) = trainings(reproduced, "whole", devices=2)
    assert code == 0
    assert "Computing on 2 GPUs" in text
    first = outputs(reproduced)
    assert first["models/model.keras"] != one["models/model.keras"]
    killed, (code, text) = trainings(reproduced, "between epochs", "whole", devices=2)
    assert killed[0] == -signal.SIGKILL
    assert code == 0
    assert "Resuming after epoch 1 of 2" in text
    assert outputs(reproduced) == first
    model = archive.load(reproduced.root / "models/model.keras")
    assert model.count_params() == 70_378


def test_two_devices_learn_what_one_learns_and_get_equal_shares(reproduced: Project) -> None:
    """Without dropout, which each device draws for its own share, only rounding differs."""
    reproduced.set("model.dropout", 0.0)
    trainings(reproduced, "whole", devices=2)
    two = history(reproduced)
    trainings(reproduced, "whole")
    one = history(reproduced)
    pd.testing.assert_frame_equal(two, one, rtol=1e-3)
    assert one["loss"][1] < 0.9 * one["loss"][0]

    reproduced.set("train.batch_size", 27)
    ((code, text),) = trainings(reproduced, "whole", devices=2)
    assert code == 1
    assert "train.batch_size 27 gives a batch of 27 images to 2 GPUs" in text
    assert "Traceback" not in text
