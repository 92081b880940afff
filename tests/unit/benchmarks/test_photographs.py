"""What the table of photographs is computed from."""

from pathlib import Path

import pandas as pd
import pytest

from benchmarks import photographs


def test_another_prefix_gives_the_same_pictures_other_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = tmp_path / "signs/3/within/a.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"a picture")
    monkeypatch.chdir(tmp_path)
    assert photographs.copy_pictures(tmp_path / "signs") == "signs"
    assert photographs.copy_pictures(tmp_path / "signs", "1-") == "signs1-"
    for copied in "signs/3/within/a.jpg", "signs1-/3/within/1-a.jpg":
        assert Path("data/raw", copied).read_bytes() == b"a picture"


def test_the_table_has_means_their_intervals_and_the_smallest_classs_pooled_recall() -> None:
    rows = [("default", 100, 0.8 + i / 100, 0.5, i, 4) for i in range(5)]
    columns = ["parameters", "seconds", "accuracy", "macro_f1", "found", "of"]
    *_, row = photographs.tabulate(pd.DataFrame(rows, columns=columns)).splitlines()
    # The mean of 80 to 84% has a standard error of sqrt(2.5 / 5) points, times Student's 2.776.
    assert row.replace(" ", "") == "|default|82.00%|1.96%|0.500|0.000|0.500|100|"
