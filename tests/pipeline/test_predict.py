"""predict as a process of its own: quickly, quietly, and with the packages of its lock alone."""

import contextlib
import importlib.metadata
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from stages.common.paths import TFLITE
from tests.builders import DIGITS, ROOT
from tests.project import copy


@pytest.fixture(scope="module")
def folder(exported_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with predict, an exported model and a picture."""
    folder = tmp_path_factory.mktemp("predict")
    for part in "pictures", "predict":
        copy(part, folder)
    (folder / TFLITE).parent.mkdir()
    shutil.copy(exported_once / TFLITE, folder / TFLITE)
    Image.fromarray(DIGITS[0]).save(folder / "0.png")
    return folder


def start(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start Python in `folder`."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_answer_takes_half_a_second_of_a_core_from_the_start_of_the_process(
    folder: Path,
) -> None:
    """On an idle machine it is there as soon, since nothing waits for anything else."""
    start(folder, "-m", "predict", "0.png").communicate()  # byte code is written
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = start(folder, "-m", "predict", "0.png")
    assert process.communicate()[0].startswith("0.png: ")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_the_command_is_quiet_except_for_what_it_has_to_say(folder: Path) -> None:
    shutil.copy(folder / "0.png", folder / "é.png")
    arguments = "-m", "predict", "é.png", "missing.png"
    process = start(folder, *arguments, PYTHONIOENCODING="ascii")
    out, err = process.communicate()
    assert process.returncode == 1
    assert out.startswith("\\xe9.png: ")
    assert len(out.splitlines()) == 1
    expected = "No such file or directory; expected a PNG, JPEG or WebP file"
    assert err == f"predict: missing.png: {expected}\n"


def test_a_reader_that_stops_early_is_no_error(folder: Path) -> None:
    process = start(folder, "-m", "predict", "0.png")
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == -signal.SIGPIPE  # as of any other command


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_told_in_one_line(folder: Path) -> None:
    command = f"{sys.executable} -m predict 0.png > /dev/full"
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "predict: system: No space left on device\n"


def test_an_interrupt_ends_it_without_a_word(folder: Path) -> None:
    os.mkfifo(folder / "slow.png")
    process = start(folder, "-m", "predict", "slow.png")
    writer = None
    while writer is None:
        assert process.poll() is None
        with contextlib.suppress(OSError):  # nobody can write before somebody reads
            writer = os.open(folder / "slow.png", os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", "")
    assert process.returncode == -signal.SIGINT  # a shell makes 130 of it
    os.close(writer)


def test_it_needs_no_package_but_those_of_its_lock(folder: Path) -> None:
    """Only those are linked into the folder; -S leaves all others out."""
    lock = (ROOT / "requirements/predict.txt").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==(\S+) (?:;.*)?\\$", lock, re.MULTILINE)
    assert {"ai-edge-litert", "numpy", "pillow"} <= {name for name, _ in pins}
    assert not {"tensorflow", "keras", "dvc", "pandas"} & {name for name, _ in pins}
    packages = folder / "packages"
    packages.mkdir()
    for name, version in pins:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # Windows alone has it
            package = importlib.metadata.distribution(name)
            assert package.version == version
            for top in {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}:
                source = Path(str(package.locate_file(top)))
                if not (packages / top).exists():
                    (packages / top).symlink_to(source)
    program = "import predict, sys; print(predict.Classifier, 'tensorflow' in sys.modules)"
    arguments = "-S", "-c", program
    out, err = start(folder, *arguments, PYTHONPATH=str(packages)).communicate()
    assert (out, err) == ("<class 'predict.classifier.Classifier'> False\n", "")
    process = start(folder, "-S", "-m", "predict", "0.png", PYTHONPATH=str(packages))
    assert process.communicate()[0].startswith("0.png: ")


def test_what_is_missing_is_named_in_one_line_and_help_needs_nothing(folder: Path) -> None:
    process = start(folder, "-S", "-m", "predict", "0.png")
    out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert re.fullmatch(r"predict: \S+ has no \w+: activate the environment .*\n", err)
    assert "pip install --require-hashes -r requirements/predict.txt" in err
    assert "usage: " in start(folder, "-S", "-m", "predict", "--help").communicate()[0]


def test_pip_installs_predict_alone(tmp_path: Path) -> None:
    for part in "pictures", "predict", "stages", "pyproject.toml", "LICENSE":
        copy(part, tmp_path / "project")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    options = ["--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path), "./project"]
    subprocess.run([*command, *options], cwd=tmp_path, check=True, capture_output=True)
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        (metadata,) = [name for name in names if name.endswith("METADATA")]
        needed = re.findall(
            r"^Requires-Dist: ([\w-]+)[^;\n]*$", wheel.read(metadata).decode(), re.M
        )
    folders = {name.split("/")[0] for name in names if "dist-info" not in name}
    assert folders == {"pictures", "predict"}
    assert sorted(needed) == ["ai-edge-litert", "numpy", "pillow", "tqdm"]
