"""The bar of an epoch, as somebody at a terminal sees it."""

from typing import Any

import numpy as np
import pytest

from stages.backend.runtime import keras, tf
from stages.train.fitting import compile_model, fit_epoch
from tests.builders import train_params


def test_an_epoch_never_counts_more_steps_than_it_has(
    prepared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    logger: Any = keras.callbacks.ProgbarLogger
    monkeypatch.setattr(logger, "_update_progbar", lambda _, step, logs: seen.append(step + 1))
    model = keras.Sequential([keras.Input([2]), keras.layers.Dense(2, activation="softmax")])
    compile_model(model, train_params(), steps=20)
    arrays = np.zeros((40, 2), np.float32), np.zeros(40, np.int64)
    batches = tf.data.Dataset.from_tensor_slices(arrays).batch(2)
    monkeypatch.setattr(logger, "_finalize_progbar", lambda *_: None)
    fit_epoch(model, 1, batches, batches)
    assert seen == [16, 20]
