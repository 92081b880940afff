"""Measure the pipeline against the same work in one script, on this machine, and print a table.

Each round clones HEAD into a fresh folder and runs the script and the pipeline in turn. Nothing
else should run meanwhile. Takes about a quarter of an hour on two cores.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import median
from threading import Thread

import numpy as np
import psutil

ROUNDS = 2
SCALES = (1, 2, 4, 8)
MEGABYTE = 1e6


@dataclass
class Measured:
    """One command: its seconds, those of each epoch, and each Python module's peaks in MB."""

    seconds: float = 0.0
    epochs: list[float] = field(default_factory=list)
    resident: dict[str, float] = field(default_factory=dict)
    private: dict[str, float] = field(default_factory=dict)


def sample(process: subprocess.Popen[str], measured: Measured) -> None:
    """Note the memory of `process` and its children 20 times a second, by Python module.

    Private memory is what is not shared with files or processes: memory-mapped arrays don't count.
    """
    while process.poll() is None:
        try:
            root = psutil.Process(process.pid)
            for child in (root, *root.children(recursive=True)):
                module = re.search(r" -m (\S+)", " ".join(child.cmdline()))
                memory = child.memory_info()
                if module:
                    for peaks, size in (
                        (measured.resident, memory.rss),
                        (measured.private, memory.rss - memory.shared),
                    ):
                        peaks[module[1]] = max(peaks.get(module[1], 0), size / MEGABYTE)
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.05)


def measure(folder: Path, *command: str) -> Measured:
    """Run `command` in `folder` to its end; epochs are timed by the lines that Keras prints."""
    measured = Measured()
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603  # commands of this file
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    sampler = Thread(target=sample, args=(process, measured))
    sampler.start()
    printed = []
    begun = started
    for line in process.stdout or ():
        printed.append(line)
        now = time.perf_counter()
        if " - val_loss: " in line:
            measured.epochs.append(now - begun)
        begun = now  # at "Epoch 1/10"; where there is only one, Keras prints no such line
    process.wait()
    measured.seconds = time.perf_counter() - started
    sampler.join()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{''.join(printed[-20:])}")
    return measured


@contextmanager
def clone() -> Iterator[Path]:
    """Yield a fresh clone of HEAD, with a DVC cache of its own."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "--quiet", ".", folder], check=True)  # noqa: S603, S607
        yield Path(folder)


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "params.yaml"
    text = path.read_text()
    if old not in text:
        sys.exit(f"params.yaml: {old!r} not found; expected the defaults")
    path.write_text(text.replace(old, new))


def row(what: str, script: float, pipeline: float, unit: str) -> None:
    digits = 0 if unit == "MB" else 1
    print(
        f"| {what} | {script:.{digits}f} {unit} | {pipeline:.{digits}f} {unit} "
        f"| {pipeline / script:.2f} |",
        flush=True,
    )


def compare() -> None:
    """Print what a run, and a run after one change, costs in the script and in the pipeline."""
    python = sys.executable
    # Apart: stages run by hand write their outputs anew, and `dvc repro` would hash them.
    quick = (
        {"no-op": ("dvc", "repro"), "version": ("dvc", "version")},
        {
            "prepare": (python, "-m", "stages.prepare"),
            "visualize": (python, "-m", "stages.visualize"),
            "tensorflow": (python, "-c", "import tensorflow"),
        },
    )
    runs: defaultdict[str, list[Measured]] = defaultdict(list)
    for _ in range(ROUNDS):
        with clone() as folder, tempfile.TemporaryDirectory() as output:
            script = python, "-m", "benchmarks.baseline", output
            runs["script"].append(measure(folder, *script, "10"))
            runs["cold"].append(measure(folder, "dvc", "repro"))
            change(folder, "dpi: 100", "dpi: 120")
            runs["dpi"].append(measure(folder, "dvc", "repro"))
            change(folder, "epochs: 10", "epochs: 1")
            runs["short script"].append(measure(folder, *script, "1"))
            runs["short"].append(measure(folder, "dvc", "repro"))
            for commands in quick:
                for name, command in list(commands.items()) * 3:
                    runs[name].append(measure(folder, *command))

    seconds = {name: median(run.seconds for run in found) for name, found in runs.items()}
    epoch = {
        name: median(chain.from_iterable(run.epochs for run in runs[name]))
        for name in ("script", "cold")
    }
    print("| | one script | pipeline | ratio |\n|---|---|---|---|")
    row("fit, an epoch", epoch["script"], epoch["cold"], "s")
    row("everything, cold", seconds["script"], seconds["cold"], "s")
    row("again with another dpi", seconds["script"], seconds["dpi"], "s")
    row("again with one epoch", seconds["short script"], seconds["short"], "s")
    row("again with nothing changed", seconds["script"], seconds["no-op"], "s")
    for kind in "private", "resident":
        one = max(getattr(run, kind)["benchmarks.baseline"] for run in runs["script"])
        for stage in "prepare", "train", "evaluate", "visualize":
            peak = max(getattr(run, kind)[f"stages.{stage}"] for run in runs["cold"])
            row(f"peak {kind} memory, {stage}", one, peak, "MB")
    print("\n| | reference | pipeline | ratio |\n|---|---|---|---|")
    row("nothing to do, against `dvc version`", seconds["version"], seconds["no-op"], "s")
    row("prepare, against `import tensorflow`", seconds["tensorflow"], seconds["prepare"], "s")
    row("visualize, against `import tensorflow`", seconds["tensorflow"], seconds["visualize"], "s")


def grow() -> None:
    """Print how an epoch and the memory of train grow with the data, which is tiled."""
    print("\n| images | an epoch | private memory | resident memory |\n|---|---|---|---|")
    with clone() as folder:
        change(folder, "epochs: 10", "epochs: 1")
        measure(folder, sys.executable, "-m", "stages.prepare")
        paths = [folder / f"data/prepared/{name}_train.npy" for name in "xy"]
        arrays = [np.load(path) for path in paths]
        for scale in SCALES:
            for path, array in zip(paths, arrays, strict=True):
                np.save(path, np.concatenate([array] * scale))
            run = measure(folder, sys.executable, "-m", "stages.train")
            print(
                f"| {scale * len(arrays[0]):,} | {run.epochs[0]:.1f} s "
                f"| {run.private['stages.train']:.0f} MB | {run.resident['stages.train']:.0f} MB |",
                flush=True,
            )


if __name__ == "__main__":
    # A script that is started plainly must not print its epochs late.
    os.environ["PYTHONUNBUFFERED"] = "1"
    compare()
    grow()
