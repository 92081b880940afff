"""A data set of pictures, with a folder for each class, as torchvision's ImageFolder has it."""

import hashlib
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm  # type: ignore[import-untyped]

import pictures
from stages.common.errors import InputError
from stages.common.holdout import first_held_out
from stages.prepare.dataset import DataSet, Split
from stages.prepare.schema import PrepareParams

SUFFIXES = ".png", ".jpg", ".jpeg"
LITTER = "thumbs.db", "desktop.ini"  # of file managers, besides names that start with a dot
BLOCK, CHUNK = 1000, 50  # pictures in memory, and those that a process gets at a time

T = TypeVar("T")


def visible(folder: Path) -> list[Path]:
    """Return what is in `folder`, sorted by name, without hidden files."""
    paths = sorted(folder.iterdir())
    return [p for p in paths if not p.name.startswith(".") and p.name.lower() not in LITTER]


def subfolders(folder: Path) -> list[Path]:
    return [path for path in visible(folder) if path.is_dir()]


def are_in(folder: Path) -> bool:
    """Return whether `folder` has folders of pictures, and no IDX files."""
    return bool(folder.is_dir() and subfolders(folder) and not list(folder.glob("*-ubyte*")))


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
def input_errors() -> Iterator[None]:
    """Turn a PictureError into an InputError of the same text."""
    try:
        yield
    except pictures.PictureError as error:
        raise InputError(str(error)) from None


def on_all_cores(
    work: Callable[[str], T], paths: Sequence[str], description: str
) -> Iterator[list[T]]:
    """Yield what `work` returns for the paths, a block of them at a time, in their order."""
    if len(paths) <= CHUNK:  # starting processes would cost more than it saves
        with input_errors():
            block = list(map(work, paths))
        yield block
        return
    # Processes: of a small picture, Python has more to do than Pillow. Ctrl-C is for their parent.
    pool = ProcessPoolExecutor(initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    bar = tqdm(total=len(paths), desc=description, unit="picture", leave=False, disable=None)
    with pool, bar:
        for start in range(0, len(paths), BLOCK):
            with input_errors():
                block = list(pool.map(work, paths[start : start + BLOCK], chunksize=CHUNK))
            bar.update(len(block))
            yield block


def inspect(path: str) -> tuple[bool, bytes]:
    """Return whether a picture has colours, and the SHA-256 of its file."""
    with pictures.opened(Path(path)) as image:
        has_colours = image.mode not in pictures.GREY
    return has_colours, hashlib.sha256(Path(path).read_bytes()).digest()


def decode(path: str, shape: tuple[int, int, int], resize: bool) -> np.ndarray:
    """Return a picture as uint8 of `shape`; raise InputError for another size without `resize`."""
    image = pictures.load(Path(path))
    height, width = shape[:2]
    if not resize and image.size != (width, height):
        raise InputError(
            f"{path}: {image.height} by {image.width} pixels; expected {height} by {width} like "
            "the first one, or a prepare.image_size to which all are resized"
        )
    return pictures.as_array(image, shape)


def divide(folder: Path, test_split: float) -> tuple[dict[str, str], dict[str, str]]:
    """Return the pictures to train on and those to test on, with their classes.

    Without folders train/ and test/, the last part is held out to test on. Raises InputError if
    there is only one class, or if a part lacks one; only a held-out part may.
    """
    if [path.name for path in subfolders(folder)] == ["test", "train"]:
        train, test = find(folder / "train"), find(folder / "test")
        parts = {"training": train, "test": test}
    else:
        found = list(find(folder).items())
        first = first_held_out(len(found), test_split)
        train, test = dict(found[:first]), dict(found[first:])
        parts = {"training": train}
    names = {*train.values(), *test.values()}
    for part, members in parts.items():
        if lacks := names.difference(members.values()):
            raise InputError(f"{folder}: no {part} picture of the class {min(lacks)}")
    if len(names) < 2:
        raise InputError(
            f"{folder}: classes are {[*names]}; expected a folder for each, at least two"
        )
    return train, test


def warn_of_copies(train: Iterable[str], test: Iterable[str], digests: Iterable[bytes]) -> None:
    """Say on stderr which test pictures, by the `digests` of both, are training pictures, too."""
    digest = iter(digests)
    originals = {next(digest): path for path in train}
    tested = [(path, originals.get(next(digest))) for path in test]
    if copies := [pair for pair in tested if pair[1]]:
        print(
            "prepare: {} is the same file as {};".format(*copies[0]),
            f"{len(copies)} of {len(tested)} test pictures are training pictures, too",
            file=sys.stderr,
        )


def read(folder: Path, settings: PrepareParams) -> DataSet:
    """Open the data set in `folder`, whose pictures become RGB if one has colours, else grey.

    Raises InputError, naming the file, if anything is missing, damaged or contradictory. Pixels are
    checked only when they are read.
    """
    train, test = divide(folder, settings.test_split)
    blocks = on_all_cores(inspect, [*train, *test], "Looking at files")
    colours, digests = zip(*(found for block in blocks for found in block), strict=True)
    warn_of_copies(train, test, digests)
    with input_errors():
        height, width = settings.image_size or pictures.load(Path(next(iter(train)))).size[::-1]
    shape = (height, width, 3 if any(colours) else 1)
    work = partial(decode, shape=shape, resize=settings.image_size is not None)
    names = sorted(set(train.values()))
    numbers = {name: number for number, name in enumerate(names)}

    def split(part: dict[str, str]) -> Split:
        labels = [numbers[name] for name in part.values()]
        images = map(np.stack, on_all_cores(work, [*part], "Decoding"))
        return Split(np.array(labels, np.min_scalar_type(len(names) - 1)), images)

    return DataSet(split(train), split(test), names, shape)
