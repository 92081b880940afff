"""What a model's predictions are worth, as numbers and tables."""

from typing import Any

import numpy as np
import pandas as pd

from stages.backend.runtime import keras
from stages.evaluate.scores import calibrate, calibration_error, score_classes


def measure(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return the metrics of class probabilities (n, classes) for labels (n,)."""
    predicted = probabilities.argmax(axis=1)
    losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
    class_scores = score_classes(labels, predicted, probabilities.shape[1])
    bins = calibrate(probabilities.max(axis=1), predicted == labels)
    return {
        "loss": float(losses.numpy().mean(dtype=np.float64)),
        "accuracy": float((predicted == labels).mean()),
        "errors": int((predicted != labels).sum()),
        "macro_f1": float(class_scores["f1"].mean()),
        "ece": calibration_error(bins),
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
    """Return the first convolution's kernels, float32 (height, width, channels, filters)."""
    convolutions = (layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    kernels: np.ndarray = next(convolutions).kernel.numpy()
    return kernels
