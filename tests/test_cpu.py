"""What the CPU is: Linux's own words are the oracle."""

import platform
import subprocess
import sys

import pytest

from stages.backend import cpu


@pytest.mark.skipif(sys.platform != "linux", reason="lscpu is Linux's")
def test_the_cpu_has_the_name_and_the_instructions_that_lscpu_shows() -> None:
    shown = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout
    lines = dict(line.split(":", 1) for line in shown.splitlines())
    assert cpu.model_name() == lines.get("Model name", platform.machine()).strip()
    assert cpu.has_avx2() == {"avx2", "fma"}.issubset(lines.get("Flags", "").split())
