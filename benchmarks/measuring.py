"""Run a command in a fresh clone of HEAD, and measure its seconds, its epochs and its memory."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pandas as pd
import psutil

os.environ["PYTHONUNBUFFERED"] = "1"  # a script that is started plainly prints its epochs late


Sample = tuple[float, str, float, float]  # when, the module, its private and resident memory in MB


class Measured(NamedTuple):
    seconds: float
    epochs: list[float]  # the seconds of each
    memory: pd.DataFrame  # the peaks in MB of each Python module, private and resident


@contextmanager
def fresh_clone() -> Iterator[Path]:
    """Yield a fresh clone of HEAD, with a DVC cache of its own."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "--quiet", ".", folder], check=True)  # noqa: S603, S607
        yield Path(folder)


def sample_memory(process: subprocess.Popen[str], samples: list[Sample]) -> None:
    """Note each module's private and resident memory, in `process` and below, 20 times a second.

    Private memory is what is not shared with files or processes: memory-mapped arrays don't count.
    On macOS, where psutil can't tell it, it is NaN.
    """
    while process.poll() is None:
        now = time.perf_counter()
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(process.pid)
            for child in (root, *root.children(recursive=True)):
                if module := re.search(r" -m (\S+)", " ".join(child.cmdline())):
                    memory = child.memory_info()
                    shared = getattr(memory, "shared", float("nan"))
                    samples.append((now, module[1], (memory.rss - shared) / 1e6, memory.rss / 1e6))
        time.sleep(0.05)


def measure_run(folder: Path, command: str) -> Measured:
    """Run `command` in `folder` to its end; epochs are timed by the lines that Keras prints."""
    samples: list[Sample] = []
    printed = [(time.perf_counter(), "")]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = subprocess.Popen(shlex.split(command), cwd=folder, **pipes)  # noqa: S603
    sampler = Thread(target=sample_memory, args=(process, samples))
    sampler.start()
    printed += ((time.perf_counter(), line) for line in process.stdout or ())
    if process.wait():
        sys.exit(f"{command} failed:\n{''.join(line for _, line in printed[-20:])}")
    seconds = time.perf_counter() - printed[0][0]
    sampler.join()
    # The line before is "Epoch 2/10"; where there is only one epoch, Keras prints no such line.
    epochs = [now - then for (then, _), (now, line) in pairwise(printed) if "val_loss: " in line]
    memory = pd.DataFrame(samples, columns=["time", "module", "private", "resident"])
    # Several processes of a module, such as those that decode pictures, count together.
    together = memory.groupby(["module", "time"]).sum(min_count=1)
    return Measured(seconds, epochs, together.groupby("module").max())
