"""Measure the model on the test set, find doubtful labels, and see where it looked."""

import json

import numpy as np
import pandas as pd

from stages.backend import archive, determinism, inference
from stages.common import params, paths
from stages.common.files import write_array, write_table, write_text
from stages.common.holdout import first_validated
from stages.common.mistakes import ShownParams, add_files, most_confident
from stages.common.stage import stage
from stages.evaluate import doubts, occlusion, scores

# One thread costs a second more than two, and the bytes do not depend on the machine's cores.
THREADS = 1


def main() -> None:
    images, labels = np.load(paths.X_TEST, mmap_mode="r"), np.load(paths.Y_TEST)
    training_images, training_labels = np.load(paths.X_TRAIN, mmap_mode="r"), np.load(paths.Y_TRAIN)
    own_validation = int(paths.VALIDATION.read_text(encoding="utf-8"))
    files = json.loads(paths.FILES.read_text(encoding="utf-8"))
    portable = paths.PORTABILITY.read_text(encoding="utf-8").strip()
    history = pd.read_csv(paths.HISTORY)
    train = params.load_all()["train"]  # checked by train
    shown = params.load("visualize", ShownParams)
    kept = history.iloc[history["val_loss"].argmin() if train["keep"] == "best" else -1]
    n = len(training_labels)
    first = first_validated(n, train["validation_split"], own_validation)
    determinism.pin(THREADS)
    print(f"Computing on {determinism.machine()}", flush=True)
    model = archive.load(paths.MODEL)

    probabilities = inference.predict(model, images)
    predictions = scores.tabulate(probabilities, labels)
    correct = predictions["actual"] == predictions["predicted"]
    class_scores = scores.score_classes(predictions, probabilities.shape[1])
    bins = scores.bin_by_confidence(predictions["confidence"], correct)
    trust = scores.answer_some(predictions["confidence"], correct)
    validation = {
        "loss": kept["val_loss"],
        "accuracy": kept["val_accuracy"],
        "images": n - first,
    }
    if train["keep"] == "best":
        validation["epoch"] = int(kept["epoch"])
    test = scores.measure(probabilities, predictions, class_scores, bins) | scores.trust_at(trust)
    print(f"Validation accuracy: {validation['accuracy']:.2%}")
    print(f"Test accuracy:       {test['accuracy']:.2%}")
    print(f"Test macro F1:       {test['macro_f1']:.3f}")
    print(f"Test loss:           {test['loss']:.3f}")
    # The precision of a class that was never predicted is NaN.
    if never := int(class_scores["precision"].isna().sum()):
        print(f"Never predicted:     {never} of {len(class_scores)} classes")

    found = doubts.search(model, training_images, training_labels, files["train"])
    parts = {"train": found[found["index"] < first], "validation": found[found["index"] >= first]}
    parts["test"] = doubts.contradict(probabilities, labels, files["test"])
    share, validation_share = len(parts["train"]) / first, len(parts["validation"]) / (n - first)
    if by_heart := doubts.are_by_heart(share, validation_share):
        print(
            f"Learnt by heart:     the network contradicts {share:.2%} of the training labels, but "
            f"{validation_share:.2%} of the validation labels, so {paths.DOUBTS} leaves out "
            "training images"
        )
        del parts["train"]
    mapped = most_confident(predictions, shown.mistakes)
    rows, answers = mapped["index"].to_numpy(), mapped["predicted"].to_numpy()
    maps = occlusion.draw_maps(model, images, rows, answers)

    training = {"portable": portable, "by_heart": by_heart}
    metrics = {"train": training, "validation": validation, "test": test}
    write_text(paths.METRICS, json.dumps(metrics, indent=2) + "\n")
    mistakes = predictions.loc[~correct, ["index", "actual", "predicted"]]
    write_table(paths.MISTAKES, add_files(mistakes, files["test"]))
    write_array(paths.PROBABILITIES, probabilities)
    write_table(paths.PREDICTIONS, predictions)
    write_table(paths.CLASS_SCORES, class_scores)
    write_table(paths.CALIBRATION, bins)
    write_table(paths.TRUST, trust)
    write_table(paths.DOUBTS, doubts.rank(parts))
    write_array(paths.MAPS, maps)
    write_array(paths.KERNELS, scores.first_kernels(model))


if __name__ == "__main__":
    with stage("evaluate"):
        main()
