"""The benchmark measures what it says: checked on a program whose costs are known."""

import math
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import psutil
import pytest

from benchmarks import pipeline
from benchmarks.measuring import Measured, measure_run

PYTHON = shlex.quote(sys.executable)
PROGRAM = """
import mmap, time
with open("mapped", "rb") as stream:
    mapped = mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ)
print("Epoch 1/1", flush=True)
sum(mapped[i] for i in range(0, len(mapped), 4096))
private = b"x" * 80_000_000
time.sleep(1)
print("3/3 - 1s - loss: 0.1 - val_loss: 0.1", flush=True)
time.sleep(0.5)
"""


def run_program(folder: Path) -> Measured:
    (folder / "program.py").write_text(PROGRAM)
    (folder / "mapped").write_bytes(bytes(40_000_000))
    return measure_run(folder, f"{PYTHON} -m program")


def test_seconds_epochs_and_memory_are_those_of_the_program(tmp_path: Path) -> None:
    run = run_program(tmp_path)
    assert 1 <= run.epochs[0] < run.seconds - 0.5
    private, resident = run.memory.loc["program"]
    assert resident > 120  # 80 MB of its own, and 40 MB of the file
    if sys.platform == "linux":
        assert 80 < private < 110
        assert resident > private + 40


def test_where_private_memory_is_not_told_the_rest_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def memory_info(process: psutil.Process, told: Any = psutil.Process.memory_info) -> Any:
        return SimpleNamespace(rss=told(process).rss)  # as on macOS, without `shared`

    monkeypatch.setattr(psutil.Process, "memory_info", memory_info)
    run = run_program(tmp_path)
    private, resident = run.memory.loc["program"]
    assert math.isnan(private)
    assert resident > 120
    assert run.epochs


def test_a_program_that_fails_ends_the_benchmark_with_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such thing"):
        measure_run(tmp_path, f"{PYTHON} -c 'raise SystemExit(\"no such thing\")'")


def test_the_table_has_medians_of_seconds_and_epochs_and_peaks_of_memory() -> None:
    def memory(**peaks: float) -> pd.DataFrame:
        modules = [name.replace("_", ".") for name in peaks]
        return pd.DataFrame({"private": peaks, "resident": peaks}).set_axis(modules)

    runs = [
        ("script", Measured(100.0, [9.0, 11.0], memory(benchmarks_baseline=800.0))),
        ("script", Measured(104.0, [10.0, 14.0], memory(benchmarks_baseline=700.0))),
        ("cold", Measured(51.0, [5.0, 6.0], memory(stages_train=400.0, stages_prepare=300.0))),
    ]
    others = {name for _, *pair in pipeline.ROWS for name in pair} - {"script", "cold"}
    runs += [(name, Measured(1.0, [], memory(stages_train=200.0))) for name in others]
    runs += [
        (name, Measured(9.0, [n], memory())) for name, n in (("limited", 5.0), ("unlimited", 4.0))
    ]
    table = pipeline.compare_costs(runs)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert rows[0] == ["fit, one epoch (s)", "10.5", "5.5", "0.52"]
    assert rows[1][1:] == ["4.0", "5.0", "1.25"]
    assert rows[2] == ["everything, cold (s)", "102.0", "51.0", "0.50"]
    assert ["peak private memory, stages.train (MB)", "800.0", "400.0", "0.50"] in rows
