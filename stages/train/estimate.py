"""How long a run will take, said while there is still time to choose another one."""

import time
from collections.abc import Iterator
from typing import TypeVar

LONG = 600  # seconds; a shorter run ends soon enough
FIRST = 4  # batches; the first step compiles, and a few batches are gathered in advance
MEASURED = 5  # seconds, at least

T = TypeVar("T")


class Estimate:
    """Says once, on stdout, how long a long run will take, from when its batches are asked for."""

    def __init__(self) -> None:
        self.said = False

    def watch(self, batches: Iterator[T], steps: int, epochs: int) -> Iterator[T]:
        """Yield the batches of an epoch of so many `steps`, the first of `epochs` to come."""
        start = 0.0
        for i, batch in enumerate(batches):
            now = time.perf_counter()
            if i == FIRST:
                start = now
            elif i > FIRST and now - start >= MEASURED and not self.said:
                self.said = True
                epoch = (now - start) / (i - FIRST) * steps
                if epoch * epochs >= LONG:
                    whole = f"and all {epochs} to come about {in_words(epoch * epochs)}"
                    print(f"\nAn epoch takes about {in_words(epoch)}, {whole}", flush=True)
            yield batch


def in_words(seconds: float) -> str:
    """Return a duration in the unit that suits it."""
    for unit, size in ("h", 3600), ("min", 60):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
