"""Draw the figures, and build the page that shows them with the numbers."""

import json

import numpy as np
import pandas as pd

from stages.common import params, paths
from stages.common.files import load_names, write_bytes, write_text
from stages.common.stage import stage
from stages.visualize import figures, page
from stages.visualize.intervals import wilson
from stages.visualize.schema import VisualizeParams


def main() -> None:
    settings = params.load("visualize", VisualizeParams)
    names = load_names(paths.CLASSES)
    images = np.load(paths.X_TEST, mmap_mode="r")
    history = pd.read_csv(paths.HISTORY)
    metrics = json.loads(paths.METRICS.read_text(encoding="utf-8"))
    test, validation = metrics["test"], metrics["validation"]
    predictions = pd.read_csv(paths.PREDICTIONS)
    bins = pd.read_csv(paths.CALIBRATION)
    kernels = np.load(paths.KERNELS)

    mistakes = predictions[predictions["actual"] != predictions["predicted"]]
    # Equally confident ones stay in the order of the test set.
    shown = mistakes.nlargest(settings.mistakes, "confidence")
    labels = figures.label(names)
    figures.use_style()
    drawn = {
        "history": figures.draw_history(history),
        "confusion_matrix": figures.draw_confusions(predictions, labels),
        "mistakes": figures.draw_mistakes(images[shown["index"]], shown, labels),
        "calibration": figures.draw_calibration(bins, test["ece"]),
        "kernels": figures.draw_kernels(kernels),
    }
    pngs = {name: figures.encode(figure, settings.dpi) for name, figure in drawn.items()}
    document = page.render(
        parameters=params.load_all(),
        metrics=metrics,
        interval=wilson(test["images"] - test["errors"], test["images"]),
        validation_interval=wilson(
            round(validation["accuracy"] * validation["images"]), validation["images"]
        ),
        names=names,
        training_images=len(np.load(paths.Y_TRAIN, mmap_mode="r")),
        shape=images.shape,
        history=history,
        scores=pd.read_csv(paths.CLASS_SCORES),
        confusions=mistakes.groupby(["actual", "predicted"]).size().nlargest(1),
        mistakes=shown,
        bins=bins,
        kernels=kernels.shape[-1],
        summary=paths.SUMMARY.read_text(encoding="utf-8").rstrip(),
        figures={name: page.embed(png, settings.dpi) for name, png in pngs.items()},
    )

    for name, png in pngs.items():
        write_bytes(paths.FIGURES / f"{name}.png", png)
    write_text(paths.PAGE, document)


if __name__ == "__main__":
    with stage("visualize"):
        main()
