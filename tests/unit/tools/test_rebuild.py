"""Which differences a rebuild lets pass."""

import pytest

from stages.common.errors import InputError
from tools.rebuild import report
from tools.results import Results


@pytest.mark.parametrize(
    ("precision", "accuracy", "loss", "passes"),
    [
        ("mixed_bfloat16", 0.9871, 0.0399, True),
        ("mixed_bfloat16", 0.9929, 0.0201, True),
        ("mixed_bfloat16", 0.9869, 0.03, False),
        ("mixed_bfloat16", 0.99, 0.0401, False),
        ("float32", 0.99, 0.03, False),
    ],
)
def test_only_where_bytes_are_not_portable_do_close_metrics_pass(
    precision: str, accuracy: float, loss: float, passes: bool
) -> None:
    def results(md5: str, **metrics: float) -> Results:
        named = {f"test.{name}": value for name, value in metrics.items()}
        return Results("a run", named, {"models/model.keras": md5, "same": "c"})

    committed = results("a", accuracy=0.99, loss=0.03)
    rebuilt = results("b", accuracy=accuracy, loss=loss)
    if passes:
        said = report(committed, rebuilt, precision)
        assert "within the tolerance" in said
    else:
        with pytest.raises(InputError) as error:
            report(committed, rebuilt, precision)
        said = str(error.value)
    assert said.startswith("different from dvc.lock: models/model.keras\n")
    assert str(accuracy) in said
