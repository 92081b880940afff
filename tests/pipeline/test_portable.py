"""The same bytes on other CPUs, in other terminals and environments, with the locked packages.

CPUs are emulated by QEMU, which knows AVX2 but neither AVX-512 nor bfloat16. It can't show what
a real machine of another maker does.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from stages.backend.determinism import kind, shown
from stages.backend.layers import leaves
from stages.backend.runtime import keras
from stages.train.model import build
from tests.builders import SHAPE, model_params, recipe, run, write_data_set, write_shapes
from tests.files import md5_of
from tests.project import Project, create_project, duplicate, environment, fork

QEMU = shutil.which("qemu-x86_64")
emulated = pytest.mark.skipif(not QEMU, reason="no qemu-x86_64: install qemu-user")
ALL = ["prepare", "train", "evaluate", "visualize", "export"]
ONE_EPOCH = {"train.epochs": 1, "train.freeze_after": None}
# Batches of 176 images, as the last one of this recipe with MNIST, and of 64.
ACCURATE = recipe("accurate") | {"train.batch_size": 176, "train.validation_split": 0.2}
FAST = recipe("fast") | {"train.validation_split": 0.1}  # a batch of 256 images, and one of 14
DEMANDING = {
    "prepare.dataset": "shapes",  # JPEG files in colour, of 32 by 32 pixels
    "prepare.image_size": [28, 28],
    "model.filters": [32, 64],
    "model.padding": ["valid", "same"],
    "train.batch_size": 64,
    "train.optimizer": "muon",
    "train.momentum": 0.9,
    "train.weight_decay": 0.1,
    "train.schedule": "one_cycle",
    "train.label_smoothing": 0.1,
    "train.class_weight": "balanced",
    "train.keep": "best",
    "train.augmentation.translation": 0.07,
    "train.augmentation.horizontal_flip": True,
}
EXPLICIT = DEMANDING | {"model.architecture": "explicit"}


def emulate(project: Project, cpu: str) -> None:
    """Let `python` be emulated in `project`, as if `cpu` were the machine's."""
    folder = project.root.parent / "emulated"
    folder.mkdir()
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nexec {QEMU} -cpu {cpu} {sys.executable} "$@" 2>&1\n')
    script.chmod(0o755)
    project.env["PATH"] = f"{folder}{os.pathsep}{project.env['PATH']}"
    # QEMU 7.2 crashes in NumPy's AVX2 sort. TensorFlow and oneDNN still see the whole CPU.
    project.env["NPY_DISABLE_CPU_FEATURES"] = "X86_V3"


# Of 64 rows, oneDNN would divide the dense layer's product only where the L2 cache is small:
# EPYC-Rome has 512 KB here, Haswell 4 MB. One of the two differs from the machine's own.
@emulated
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("cpu", "parameters"),
    [
        ("EPYC-Rome", DEMANDING),
        pytest.param("Haswell", EXPLICIT, marks=pytest.mark.weekly),
        pytest.param("Haswell", ACCURATE, marks=pytest.mark.weekly),
        pytest.param("Haswell", FAST, marks=pytest.mark.weekly),
    ],
)
def test_another_cpu_trains_to_the_same_bytes(
    cpu: str, parameters: dict[str, object], prepared: Path
) -> None:
    native = Project(prepared, environment(prepared.parent))
    for key, value in (parameters | ONE_EPOCH).items():
        native.set(key, value)
    if "prepare.dataset" in parameters:
        write_shapes(prepared, n=50)
        run("prepare")
    other = Project(prepared.with_name("other"), environment(prepared.parent))
    shutil.copytree(native.root, other.root)
    emulate(other, cpu)
    for project in native, other:
        project.run("python", "-m", "stages.train")
    for path in "models/model.keras", "models/summary.txt", "reports/history.csv":
        assert md5_of(other.root / path) == md5_of(native.root / path), path


def network(parameters: dict[str, object], shape: tuple[int, int, int]) -> keras.Model:
    sections = ((key.split("."), value) for key, value in parameters.items())
    changes = {key[1]: value for key, value in sections if key[0] == "model"}
    return build(model_params(**changes), shape, 10)


def test_what_is_said_to_be_shown_is_what_these_trainings_show() -> None:
    networks = (
        network(ACCURATE, SHAPE),
        network(FAST, SHAPE),
        network(DEMANDING, (28, 28, 3)),
        network(EXPLICIT, (28, 28, 3)),
    )
    layers = [layer for of in networks for layer in leaves(of)]
    trained = {kind(layer) for layer in layers if not isinstance(layer, keras.layers.InputLayer)}
    assert trained == {kind(layer) for layer in shown()}


@emulated
@pytest.mark.weekly
@pytest.mark.timeout(1800)
def test_the_whole_pipeline_on_another_cpu_gives_the_same_outputs(tmp_path: Path) -> None:
    native = create_project(tmp_path / "native")
    write_data_set(native.root / "data/raw/mnist", train=120, test=30)
    write_shapes(native.root, n=50)
    for key, value in (DEMANDING | ONE_EPOCH).items():
        native.set(key, value)
    other = duplicate(native, tmp_path / "other")
    emulate(other, "EPYC-Rome")
    native.repro()
    assert other.repro() == ALL
    differ = {path for path, md5 in native.outputs().items() if other.outputs()[path] != md5}
    assert differ == {"models/portability.txt", "reports/metrics.json", "reports/index.html"}, (
        "all that say whether there is AVX2, as far as NumPy may use it"
    )
    ours, theirs = (
        json.loads((project.root / "reports/metrics.json").read_text())
        for project in (native, other)
    )
    assert [ours[part] for part in ("validation", "test")] == [
        theirs[part] for part in ("validation", "test")
    ]
    command = "python", "-m", "predict", "--json", "--top", "3", "data/raw/shapes/circle"
    said = (project.run(*command).stdout.splitlines() for project in (native, other))
    here, there = ([line for line in lines if line.startswith("{")] for lines in said)
    assert here == there, "but for what QEMU says of itself"
    assert len(here) == 50


@emulated
@pytest.mark.parametrize(("cpu", "expected"), [("Opteron_G5", "False"), ("Haswell", "True")])
def test_a_cpu_without_avx2_is_noticed(cpu: str, expected: str, prepared: Path) -> None:
    """What train then says is tested with the promise: see test_determinism."""
    project = Project(prepared, environment(prepared.parent))
    emulate(project, cpu)
    del project.env["NPY_DISABLE_CPU_FEATURES"]
    program = "from stages.backend import cpu; print(cpu.has_avx2())"
    printed = project.run("python", "-c", program).stdout
    assert printed.splitlines()[-1] == expected, "after QEMU's warnings"


# Whatever a user may have set; none of it may change a byte.
NARROW = {
    "COLUMNS": "40",
    "TERM": "dumb",
    "PYTHONIOENCODING": "ascii",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONHASHSEED": "8",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "TF_SET_ONEDNN_FPMATH_MODE": "BF16",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}
WIDE = {
    "COLUMNS": "200",
    "PYTHONIOENCODING": "latin-1",
    "LC_ALL": "C.UTF-8",
    "LANGUAGE": "tr",
    "LANG": "tr_TR.UTF-8",
    "FORCE_COLOR": "1",
    "PYTHONHASHSEED": "7",
    "TZ": "Asia/Tokyo",
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "KERAS_MAX_EPOCHS": "1",
    "KERAS_BACKEND": "jax",
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process choose processors")
def test_a_narrow_terminal_in_ascii_on_one_processor_changes_no_byte(
    prepared: Path, reproduced_once: Project
) -> None:
    """The stages without dvc, which can't encode an umlaut here."""
    project = Project(prepared.with_name("a folder"), environment(prepared.parent) | NARROW)
    prepared.rename(project.root)
    project.set("model.filters", [32, 64])  # as there
    first = min(os.sched_getaffinity(0))
    ended = fork(project, *ALL, preexec_fn=lambda: os.sched_setaffinity(0, {first}))
    assert [run.code for run in ended] == [0] * len(ALL)
    expected = reproduced_once.outputs()
    assert {path: md5_of(project.root / path) for path in expected} == expected


def test_a_wide_terminal_in_another_language_changes_no_byte(
    project: Project, reproduced_once: Project
) -> None:
    """`reproduced_once` ran elsewhere, in processes of its own."""
    home = Path(project.env["HOME"])
    (home / ".config/matplotlib").mkdir(parents=True)
    (home / ".config/matplotlib/matplotlibrc").write_text("savefig.bbox: tight\nsavefig.dpi: 33\n")
    (home / ".keras").mkdir()
    (home / ".keras/keras.json").write_text(
        '{"floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.1}'
    )
    elsewhere = Project(project.root.with_name("größer als gedacht"), project.env | WIDE)
    project.root.rename(elsewhere.root)
    elsewhere.run("dvc", "repro", errors="replace", preexec_fn=lambda: os.umask(0o077))
    lock = (elsewhere.root / "dvc.lock").read_text()
    assert lock == (reproduced_once.root / "dvc.lock").read_text()
