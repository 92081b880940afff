"""Scale images to [0, 1], with the channel axis that convolutions expect, and name the classes."""

import json
import math

from stages.common import params, paths
from stages.common.files import write_array, write_parts, write_text
from stages.common.stage import stage
from stages.prepare import folders, idx
from stages.prepare.dataset import scale
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

    write_parts(paths.X_TRAIN, map(scale, train.images), (len(train.labels), *shape))
    write_array(paths.Y_TRAIN, train.labels)
    write_parts(paths.X_TEST, map(scale, test.images), (len(test.labels), *shape))
    write_array(paths.Y_TEST, test.labels)
    files = {"train": train.files, "test": test.files}
    write_text(paths.FILES, json.dumps(files, ensure_ascii=False, indent=2) + "\n")
    write_text(paths.CLASSES, "\n".join(names) + "\n")
    write_text(paths.VALIDATION, f"{validation}\n")
    preparation = {"shape": shape, "centre_ink": settings.centre_ink and not of_pictures}
    write_text(paths.PICTURES, json.dumps(preparation) + "\n")


if __name__ == "__main__":
    with stage("prepare"):
        main()
