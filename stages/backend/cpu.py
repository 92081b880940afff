"""What this machine's CPU is, as far as the bytes depend on it; without TensorFlow."""

import platform
import re
from pathlib import Path

import numpy as np

# The values of train.portable that mean the same bytes on every CPU with AVX2.
PORTABLE = "shown", "expected"


def model_name() -> str:
    """Return the name that the CPU gives itself, or its architecture where Linux doesn't tell."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.machine()


def has_avx2() -> bool:
    """Return whether the CPU has AVX2 and FMA, which x86-64-v3 names together."""
    return "X86_V3" in np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
