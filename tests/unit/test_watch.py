"""The watch over what a team commits, by which conftest.py fails a test that depends on it."""

import os
import shutil
from pathlib import Path

import pytest

from tests.builders import ROOT
from tests.conftest import COMMITTED, opened


@pytest.mark.committed
@pytest.mark.parametrize("path", sorted(COMMITTED), ids=os.path.basename)
def test_each_committed_file_that_this_process_opens_is_noticed(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not opened
    shutil.copy(path, tmp_path)
    assert opened == {path}
    opened.clear()
    monkeypatch.chdir(ROOT)
    Path(os.path.relpath(path)).read_bytes()
    assert opened == {path}


def test_a_copy_is_not_taken_for_the_committed_file(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("seed: 1")
    assert not opened
