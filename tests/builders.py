"""Small inputs, written by the formats' descriptions and not by the code under test.

What takes seconds to import is imported where it is used: pytest's controlling process imports
this module, too, and runs no test.
"""

import contextlib
import importlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps
from ruamel.yaml import YAML

from stages.common import paths
from stages.common.stage import stage
from stages.prepare import idx
from stages.train.schema import ModelParams, TrainParams
from tests.files import set_parameter

ROOT = Path(__file__).parents[1]
MNIST = ROOT / "data/raw/mnist"
DIGITS = idx.read_array(MNIST / "t10k-images-idx3-ubyte.gz", 3)[:20]
SHAPE = (28, 28, 1)


def default_params() -> dict[str, Any]:
    """Return what params.yaml has, with the values of tests/defaults.yaml for what that has.

    So a team's own values change no test, and a parameter of its own is there.
    """

    def merge(section: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        common = {key: values[key] for key in section.keys() & values.keys()}
        for key, value in common.items():
            section[key] = merge(section[key], value) if isinstance(value, dict) else value
        return section

    load = YAML(typ="safe").load
    return merge(load(ROOT / paths.PARAMS), load(ROOT / "tests/defaults.yaml"))


# The project's own parameters, and what tests of a few hundred images train with instead.
DEFAULTS = default_params()
SMALL = {"epochs": 2, "batch_size": 32}
FILTERS = [2, 4]  # of the network in `prepared`
# What an optimizer needs beside these, which are Adam's.
OPTIMIZERS: dict[object, dict[str, float | None]] = {
    "muon": {"momentum": 0.9, "weight_decay": 0.0},
    "sgd": {"beta_1": None, "beta_2": None},
}
HISTORY = "epoch,loss,accuracy,val_loss,val_accuracy\n1,0.9,0.5,0.8,0.6\n2,0.5,0.7,0.4,0.8\n"


def model_params(**changes: object) -> ModelParams:
    return ModelParams.model_validate(DEFAULTS["model"] | changes)


def train_params(**changes: object) -> TrainParams:
    needed = OPTIMIZERS.get(changes.get("optimizer"), {})
    return TrainParams.model_validate(DEFAULTS["train"] | SMALL | needed | changes)


def recipe(name: str) -> dict[str, object]:
    """Return the parameters that a recipe sets, by their dotted keys."""
    lines = (ROOT / "recipes" / name).read_text().splitlines()
    pairs = (line.split("=") for line in lines if line and not line.startswith("#"))
    return {key: YAML(typ="safe").load(value) for key, value in pairs}


def write_params(folder: Path) -> None:
    """Write dvc.yaml, and the default parameters but for those that suit a small data set."""
    shutil.copy(ROOT / paths.PIPELINE, folder)
    YAML().dump(DEFAULTS | {"train": DEFAULTS["train"] | SMALL}, folder / paths.PARAMS)


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write uint8 `array` as an IDX file, by the format's description and not by our reader."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_data_set(folder: Path, train: int = 300, test: int = 100) -> None:
    """Write the first images of MNIST's two sets into `folder`, as plain IDX files."""
    for prefix, n in ("train", train), ("t10k", test):
        for kind, ndim in ("images-idx3", 3), ("labels-idx1", 1):
            name = f"{prefix}-{kind}-ubyte"
            write_idx(folder / name, idx.read_array(MNIST / f"{name}.gz", ndim)[:n])


def write_shapes(folder: Path, n: int = 300) -> None:
    """Draw the pictures of docs/data.md in `folder`, as it says there; keep `n` of each class."""
    page = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"<<'EOF'\n(.*?) +EOF\n", page, re.DOTALL)
    command = [sys.executable, "-c", textwrap.dedent(program)]
    subprocess.run(command, cwd=folder, check=True)
    for path in (folder / paths.RAW / "shapes").glob("*/*"):
        if int(path.stem) >= n:
            path.unlink()


def write_prepared(folder: Path) -> None:
    """Write all that stages read before evaluate has run, with a model that was not trained.

    Its network is so small that trainings take a second.
    """
    from stages.backend import archive
    from stages.prepare import __main__ as prepare
    from stages.train import model, seeding

    write_data_set(folder / paths.RAW / "mnist")
    write_params(folder)
    set_parameter(folder / paths.PARAMS, "model.filters", FILTERS)
    with contextlib.chdir(folder):
        prepare.main()
        paths.MODEL.parent.mkdir()
        paths.PORTABILITY.write_text("shown\n")
        paths.SUMMARY.write_text("Total params\n")
        network = model.build(model_params(filters=FILTERS), SHAPE, classes=10)
        seeding.draw_weights(network, seed=1)
        archive.save(network, paths.MODEL)
        paths.HISTORY.parent.mkdir()
        paths.HISTORY.write_text(HISTORY)


def enlarge(digit: np.ndarray) -> Image.Image:
    """Return the digit seven times as large, off the centre of a wider image, white on black."""
    large = Image.fromarray(digit).resize((196, 196), Image.Resampling.BICUBIC)
    return ImageOps.expand(large, (90, 10, 25, 40))


def predictions(actual: list[int], predicted: list[int], confidence: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"actual": actual, "predicted": predicted, "confidence": confidence})


def write_results(folder: Path, names: list[str], table: pd.DataFrame) -> Path:
    """Write in `folder` what visualize reads, without a training; return the page's path."""
    from stages.evaluate import scores

    for path in paths.CLASSES, paths.SUMMARY, paths.METRICS:
        (folder / path).parent.mkdir(parents=True)
    write_params(folder)
    random = np.random.default_rng(0)
    np.save(folder / paths.X_TRAIN, random.random((1234, 6, 5, 1), np.float32))
    np.save(folder / paths.X_TEST, random.random((len(table), 6, 5, 1), np.float32))
    errors = int((table["actual"] != table["predicted"]).sum())
    np.save(folder / paths.MAPS, random.random((min(errors, 24), 6, 5), np.float32))
    np.save(folder / paths.KERNELS, random.normal(size=(3, 3, 1, 2)).astype(np.float32))
    (folder / paths.CLASSES).write_text("\n".join(names) + "\n", encoding="utf-8")
    (folder / paths.FILES).write_text('{"train": [], "test": []}')
    (folder / paths.COPIES).write_text("train,test,distance\n")
    (folder / paths.DOUBTS).write_text("part,index,file,actual,predicted,confidence\n")
    (folder / paths.TRUST).write_text("answered,accuracy\n0.5,1.0\n1.0,0.75\n")
    (folder / paths.MODEL).write_bytes(b"a model")
    (folder / paths.SUMMARY).write_text("Total params: <7>\n")
    (folder / paths.HISTORY).write_text(HISTORY)
    images = len(table)
    test = {"loss": 0.5, "accuracy": 1 - errors / images, "baseline": 0.25, "errors": errors}
    test |= {"macro_f1": 0.7, "ece": 0.0625, "images": images}
    test |= {"accuracy_at_99": 0.76, "accuracy_at_95": 0.77, "accuracy_at_90": 0.78}
    validation = {"loss": 0.4, "accuracy": 0.8, "images": 123}
    training = {"portable": "shown", "by_heart": False}
    metrics = {"train": training, "validation": validation, "test": test}
    (folder / paths.METRICS).write_text(json.dumps(metrics))
    table.to_csv(folder / paths.PREDICTIONS, index_label="index")
    class_scores = scores.score_classes(table, len(names))
    class_scores.to_csv(folder / paths.CLASS_SCORES, index=False)
    bins = scores.bin_by_confidence(table["confidence"], table["actual"] == table["predicted"])
    bins.to_csv(folder / paths.CALIBRATION, index=False)
    return folder / paths.PAGE


def draw(folder: Path) -> str:
    """Run visualize in `folder`; return the page."""
    from stages.visualize import __main__ as visualize

    with contextlib.chdir(folder):
        visualize.main()
    return (folder / paths.PAGE).read_text(encoding="utf-8")


def run(name: str) -> None:
    """Run a stage in the current folder, as `python -m` does but in this process."""
    main = importlib.import_module(f"stages.{name}.__main__").main
    with stage(name) as check_inputs:
        main(check_inputs) if name == "train" else main()


def one_line(name: str) -> str:
    """Run a stage that must fail, in the current folder; return the one line that it says."""
    with pytest.raises(SystemExit) as stopped:
        run(name)
    message = stopped.value.code
    assert isinstance(message, str), "a text makes Python print it on stderr and exit with 1"
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    assert len(message) < 500
    return message


@contextlib.contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Give up root's right to read everything, where the tests run as root, but enter `folder`."""
    for path in (*folder.rglob("*"), folder, *folder.parents):
        if path.is_dir() and "pytest" in str(path):
            path.chmod(0o755)
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
