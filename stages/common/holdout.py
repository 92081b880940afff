"""Which rows are held out, and what they lack."""

import math
from collections.abc import Collection
from typing import Any


def first_held_out(n: int, fraction: float) -> int:
    """Return where the last `fraction` of `n` rows begins, rounded as in Keras's `fit`."""
    return math.floor(n * (1 - fraction))


def first_validated(n: int, fraction: float | None, own: int) -> int:
    """Return where the validation part of `n` training images begins.

    It is the data set's own, which are the last `own` images, or the last `fraction` of them.
    """
    return n - own if fraction is None else first_held_out(n, fraction)


def describe_lack(part: str, absent: Collection[Any], classes: int) -> str:
    """Say in one bounded line which of all `classes` are `absent` from a part of the images."""
    named = ", ".join(map(str, sorted(absent)[:5])) + (", ..." if len(absent) > 5 else "")
    return f"the {part} part has no image of {len(absent)} of {classes} classes ({named})"
