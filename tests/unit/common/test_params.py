"""params.yaml means to the stages what it means to DVC, which reads it and rewrites it."""

from pathlib import Path

import dvc.api
import pytest
from dvc.repo import Repo

from stages.common import params

# Scalars as people write them, and what YAML 1.2 says they are. In YAML 1.1 most are others.
SCALARS: dict[str, object] = {
    "1e-3": 0.001,
    "1E+5": 100000.0,
    "5e-05": 5e-05,
    "0.00005": 5e-05,
    ".5": 0.5,
    "5.": 5.0,
    "+3": 3,
    "-0.0": -0.0,
    "1_000": 1000,
    "1:30": "1:30",
    "1:30:00": "1:30:00",
    "010": 10,
    "0o10": 8,
    "0x1F": 31,
    "0b11": 3,
    ".inf": float("inf"),
    "-.INF": float("-inf"),
    ".nan": float("nan"),
    "inf": "inf",
    "yes": "yes",
    "no": "no",
    "on": "on",
    "off": "off",
    "y": "y",
    "true": True,
    "False": False,
    "TRUE": True,
    "null": None,
    "~": None,
    "": None,
    "Null": None,
    "none": "none",
    "'1'": "1",
    "1.2.3": "1.2.3",
    "[1, 1e1]": [1, 10.0],
    "{a: 1}": {"a": 1},
}
DATE = "2024-02-03"


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What a stage finds under `seed`, where each scalar of the table has a key."""
    lines = [f"  k{i}: {scalar}" for i, scalar in enumerate([*SCALARS, DATE])]
    sections = "".join(f"{name}: 0\n" for name in params.SECTIONS if name != "seed")
    (tmp_path / "params.yaml").write_text("\n".join(["seed:", *lines, sections]))
    monkeypatch.chdir(tmp_path)
    values: dict[str, object] = params.load_all()["seed"]
    return values


def test_scalars_are_what_yaml_1_2_says(read: dict[str, object]) -> None:
    found = {scalar: read[f"k{i}"] for i, scalar in enumerate(SCALARS)}
    assert list(map(repr, found.items())) == list(map(repr, SCALARS.items()))


def test_stages_read_what_dvc_reads(read: dict[str, object]) -> None:
    Repo.init(no_scm=True)
    shown = dvc.api.params_show("params.yaml")["seed"]
    assert list(map(repr, read.items())) == list(map(repr, shown.items()))
