"""Which differences a rebuild lets pass."""

import pytest

from stages.common.errors import InputError
from tools.rebuild import report
from tools.results import Results

GPU = "the model was trained on 2 GPUs (T4)"


@pytest.mark.parametrize(
    ("committed", "rebuilt", "images", "accuracy", "loss", "passes"),
    [
        (GPU, "shown", 10_000, 0.9871, 0.0399, True),
        ("shown", GPU, 10_000, 0.9929, 0.0201, True),
        (GPU, GPU, 10_000, 0.9869, 0.03, False),
        (GPU, GPU, 10_000, 0.99, 0.0401, False),
        (GPU, GPU, 154, 0.978, 0.03, True),  # one image of 154 is 0.65 points
        (GPU, GPU, 154, 0.97, 0.03, False),
        ("shown", "shown", 10_000, 0.99, 0.03, False),
        ("expected", "expected", 10_000, 0.99, 0.03, False),
    ],
)
def test_only_where_bytes_are_not_portable_do_close_metrics_pass(
    committed: str, rebuilt: str, images: int, accuracy: float, loss: float, passes: bool
) -> None:
    def results(md5: str, portable: str, accuracy: float, loss: float) -> Results:
        metrics = {"accuracy": accuracy, "loss": loss, "images": images}
        named = {"train.portable": portable} | {f"test.{k}": v for k, v in metrics.items()}
        return Results("a run", named, {"models/model.keras": md5, "same": "c"})

    sides = results("a", committed, 0.99, 0.03), results("b", rebuilt, accuracy, loss)
    if passes:
        said = report(*sides)
        assert said.endswith(f"which is enough, because {GPU}")
    else:
        with pytest.raises(InputError) as error:
            report(*sides)
        said = str(error.value)
    assert said.startswith("different from dvc.lock: models/model.keras\n")
    assert str(accuracy) in said
