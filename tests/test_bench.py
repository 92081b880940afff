"""The benchmark measures what it says: checked on a program whose costs are known."""

import sys
from pathlib import Path

import pytest

from benchmarks import pipeline as bench

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


def test_seconds_epochs_and_memory_are_those_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "mapped").write_bytes(bytes(40_000_000))
    run = bench.measure(tmp_path, sys.executable, "-m", "program")
    assert 1 <= run.epochs[0] < run.seconds - 0.5
    assert 80 < run.private["program"] < 110
    assert run.resident["program"] > run.private["program"] + 40


def test_a_program_that_fails_ends_the_benchmark_with_what_it_printed(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such thing"):
        bench.measure(tmp_path, sys.executable, "-c", "raise SystemExit('no such thing')")
