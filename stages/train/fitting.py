"""Compile and fit: the optimizer and its schedule, one epoch, which was best, and freezing."""

import math
import sys
from typing import Any

import numpy as np

from stages.backend.layers import first_convolution, leaves
from stages.backend.runtime import keras, tf
from stages.common.errors import InputError
from stages.train.calibration import logits_layer
from stages.train.muon import Muon
from stages.train.schema import TrainParams

WARM_UP = 0.2  # of the steps of a one_cycle schedule
COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]  # of the history


def learning_rate(train: TrainParams, steps: int) -> Any:
    """Return the learning rate: a number, or Keras's schedule of it over all `steps` batches."""
    match train.schedule:
        case "constant":
            return train.learning_rate
        case "one_cycle":
            warm_up = round(WARM_UP * steps)
            return keras.optimizers.schedules.CosineDecay(
                0.0,
                decay_steps=steps - warm_up,
                warmup_target=train.learning_rate,
                warmup_steps=warm_up,
            )
        case unknown:
            raise InputError(f"train.schedule: {unknown} is in the schema, but not in {__name__}")


def compile_model(model: keras.Model, train: TrainParams, steps: int) -> None:
    """Give `model` its loss and its optimizer, for a run of `steps` batches in all."""
    rate = learning_rate(train, steps)
    match train.optimizer:
        case "adam":
            optimizer = keras.optimizers.Adam(rate, train.beta_1, train.beta_2)
        case "muon":
            names = [layer.name for layer in leaves(model) if layer.weights]
            optimizer = Muon(
                rate,
                momentum=train.momentum,
                adam_beta_1=train.beta_1,
                adam_beta_2=train.beta_2,
                exclude_layers=[names[0], names[-1]],
                rms_rate=None,  # Muon scales its updates itself
                weight_decay=train.weight_decay,
                adam_weight_decay=None,
            )
        case "sgd":
            optimizer = keras.optimizers.SGD(rate)
        case unknown:
            raise InputError(f"train.optimizer: {unknown} is in the schema, but not in {__name__}")
    one_hot = train.label_smoothing > 0
    model.compile(
        optimizer=optimizer,
        loss="categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        # 16 is a little faster, with the same weights; MirroredStrategy fails with more than 1.
        steps_per_execution=16 if model.distribute_strategy.num_replicas_in_sync == 1 else 1,
    )
    optimizer.build(model.trainable_variables)
    build_metrics(model, one_hot)


def build_metrics(model: keras.Model, one_hot: bool) -> None:
    """Have the metrics make their variables, which they do when they are first used.

    Within `fit`, that would have TensorFlow trace a step twice, which takes 0.3 to 0.5 s.
    """
    answers = np.zeros((1, model.output_shape[-1]), np.float32)
    model.compute_metrics(None, answers if one_hot else answers[:, 0], answers)


def best_epoch(history: list[dict[str, float]]) -> int:
    """Return the number of the epoch with the lowest validation loss; 0 before the first one."""
    rows = enumerate((row["val_loss"] for row in history), start=1)
    return min(rows, key=lambda row: row[1], default=(0, 0.0))[0]


def check_network(model: keras.Model, train: TrainParams) -> None:
    """Raise InputError if `model` doesn't have a layer that a parameter is about."""
    if train.freeze_after is not None and first_convolution(model) is None:
        raise InputError(
            "params.yaml: train.freeze_after: expected null, since the network has no convolution"
        )
    if train.label_smoothing:
        logits_layer(model)


def freeze(model: keras.Model) -> None:
    """Leave the first convolution of `model` as it is from now on: a step takes a third less."""
    first = first_convolution(model)
    if first and first.trainable:
        first.trainable = False
        model.make_train_function(force=True)


class Bar(keras.callbacks.ProgbarLogger):  # type: ignore[misc]
    """Keras's bar without steps beyond the last: of 422 steps, 16 at a time, it counts 432."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        super().on_train_batch_end(min(batch, self.target - 1), logs)


def fit_epoch(
    model: keras.Model, epoch: int, batches: tf.data.Dataset, validation: tf.data.Dataset
) -> dict[str, float]:
    """Train `model` for one epoch, and return the number of the epoch and its metrics.

    Raises InputError if the training diverges.
    """
    # A bar where somebody watches it; elsewhere one line per epoch, not per batch.
    options = {"verbose": 1 if sys.stdout.isatty() else 2, "callbacks": [Bar()], "shuffle": False}
    logs = model.fit(batches, validation_data=validation, **options).history
    row = {name: float(logs[name][0]) for name in COLUMNS[1:]}
    if not all(map(math.isfinite, row.values())):
        raise InputError(
            f"training diverged in epoch {epoch}: loss {row['loss']}; expected a finite loss: "
            "lower train.learning_rate in params.yaml"
        )
    return {"epoch": epoch} | row
