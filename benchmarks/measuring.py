"""Run a command, and measure its seconds, its epochs, its stages and its memory."""

import os
import pstats
import re
import shlex
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen
from typing import NamedTuple

import pandas as pd
import psutil

os.environ["PYTHONUNBUFFERED"] = "1"  # a script that is started plainly prints its epochs late


class Measured(NamedTuple):
    seconds: float
    epochs: list[float]  # the seconds of each
    stages: dict[str, float]  # the seconds of each stage that ran in it, by its name
    memory: pd.DataFrame  # the peaks in MB of each Python module, private and resident


def peak_memory(process: Popen[str]) -> pd.DataFrame:
    """Return the peaks in MB of each module in `process` and below, sampled 20 times a second.

    Private memory is what is not shared with files or processes: memory-mapped arrays don't count.
    On macOS, where psutil can't tell it, it is NaN. Several processes of a module, such as those
    that decode pictures, count together.
    """
    samples = []
    while process.poll() is None:
        now = time.perf_counter()
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(process.pid)
            for child in (root, *root.children(recursive=True)):
                if module := re.search(r" -m (\S+)", " ".join(child.cmdline())):
                    memory = child.memory_info()
                    private = memory.rss - getattr(memory, "shared", float("nan"))
                    samples.append((module[1], now, private / 1e6, memory.rss / 1e6))
        time.sleep(0.05)
    table = pd.DataFrame(samples, columns=["module", "time", "private", "resident"])
    return table.groupby(["module", "time"]).sum(min_count=1).groupby("module").max()


def measure_run(command: str) -> Measured:
    """Run `command`, and time epochs by the lines that Keras prints; exit if it fails."""
    printed = [(time.perf_counter(), "")]
    process = Popen(shlex.split(command), stdout=PIPE, stderr=STDOUT, text=True)  # noqa: S603
    with ThreadPoolExecutor() as pool:
        memory = pool.submit(peak_memory, process)
        printed += ((time.perf_counter(), line) for line in process.stdout or ())
        if process.wait():
            sys.exit(f"{command} failed:\n{''.join(line for _, line in printed[-20:])}")
        seconds = time.perf_counter() - printed[0][0]
    # The line before is "Epoch 2/10"; where there is only one epoch, Keras prints no such line.
    epochs = [now - then for (then, _), (now, line) in pairwise(printed) if "val_loss: " in line]
    ended = re.findall(r"^(\w+): done in ([\d.]+) s$", "".join(line for _, line in printed), re.M)
    stages = {name: float(duration) for name, duration in ended}
    return Measured(seconds, epochs, stages, memory.result())


def measure_parts(module: str) -> dict[str, float]:
    """Run a stage under cProfile; return the seconds that calls from elsewhere took in its files.

    The keys are the names of the files, without .py; what their functions call is included. Loading
    them isn't, since the first to import a library would be charged for all that use it.
    """
    measure_run(f"python -m cProfile -o profile -m {module}")
    seconds: dict[str, float] = {}
    for (file, _, function), (*_, callers) in vars(pstats.Stats("profile"))["stats"].items():
        path = Path(file)
        if path.parent.parts[-2:] == tuple(module.split(".")) and function != "<module>":
            spent = sum(times[3] for (caller, *_), times in callers.items() if caller != file)
            seconds[path.stem] = seconds.get(path.stem, 0) + spent
    return seconds
