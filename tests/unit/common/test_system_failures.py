"""What fails in the system around a program ends it in one true line, as a user's mistakes do."""

import errno

import pytest

from stages.backend.runtime import tf
from stages.common.errors import InputError, in_one_line

ADVICE = (
    "; lower one of these in params.yaml: prepare.image_size, model.filters, model.dense_units or "
    "train.batch_size"
)
OOM = (
    "{{function_node __wrapped__StatelessRandomUniformV2}} OOM when allocating tensor with "
    "shape[1600,100000000] and type float on /job:localhost/device:CPU:0 by allocator mklcpu"
)
UNDER_PYTHON = (
    "MemoryError: Unable to allocate 203. TiB for an array with shape (3, 9) and data type float64"
    '\nTraceback (most recent call last):\n\n  File "script_ops.py", line 270, in __call__'
)


def line(error: Exception) -> object:
    with pytest.raises(SystemExit) as stopped, in_one_line("train"):
        raise error
    return stopped.value.code


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), ""),
        (MemoryError("most likely"), " (most likely)"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), " (Cannot allocate memory)"),
        (
            tf.errors.ResourceExhaustedError(None, None, OOM),
            " (OOM when allocating tensor with shape[1600,100000000] and type float)",
        ),
        (
            tf.errors.ResourceExhaustedError(None, None, UNDER_PYTHON),
            " (Unable to allocate 203. TiB for an array with shape (3, 9) and data type float64)",
        ),
    ],
)
def test_a_lack_of_memory_is_said_with_what_to_lower(error: Exception, reason: str) -> None:
    assert line(error) == f"train: memory ran out{reason}{ADVICE}"


def test_nothing_in_a_name_breaks_the_line_or_overwrites_it() -> None:
    error = InputError("data/raw/ours/a/\r\x1b[2Jall well\n\udce4\u2028é.png: damaged")
    said = r"train: data/raw/ours/a/\r\x1b[2Jall well\n\udce4\u2028é.png: damaged"
    assert line(error) == said


def test_a_mistake_in_the_program_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), in_one_line("train"):
        raise ZeroDivisionError
