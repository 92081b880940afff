"""What is committed: the data set, and the results of a real run on it."""

import gzip
import hashlib
import json

import pytest
from ruamel.yaml import YAML

from tests.builders import DEFAULTS, MNIST, ROOT

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


@pytest.mark.committed
def test_the_committed_metrics_are_good_and_not_too_good() -> None:
    if YAML(typ="safe").load(ROOT / "params.yaml") != DEFAULTS:
        pytest.skip("params.yaml is not tests/defaults.yaml, and these limits are for that")
    metrics = json.loads((ROOT / "reports/metrics.json").read_text())["test"]
    assert 0.985 <= metrics["accuracy"] <= 0.9995
    assert metrics["errors"] == round(10_000 * (1 - metrics["accuracy"]))
    assert 0.02 < metrics["loss"] < 0.05
    assert abs(metrics["macro_f1"] - metrics["accuracy"]) < 0.002
    assert 0 < metrics["ece"] < 0.02
