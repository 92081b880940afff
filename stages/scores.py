"""What predictions are worth: confusions, scores of each class, calibration. Without TensorFlow."""

import numpy as np
import pandas as pd

BINS = 15  # as many as the papers that compare calibration errors have


def count_confusions(actual: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Return int64 (classes, classes): how often each actual class (rows) was predicted as each."""
    pairs = np.asarray(actual, np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def score_classes(confusions: np.ndarray) -> pd.DataFrame:
    """Return precision, recall, F1 = 2 TP / (2 TP + FP + FN) and support, a row a class.

    A ratio is NaN where nothing is divided by nothing: the precision of a class that was never
    predicted, the recall of one that never occurred, the F1 of one that is neither.
    """
    correct = confusions.diagonal()
    support, predicted = confusions.sum(axis=1), confusions.sum(axis=0)
    with np.errstate(invalid="ignore"):
        scores = {
            "precision": correct / predicted,
            "recall": correct / support,
            "f1": 2 * correct / (support + predicted),
        }
    return pd.DataFrame(scores | {"support": support})


def calibrate(confidence: np.ndarray, correct: np.ndarray) -> pd.DataFrame:
    """Return count, mean confidence and accuracy of the predictions, a row a bin of confidence.

    The bins part (0, 1] into equal widths and hold their upper edge. The means of an empty one
    are NaN.
    """
    # Float32, as the model gives it, so that a CSV file's decimals fall into the same bins.
    confidence = np.asarray(confidence, np.float32).astype(np.float64)
    places = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    counts, confidences, hits = (
        np.bincount(places, weights, BINS) for weights in (None, confidence, correct)
    )
    with np.errstate(invalid="ignore"):
        means = {"confidence": confidences / counts, "accuracy": hits / counts}
    return pd.DataFrame({"count": counts.astype(np.int64)} | means)


def calibration_error(bins: pd.DataFrame) -> float:
    """Return the expected calibration error: the mean gap of accuracy and confidence, by count."""
    gaps = (bins["accuracy"] - bins["confidence"]).abs()
    return float((gaps * bins["count"]).sum() / bins["count"].sum())
