"""A data set of pictures, with a folder for each class, as torchvision's ImageFolder has it."""

import hashlib
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

import pictures
from stages.common.errors import InputError
from stages.common.holdout import first_held_out
from stages.prepare.dataset import DataSet, Split
from stages.prepare.parallel import on_all_cores
from stages.prepare.schema import PrepareParams

SUFFIXES = ".png", ".jpg", ".jpeg"
LITTER = "thumbs.db", "desktop.ini"  # of file managers, besides names that start with a dot

Shape = tuple[int, int, int]  # height, width and channels


class Look(NamedTuple):
    """What is known of a picture before it is decoded."""

    size: tuple[int, int]  # height and width in pixels, upright
    has_colours: bool
    digest: bytes  # the SHA-256 of its file


def read(folder: Path, settings: PrepareParams) -> DataSet:
    """Open the data set in `folder`, whose pictures become RGB if one has colours, else grey.

    Raises InputError, naming the file, if anything is missing, damaged or contradictory. Pixels are
    checked only when they are read.
    """
    train, test = divide(folder, settings.test_split)
    looks = look_at_all([*train, *test])
    shape = choose_shape(looks, settings.image_size)
    warn_of_copies(train, test, looks)
    names = sorted(set(train.values()))
    return DataSet(
        Split(number(train.values(), names), decode_all([*train], shape)),
        Split(number(test.values(), names), decode_all([*test], shape)),
        names,
        shape,
    )


def are_in(folder: Path) -> bool:
    """Return whether `folder` has folders of pictures, and no IDX files."""
    return bool(folder.is_dir() and subfolders(folder) and not list(folder.glob("*-ubyte*")))


def divide(folder: Path, test_split: float) -> tuple[dict[str, str], dict[str, str]]:
    """Return the pictures to train on and those to test on, with their classes.

    Without folders train/ and test/, the last part is held out to test on. Raises InputError if
    there is only one class, or if a part lacks one; only a held-out part may.
    """
    has_parts = [path.name for path in subfolders(folder)] == ["test", "train"]
    if has_parts:
        train, test = find(folder / "train"), find(folder / "test")
    else:
        found = list(find(folder).items())
        first = first_held_out(len(found), test_split)
        train, test = dict(found[:first]), dict(found[first:])

    classes = {*train.values(), *test.values()}
    missing, untested = classes.difference(train.values()), classes.difference(test.values())
    if len(classes) < 2:
        raise InputError(
            f"{folder}: classes are {[*classes]}; expected a folder for each, at least two"
        )
    if has_parts and (missing or untested):
        part = "training" if missing else "test"
        raise InputError(f"{folder}: no {part} picture of the class {min(missing or untested)}")
    if missing or not test:
        left = f"of the class {min(missing)} to train on" if missing else "to test on"
        raise InputError(
            f"{folder}: prepare.test_split {test_split} leaves no picture {left}; expected some to "
            "train on of each class, and some to test on"
        )
    return train, test


def visible(folder: Path) -> list[Path]:
    """Return what is in `folder`, sorted by name, without hidden files."""
    paths = sorted(folder.iterdir())
    return [p for p in paths if not p.name.startswith(".") and p.name.lower() not in LITTER]


def subfolders(folder: Path) -> list[Path]:
    return [path for path in visible(folder) if path.is_dir()]


def find(root: Path) -> dict[str, str]:
    """Return the paths of all pictures in the folders of classes below `root`, and their classes.

    They are in the order of the SHA-256 of `class/name`: that mixes the classes, is the same on
    every file system, and doesn't change when a picture is added. Raises InputError for a class
    without pictures, or a name that can't be used.
    """
    composed = partial(unicodedata.normalize, "NFC")  # macOS may write ü as u and two dots
    found = {}
    for folder in subfolders(root):
        name = folder.name
        if folder.is_symlink() or not name.isprintable() or name != name.strip():
            raise InputError(f"{str(folder)!r}: expected a printable name, and a folder, no link")
        if not (inside := visible(folder)):
            raise InputError(f"{folder}: no pictures; expected PNG or JPEG files")
        for path in inside:
            if path.suffix.lower() not in SUFFIXES:
                layout = "CLASS/NAME.png, or that in train and in test (or .jpg or .jpeg)"
                raise InputError(f"{path}: expected pictures in folders as {layout}")
            found[f"{name}/{path.name}"] = composed(name)
    try:
        order = sorted(found, key=lambda path: hashlib.sha256(composed(path).encode()).digest())
    except UnicodeEncodeError as error:
        raise InputError(f"{root / error.object}: the name is not UTF-8") from None
    return {str(root / path): found[path] for path in order}


@contextmanager
def as_input_error() -> Iterator[None]:
    """Turn a PictureError into an InputError of the same text."""
    try:
        yield
    except pictures.PictureError as error:
        raise InputError(str(error)) from None


@as_input_error()
def look_at(path: str) -> Look:
    with pictures.opened(Path(path)) as image:
        size, has_colours = pictures.upright_size(image), image.mode not in pictures.GREY
    return Look(size, has_colours, hashlib.sha256(Path(path).read_bytes()).digest())


def look_at_all(paths: Sequence[str]) -> dict[str, Look]:
    """Return a Look at each of the pictures, by its path."""
    blocks = on_all_cores(look_at, paths, "Looking at files")
    return dict(zip(paths, chain.from_iterable(blocks), strict=True))


def warn_of_copies(train: Iterable[str], test: Iterable[str], looks: Mapping[str, Look]) -> None:
    """Say on stderr how many test pictures are the same file as a training picture."""
    originals = {looks[path].digest: path for path in train}
    tested = [(path, originals.get(looks[path].digest)) for path in test]
    if copies := [(path, original) for path, original in tested if original]:
        print(
            "prepare: {} is the same file as {};".format(*copies[0]),
            f"{len(copies)} of {len(tested)} test pictures are also training pictures",
            file=sys.stderr,
        )


def choose_shape(looks: Mapping[str, Look], image_size: Sequence[int] | None) -> Shape:
    """Return the shape of all images: in colour if one picture has colours.

    Raises InputError if the pictures differ in size, and no `image_size` (height, width) is given.
    """
    height, width = image_size or next(iter(looks.values())).size
    for path, look in looks.items():
        if not image_size and look.size != (height, width):
            raise InputError(
                f"{path}: {look.size[0]} by {look.size[1]} pixels; expected {height} by {width} "
                "like the first one, or a prepare.image_size to which all are resized"
            )
    return height, width, 3 if any(look.has_colours for look in looks.values()) else 1


def number(labels: Iterable[str], names: Sequence[str]) -> np.ndarray:
    """Return for each label its place among the sorted names, in the smallest type for all."""
    places = {name: place for place, name in enumerate(names)}
    return np.array([places[name] for name in labels], np.min_scalar_type(len(names) - 1))


@as_input_error()
def decode(path: str, shape: Shape) -> np.ndarray:
    """Return a picture as uint8 of `shape`, resized unless it has that size."""
    return pictures.as_array(pictures.load(Path(path), shape[:2]), shape)


def decode_all(paths: Sequence[str], shape: Shape) -> Iterator[np.ndarray]:
    """Yield blocks of pictures, uint8 (k, *shape), in their order."""
    return map(np.stack, on_all_cores(partial(decode, shape=shape), paths, "Decoding"))
