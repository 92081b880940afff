"""The test images that two runs have both answered, found by their content."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.common.errors import InputError
from stages.common.files import load_names
from stages.common.paths import CLASSES, X_TEST, Y_TEST
from tools.dvc_internals import find_outputs
from tools.results import Results


class Shared(NamedTuple):
    """How two runs did on the test images that both have, and what only one of them has."""

    base_wrong: np.ndarray  # bool, for each of the shared images
    other_wrong: np.ndarray
    counts: dict[str, int]  # of images that are shared, added, removed and relabelled


def share(base: Results, other: Results) -> Shared:
    """Return how both did on the images that they share, judged by the labels of `other`.

    Equal test sets need nothing but what git keeps; the arrays of others are read. Raises
    InputError if these are nowhere, if no image is in both, or if one that is has a label that only
    one of the runs knows: a class may have another name now, and nothing tells which.
    """
    if base.test_set == other.test_set:
        images = np.arange(base.metrics["test.images"])
        base_wrong, other_wrong = (np.isin(images, [*run.mistakes]) for run in (base, other))
        return Shared(base_wrong, other_wrong, count(len(images)))
    (before, base_classes), (after, other_classes) = answers(base), answers(other)
    pairs = match(before, after)
    if pairs.empty:
        raise InputError(
            f"{base.name} and {other.name} have no test image in common; expected images of the "
            "same size and content in both"
        )
    old, new = before.loc[pairs["base"]], after.loc[pairs["other"]]
    labelled = {*old["label"], *new["label"]}
    alone = {base.name: labelled - other_classes, other.name: labelled - base_classes}
    if any(alone.values()):
        named = [f"{run}: {', '.join(sorted(names))}" for run, names in alone.items() if names]
        raise InputError(
            "test images in both have classes that only one of the runs knows "
            f"({'; '.join(named)}); expected the same names in both"
        )
    labels = new["label"].to_numpy()
    base_wrong, other_wrong = (side["answer"].to_numpy() != labels for side in (old, new))
    added, removed = len(after) - len(pairs), len(before) - len(pairs)
    relabelled = int((old["label"].to_numpy() != labels).sum())
    return Shared(base_wrong, other_wrong, count(len(pairs), added, removed, relabelled))


def count(shared: int, added: int = 0, removed: int = 0, relabelled: int = 0) -> dict[str, int]:
    return {"shared": shared, "added": added, "removed": removed, "relabelled": relabelled}


def answers(run: Results) -> tuple[pd.DataFrame, set[str]]:
    """Return one row per test image of `run`: a hash of its content, its label and the answer.

    Labels are the names of classes, since a new class may change the numbers of others; all of
    these names come second. Raises InputError if an array is neither here nor in the remote.
    """
    outputs = {path: run.outputs[str(path)] for path in (X_TEST, Y_TEST, CLASSES)}
    found = find_outputs(outputs)
    for path, there in zip(outputs, found, strict=True):
        if not there.is_file():
            raise InputError(
                f"{path}: the version of {run.name} is neither here nor in the remote; it is "
                "needed because the test sets differ: run dvc push --all-commits where it was made"
            )
    images, labels = (np.load(path, mmap_mode="r") for path in found[:2])
    predicted = labels.astype(np.int64)
    predicted[[*run.mistakes]] = [*run.mistakes.values()]
    names: np.ndarray = np.array(load_names(found[2]))
    hashes = [hashlib.sha256(image.tobytes()).digest() for image in images]
    table = {"image": hashes, "label": names[labels], "answer": names[predicted]}
    return pd.DataFrame(table), set(names.tolist())


def match(base: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `base` and `other` that are the same image, as columns of these names.

    Of several equal images, those with the same label are the same one, then those that come first.
    """
    alike = pair(base, other, ["image", "label"])
    left = base.drop(alike["base"]), other.drop(alike["other"])
    return pd.concat([alike, pair(*left, ["image"])])


def pair(base: pd.DataFrame, other: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return the rows of `base` and `other` that agree in `keys`, each with one at most."""
    sides = [
        side.assign(nth=side.groupby([*keys]).cumcount())[[*keys, "nth"]].reset_index(names=name)
        for name, side in (("base", base), ("other", other))
    ]
    return sides[0].merge(sides[1], on=[*keys, "nth"])[["base", "other"]]
