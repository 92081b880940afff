"""What a model's predictions are worth: metrics, scores of each class, calibration."""

from typing import Any

import numpy as np
import pandas as pd

from stages.backend.layers import first_convolution
from stages.backend.runtime import keras

BINS = 15  # the usual number in papers on calibration
SHARES = 1000  # of a good model, the last few percent show nearly all


def score_classes(predictions: pd.DataFrame, classes: int) -> pd.DataFrame:
    """Return precision, recall, F1 = 2 TP / (2 TP + FP + FN) and support, one row per class.

    0/0 gives NaN: the precision of a class that was never predicted, the recall of one that never
    occurred, the F1 of one that neither occurred nor was predicted.
    """
    actual, predicted = predictions["actual"], predictions["predicted"]
    support, guesses, correct = (
        pd.Series(np.bincount(labels, minlength=classes))
        for labels in (actual, predicted, actual[actual == predicted])
    )
    f1 = 2 * correct / (support + guesses)
    scores = {"precision": correct / guesses, "recall": correct / support, "f1": f1}
    return pd.DataFrame(scores | {"support": support})


def bin_by_confidence(confidence: np.ndarray, correct: np.ndarray) -> pd.DataFrame:
    """Return count, mean confidence and accuracy of the predictions, one row per confidence bin.

    The bins are equally wide and hold their upper edges; the means of an empty one are NaN.
    """
    # Float32, as the model gives it, so that a CSV file's decimals fall into the same bins.
    confidence = np.asarray(confidence, np.float32).astype(np.float64)
    places = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    counts, confidences, hits = (
        pd.Series(np.bincount(places, weights, BINS)) for weights in (None, confidence, correct)
    )
    means = {"confidence": confidences / counts, "accuracy": hits / counts}
    return pd.DataFrame({"count": counts} | means)


def calibration_error(bins: pd.DataFrame) -> float:
    """Return the expected calibration error: the mean gap of accuracy and confidence, by count."""
    gaps = (bins["accuracy"] - bins["confidence"]).abs()
    return float((gaps * bins["count"]).sum() / bins["count"].sum())


def answer_some(confidence: pd.Series, correct: pd.Series) -> pd.DataFrame:
    """Return the accuracy where only the most confident predictions count, one row per share.

    `answered` is that share of all, in (0, 1]. Equally confident predictions each count with their
    mean accuracy, so their order doesn't matter.
    """
    ties = correct.groupby(-confidence).agg(["size", "sum"]).cumsum()
    n = len(correct)
    answered = np.unique([-(-step * n // SHARES) for step in range(1, SHARES + 1)])
    hits = np.interp(answered, [0, *ties["size"]], [0, *ties["sum"]])
    return pd.DataFrame({"answered": answered / n, "accuracy": hits / answered})


def trust_at(trust: pd.DataFrame) -> dict[str, float]:
    """Return the accuracy of the 99, 95 and 90% most confident predictions, from `answer_some`."""
    rows = {percent: trust["answered"].searchsorted(percent / 100) for percent in (99, 95, 90)}
    return {f"accuracy_at_{p}": float(trust["accuracy"][row]) for p, row in rows.items()}


def measure(
    probabilities: np.ndarray,
    predictions: pd.DataFrame,
    class_scores: pd.DataFrame,
    bins: pd.DataFrame,
) -> dict[str, Any]:
    """Return the metrics of class probabilities (n, classes) and of the tables made from them.

    `baseline` is the accuracy of always naming the commonest class.
    """
    labels = predictions["actual"].to_numpy()
    correct = predictions["predicted"] == labels
    losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
    return {
        "loss": float(losses.numpy().mean(dtype=np.float64)),
        "accuracy": float(correct.mean()),
        "baseline": float(class_scores["support"].max() / len(labels)),
        "errors": int((~correct).sum()),
        "macro_f1": float(class_scores["f1"].mean()),
        "ece": calibration_error(bins),
        "images": len(labels),
    }


def tabulate(probabilities: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Return one row per image: its index, its label, the predicted one and its probability."""
    return pd.DataFrame(
        {
            "index": np.arange(len(labels)),
            "actual": labels,
            "predicted": probabilities.argmax(axis=1),
            "confidence": probabilities.max(axis=1),
        }
    )


def first_kernels(model: keras.Model) -> np.ndarray:
    """Return the first convolution's kernels, float32 (height, width, channels, filters).

    Without a convolution, the array has no filters.
    """
    found = first_convolution(model)
    return np.asarray(found.weights[0]) if found else np.zeros((1, 1, 1, 0), np.float32)
