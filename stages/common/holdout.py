"""Which rows are held out."""

import math


def first_held_out(n: int, fraction: float) -> int:
    """Return where the last `fraction` of `n` rows begins, rounded as in Keras's `fit`."""
    return math.floor(n * (1 - fraction))
