"""Scale images to [0, 1], name the classes and the files, and find near copies in the test set."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stages.common import params, paths
from stages.common.errors import printable
from stages.common.files import current, write_array, write_parts, write_table, write_text
from stages.common.stage import stage
from stages.prepare import copies, folders, idx
from stages.prepare.dataset import Split, scale
from stages.prepare.schema import PrepareParams


def main() -> None:
    settings = params.load("prepare", PrepareParams)
    folder = paths.RAW / settings.dataset
    of_pictures = folders.are_in(folder)
    train, test, names, shape, validation = (folders if of_pictures else idx).read(folder, settings)
    n = len(train.labels) + len(test.labels)
    print(
        f"{folder}: {len(train.labels):,} training and {len(test.labels):,} test images of",
        f"{'x'.join(map(str, shape))}, {n * math.prod(shape) * 4 / 1e6:,.1f} MB on disk",
        flush=True,
    )

    x_train, train_outlines = write_images(paths.X_TRAIN, train, shape)
    write_array(paths.Y_TRAIN, train.labels)
    x_test, test_outlines = write_images(paths.X_TEST, test, shape)
    write_array(paths.Y_TEST, test.labels)
    found = copies.find(x_train, x_test, train_outlines, test_outlines)
    write_table(paths.COPIES, found)
    if len(found):
        line = copies.describe(found, folder, train, test)
        print(printable(f"prepare: {line}"), file=sys.stderr)
    files = {"train": train.files, "test": test.files}
    write_text(paths.FILES, json.dumps(files, ensure_ascii=False, indent=2) + "\n")
    write_text(paths.CLASSES, "\n".join(names) + "\n")
    write_text(paths.VALIDATION, f"{validation}\n")
    preparation = {"shape": shape, "centre_ink": settings.centre_ink and not of_pictures}
    write_text(paths.PICTURES, json.dumps(preparation) + "\n")


def write_images(
    path: Path, split: Split, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Write scaled images, never all in memory; return the array, from disk, and their outlines."""
    outlines: list[np.ndarray] = []

    def parts() -> Iterator[np.ndarray]:
        for part in split.images:
            outlines.append(copies.outline(part))
            yield scale(part)

    write_parts(path, parts(), (len(split.labels), *shape))
    return np.load(current(path), mmap_mode="r"), np.concatenate(outlines)


if __name__ == "__main__":
    with stage("prepare"):
        main()
