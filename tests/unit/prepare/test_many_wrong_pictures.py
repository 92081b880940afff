"""A data set with many wrong files: the line says how many; what a file manager left is no file."""

import re
from pathlib import Path

import pytest
from PIL import Image

from stages.common.paths import PARAMS, RAW
from tests.builders import one_line, run, write_params
from tests.files import set_parameter


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty pictures of two classes, and the parameters to prepare them."""
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path)
    set_parameter(PARAMS, "prepare.dataset", "ours")
    for i in range(20):
        save(f"{'ab'[i % 2]}/{i}.png")


def save(name: str, size: tuple[int, int] = (6, 5), **options: str) -> None:
    path = RAW / "ours" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(size, 90).save(path, **options)


def test_files_of_another_kind_are_counted() -> None:
    for i in range(4):
        save(f"{'ab'[i % 2]}/{i}.gif")
    line = one_line("prepare")
    assert line.startswith("prepare: data/raw/ours/a/0.gif: expected pictures in folders as CLASS")
    assert line.endswith("; the same goes for 3 more")


def test_pictures_that_are_something_else_are_counted() -> None:
    for i in range(1, 5):
        save(f"{'ab'[i % 2]}/{i}.png", format="GIF")
    assert re.fullmatch(
        r"prepare: data/raw/ours/[ab]/[1-4]\.png: cannot identify image file; expected a PNG, "
        "JPEG or WebP file; the same goes for 3 more",
        one_line("prepare"),
    )


def test_pictures_of_another_size_are_counted() -> None:
    for i in range(1, 4):
        save(f"{'ab'[i % 2]}/{i}.png", (7, 5))
    line = one_line("prepare")
    assert "pictures differ in size (17 of 5x6, 3 of 5x7); to resize all, set prepare." in line


def test_a_name_cannot_overwrite_the_line() -> None:
    (RAW / "ours/a/\rprepare: done.png").touch()
    assert r"data/raw/ours/a/\rprepare: done.png: cannot identify" in one_line("prepare")


def test_what_copies_are_called_cannot_overwrite_the_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = (RAW / "ours/a/0.png").read_bytes()
    for i in range(20):
        (RAW / f"ours/a/\r{i}.png").write_bytes(content)
    run("prepare")
    said = capsys.readouterr().err
    assert re.search(r"ours/a/\\r\d+\.png is nearly the same as data/raw/ours/a/\\r\d+\.png;", said)
    assert "\r" not in said


def test_icons_of_macos_are_passed_over() -> None:
    (RAW / "ours/a/Icon\r").touch()
    run("prepare")
