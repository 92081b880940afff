"""The benchmark measures what it says: checked on a program whose costs are known."""

import math
import os
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

from benchmarks import pipeline
from benchmarks.measuring import Measured, measure_parts, measure_run
from stages.common.paths import X_TRAIN, Y_TRAIN
from tests.builders import write_params
from tests.project import copy

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
print("train: done in 1.5 s", flush=True)
time.sleep(0.5)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_program() -> Measured:
    Path("program.py").write_text(PROGRAM)
    Path("mapped").write_bytes(bytes(40_000_000))
    return measure_run(f"{PYTHON} -m program")


def test_seconds_epochs_and_memory_are_those_of_the_program() -> None:
    run = run_program()
    assert 1 <= run.epochs[0] < run.seconds - 0.5
    assert run.stages == {"train": 1.5}
    private, resident = run.memory.loc["program"]
    assert resident > 120  # 80 MB of its own, and 40 MB of the file
    if sys.platform == "linux":
        assert 80 < private < 110
        assert resident > private + 40


def test_where_private_memory_is_not_told_the_rest_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def memory_info(process: psutil.Process, told: Any = psutil.Process.memory_info) -> Any:
        return SimpleNamespace(rss=told(process).rss)  # as on macOS, without `shared`

    monkeypatch.setattr(psutil.Process, "memory_info", memory_info)
    run = run_program()
    private, resident = run.memory.loc["program"]
    assert math.isnan(private)
    assert resident > 120
    assert run.epochs


def test_a_program_that_fails_ends_the_benchmark_with_what_it_printed() -> None:
    with pytest.raises(SystemExit, match="no such thing"):
        measure_run(f"{PYTHON} -c 'raise SystemExit(\"no such thing\")'")


def test_a_stages_files_are_charged_for_what_others_call_in_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = folder / "stages/nap"
    package.mkdir(parents=True)
    (package / "deep.py").write_text("import time\ndef nap(n): time.sleep(n)")
    (package / "long.py").write_text(
        "import time\nfrom stages.nap import deep\ntime.sleep(0.5)\n"
        "def inner(): deep.nap(0.1)\ndef nap(): inner(); time.sleep(0.2)"
    )
    (package / "__main__.py").write_text(
        "from stages.nap import deep, long\nlong.nap()\ndeep.nap(0.1)"
    )
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    parts = measure_parts("stages.nap")
    assert parts["long"] == pytest.approx(0.3, abs=0.08), "what it calls, but not its loading"
    assert parts["deep"] == pytest.approx(0.2, abs=0.08)


def test_the_table_has_medians_of_the_rows_of_all_rounds() -> None:
    table = pipeline.tabulate_costs([("a", 100.0, 50.0), ("b", 1.0, 3.0), ("a", 104.0, 52.0)])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert rows == [["a", "102.0", "51.0", "0.50"], ["b", "1.0", "3.0", "3.00"]]


def test_a_round_measures_both_sides_of_every_row(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_params(folder)
    ran: list[str] = []

    def run(command: str) -> Measured:
        ran.append(command)
        modules = ["benchmarks.baseline"] if command.endswith("baseline") else ["stages.train"]
        n = float(len(ran))
        peaks = pd.DataFrame({"private": [n], "resident": [10 * n]}, index=modules)
        limited = "instructions: avx2" in Path("params.yaml").read_text()
        return Measured(n, [n, n + 2] if limited else [0.5], {"export": n / 4}, peaks)

    parts = {"doubts": 0.25, "occlusion": 0.125, "copies": 0.0625, "scores": 9}
    monkeypatch.setattr(pipeline, "measure_run", run)
    monkeypatch.setattr(pipeline, "measure_parts", lambda _: parts)
    rows = list(pipeline.run_round())
    assert ran[:5] == [script := ran[0], "dvc repro", "dvc repro", script, "dvc repro"]
    assert rows[:4] == [
        ("fit, one epoch (s)", 2, 3),
        ("everything, cold (s)", 1, 2),
        ("again with another dpi (s)", 1, 3),
        ("again with one epoch (s)", 4, 5),
    ]
    assert rows[4:6] == [
        ("again with nothing changed (s)", 1, 6),
        ("nothing to do, against `dvc version` (s)", 7, 6),
    ]
    assert rows[-8:] == [
        ("export, a part of everything cold (s)", 1, 0.5),
        ("doubts, a part of everything cold (s)", 1, 0.25),
        ("maps, a part of everything cold (s)", 1, 0.125),
        ("near copies, a part of everything cold (s)", 1, 0.0625),
        ("everything cold but these four (s)", 1, 1.0625),
        ("the first epoch, against all instructions (s)", 0.5, 5),
        ("peak private memory, stages.train (MB)", 1, 2),
        ("peak resident memory, stages.train (MB)", 10, 20),
    ]


def test_growth_is_measured_at_each_size_that_the_data_reaches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []

    def run(command: str) -> Measured:
        assert command == "python -m stages.train"
        seen.append(len(np.load(X_TRAIN)))
        return Measured(
            9.0, [2.0], {}, pd.DataFrame({"private": 3, "resident": 4}, ["stages.train"])
        )

    X_TRAIN.parent.mkdir(parents=True)
    for path in X_TRAIN, Y_TRAIN:
        np.save(path, np.zeros(500))
    monkeypatch.setattr(pipeline, "measure_run", run)
    lines = pipeline.measure_growth("stages.train", pipeline.repeat_images()).splitlines()
    assert seen == [500, 1000, 2000, 4000]
    assert lines[-1].replace(" ", "") == "|4,000|2.0|2,000|3|4|"


@pytest.mark.slow
def test_pictures_are_added_until_there_are_as_many_as_were_asked_for(folder: Path) -> None:
    copy("data/raw/mnist", folder)
    sizes = pipeline.write_pictures()
    assert next(sizes) == 10_000
    assert len(list(folder.glob("data/raw/pictures/*/*.png"))) == 10_000
