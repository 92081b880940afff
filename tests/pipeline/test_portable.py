"""The same bytes on other CPUs, in other terminals and environments, with the locked packages.

CPUs are emulated by QEMU, which knows AVX2 but neither AVX-512 nor bfloat16. It can't show what
a real machine of another maker does.
"""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.builders import recipe, write_data_set, write_shapes
from tests.project import Project, create_project, duplicate

QEMU = shutil.which("qemu-x86_64")
emulated = pytest.mark.skipif(not QEMU, reason="no qemu-x86_64: install qemu-user")
ALL = ["prepare", "train", "evaluate", "visualize", "export"]
DEMANDING = {
    "prepare.dataset": "shapes",  # JPEG files in colour, of 32 by 32 pixels
    "prepare.image_size": [28, 28],
    "train.optimizer": "muon",
    "train.momentum": 0.9,
    "train.weight_decay": 0.1,
    "train.schedule": "one_cycle",
    "train.label_smoothing": 0.1,
    "train.augmentation.translation": 0.07,
}
ACCURATE = recipe("accurate") | {"train.epochs": 1, "train.freeze_after": None}


def emulate(project: Project, cpu: str) -> None:
    """Let `python` be emulated in `project`, as if `cpu` were the machine's."""
    folder = project.root.parent / "emulated"
    folder.mkdir()
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nexec {QEMU} -cpu {cpu} {sys.executable} "$@" 2>&1\n')
    script.chmod(0o755)
    project.env["PATH"] = f"{folder}{os.pathsep}{project.env['PATH']}"


@emulated
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("cpu", "changes", "images", "stages"),
    [
        ("Haswell", {}, 120, ALL[:2]),  # the other three stages take 76 s and more
        ("Haswell", ACCURATE, 441, ALL[:2]),  # batches of 256 and, as with MNIST, of 176
        ("EPYC-Rome", DEMANDING, 120, ALL),
    ],
)
def test_another_cpu_ends_with_the_same_lock(
    cpu: str, changes: dict[str, object], images: int, stages: list[str], tmp_path: Path
) -> None:
    native = create_project(tmp_path / "native")
    write_data_set(native.root / "data/raw/mnist", train=images, test=30)
    write_shapes(native.root, n=50)
    # Of 64 rows, oneDNN would divide the dense layer's product only where the L2 cache is small:
    # EPYC-Rome has 512 KB here, Haswell 4 MB. One of the two differs from the machine's own.
    for key, value in ({"train.epochs": 1, "train.batch_size": 64} | changes).items():
        native.set(key, value)
    other = duplicate(native, tmp_path / "other")
    emulate(other, cpu)
    targets = () if stages == ALL else stages[-1:]
    native.repro(*targets)
    # QEMU 7.2 crashes in NumPy's AVX2 sort. TensorFlow and oneDNN still see the whole CPU.
    other.env["NPY_DISABLE_CPU_FEATURES"] = "X86_V3"
    assert other.repro(*targets) == stages
    assert (other.root / "dvc.lock").read_text() == (native.root / "dvc.lock").read_text()
    if "export" in stages:
        command = "python", "-m", "predict", "--json", "--top", "3", "data/raw/shapes/circle"
        assert other.run(*command).stdout == native.run(*command).stdout


@emulated
def test_a_cpu_without_avx2_is_told_that_its_bytes_differ(project: Project) -> None:
    emulate(project, "Opteron_G5")
    program = "from stages.backend import determinism as d; print(d.describe(d.portability(None)))"
    printed = project.run("python", "-c", program).stdout
    assert "other bytes elsewhere, because it was trained on the CPU" in printed
    assert ", without AVX2)" in printed


@pytest.mark.parametrize(("precision", "limit"), [("float32", "AVX2"), ("mixed_bfloat16", "None")])
def test_only_float32_is_limited_to_avx2(precision: str, limit: str, project: Project) -> None:
    program = (
        "import os\nfrom stages.backend import determinism\n"
        f"determinism.pin(1, {precision!r})\n"
        "print(os.environ.get('ONEDNN_MAX_CPU_ISA'))"
    )
    project.env |= FAST_MATH
    assert project.run("python", "-c", program).stdout == f"{limit}\n"


# Whatever a user may have set; none of it may change a byte.
FAST_MATH = {
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "TF_SET_ONEDNN_FPMATH_MODE": "BF16",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}
COMPILED = {
    "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "KERAS_MAX_EPOCHS": "1",
    "KERAS_BACKEND": "jax",
}
HOSTILE = {
    "a narrow dumb terminal in ASCII": {
        "COLUMNS": "40",
        "TERM": "dumb",
        "PYTHONIOENCODING": "ascii",
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        **FAST_MATH,
    },
    "a wide terminal in Latin-1": {
        "COLUMNS": "200",
        "PYTHONIOENCODING": "latin-1",
        "LC_ALL": "C.UTF-8",
        "FORCE_COLOR": "1",
        "PYTHONHASHSEED": "7",
        "TZ": "Asia/Tokyo",
        **COMPILED,
    },
    "one processor": {"LANGUAGE": "tr", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "8"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_environment_changes_no_byte(
    name: str, project: Project, reproduced_once: Project
) -> None:
    """`reproduced_once` ran elsewhere, in processes of its own."""
    home = Path(project.env["HOME"])
    (home / ".config/matplotlib").mkdir(parents=True)
    (home / ".config/matplotlib/matplotlibrc").write_text("savefig.bbox: tight\nsavefig.dpi: 33\n")
    (home / ".keras").mkdir()
    (home / ".keras/keras.json").write_text(
        '{"floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.1}'
    )
    # DVC itself can't encode an umlaut where not even Python's UTF-8 mode is on.
    folder = "a folder" if "ASCII" in name else "größer als gedacht"
    elsewhere = Project(project.root.with_name(folder), project.env | HOSTILE[name])
    project.root.rename(elsewhere.root)
    alone = ("taskset", "-c", "0") if name == "one processor" and shutil.which("taskset") else ()
    elsewhere.run(*alone, "dvc", "repro", errors="replace", preexec_fn=lambda: os.umask(0o077))
    assert (elsewhere.root / "dvc.lock").read_text() == (
        reproduced_once.root / "dvc.lock"
    ).read_text()


def test_a_stage_refuses_another_version_of_a_locked_package(project: Project) -> None:
    path = project.root / "requirements.txt"
    path.write_text(path.read_text().replace("\npandas==", "\npandas==0.1."))
    done = project.run("dvc", "repro", check=False)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("prepare: ")]
    assert " has pandas " in line
    assert "requirements.txt expects 0.1." in line
    assert "pip install --require-hashes -r requirements.txt" in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["stages.prepare", "stages.train", "stages.export", "predict"])
def test_a_python_without_the_environment_is_told_to_activate_it(
    module: str, project: Project
) -> None:
    done = project.run(sys.executable, "-S", "-m", module, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{module.removeprefix('stages.')}: {sys.executable} has no ")
    assert "activate the environment (. .venv/bin/activate)" in line
