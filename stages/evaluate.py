"""Measure the model on the test set, and write down whatever a picture will need of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages import archive, runtime, scores
from stages.errors import InputError, run
from stages.files import load_array, replacing
from stages.runtime import keras

X_TEST = Path("data/prepared/x_test.npy")
Y_TEST = Path("data/prepared/y_test.npy")
MODEL = Path("models/model.keras")
METRICS = Path("reports/metrics.json")
PROBABILITIES = Path("reports/probabilities.npy")
PREDICTIONS = Path("reports/predictions.csv")
KERNELS = Path("reports/kernels.npy")
INPUTS = (X_TEST, Y_TEST, MODEL)
OUTPUTS = (METRICS, PROBABILITIES, PREDICTIONS, KERNELS)

# One thread costs a second more than two, and the bytes do not depend on the machine's cores.
THREADS = 1
BATCH_SIZE = 1000


def check_fit(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> None:
    """Raise InputError unless the model takes these images and knows these labels."""
    if model.input_shape[1:] != images.shape[1:]:
        raise InputError(
            f"{MODEL}: takes images of {model.input_shape[1:]}; expected {images.shape[1:]}, "
            f"as in {X_TEST}"
        )
    if len(labels) != len(images) or labels.max(initial=0) >= model.output_shape[-1]:
        raise InputError(
            f"{Y_TEST}: {len(labels)} labels up to {labels.max(initial=0)}; expected "
            f"{len(images)} below {model.output_shape[-1]}, the model's number of classes"
        )


def first_kernels(model: keras.Model) -> np.ndarray:
    """Return the first convolution's kernels, float32 (height, width, channels, filters)."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernels: np.ndarray = layer.kernel.numpy()
            return kernels
    raise InputError(f"{MODEL}: has no Conv2D layer; expected one to show its kernels")


def measure(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return the metrics of class probabilities (n, classes) for labels (n,)."""
    predicted = probabilities.argmax(axis=1)
    losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
    confusions = scores.count_confusions(labels, predicted, probabilities.shape[1])
    bins = scores.calibrate(probabilities.max(axis=1), predicted == labels)
    return {
        "loss": float(losses.numpy().mean(dtype=np.float64)),
        "accuracy": float((predicted == labels).mean()),
        "errors": int((predicted != labels).sum()),
        "macro_f1": float(scores.score_classes(confusions)["f1"].mean()),
        "ece": scores.calibration_error(bins),
    }


def tabulate(probabilities: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """Return a row per test image: its index, its label, the predicted one and its probability."""
    return pd.DataFrame(
        {
            "index": np.arange(len(labels)),
            "actual": labels,
            "predicted": probabilities.argmax(axis=1),
            "confidence": probabilities.max(axis=1),
        }
    )


def main() -> None:
    images = load_array(X_TEST, np.float32, ndim=4)
    labels = load_array(Y_TEST, np.uint8, ndim=1)
    runtime.pin(THREADS)
    model = archive.load(MODEL)
    check_fit(model, images, labels)
    kernels = first_kernels(model)
    probabilities = model.predict(images, batch_size=BATCH_SIZE, verbose=0)
    metrics = measure(probabilities, labels)
    print(f"Test loss:     {metrics['loss']:.3f}")
    print(f"Test accuracy: {metrics['accuracy']:.2%}")
    with replacing(*OUTPUTS) as (metrics_path, probabilities_path, predictions_path, kernels_path):
        metrics_path.write_text(json.dumps({"test": metrics}, indent=2) + "\n")
        np.save(probabilities_path, probabilities)
        tabulate(probabilities, labels).to_csv(predictions_path, index=False, lineterminator="\n")
        np.save(kernels_path, kernels)


if __name__ == "__main__":
    run(main, INPUTS, OUTPUTS)
