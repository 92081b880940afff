"""Bad input of every kind: one line that names the file or key, exit code 1, nothing written.

A new bad case is one line of a table below.
"""

import gzip
import json
import shutil
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.backend.runtime import keras
from stages.common.errors import in_one_line
from stages.common.paths import LOCK, MODEL, PARAMS
from stages.prepare import idx
from tests.builders import as_nobody, one_line, write_idx
from tests.files import flip_a_byte, read_tree, set_parameter

IMAGES = "data/raw/mnist/train-images-idx3-ubyte"
LABELS = "data/raw/mnist/train-labels-idx1-ubyte"
TEST_IMAGES = "data/raw/mnist/t10k-images-idx3-ubyte"
TEST_LABELS = "data/raw/mnist/t10k-labels-idx1-ubyte"
NAMES = "data/raw/mnist/classes.txt"

Change = Callable[[], object]


def complaint(stage: str) -> str:
    """Run a stage that must fail; return its one line, having checked that nothing changed."""
    before = read_tree(Path.cwd())
    message = one_line(stage)
    after = read_tree(Path.cwd())
    assert after.pop(str(LOCK), None) is not None
    assert after == before
    return message


def write(path: str | Path, content: bytes) -> Change:
    return lambda: Path(path).write_bytes(content)


def edit(path: str | Path, change: Callable[[bytes], bytes]) -> Change:
    return lambda: Path(path).write_bytes(change(Path(path).read_bytes()))


def gz(path: str, change: Callable[[bytes], bytes]) -> Change:
    """Replace a plain file by its gzipped form with something done to that."""

    def act() -> None:
        content = gzip.compress(Path(path).read_bytes())
        Path(path).unlink()
        Path(f"{path}.gz").write_bytes(change(content))

    return act


def labels(path: str, change: Callable[[np.ndarray], np.ndarray]) -> Change:
    return lambda: write_idx(Path(path), change(idx.read_array(Path(path), 1)))


def directory(path: str) -> Change:
    def act() -> None:
        Path(path).unlink()
        Path(path).mkdir()

    return act


def no_images() -> None:
    write_idx(Path(IMAGES), np.zeros((0, 28, 28)))
    write_idx(Path(LABELS), np.zeros(0))


def header(*dimensions: int) -> bytes:
    return bytes([0, 0, 8, len(dimensions)]) + b"".join(n.to_bytes(4) for n in dimensions)


def promise(n: int) -> object:
    return edit(IMAGES, lambda content: header(n, 28, 28) + content[16:])()


RAW: dict[str, tuple[Change, str]] = {
    "missing": (lambda: Path(IMAGES).unlink(), f"{IMAGES}[.gz]: not found"),
    "twice": (lambda: shutil.copy(IMAGES, f"{IMAGES}.gz"), f"{IMAGES}[.gz]: both found"),
    "empty": (write(IMAGES, b""), f"{IMAGES}: starts with nothing"),
    "empty gzip": (gz(IMAGES, lambda _: gzip.compress(b"")), f"{IMAGES}.gz: starts with nothing"),
    "empty .gz": (gz(IMAGES, lambda _: b""), f"{IMAGES}.gz: starts with nothing"),
    "truncated .gz": (gz(IMAGES, lambda c: c[:5000]), f"{IMAGES}.gz: damaged gzip file"),
    # Where the flipped byte still decodes, the length is wrong before the checksum is reached.
    "corrupt .gz": (gz(IMAGES, lambda c: flip_a_byte(c, 5000)), f"{IMAGES}.gz: "),
    "wrong checksum": (gz(IMAGES, lambda c: flip_a_byte(c, len(c) - 6)), f"{IMAGES}.gz: damaged"),
    "not gzipped": (lambda: Path(IMAGES).rename(f"{IMAGES}.gz"), f"{IMAGES}.gz: damaged"),
    "wrong magic": (edit(IMAGES, lambda c: b"\1\2" + c[2:]), "starts with 01020803"),
    "no IDX at all": (write(IMAGES, b"P5 28 28 255\n" * 99), f"{IMAGES}: starts with 50352032"),
    "a short text": (write(LABELS, b"7"), f"{LABELS}: starts with 37"),
    "float elements": (edit(IMAGES, lambda c: flip_a_byte(c, 2)), "starts with 00000903"),
    "labels as images": (lambda: shutil.copy(LABELS, IMAGES), "starts with 00000801"),
    "half a header": (edit(IMAGES, lambda c: c[:10]), "starts with 000008030000012c0000; expected"),
    "promises more": (
        lambda: (promise(301), labels(LABELS, lambda y: np.append(y, 0))()),
        "promises 235,984 bytes (301, 28, 28); found fewer",
    ),
    "promises less": (lambda: (promise(299), labels(LABELS, lambda y: y[:-1])()), "found more"),
    "promises terabytes": (
        edit(IMAGES, lambda c: header(2**32 - 1, 1000, 1000) + c[16:]),
        "promises 4,294,967,295,000,000 bytes",
    ),
    "promises terabytes, gzipped": (
        gz(IMAGES, lambda _: gzip.compress(header(2**32 - 1, 1000, 1000))),
        "promises 4,294,967,295,000,000 bytes",
    ),
    # Its end is cut off, which is noticed by whoever unpacks it all.
    "unpacks to much more": (
        gz(IMAGES, lambda _: gzip.compress(header(300, 28, 28) + bytes(10_000_000))[:-8]),
        "promises 235,200 bytes (300, 28, 28); found more",
    ),
    "fewer labels": (labels(LABELS, lambda y: y[:-1]), f"{LABELS}: 299 labels for the 300 images"),
    "other size": (
        lambda: write_idx(Path(TEST_IMAGES), np.zeros((100, 28, 27))),
        "training images are (28, 28), test images (28, 27)",
    ),
    "skipped class": (
        labels(LABELS, lambda y: np.where(y == 4, 3, y)),
        "[0, 1, 2, 3, 5, 6, 7, 8, 9]",
    ),
    "classes from 1": (labels(LABELS, lambda y: y + 1), "training labels are [1, 2, 3"),
    "unknown test class": (labels(TEST_LABELS, lambda y: y + 1), "a test label is 10"),
    "single class": (labels(LABELS, lambda y: y * 0), "labels are [0]; expected each class"),
    "no images": (no_images, f"{IMAGES}: no images"),
    "images without pixels": (
        lambda: write_idx(Path(IMAGES), np.zeros((300, 0, 28))),
        f"{IMAGES}: no images, shape (300, 0, 28)",
    ),
    "a directory": (directory(IMAGES), f"{IMAGES}: Is a directory"),
    "too few names": (
        write(NAMES, b"a\nb\n"),
        f"{NAMES}: 2 names; expected 10, one",
    ),
    "too many names": (write(NAMES, b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk"), f"{NAMES}: 11 names"),
    "an empty name": (write(NAMES, b"a\n \nc\n"), f"{NAMES}: line 2 is ''"),
    "a name twice": (write(NAMES, b"a\nb\na\n"), f"{NAMES}: line 3 is 'a'"),
    "an unprintable name": (write(NAMES, b"a\nb\t\0\n"), f"{NAMES}: line 2 is"),
    "a name without end": (write(NAMES, b"a" * 99_999 + b"\0"), f"{NAMES}: line 1 is 'aaa"),
    "names in Latin-1": (write(NAMES, b"caf\xe9\n"), f"{NAMES}: line 1 is 'caf\\udce9'"),
    "no names": (write(NAMES, b""), f"{NAMES}: 0 names"),
    "a folder of names": (lambda: Path(NAMES).mkdir(), f"{NAMES}: Is a directory"),
    "no data set": (lambda: shutil.rmtree("data/raw/mnist"), "not found"),
}


@pytest.mark.parametrize("case", RAW)
def test_bad_raw_data(prepared: Path, case: str) -> None:
    change, expected = RAW[case]
    change()
    tracemalloc.start()
    message = complaint("prepare")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert expected in message
    assert peak < 20e6, "bytes: nothing is allocated for a promise"


def test_raw_data_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(header(1, 1, 1) + b"\0")
    path.chmod(0)
    with as_nobody(tmp_path), pytest.raises(SystemExit) as stopped, in_one_line("prepare"):
        idx.read_array(path, 3)
    assert stopped.value.code == f"prepare: {path}: Permission denied"


def put(key: str, value: Any) -> Change:
    return lambda: set_parameter(PARAMS, key, value)


CYCLE = {"train.schedule": "one_cycle", "train.patience": 3}

# Stage, change, what its line says.
PARAMETERS: dict[str, tuple[str, Change, str]] = {
    "unknown section": ("prepare", put("trian", {}), "visualize, trian; expected seed"),
    "missing section": (
        "prepare",
        edit(PARAMS, lambda c: c[: c.index(b"visualize:")]),
        "prepare, model, train; expected seed",
    ),
    "section as number": ("train", put("train", 3), "train: found 3; expected the keys epochs"),
    "section as nothing": ("train", put("train", None), "train: found None"),
    "unknown key": ("train", put("train.epoch", 3), "train.epoch: unknown key; expected epochs"),
    "missing key": (
        "train",
        edit(PARAMS, lambda c: c.replace(b"  epochs: 2\n", b"")),
        "train.epochs: missing",
    ),
    "text for a whole number": ("train", put("train.epochs", "ten"), "train.epochs: found 'ten'"),
    "quoted number": ("train", put("train.epochs", "10"), "train.epochs: found '10'"),
    "NaN": ("train", put("train.learning_rate", float("nan")), "train.learning_rate: found nan"),
    "infinity": ("train", put("train.learning_rate", float("inf")), "learning_rate: found inf"),
    "negative rate": ("train", put("train.learning_rate", -0.1), "learning_rate: found -0.1"),
    "beta of one": ("train", put("train.beta_2", 1.0), "train.beta_2: found 1.0"),
    "frozen in part": ("train", put("train.freeze_after", 1.5), "train.freeze_after: found 1.5"),
    "frozen before": ("train", put("train.freeze_after", -1), "train.freeze_after: found -1"),
    "frozen after the end": (
        "train",
        put("train.freeze_after", 2),
        "train.freeze_after: found 2; expected null or less than train.epochs, which is 2",
    ),
    "momentum for Adam": (
        "train",
        put("train.momentum", 0.9),
        "params.yaml: train.momentum: found 0.9; expected null, since adam does not use it",
    ),
    "weight decay of nothing for Adam": (
        "train",
        put("train.weight_decay", 0.0),
        "train.weight_decay: found 0.0; expected null, since adam does not use it",
    ),
    "Adam without a beta": (
        "train",
        put("train.beta_1", None),
        "train.beta_1: found None; expected a number, since adam uses it",
    ),
    "betas for SGD": (
        "train",
        put("train.optimizer", "sgd"),
        "train.beta_1: found 0.9; expected null, since sgd does not use it; train.beta_2: found",
    ),
    "Muon without momentum": (
        "train",
        put("train.optimizer", "muon"),
        "train.momentum: found None; expected a number, since muon uses it; train.weight_decay",
    ),
    "zero rate": ("train", put("train.learning_rate", 0), "learning_rate: found 0"),
    "no epochs": ("train", put("train.epochs", 0), "train.epochs: found 0"),
    "half an epoch": ("train", put("train.epochs", 0.5), "train.epochs: found 0.5"),
    "true as a number": ("train", put("train.epochs", True), "train.epochs: found True"),
    "negative batch": ("train", put("train.batch_size", -1), "train.batch_size: found -1"),
    "batch too large": ("train", put("train.batch_size", 1000), "train.batch_size is 1000"),
    "no validation": ("train", put("train.validation_split", 0), "validation_split: found 0"),
    "all validation": ("train", put("train.validation_split", 1), "validation_split: found 1"),
    "tiny validation": (
        "train",
        put("train.validation_split", 0.9999),
        "0.9999 leaves 0 of 300 images",
    ),
    "RMSprop": ("train", put("train.optimizer", "rmsprop"), "train.optimizer: found 'rmsprop'"),
    "unknown optimizer": ("train", put("train.optimizer", "magic"), "train.optimizer: found 'mag"),
    "unknown schedule": ("train", put("train.schedule", "cosine"), "train.schedule: found 'cos"),
    "unknown precision": ("train", put("train.precision", "int8"), "train.precision: found 'int8'"),
    "instructions without the precision's kernels": (
        "train",
        put("train.precision", "mixed_bfloat16"),
        "train.instructions: found 'avx2'; expected native, since mixed_bfloat16 has no kernels",
    ),
    "smoothed away": ("train", put("train.label_smoothing", 1.0), "label_smoothing: found 1.0"),
    "translated away": (
        "train",
        put("train.augmentation.translation", 1.5),
        "train.augmentation.translation: found 1.5",
    ),
    "unknown augmentation": (
        "train",
        put("train.augmentation.shear", 0.1),
        "train.augmentation.shear: unknown key; expected translation, horizontal_flip",
    ),
    "no augmentation section": (
        "train",
        put("train.augmentation", 0.07),
        "train.augmentation: found 0.07; expected the keys translation",
    ),
    "no threads": ("train", put("train.threads", 0), "train.threads: found 0"),
    "unknown architecture": ("train", put("model.architecture", "big"), "'compact', 'explicit' or"),
    "number as a list": ("train", put("model.filters", 32), "model.filters: found 32"),
    "no filters": ("train", put("model.filters", []), "model.filters: found []"),
    "zero filters": ("train", put("model.filters", [32, 0]), "model.filters.1: found 0"),
    "dropout of all": ("train", put("model.dropout", 1.0), "model.dropout: found 1.0"),
    "negative dropout": ("train", put("model.dropout", -0.5), "model.dropout: found -0.5"),
    "kernel too large": ("train", put("model.kernel_size", 12), "leave nothing of 28x28 images"),
    "pool too large": ("train", put("model.pool_size", 27), "leave nothing of 28x28 images"),
    "unknown padding": (
        "train",
        put("model.padding", "full"),
        "model.padding.0: found 'full'; input should be 'valid' or 'same'",
    ),
    "pools of other convolutions": (
        "train",
        put("model.pool_size", [2, 2, 2]),
        "model.pool_size: found [2, 2, 2]; expected one value, or 2 like model.filters",
    ),
    "no pools": ("train", put("model.pool_size", []), "model.pool_size: found []; expected one"),
    "another weight": ("train", put("train.class_weight", "equal"), "class_weight: found 'equal'"),
    "patience to the end": (
        "train",
        put("train.patience", 1),
        "train.patience: found 1; expected null or less than 1, one less than train.epochs",
    ),
    "patience in a cycle": (
        "train",
        lambda: [put(*pair)() for pair in CYCLE.items()],
        "train.patience: found 3; expected null, since one_cycle needs all its epochs",
    ),
    "negative seed": ("train", put("seed", -1), "seed: found -1"),
    "seed too large": ("train", put("seed", 2**32), "seed: found 4294967296"),
    "text as a seed": ("train", put("seed", "lucky"), "seed: found 'lucky'"),
    "data set elsewhere": ("prepare", put("prepare.dataset", "../raw"), "found '../raw'"),
    "data set not there": ("prepare", put("prepare.dataset", "nist"), "data/raw/nist/train-images"),
    "no dots": ("visualize", put("visualize.dpi", 0), "visualize.dpi: found 0"),
    "no mistakes": ("visualize", put("visualize.mistakes", 0), "visualize.mistakes: found 0"),
    "all mistakes": ("visualize", put("visualize.mistakes", 101), "visualize.mistakes: found 101"),
    "too many dots": ("visualize", put("visualize.dpi", 10**6), "visualize.dpi: found 1000000"),
}


@pytest.mark.parametrize("case", PARAMETERS)
def test_bad_parameters(prepared: Path, case: str) -> None:
    stage, change, expected = PARAMETERS[case]
    change()
    message = complaint(stage)
    assert expected in message
    assert "params.yaml: " in message or "data/raw/nist" in message


TEXTS: dict[str, tuple[bytes, str]] = {
    "empty file": (b"", "found None; expected seed, prepare, model"),
    "only a comment": (b"# later\n", "found None; expected seed"),
    "a list": (b"- seed\n- train\n", "found ['seed', 'train']; expected seed"),
    "a word": (b"seed", "found 'seed'; expected seed"),
    "an open bracket": (b"seed: [1,\n", "not valid YAML"),
    "a tab": (b"train:\n\tepochs: 1\n", "not valid YAML"),
    "not UTF-8": (b"seed: \xff\xfe\n", "not valid YAML"),
    "a key twice": (b"seed: 1\nseed: 2\n", "not valid YAML"),
    "a day that never was": (b"seed: 2024-02-30\n", "not valid YAML"),
    "no whole number": (b"seed: !!int x\n", "not valid YAML"),
    "no truth": (b"seed: !!bool x\n", "not valid YAML"),
    "a Python object": (b"seed: !!python/object/apply:os.getpid []\n", "not valid YAML"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_bad_yaml(prepared: Path, case: str) -> None:
    content, expected = TEXTS[case]
    PARAMS.write_bytes(content)
    assert f"params.yaml: {expected}" in complaint("prepare")


def rewrite(change: Callable[[dict[str, Any]], object]) -> None:
    """Change the configuration inside the model's archive, and nothing else."""
    with zipfile.ZipFile(MODEL) as archived:
        contents = {name: archived.read(name) for name in archived.namelist()}
    config = json.loads(contents["config.json"])
    change(config)
    contents["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(MODEL, "w") as rewritten:
        for name, content in contents.items():
            rewritten.writestr(name, content)


def code_in_config() -> None:
    """Put a layer behind the input whose bytecode leaves a file where it runs."""
    layer = keras.layers.Lambda(lambda x: (__import__("pathlib").Path("ran").touch(), x)[1])
    code = keras.saving.serialize_keras_object(layer)
    rewrite(lambda config: config["config"]["layers"].insert(1, code))


def a_function_in_config() -> None:
    """Have the last layer call a function of Python's own library as its activation."""
    call = {"module": "os", "class_name": "function", "config": "abort", "registered_name": "abort"}
    rewrite(lambda config: config["config"]["layers"][-1]["config"].update(activation=call))


MODELS: dict[str, tuple[Change, str]] = {
    "no .keras at all": (write(MODEL, b"weights"), "can't be loaded"),
    "truncated": (edit(MODEL, lambda c: c[:-500]), "can't be loaded"),
    "flipped weight": (edit(MODEL, lambda c: flip_a_byte(c)), "can't be loaded (Bad CRC-32"),
    "missing": (lambda: MODEL.unlink(), "can't be loaded ([Errno 2] No such file"),
    "with code": (code_in_config, "can't be loaded"),
    "with a function": (a_function_in_config, "can't be loaded"),
}


@pytest.mark.parametrize("case", MODELS)
def test_bad_models(prepared: Path, case: str) -> None:
    change, expected = MODELS[case]
    change()
    assert f"{MODEL}: {expected}" in complaint("evaluate")


def test_the_code_in_a_model_would_run_if_it_were_let(prepared: Path) -> None:
    code_in_config()
    keras.models.load_model(MODEL, safe_mode=False)
    assert Path("ran").exists()
