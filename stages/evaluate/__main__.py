"""Measure the model on the test set, and save what visualize needs."""

import json

import numpy as np

from stages.backend import archive, runtime
from stages.common import paths
from stages.common.errors import run_stage
from stages.common.files import write_array, write_table, write_text
from stages.evaluate.measures import first_kernels, measure, tabulate
from stages.evaluate.scores import calibrate, score_classes

# One thread costs a second more than two, and the bytes do not depend on the machine's cores.
THREADS = 1


def main() -> None:
    images, labels = np.load(paths.X_TEST, mmap_mode="r"), np.load(paths.Y_TEST)
    runtime.pin(THREADS)
    print(runtime.describe(), flush=True)
    model = archive.load(paths.MODEL)

    probabilities = model.predict(images, batch_size=1000, verbose=0)
    predictions = tabulate(probabilities, labels)
    actual, predicted = predictions["actual"], predictions["predicted"]
    metrics = measure(probabilities, labels)
    print(f"Test loss:     {metrics['loss']:.3f}")
    print(f"Test accuracy: {metrics['accuracy']:.2%}")

    write_text(paths.METRICS, json.dumps({"test": metrics}, indent=2) + "\n")
    write_array(paths.PROBABILITIES, probabilities)
    write_table(paths.PREDICTIONS, predictions)
    write_table(paths.CLASS_SCORES, score_classes(actual, predicted, probabilities.shape[1]))
    write_table(paths.CALIBRATION, calibrate(predictions["confidence"], actual == predicted))
    write_array(paths.KERNELS, first_kernels(model))


if __name__ == "__main__":
    run_stage("evaluate", main)
