"""Scale raw images to [0, 1], add the channel axis that convolutions expect, name the classes."""

from stages.common import params
from stages.common.errors import run_stage
from stages.common.files import write_array, write_text
from stages.common.paths import CLASSES, RAW, X_TEST, X_TRAIN, Y_TEST, Y_TRAIN
from stages.prepare import dataset
from stages.prepare.schema import PrepareParams


def main() -> None:
    folder = RAW / params.load("prepare", PrepareParams).dataset
    train, test, names = dataset.read(folder)
    print(f"{folder}: {len(train.labels):,} training and {len(test.labels):,} test images")

    write_array(X_TRAIN, dataset.scale(train.images))
    write_array(Y_TRAIN, train.labels)
    write_array(X_TEST, dataset.scale(test.images))
    write_array(Y_TEST, test.labels)
    write_text(CLASSES, "\n".join(names) + "\n")


if __name__ == "__main__":
    run_stage("prepare", main)
