"""What is committed: the data set, and the results of a real run on it."""

import gzip
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from predict.__main__ import main as predict
from stages.common.paths import TFLITE
from tests.builders import DEFAULTS, MNIST, ROOT
from tests.conftest import RunMain
from tests.files import md5_of
from tests.pages import section, transcript
from tools import compare

# The checksums under which the unpacked files are published.
PUBLISHED = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_data_is_the_published_mnist(name: str) -> None:
    content = gzip.decompress((MNIST / f"{name}.gz").read_bytes())
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() == PUBLISHED[name]
    readme = (ROOT / "data/README.md").read_text()
    assert PUBLISHED[name] in readme
    assert hashlib.sha256((MNIST / f"{name}.gz").read_bytes()).hexdigest() in readme


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What this repository has committed, which is the current folder."""
    monkeypatch.chdir(ROOT)
    if YAML(typ="safe").load(ROOT / "params.yaml") != DEFAULTS:
        pytest.skip("params.yaml is not tests/defaults.yaml, of which this is true")
    found: dict[str, Any] = json.loads((ROOT / "reports/metrics.json").read_text())
    return found


@pytest.mark.committed
def test_the_committed_metrics_are_good_and_not_too_good(metrics: dict[str, Any]) -> None:
    test = metrics["test"]
    assert 0.985 <= test["accuracy"] <= 0.9995
    assert test["errors"] == round(10_000 * (1 - test["accuracy"]))
    assert 0.02 < test["loss"] < 0.05
    assert abs(test["macro_f1"] - test["accuracy"]) < 0.002
    assert 0 < test["ece"] < 0.02


@pytest.mark.committed
def test_the_readme_shows_the_committed_metrics(metrics: dict[str, Any]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    accuracy = f"{metrics['test']['accuracy']:.2%}"
    assert f"It classifies {accuracy} of the 10,000 test images correctly" in " ".join(text.split())
    rows = transcript(text)["dvc metrics diff"].splitlines()[1:]
    assert rows
    for row in rows:
        _, name, head, _, _ = row.split()
        part, key = name.split(".")
        assert float(head) == round(metrics[part][key], 5), name


@pytest.mark.committed
def test_what_the_docs_compare_with_itself_is_the_committed_model(
    metrics: dict[str, Any], run_main: RunMain
) -> None:
    shown = transcript(section("docs/better.md", "The same model"))["make compare BASE=HEAD"]
    assert run_main(compare.main, ["HEAD"]) == (0, f"{shown}\n")


@pytest.mark.committed
def test_the_readmes_answers_are_the_committed_models(
    metrics: dict[str, Any], run_main: RunMain
) -> None:
    if not TFLITE.exists() or md5_of(TFLITE) not in Path("dvc.lock").read_text():
        pytest.skip(f"{TFLITE} is not the committed one: dvc pull brings it")
    shown = transcript((ROOT / "README.md").read_text(encoding="utf-8"))
    answers = {command: text for command, text in shown.items() if "-m predict" in command}
    assert answers
    for command, text in answers.items():
        code, said = run_main(lambda command=command: sys.exit(predict(command.split()[3:])))
        assert code == 0
        if "--json" in command:
            found, expected = (json.loads(line)["predictions"] for line in (said, text))
            assert [each["label"] for each in found] == [each["label"] for each in expected]
            for one, other in zip(found, expected, strict=True):
                assert one["confidence"] == pytest.approx(other["confidence"], abs=1e-4)
        else:
            assert said == f"{text}\n"
