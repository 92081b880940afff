"""A data set of pictures, with a folder for each class, as torchvision's ImageFolder has it."""

import hashlib
import math
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

import pictures
from stages.common.errors import InputError
from stages.common.holdout import describe_lack, first_held_out
from stages.prepare.dataset import DataSet, Split
from stages.prepare.parallel import on_all_cores
from stages.prepare.schema import PrepareParams

PART_NAMES = {"train", "training", "val", "valid", "validation", "dev", "test", "testing"}
SUFFIXES = ".png", ".jpg", ".jpeg", ".webp"
LARGEST = 128  # pixels of a side that are suggested; larger images take hours to learn from
LITTER = (
    "thumbs.db",
    "desktop.ini",
    "icon\r",
)  # of file managers, beside names that start with a dot
BLOCK_BYTES = 100_000_000  # of decoded pictures in memory; scaled, they are four times as many

Shape = tuple[int, int, int]  # height, width and channels


class Look(NamedTuple):
    """What is known of a picture before it is decoded."""

    size: tuple[int, int]  # height and width in pixels, upright
    has_colours: bool


def read(folder: Path, settings: PrepareParams) -> DataSet:
    """Open the data set in `folder`, whose pictures become RGB if one has colours, else grey.

    Raises InputError, naming the file, if anything is missing, damaged or contradictory. Pixels are
    checked only when they are read.
    """
    parts = divide(folder, settings.test_split)
    train, test = parts.train | parts.validation, parts.test
    looks = look_at_all([*train, *test])
    shape = choose_shape(looks, settings.image_size)
    names = sorted(set(train.values()))

    def split(part: dict[str, str]) -> Split:
        files = [path.removeprefix(f"{folder}/") for path in part]
        return Split(number(part.values(), names), decode_all([*part], shape), files)

    return DataSet(split(train), split(test), names, shape, len(parts.validation))


def are_in(folder: Path) -> bool:
    """Return whether `folder` has folders of pictures, and no IDX files."""
    return bool(folder.is_dir() and subfolders(folder) and not list(folder.glob("*-ubyte*")))


class Parts(NamedTuple):
    """The pictures to train on, to validate on and to test on, with their classes."""

    train: dict[str, str]
    validation: dict[str, str]  # empty unless the set has such a part of its own
    test: dict[str, str]


def divide(folder: Path, test_split: float) -> Parts:
    """Return the pictures of each part of the data set in `folder`.

    Without a folder test/, the last part of those to train on is held out to test on. Raises
    InputError if there is only one class, or if a part has no picture of a class. A validation part
    may be without one, and so may a held-out test part, which is then said on stderr.
    """
    in_train, in_validation, in_test = find_parts(folder)
    found = find(in_train)
    validation = find(in_validation) if in_validation else {}
    if in_validation and not validation:
        raise InputError(f"{in_validation}: no pictures in folders of classes; expected some")
    first = len(found) if in_test else first_held_out(len(found), test_split)
    train, test = dict([*found.items()][:first]), dict([*found.items()][first:])
    if in_test:
        test = find(in_test)

    classes = {*found.values(), *validation.values(), *test.values()}
    missing, untested = classes.difference(train.values()), classes.difference(test.values())
    if len(classes) < 2:
        raise InputError(
            f"{folder}: found the classes {[*classes]}; expected at least two, a folder for each"
        )
    if absent := classes.difference(found.values()) or (untested if in_test else set()):
        part = "training" if missing else "test"
        raise InputError(f"{folder}: no {part} picture of the class {min(absent)}")
    if missing or not test:
        left = f"of the class {min(missing)} to train on" if missing else "to test on"
        raise InputError(
            f"{folder}: prepare.test_split {test_split} leaves no picture {left}; expected some of "
            "each class to train on, and some to test on"
        )
    if untested:
        line = describe_lack("test", untested, len(classes))
        print(f"prepare: {line}: its figures say nothing about them", file=sys.stderr)
    return Parts(train, validation, test)


def find_parts(folder: Path) -> tuple[Path, Path | None, Path | None]:
    """Return where the classes' folders to train on, to validate on and to test on are.

    That is in the folders train, val (or valid) and test, of which one of the last two may be
    missing, or in `folder` itself. Raises InputError if there are others beside them.
    """
    names = {path.name for path in subfolders(folder)}
    held_out = names & {"val", "valid", "test"}
    if "train" not in names or not held_out:
        if len(names) > 1 and {name.casefold() for name in names} <= PART_NAMES:
            raise InputError(
                f"{folder}: folders called {', '.join(sorted(names))} look like parts of a data "
                "set, not like classes; expected parts to be called train, val or valid, and test"
            )
        return folder, None, None
    validation = sorted(held_out - {"test"})
    if others := sorted(names - held_out - {"train"}) + validation[1:]:
        raise InputError(
            f"{folder / others[0]}: expected nothing but train, test, and val or valid"
        )
    own = folder / validation[0] if validation else None
    return folder / "train", own, folder / "test" if "test" in names else None


def visible(folder: Path) -> list[Path]:
    """Return what is in `folder`, sorted by name, without hidden files."""
    paths = sorted(folder.iterdir())
    return [p for p in paths if not p.name.startswith(".") and p.name.lower() not in LITTER]


def files_in(folder: Path) -> Iterator[Path]:
    """Yield what is in `folder` and in the folders in it; a link is never followed."""
    for path in visible(folder):
        if path.is_dir() and not path.is_symlink():
            yield from files_in(path)
        else:
            yield path


def subfolders(folder: Path) -> list[Path]:
    return [path for path in visible(folder) if path.is_dir()]


def find(root: Path) -> dict[str, str]:
    """Return the paths of all pictures in the folders of classes below `root`, and their classes.

    They are in the order of `interleave`. Raises InputError for a class without pictures, or a name
    that can't be used.
    """
    found: dict[str, list[str]] = {}
    others: list[Path] = []
    for folder in subfolders(root):
        name = folder.name
        if folder.is_symlink() or not name.isprintable() or name != name.strip():
            raise InputError(
                f"{str(folder)!r}: expected a folder, no link, with a printable name that has no "
                "spaces around it"
            )
        if not (inside := [*files_in(folder)]):
            raise InputError(f"{folder}: no pictures; expected PNG, JPEG or WebP files")
        found.setdefault(composed(name), []).extend(str(path.relative_to(root)) for path in inside)
        others += [path for path in inside if path.suffix.lower() not in SUFFIXES]
    if others:
        layout = "CLASS/NAME.png (or .jpg, .jpeg or .webp), or the same in train and test"
        raise InputError(f"{others[0]}: expected pictures in folders as {layout}{more(others)}")
    try:
        return {str(root / path): name for path, name in interleave(found)}
    except UnicodeEncodeError as error:
        raise InputError(f"{root / error.object}: the name is not UTF-8") from None


def composed(name: str) -> str:
    """Return a name as Unicode composes it: macOS may write ü as u and two dots."""
    return unicodedata.normalize("NFC", name)


def interleave(classes: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Return the pictures of all `classes`, each with its class, in one order for the whole set.

    A class's own are in the order of the SHA-256 of `class/name`, which is the same everywhere, and
    spread evenly over the whole: so the last tenth, for example, has a tenth of each class, rounded
    up or down. An added picture moves at most three others over the border of such a part.
    """
    places: dict[tuple[str, str], float] = {}
    for i, name in enumerate(sorted(classes)):
        pictures = sorted(
            classes[name], key=lambda path: hashlib.sha256(composed(path).encode()).digest()
        )
        # Each class begins a little later than the one before: those of one size take turns.
        n = 2 * len(classes)  # in whole numbers, so that equal places are equal
        places |= {
            (path, name): (j * n + 2 * i + 1) / (len(pictures) * n)
            for j, path in enumerate(pictures)
        }
    return sorted(places, key=lambda picture: (places[picture], picture[1]))


def more(wrong: Sequence[object]) -> str:
    """Return the end of a message about the first of `wrong`: how many more there are."""
    return f"; the same goes for {len(wrong) - 1:,} more" if len(wrong) > 1 else ""


def look_at(path: str) -> Look | str:
    """Return a Look at a picture, or what is wrong with it."""
    try:
        with pictures.opened(Path(path)) as image:
            return Look(pictures.upright_size(image), image.mode not in pictures.GREY)
    except pictures.PictureError as error:
        return str(error)


def look_at_all(paths: Sequence[str]) -> dict[str, Look]:
    """Return a Look at each of the pictures, by its path; raise InputError if one is wrong."""
    found = [*chain.from_iterable(on_all_cores(look_at, paths, "Looking at files"))]
    if wrong := [look for look in found if isinstance(look, str)]:
        raise InputError(wrong[0] + more(wrong))
    return {path: look for path, look in zip(paths, found, strict=True) if isinstance(look, Look)}


def choose_shape(looks: Mapping[str, Look], image_size: Sequence[int] | None) -> Shape:
    """Return the shape of all images: in colour if one picture has colours.

    Raises InputError if no `image_size` (height, width) is given, and the pictures differ in size
    or are larger than anybody would train on.
    """
    channels = 3 if any(look.has_colours for look in looks.values()) else 1
    if image_size:
        height, width = image_size
        return height, width, channels
    sizes = Counter(look.size for look in looks.values())
    (commonest, _), *others = sizes.most_common()
    remedy = (
        f"to resize all, set prepare.image_size in params.yaml, for example to {fit(commonest)}"
    )
    if others:
        counts = [f"{n:,} of {h}x{w}" for (h, w), n in sizes.most_common(3)]
        if len(sizes) > 3:
            counts.append(f"{sum(n for _, n in others[2:]):,} of {len(sizes) - 3:,} others")
        stray = next(path for path, look in looks.items() if look.size == others[-1][0])
        raise InputError(f"{stray}: pictures differ in size ({', '.join(counts)}); {remedy}")
    height, width = commonest
    if max(commonest) > pictures.LARGEST:
        raise InputError(
            f"{next(iter(looks))}: {height} by {width} pixels; expected at most "
            f"{pictures.LARGEST} each way; {remedy}"
        )
    return height, width, channels


def fit(size: tuple[int, int]) -> list[int]:
    """Return [height, width] in the proportions of `size`, neither of them larger than LARGEST."""
    scale = min(1, LARGEST / max(size))
    return [max(1, round(side * scale)) for side in size]


def number(labels: Iterable[str], names: Sequence[str]) -> np.ndarray:
    """Return for each label its place among the sorted names, in the smallest type for all."""
    places = {name: place for place, name in enumerate(names)}
    return np.array([places[name] for name in labels], np.min_scalar_type(len(names) - 1))


def decode(path: str, shape: Shape) -> np.ndarray:
    """Return a picture as uint8 of `shape`, resized unless it has that size.

    Raises InputError if its pixels are damaged.
    """
    try:
        return pictures.as_array(pictures.load(Path(path), shape[:2]), shape)
    except pictures.PictureError as error:
        raise InputError(str(error)) from None


def decode_all(paths: Sequence[str], shape: Shape) -> Iterator[np.ndarray]:
    """Yield blocks of pictures, uint8 (k, *shape), in their order."""
    at_once = max(1, BLOCK_BYTES // math.prod(shape))
    return map(np.stack, on_all_cores(partial(decode, shape=shape), paths, "Decoding", at_once))
