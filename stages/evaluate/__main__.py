"""Measure the model on the test set, and save what visualize needs."""

import json

import numpy as np
import pandas as pd

from stages.backend import archive, determinism, inference
from stages.common import params, paths
from stages.common.files import write_array, write_table, write_text
from stages.common.holdout import first_validated
from stages.common.stage import stage
from stages.evaluate import scores

# One thread costs a second more than two, and the bytes do not depend on the machine's cores.
THREADS = 1


def main() -> None:
    images, labels = np.load(paths.X_TEST, mmap_mode="r"), np.load(paths.Y_TEST)
    training_images = len(np.load(paths.Y_TRAIN, mmap_mode="r"))
    own_validation = int(paths.VALIDATION.read_text(encoding="utf-8"))
    portable = paths.PORTABILITY.read_text(encoding="utf-8").strip()
    history = pd.read_csv(paths.HISTORY)
    train = params.load_all()["train"]  # checked by train
    kept = history.iloc[history["val_loss"].argmin() if train["keep"] == "best" else -1]
    determinism.pin(THREADS)
    print(f"Computing on {determinism.machine()}", flush=True)
    model = archive.load(paths.MODEL)

    probabilities = inference.predict(model, images)
    predictions = scores.tabulate(probabilities, labels)
    correct = predictions["actual"] == predictions["predicted"]
    class_scores = scores.score_classes(predictions, probabilities.shape[1])
    bins = scores.bin_by_confidence(predictions["confidence"], correct)
    validation = {
        "loss": kept["val_loss"],
        "accuracy": kept["val_accuracy"],
        "images": training_images
        - first_validated(training_images, train["validation_split"], own_validation),
    }
    if train["keep"] == "best":
        validation["epoch"] = int(kept["epoch"])
    test = scores.measure(probabilities, predictions, class_scores, bins)
    print(f"Validation accuracy: {validation['accuracy']:.2%}")
    print(f"Test accuracy:       {test['accuracy']:.2%}")
    print(f"Test macro F1:       {test['macro_f1']:.3f}")
    print(f"Test loss:           {test['loss']:.3f}")
    # The precision of a class that was never predicted is NaN.
    if never := int(class_scores["precision"].isna().sum()):
        print(f"Never predicted:     {never} of {len(class_scores)} classes")

    metrics = {"train": {"portable": portable}, "validation": validation, "test": test}
    write_text(paths.METRICS, json.dumps(metrics, indent=2) + "\n")
    write_table(paths.MISTAKES, predictions.loc[~correct, ["index", "actual", "predicted"]])
    write_array(paths.PROBABILITIES, probabilities)
    write_table(paths.PREDICTIONS, predictions)
    write_table(paths.CLASS_SCORES, class_scores)
    write_table(paths.CALIBRATION, bins)
    write_array(paths.KERNELS, scores.first_kernels(model))


if __name__ == "__main__":
    with stage("evaluate"):
        main()
