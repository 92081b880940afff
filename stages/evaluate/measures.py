"""What a model's predictions are worth, as numbers and tables."""

from typing import Any

import numpy as np
import pandas as pd

from stages.backend.runtime import keras
from stages.evaluate.scores import calibrate, calibration_error, score_classes


def measure(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return the metrics of class probabilities (n, classes) for labels (n,)."""
    predictions = tabulate(probabilities, labels)
    correct = predictions["actual"] == predictions["predicted"]
    losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
    class_scores = score_classes(predictions, probabilities.shape[1])
    return {
        "loss": float(losses.numpy().mean(dtype=np.float64)),
        "accuracy": float(correct.mean()),
        "errors": int((~correct).sum()),
        "macro_f1": float(class_scores["f1"].mean()),
        "ece": calibration_error(calibrate(predictions["confidence"], correct)),
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
    """Return the first convolution's kernels, float32 (height, width, channels, filters)."""
    convolutions = (layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    kernels: np.ndarray = next(convolutions).kernel.numpy()
    return kernels
