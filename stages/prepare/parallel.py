"""Work on many files, on all cores."""

import math
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import parent_process
from threading import Thread
from typing import TypeVar

from tqdm import tqdm  # type: ignore[import-untyped]

BLOCK, CHUNK = 1000, 50  # at most: pictures in memory, and those that a process gets at a time

T = TypeVar("T")


def on_all_cores(
    work: Callable[[str], T], paths: Sequence[str], description: str, at_once: int = BLOCK
) -> Iterator[list[T]]:
    """Yield what `work` returns for the paths, a block of them at a time, in their order.

    No block has more than `at_once` of them. Raises MemoryError if a process was killed.
    """
    size = min(BLOCK, at_once)
    blocks = [paths[start : start + size] for start in range(0, len(paths), size)]
    if len(paths) <= CHUNK:  # starting processes would cost more than it saves
        yield from (list(map(work, block)) for block in blocks)
        return
    chunk = min(CHUNK, math.ceil(size / (os.cpu_count() or 1)))
    bar = tqdm(total=len(paths), desc=description, unit="picture", leave=False, disable=None)
    with start_pool() as pool, bar:
        for block in blocks:
            try:
                done = list(pool.map(work, block, chunksize=chunk))
            except BrokenProcessPool:
                raise MemoryError("most likely, since a process was killed") from None
            bar.update(len(done))
            yield done


def start_pool() -> ProcessPoolExecutor:
    """Return a pool of processes, one for each core; an OSError names what they share."""
    # Processes, not threads: small pictures cost more Python than Pillow.
    try:
        return ProcessPoolExecutor(initializer=begin)
    except OSError as error:
        reason = f"processes can't share semaphores in it: {error.strerror}"
        raise OSError(error.errno, reason, "/dev/shm") from None  # noqa: S108


def begin() -> None:
    """Prepare a process of the pool: Ctrl-C is for its parent, without which it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
    """Wait for the parent's end, and end this process at once.

    Otherwise a parent that was killed would leave processes behind, with the files it had locked.
    """
    if parent := parent_process():
        parent.join()
    os._exit(1)
