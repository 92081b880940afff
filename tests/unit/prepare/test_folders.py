"""Pictures in a folder for each class: what they become, and what is refused in one line."""

import contextlib
import hashlib
import io
import json
import math
import random
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import ExifTags, Image, ImageDraw, ImageOps

from stages.common import errors, paths
from stages.common.holdout import first_held_out
from stages.prepare import __main__ as prepare
from stages.prepare import folders, idx, parallel
from stages.prepare.schema import PrepareParams
from tests import pngs
from tests.builders import DEFAULTS, MNIST, ROOT, as_nobody, one_line, write_idx, write_params
from tests.project import Project


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path)
    return tmp_path


def choose(dataset: str = "ours", **changes: Any) -> None:
    """Set the parameters of prepare."""
    for key, value in ({"dataset": dataset} | changes).items():
        Project(Path.cwd(), {}).set(f"prepare.{key}", value)


def run(dataset: str = "ours", **changes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Prepare a data set; return the training images and labels."""
    choose(dataset, **changes)
    prepare.main()
    return np.load(paths.X_TRAIN), np.load(paths.Y_TRAIN)


def place(path: str) -> str:
    """Return the SHA-256 that decides where `class/name` comes."""
    return hashlib.sha256(unicodedata.normalize("NFC", path).encode()).hexdigest()


def arranged(names: Sequence[str]) -> list[str]:
    """Return `class/name`s in the order in which they are to be read: of each class evenly."""
    classes = sorted({name.partition("/")[0] for name in names})
    found = []
    for i, of in enumerate(classes):
        own = sorted((name for name in names if name.startswith(f"{of}/")), key=place)
        start = Fraction(2 * i + 1, 2 * len(classes))
        found += [((j + start) / len(own), of, name) for j, name in enumerate(own)]
    return [name for *_, name in sorted(found)]


def save(path: str, image: Image.Image | None = None, **options: Any) -> Path:
    """Save an image, by default a small grey one, in the data set `ours`."""
    file = paths.RAW / "ours" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    (image or Image.new("L", (6, 5), 99)).save(file, **options)
    return file


GOOD = [
    f"{part}/{name}" for part in ("train", "test") for name in ("a/1.png", "a/2.png", "b/1.png")
]


def save_set() -> None:
    """Save a few pictures of two classes, to train and to test on, each of a grey of its own."""
    for i, name in enumerate(GOOD):
        save(name, Image.new("L", (6, 5), 40 * i))


def test_pictures_give_the_bytes_of_idx_files_in_the_order_of_their_hashes(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "BLOCK", 70)
    monkeypatch.setattr(idx, "PART", 50 * 28 * 28)
    for part, prefix, n in ("train", "train", 120), ("test", "t10k", 70):
        images = idx.read_array(MNIST / f"{prefix}-images-idx3-ubyte.gz", 3)[:n]
        labels = idx.read_array(MNIST / f"{prefix}-labels-idx1-ubyte.gz", 1)[:n]
        names = [f"{label}/{i}.png" for i, label in enumerate(labels)]
        for name, image in zip(names, images, strict=True):
            save(f"{part}/{name}", Image.fromarray(image))
        order = [names.index(name) for name in arranged(names)]
        write_idx(paths.RAW / f"idx/{prefix}-images-idx3-ubyte", images[order])
        write_idx(paths.RAW / f"idx/{prefix}-labels-idx1-ubyte", labels[order])
    arrays = paths.X_TRAIN, paths.Y_TRAIN, paths.X_TEST, paths.Y_TEST, paths.CLASSES
    run("idx")
    expected = [path.read_bytes() for path in arrays]
    run("ours")
    assert [path.read_bytes() for path in arrays] == expected


# How many pictures each class has.
SIZES: dict[str, list[int]] = {
    "5 pictures of each of 10 classes": [5] * 10,
    "1,000 of each of 3": [1000] * 3,
    "14 to 1": [1400, 100],
    "242 classes": [5] * 242,
    "242 classes, and one of 700": [700] + [5] * 242,
    "solar cells": [1508, 295, 106, 715],
}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_the_parts_that_are_held_out_have_each_classs_share_rounded_up_or_down(
    sizes: list[int],
) -> None:
    classes = {f"{i:03}": [f"{i:03}/{j}.png" for j in range(n)] for i, n in enumerate(sizes)}
    order = [name for _, name in folders.interleave(classes)]
    assert Counter(order) == {name: len(names) for name, names in classes.items()}
    for held_out in 0.2, 0.1:  # the test part, and the last tenth of what is left for training
        first = first_held_out(len(order), held_out)
        found, whole = Counter(order[first:]), Counter(order)
        for name, n in whole.items():
            share = n * (len(order) - first) / len(order)
            assert math.floor(share) <= found[name] <= math.ceil(share), name
        order = order[:first]


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_an_added_picture_moves_at_most_three_others_from_one_part_to_the_other(
    sizes: list[int],
) -> None:
    classes = {f"{i:03}": [f"{i:03}/{j}.png" for j in range(n)] for i, n in enumerate(sizes)}

    def held_out() -> set[str]:
        order = [path for path, _ in folders.interleave(classes)]
        return {*order[first_held_out(len(order), 0.2) :]}

    before = held_out()
    chance = random.Random(1)  # noqa: S311
    for name in chance.choices([*classes], k=30):
        added = f"{name}/{chance.random()}.png"
        classes[name].append(added)
        assert len(before ^ (held_out() - {added})) <= 3
        classes[name].remove(added)


def test_classes_without_a_picture_to_test_on_are_said_in_one_bounded_line(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(40):
        for j in range(2):
            save(f"{i:02}/{j}.png", Image.effect_noise((6, 5), 90))
    run()
    assert capsys.readouterr().err == (
        "prepare: the test part has no image of 24 of 40 classes (00, 01, 02, 03, 04, ...): "
        "its figures say nothing about them\n"
    )


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_the_order_is_that_of_composed_names(form: Any, workspace: Path) -> None:
    names = [f"{'ab'[i % 2]}/ü{i}.png" for i in range(20)]
    for i, name in enumerate(names):
        save(unicodedata.normalize(form, name), Image.new("L", (6, 5), i))
    order = [names.index(name) for name in arranged(names)]
    assert np.rint(run()[0][:, 0, 0, 0] * 255).tolist() == order[:16]


def test_without_a_test_set_the_last_part_becomes_it(workspace: Path) -> None:
    names = [f"{'ab'[i % 2]}/{i}.png" for i in range(40)]
    for i, name in enumerate(names):
        save(name, Image.new("L", (6, 5), i))
    images, labels = run(test_split=0.3)
    order = [names.index(name) for name in arranged(names)]
    np.testing.assert_array_equal(np.rint(images[:, 2, 2, 0] * 255), order[:28])
    np.testing.assert_array_equal(np.rint(np.load(paths.X_TEST)[:, 2, 2, 0] * 255), order[28:])
    assert labels.tolist() == [i % 2 for i in order[:28]]


def test_classes_are_sorted_by_code_point_and_written_as_unicode_composes_them(
    workspace: Path,
) -> None:
    decomposed = unicodedata.normalize("NFD", "öl")
    for name in "Zebra", "ape", decomposed, "10", "9":
        for i in range(9):
            save(f"{name}/{i}.png")
    run()
    assert paths.CLASSES.read_text().split("\n") == ["10", "9", "Zebra", "ape", "öl", ""]


def test_more_than_256_classes_have_wider_labels(workspace: Path) -> None:
    for i in range(300):
        for part in "train", "test":
            save(f"{part}/{i:03}/1.png")
    _, labels = run()
    assert labels.dtype == np.uint16
    assert sorted(labels) == list(range(300))


def test_what_file_managers_hide_is_passed_over_and_suffixes_may_be_upper_case(
    workspace: Path,
) -> None:
    save_set()
    for name in ".DS_Store", "train/.DS_Store", "train/a/.DS_Store", "test/b/Thumbs.db":
        (paths.RAW / "ours" / name).write_text("no picture")
    (paths.RAW / "ours/LICENSE.txt").write_text("Ours.")
    (paths.RAW / "ours/.hidden").mkdir()
    save("train/a/3.PNG")
    save("train/b/4.JPG")
    save("train/b/5.JPEG")
    assert len(run()[0]) == 6


# An image, how it is saved, and what its pixels become, from 0 to 255.
RED, GLASS = Image.new("RGB", (6, 5), (255, 0, 0)), Image.new("LA", (6, 5), (0, 51))
DEEP = Image.fromarray(np.full((5, 6), 51 * 257 + 100, np.uint16))
PALETTE = RED.quantize(4)
FADED = PALETTE.copy()
FADED.info["transparency"] = FADED.getpixel((0, 0))
MODES: dict[str, tuple[str, Image.Image, list[int]]] = {
    "grey": ("x.png", Image.new("L", (6, 5), 7), [7]),
    "black and white": ("x.png", Image.new("1", (6, 5), 1), [255]),
    "transparent grey, on white": ("x.png", GLASS, [204]),
    "16 bits": ("x.png", DEEP, [51]),
    "colours": ("x.png", RED, [255, 0, 0]),
    "a palette": ("x.png", PALETTE, [255, 0, 0]),
    "a transparent palette": ("x.png", FADED, [255, 255, 255]),
    "transparent": ("x.png", Image.new("RGBA", (6, 5), (255, 0, 0, 0)), [255, 255, 255]),
    "WebP": ("x.webp", Image.new("RGBA", (6, 5), (255, 0, 0, 51)), [255, 204, 204]),
    "CMYK": ("x.jpg", Image.new("CMYK", (6, 5), (255, 0, 0, 0)), [0, 255, 255]),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_picture_of_each_mode(mode: str, workspace: Path) -> None:
    name, image, expected = MODES[mode]
    save_set()
    save(f"train/b/{name}", image)
    images, _ = run()
    assert images.shape == (4, 5, 6, len(expected)), "one with colours makes all RGB"
    row = arranged(["a/1.png", "a/2.png", "b/1.png", f"b/{name}"]).index(f"b/{name}")
    np.testing.assert_allclose(images[row, 2, 3] * 255, expected)


def test_colours_in_the_test_set_alone_make_all_rgb(workspace: Path) -> None:
    save_set()
    save("test/b/x.png", RED)
    assert run()[0].shape == (3, 5, 6, 3)


def test_pictures_stand_upright_as_exif_says(workspace: Path) -> None:
    save_set()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    upright = Image.new("L", (6, 5), 0)
    ImageDraw.Draw(upright).rectangle((0, 0, 5, 0), fill=255)  # the top row
    save("train/b/x.png", upright.rotate(90, expand=True), exif=exif)
    images, _ = run()
    (found,) = (image for image in images if image.max() == 1)
    np.testing.assert_array_equal(found[:, 0, 0], [1, 0, 0, 0, 0])


def test_large_jpeg_files_have_the_size_of_the_file(workspace: Path) -> None:
    """Pillow can decode them at half their size, which is for pictures that are resized."""
    for part in "train", "test":
        for i, side in enumerate((2002, 2002, 1001)):
            name = f"{part}/{'ab'[i % 2]}/{i}.{'jpg' if side > 2000 else 'png'}"
            save(name, Image.new("L", (side, side), i))
    choose()
    message = one_line("prepare")
    assert "(4 of 2002x2002, 2 of 1001x1001)" in message
    assert "set prepare.image_size in params.yaml, for example to [128, 128]" in message
    assert run(image_size=[28, 28])[0].shape == (3, 28, 28, 1)


def test_image_size_resizes_all_without_aliasing(workspace: Path) -> None:
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (80, 45)))
    for i in range(8):
        save(f"{'ab'[i % 2]}/{i}.png", stripes if i < 6 else Image.new("L", (3, 4), 128))
    images, _ = run(image_size=[10, 30])
    assert images.shape[1:] == (10, 30, 1)
    assert np.abs(images - 0.5).max() < 0.1, "one of three columns alone would be black or white"


def test_pictures_of_many_sizes_are_counted_in_one_bounded_line(workspace: Path) -> None:
    for i, side in enumerate([300] * 5 + [9] * 3 + [*range(10, 20)]):
        save(f"{'ab'[i % 2]}/{i}.png", Image.new("L", (side, side // 2), i))
    choose()
    message = one_line("prepare")
    assert "(5 of 150x300, 3 of 4x9, 1 of 5x10, 9 of 9 others)" in message
    assert "for example to [64, 128]" in message


def test_pictures_in_folders_within_a_class_belong_to_it(workspace: Path) -> None:
    """As in torchvision's ImageFolder and Keras's image_dataset_from_directory."""
    save_set()
    names = "a/one/x.png", "a/one/two/x.png", "b/one/x.png"
    for i, name in enumerate(names):
        save(f"train/{name}", Image.new("L", (6, 5), i))
    images, labels = run()
    order = arranged([*(name.removeprefix("train/") for name in GOOD[:3]), *names])
    assert labels.tolist() == ["ab".index(name[0]) for name in order]
    found = np.rint(images[:, 2, 2, 0] * 255).tolist()
    assert [found[order.index(name)] for name in names] == [0, 1, 2]


@pytest.mark.parametrize("name", ["val", "valid"])
def test_a_validation_part_of_its_own_is_the_last_part_of_the_training_images(
    name: str, workspace: Path
) -> None:
    save_set()
    run()
    assert paths.VALIDATION.read_text() == "0\n"
    for i, picture in enumerate(("a/1.png", "a/2.png")):
        save(f"{name}/{picture}", Image.new("L", (6, 5), i))
    images, labels = run()
    assert paths.VALIDATION.read_text() == "2\n"
    order = arranged(["a/1.png", "a/2.png"])
    expected = [["a/1.png", "a/2.png"].index(picture) for picture in order]
    assert np.rint(images[-2:, 0, 0, 0] * 255).tolist() == expected
    assert labels[-2:].tolist() == [0, 0]
    assert len(np.load(paths.X_TEST)) == 3


def test_with_a_validation_part_alone_the_test_part_is_held_out_of_train(workspace: Path) -> None:
    names = [f"{'ab'[i % 2]}/{i}.png" for i in range(20)]
    for i, name in enumerate(names):
        save(f"train/{name}", Image.new("L", (6, 5), i))
    save("val/a/x.png", Image.new("L", (6, 5), 99))
    images, _ = run()
    order = [names.index(name) for name in arranged(names)]
    assert np.rint(images[:, 0, 0, 0] * 255).tolist() == [*order[:16], 99]
    assert np.rint(np.load(paths.X_TEST)[:, 0, 0, 0] * 255).tolist() == order[16:]


def test_how_much_disk_the_arrays_take_is_said_before_a_picture_is_decoded(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_set()
    path = save("train/a/x.jpg", Image.effect_noise((90, 90), 90))
    path.write_bytes(path.read_bytes()[:-900])  # in the middle of its pixels
    choose(image_size=[500, 500])
    assert "x.jpg: " in one_line("prepare")
    expected = "data/raw/ours: 4 training and 3 test images of 500x500x1, 7.0 MB on disk\n"
    assert capsys.readouterr().out == expected


def bomb(name: str, width: int, height: int) -> Callable[[], object]:
    """Write a PNG file of a few bytes whose header promises `width` by `height` pixels."""
    content = pngs.png(pngs.header(width, height), pngs.data(bytes(99)))
    return lambda: (paths.RAW / "ours" / name).write_bytes(content)


def png(size: tuple[int, int] = (6, 5)) -> bytes:
    buffer = io.BytesIO()
    ImageOps.invert(Image.effect_noise(size, 90)).save(buffer, "PNG")
    return buffer.getvalue()


def write(name: str, content: bytes) -> Callable[[], object]:
    def act() -> None:
        path = paths.RAW / "ours" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    return act


def link(name: str, to: str) -> Callable[[], object]:
    return lambda: (paths.RAW / "ours" / name).symlink_to(to)


# What happens to a good data set, and what its line says.
BAD: dict[str, tuple[Callable[[], object], str]] = {
    "another class": (lambda: save("test/c/1.png"), "ours: no training picture of the class c"),
    "a class less": (lambda: save("train/c/1.png"), "ours: no test picture of the class c"),
    "another class to validate on": (
        lambda: save("val/c/1.png"),
        "ours: no training picture of the class c",
    ),
    "two validation parts": (
        lambda: (save("val/a/1.png"), save("valid/a/1.png")),
        "ours/valid: expected nothing but train, test, and val or valid",
    ),
    "a folder beside the parts": (
        lambda: save("more/a/1.png"),
        "ours/more: expected nothing but train, test, and val or valid",
    ),
    "parts of other names": (
        lambda: (paths.RAW / "ours/test").rename(paths.RAW / "ours/Validation"),
        "ours: folders called Validation, train look like parts of a data set, not like classes",
    ),
    "a part without classes": (
        lambda: save("val/1.png"),
        "ours/val: no pictures in folders of classes; expected some",
    ),
    "an empty class": (lambda: (paths.RAW / "ours/train/c").mkdir(), "train/c: no pictures"),
    "text": (
        write("train/a/x.png", b"five"),
        "train/a/x.png: cannot identify image file; expected a PNG, JPEG or WebP file",
    ),
    "an empty file": (write("test/a/x.png", b""), "test/a/x.png: cannot identify"),
    "truncated": (write("test/a/x.png", png()[:70]), "test/a/x.png: "),
    "another format": (
        write("test/a/x.gif", b"GIF89a"),
        "x.gif: expected pictures in folders as CLASS/NAME.png (or .jpg, .jpeg or .webp), or",
    ),
    "a GIF called PNG": (write("test/a/x.png", b"GIF89a"), "x.png: cannot identify"),
    "a bomb": (bomb("train/b/x.png", 60_000, 60_000), "60000 x 60000 pixels; expected at most 89"),
    "another size": (
        write("train/b/x.png", png((6, 4))),
        "data/raw/ours/train/b/x.png: pictures differ in size (6 of 5x6, 1 of 4x6); to "
        "resize all, set prepare.image_size in params.yaml, for example to [5, 6]",
    ),
    "a linked folder in a class": (link("train/a/b", "../b"), "train/a/b: expected pictures in"),
    "no UTF-8": (write("train/a/\udce4.png", png()), "train/a/\\udce4.png: the name is not UTF-8"),
    "a class not in UTF-8": (write("train/\udce4/1.png", png()), "printable name"),
    "a class on two lines": (write("train/a\nb/1.png", png()), "printable name"),
    "a link to nothing": (link("train/a/x.png", "nowhere.png"), "a/x.png: No such file"),
    "a linked class": (link("train/c", "a"), "ours/train/c': expected a folder, no link, with a"),
    "train/ alone": (
        lambda: (paths.RAW / "ours/test").rename("gone"),
        "found the classes ['train']; expected at least two, a folder for each",
    ),
    "one class": (
        lambda: [(paths.RAW / f"ours/{part}/b").rename(part) for part in ("train", "test")],
        "found the classes ['a']; expected",
    ),
}


# Pictures without a folder to test on, prepare.test_split, and what the line says.
UNDIVIDED: dict[str, tuple[list[str], float, str]] = {
    "one class": (["a/1.png", "a/2.png"], 0.2, "found the classes ['a']; expected at least two"),
    "one picture": (["a/1.png"], 0.2, "found the classes ['a']; expected at least two"),
    "two classes of one picture each": (
        ["a/1.png", "b/1.png"],
        0.2,
        "ours: prepare.test_split 0.2 leaves no picture of the class b to train on; expected "
        "some of each class to train on, and some to test on",
    ),
    "nothing to train on": (["a/1.png", "b/1.png"], 0.9, "0.9 leaves no picture of the class a to"),
    "nothing to test on": (["a/1.png", "b/1.png"], 1e-17, "1e-17 leaves no picture to test on;"),
}


@pytest.mark.parametrize("case", UNDIVIDED)
def test_pictures_that_cannot_be_divided_are_told_for_what_they_lack(
    case: str, workspace: Path
) -> None:
    names, test_split, expected = UNDIVIDED[case]
    for name in names:
        save(name)
    choose(test_split=test_split)
    assert expected in one_line("prepare")


@pytest.mark.parametrize("case", BAD)
def test_a_bad_data_set_is_told_in_one_line(case: str, workspace: Path) -> None:
    act, expected = BAD[case]
    save_set()
    act()
    choose()
    message = one_line("prepare")
    assert expected in message
    assert len(message) < 300
    assert not list(workspace.rglob(".partial*"))


def test_a_picture_without_permission_is_named(workspace: Path) -> None:
    save_set()
    path = paths.RAW / "ours/train/a/1.png"
    path.chmod(0)
    with as_nobody(workspace), pytest.raises(errors.InputError) as raised:
        list(folders.read(paths.RAW / "ours", PrepareParams(**DEFAULTS["prepare"])).train.images)
    assert str(raised.value) == f"{path}: Permission denied; expected a PNG, JPEG or WebP file"


def test_idx_files_have_a_size_of_their_own(prepared: Path) -> None:
    with pytest.raises(errors.InputError, match=r"prepare.image_size is \[28, 28\]; expected null"):
        run("mnist", image_size=[28, 28])


@pytest.mark.parametrize("watched", [True, False])
def test_a_bar_shows_progress_on_a_terminal_alone(
    watched: bool, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    screen.isatty = lambda: watched  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", screen)
    for i in range(100):
        save(f"{'ab'[i % 2]}/{i}.png", Image.effect_noise((6, 5), 90))
    run()
    assert ("Decoding:" in screen.getvalue()) == watched
    assert bool(screen.getvalue()) == watched


@pytest.mark.parametrize("centre", [True, False])
def test_what_predict_does_is_decided_with_the_data_set(centre: bool, prepared: Path) -> None:
    run("mnist", centre_ink=centre)
    decided = json.loads(paths.PICTURES.read_text())
    assert decided == {"shape": [28, 28, 1], "centre_ink": centre}
    save_set()
    run("ours", centre_ink=centre)
    assert json.loads(paths.PICTURES.read_text()) == {"shape": [5, 6, 1], "centre_ink": False}


def test_processes_that_decode_end_with_prepare_whatever_ends_it() -> None:
    program = """
import sys, time
from stages.prepare.parallel import on_all_cores

def work(path):
    print(path, flush=True)
    time.sleep(60)

next(on_all_cores(work, [*map(str, range(200))], "Sleeping"))
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        workers = psutil.Process(process.pid).children()
        process.kill()
        try:
            process.communicate(timeout=5)  # the output ends with the last process that has it
        finally:
            for worker in workers:
                with contextlib.suppress(psutil.NoSuchProcess):
                    worker.kill()
