"""What `make repro` ends with."""

import json
from pathlib import Path

import pytest

from stages.common import paths
from tests.conftest import RunMain
from tools import outcome


def test_a_run_ends_with_its_accuracy_and_an_address_to_click_on(
    tmp_path: Path, run_main: RunMain, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my project"
    (folder / "reports").mkdir(parents=True)
    monkeypatch.chdir(folder)
    code, said = run_main(outcome.main)
    assert (code, said) == (1, f"outcome: {paths.METRICS}: No such file or directory\n")
    test = {"accuracy": 0.98857, "errors": 1143, "images": 100_000}
    (folder / paths.METRICS).write_text(json.dumps({"test": test}))
    assert run_main(outcome.main) == (
        0,
        "\nTest accuracy: 98.86%, 1,143 of 100,000 images misclassified\n"
        f"The page: file://{tmp_path}/my%20project/reports/index.html\n",
    )
