"""Draw the figures, and build the page that shows them with the numbers."""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from stages import figures, params, report, scores
from stages.errors import InputError, run
from stages.files import load_array, load_names, load_table, load_text, replacing

CLASSES = Path("data/prepared/classes.txt")
Y_TRAIN = Path("data/prepared/y_train.npy")
X_TEST = Path("data/prepared/x_test.npy")
SUMMARY = Path("models/summary.txt")
HISTORY = Path("reports/history.csv")
METRICS = Path("reports/metrics.json")
PREDICTIONS = Path("reports/predictions.csv")
KERNELS = Path("reports/kernels.npy")
FIGURES = (
    Path("reports/figures/history.png"),
    Path("reports/figures/confusion_matrix.png"),
    Path("reports/figures/mistakes.png"),
    Path("reports/figures/calibration.png"),
    Path("reports/figures/kernels.png"),
)
PAGE = Path("reports/index.html")
INPUTS = (CLASSES, Y_TRAIN, X_TEST, SUMMARY, HISTORY, METRICS, PREDICTIONS, KERNELS)
OUTPUTS = (*FIGURES, PAGE)


class VisualizeParams(params.Section):
    dpi: Annotated[int, Field(ge=10, le=1000)]
    mistakes: Annotated[int, Field(ge=1, le=100)]


def load_metrics(path: Path) -> dict[str, float]:
    """Return the test metrics that the page shows; raise InputError if one is missing."""
    names = ("accuracy", "errors", "loss", "macro_f1", "ece")
    try:
        metrics = json.loads(load_text(path))["test"]
        return {name: float(metrics[name]) for name in names}
    except (ValueError, KeyError, TypeError, OverflowError):
        raise InputError(f"{path}: damaged; expected numbers as test.{', '.join(names)}") from None


def load_predictions(path: Path, images: int, classes: int) -> pd.DataFrame:
    """Read predictions; raise InputError unless they are of so many images and classes."""
    table = load_table(path, ["index", "actual", "predicted", "confidence"])
    labels = table[["actual", "predicted"]]
    if not (
        np.array_equal(table["index"], np.arange(images))
        and labels.isin(range(classes)).all(axis=None)
        and table["confidence"].between(0, 1).all()
    ):
        raise InputError(
            f"{path}: {len(table)} rows, labels from {labels.min(axis=None)} to "
            f"{labels.max(axis=None)}; expected a row for each of {images} images in order, "
            f"labels below {classes} as in {CLASSES}, confidences from 0 to 1"
        )
    return table.astype({"actual": int, "predicted": int})


def main() -> None:
    settings = params.load("visualize", VisualizeParams)
    names = load_names(CLASSES)
    training_labels = load_array(Y_TRAIN, np.uint8, ndim=1)
    images = load_array(X_TEST, np.float32, ndim=4)
    summary = load_text(SUMMARY)
    history = load_table(HISTORY, ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"])
    metrics = load_metrics(METRICS)
    predictions = load_predictions(PREDICTIONS, len(images), len(names))
    kernels = load_array(KERNELS, np.float32, ndim=4)

    right = predictions["actual"] == predictions["predicted"]
    confusions = scores.count_confusions(
        predictions["actual"], predictions["predicted"], len(names)
    )
    bins = scores.calibrate(predictions["confidence"], right)
    # Equally confident ones stay in the order of the test set.
    mistakes = predictions[~right].sort_values("confidence", ascending=False, kind="stable")
    shown = mistakes.head(settings.mistakes)

    figures.use_style()
    drawn = (
        figures.draw_history(history),
        figures.draw_confusions(confusions, names),
        figures.draw_mistakes(images[shown["index"]], shown, names),
        figures.draw_calibration(bins, metrics["ece"]),
        figures.draw_kernels(kernels),
    )
    pngs = [figures.encode(figure, settings.dpi) for figure in drawn]
    page = report.render(
        {
            "parameters": params.everything(),
            "metrics": metrics,
            "names": names,
            "training_images": len(training_labels),
            "shape": images.shape,
            "history": history,
            "scores": scores.score_classes(confusions),
            "confusions": mistakes.groupby(["actual", "predicted"]).size().nlargest(1),
            "mistakes": shown,
            "bins": bins[bins["count"] > 0],
            "kernels": kernels.shape[-1],
            "summary": summary.rstrip(),
            "figures": {
                path.stem: report.embed(png, settings.dpi)
                for path, png in zip(FIGURES, pngs, strict=True)
            },
        }
    )
    with replacing(*OUTPUTS) as paths:
        for path, content in zip(paths, [*pngs, page.encode()], strict=True):
            path.write_bytes(content)


if __name__ == "__main__":
    run(main, INPUTS, OUTPUTS)
