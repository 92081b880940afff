"""Draw the figures, and build the page that shows them with the numbers."""

import json

import numpy as np
import pandas as pd

from stages.common import params, paths
from stages.common.files import load_names, md5, write_bytes, write_text
from stages.common.mistakes import add_files, most_confident
from stages.common.stage import stage
from stages.visualize import figures, page
from stages.visualize.intervals import wilson
from stages.visualize.rankings import rank_classes, rank_confusions
from stages.visualize.schema import VisualizeParams
from stages.visualize.thumbnails import light_up, thumbnail

CONFUSIONS = 10  # the most frequent, in a table
DOUBTS = 24  # labels: what a person looks at in a few minutes
LISTED = 1000  # mistakes without a picture: more make the page large, and nobody reads them


def main() -> None:
    settings, parameters = params.load("visualize", VisualizeParams), params.load_all()
    names = load_names(paths.CLASSES)
    files = json.loads(paths.FILES.read_text(encoding="utf-8"))
    x_train, x_test = (np.load(path, mmap_mode="r") for path in (paths.X_TRAIN, paths.X_TEST))
    copies = pd.read_csv(paths.COPIES)
    history = pd.read_csv(paths.HISTORY)
    metrics = json.loads(paths.METRICS.read_text(encoding="utf-8"))
    test, validation = metrics["test"], metrics["validation"]
    predictions = pd.read_csv(paths.PREDICTIONS)
    scores = pd.read_csv(paths.CLASS_SCORES)
    bins = pd.read_csv(paths.CALIBRATION)
    doubts = pd.read_csv(paths.DOUBTS, keep_default_na=False)
    maps = np.load(paths.MAPS, mmap_mode="r")
    kernels = np.load(paths.KERNELS)

    figures.use_style()
    drawn = {
        "confusion_matrix": figures.draw_confusions(predictions, figures.label(names)),
        "trust": figures.draw_trust(pd.read_csv(paths.TRUST)),
        "calibration": figures.draw_calibration(bins),
        "confidence": figures.draw_confidence(bins),
        "loss": figures.draw_curves(history, "loss"),
        "accuracy": figures.draw_curves(history, "accuracy"),
        "kernels": figures.draw_kernels(kernels),
    }
    pngs = {name: figures.encode(figure, settings.dpi) for name, figure in drawn.items()}

    confident = most_confident(predictions, settings.mistakes + LISTED)
    mistakes = add_files(confident, files["test"])
    shown = mistakes.head(settings.mistakes)  # which have a map
    if files["test"]:
        del parameters["prepare"]["centre_ink"]  # which does nothing to pictures
    document = page.render(
        parameters=parameters,
        metrics=metrics,
        interval=wilson(test["images"] - test["errors"], test["images"]),
        validation_interval=wilson(
            round(validation["accuracy"] * validation["images"]), validation["images"]
        ),
        copies=len(copies),
        names=names,
        training_images=len(x_train),
        shape=x_test.shape,
        history=history,
        scores=rank_classes(scores),
        confusions=rank_confusions(predictions, CONFUSIONS),
        mistakes=[
            (row, thumbnail(x_test[row.index]), thumbnail(light_up(x_test[row.index], where)))
            for row, where in zip(shown.itertuples(), maps, strict=True)
        ],
        others=mistakes[settings.mistakes :],
        doubts=[
            (row, thumbnail((x_test if row.part == "test" else x_train)[row.index]))
            for row in doubts.head(DOUBTS).itertuples()
        ],
        more_doubts=len(doubts) > DOUBTS,
        bins=bins,
        kernels=kernels.shape[-1],
        md5=md5(paths.MODEL),
        summary=paths.SUMMARY.read_text(encoding="utf-8").rstrip(),
        figures={name: page.embed(png, settings.dpi) for name, png in pngs.items()},
    )

    for name, png in pngs.items():
        write_bytes(paths.FIGURES / f"{name}.png", png)
    write_text(paths.PAGE, document)


if __name__ == "__main__":
    with stage("visualize"):
        main()
