"""Labels that may be wrong: of those that the model contradicts, the least likely ones.

`python -m benchmarks.doubts` counts how many wrong labels are among the first.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.backend import inference
from stages.backend.runtime import keras
from stages.common.mistakes import add_files
from stages.evaluate.scores import tabulate

MOST = 1000  # more than anybody looks at
# Networks that found nearly all wrong labels contradicted training images 0.3 to 0.7 times as often
# as validation images; one that found two thirds, 0.2 times; one that found none, 0.01 times.
BY_HEART = 0.05
COLUMNS = ["part", "index", "file", "actual", "predicted", "confidence"]


def contradict(probabilities: np.ndarray, labels: np.ndarray, files: Sequence[str]) -> pd.DataFrame:
    """Return the images whose label is not the model's answer, one row each.

    Of class probabilities (n, classes), labels (n,), and the names of the images' pictures, if
    they come from such. `likelihood` is the probability of the label.
    """
    table = tabulate(probabilities, labels)
    table["likelihood"] = probabilities[np.arange(len(labels)), labels]
    return add_files(table[table["actual"] != table["predicted"]], files)


def search(
    model: keras.Model, images: np.ndarray, labels: np.ndarray, files: Sequence[str]
) -> pd.DataFrame:
    """Return what `contradict` finds in `images`, in memory that doesn't grow with their number."""
    found, first = [], 0
    for batch in inference.batches(images):
        rows = slice(first, first + len(batch))
        part = contradict(inference.predict(model, batch), labels[rows], files[rows])
        part["index"] += first
        found.append(part)
        first = rows.stop
    return pd.concat(found)


def are_by_heart(share: float, validation_share: float) -> bool:
    """Return whether a network has learnt its training labels by heart, the wrong ones too.

    It is judged by the share of labels that it contradicts, in training and in validation.
    """
    return share < BY_HEART * validation_share


def rank(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the most doubtful images of the tables that `contradict` returned for each part.

    `parts` has them by the parts' names. The least likely label comes first; labels that are
    equally likely stay in the parts' order.
    """
    # Neither the confidence of the answer nor its distance from the label's finds more of them.
    found = pd.concat(parts, names=["part"]).reset_index("part")
    return found.sort_values("likelihood", kind="stable").head(MOST)[COLUMNS]
