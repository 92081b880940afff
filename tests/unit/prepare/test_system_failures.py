"""prepare without memory, without room for temporary files, without processes: one true line."""

import errno
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from itertools import chain
from multiprocessing import synchronize
from pathlib import Path

import pytest
from PIL import Image

from stages.common.paths import PARAMS, RAW
from stages.prepare import idx, parallel
from tests.builders import MNIST, ROOT, one_line, write_params
from tests.files import set_parameter
from tests.project import copy

LABELS = MNIST / "t10k-labels-idx1-ubyte.gz"


def at_most(memory: int) -> Callable[[], None]:
    """Let a process have so many bytes of address space, as `ulimit -v` does."""
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def prepare(folder: Path, memory: int) -> str:
    """Run the stage as DVC does; return what it says on stderr."""
    for part in "stages", "pictures", "requirements.txt":
        copy(part, folder)
    command = [sys.executable, "-m", "stages.prepare"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, preexec_fn=at_most(memory)
    )
    assert done.returncode == 1
    return done.stderr


def save_photographs(folder: Path, n: int, size: tuple[int, int]) -> None:
    """Save a photograph under `n` names in two classes."""
    write_params(folder)
    set_parameter(folder / PARAMS, "prepare.dataset", "ours")
    Image.effect_noise((40, 30), 90).convert("RGB").resize(size).save(folder / "photograph.jpg")
    for i in range(n):
        path = folder / RAW / f"ours/{'ab'[i % 2]}/{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(folder / "photograph.jpg", path)


def test_large_photographs_need_a_size_instead_of_all_memory(tmp_path: Path) -> None:
    save_photographs(tmp_path, 120, (4000, 3000))
    (line,) = prepare(tmp_path, 4_000_000_000).splitlines()
    assert line.startswith("prepare: data/raw/ours/")
    assert line.endswith(
        "jpg: 3000 by 4000 pixels; expected at most 1000 each way; to resize all, set "
        "prepare.image_size in params.yaml, for example to [96, 128]"
    )


@pytest.mark.slow
def test_a_size_that_exhausts_memory_is_what_to_lower(tmp_path: Path) -> None:
    save_photographs(tmp_path, 10, (40, 30))
    set_parameter(tmp_path / PARAMS, "prepare.image_size", [10_000, 10_000])
    *_, line = prepare(tmp_path, 1_000_000_000).splitlines()
    assert line.startswith("prepare: memory ran out")
    assert "lower one of these in params.yaml: prepare.image_size" in line


def test_blocks_of_large_pictures_are_small() -> None:
    paths = [str(i) for i in range(10)]
    for at_once, sizes in (4, [4, 4, 2]), (1000, [10]):
        blocks = [*parallel.on_all_cores(str.upper, paths, "", at_once)]
        assert [len(block) for block in blocks] == sizes
        assert [*chain(*blocks)] == paths


def kill_itself(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_the_system_kills_is_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(MemoryError, match="most likely, since a process was killed"):
        list(parallel.on_all_cores(kill_itself, ["x"] * 60, ""))


def test_processes_that_cannot_share_semaphores_name_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    save_photographs(tmp_path, 60, (6, 5))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(synchronize._multiprocessing, "SemLock", refuse)  # type: ignore[attr-defined]
    assert one_line("prepare") == (
        "prepare: /dev/shm: processes can't share semaphores in it: Read-only file system"
    )


def test_a_full_folder_for_temporary_files_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ExitStack() as stack:
        # To a program, a file that may not grow is a disk that is full.
        stack.callback(resource.setrlimit, resource.RLIMIT_FSIZE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(OSError, match=f"cannot be unpacked to {tmp_path}: File too large"):
            idx.read_array(LABELS, 1)


def test_no_folder_for_temporary_files_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/x']")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", refuse)
    with pytest.raises(OSError, match="No usable") as raised:
        idx.read_array(LABELS, 1)
    assert raised.value.filename == str(LABELS)


def test_folders_named_like_the_files_in_them_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path)
    for path in (ROOT / RAW / "mnist").glob("*.gz"):
        (RAW / "mnist" / path.stem).mkdir(parents=True)
        (RAW / "mnist" / path.stem / path.stem).touch()
    assert one_line("prepare") == (
        "prepare: data/raw/mnist/train-images-idx3-ubyte: Is a directory; expected a file. Some "
        "programs unpack one into a folder of the same name: move it out of that"
    )
