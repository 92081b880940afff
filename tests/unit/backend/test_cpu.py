"""What the CPU is: Linux's own words are the oracle."""

import platform
from pathlib import Path

import pytest

from stages.backend import cpu

CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.skipif(not CPUINFO.exists(), reason="only Linux has /proc/cpuinfo")
def test_the_cpu_has_the_name_and_the_instructions_that_linux_shows() -> None:
    pairs = (line.split(":", 1) for line in CPUINFO.read_text().splitlines() if ":" in line)
    shown = {key.strip(): value.strip() for key, value in pairs}
    assert cpu.model_name() == shown.get("model name", platform.machine())
    assert cpu.has_avx2() == {"avx2", "fma"}.issubset(shown.get("flags", "").split())
