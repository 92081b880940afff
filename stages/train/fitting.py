"""Compile and fit: the optimizer, its schedule, and what happens at the ends of an epoch."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from stages.backend.runtime import keras
from stages.common.errors import InputError
from stages.train import seeding
from stages.train.batches import Batches, TrainingBatches, feed
from stages.train.schema import TrainParams

OPTIMIZERS = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
WARM_UP = 0.2  # of the steps of a one_cycle schedule
METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")

History = list[dict[str, float]]  # for each epoch its number, from 1 on, and its metrics


def learning_rate(train: TrainParams, steps: int) -> Any:
    """Return the learning rate: a number, or Keras's schedule of it over all `steps` batches."""
    if train.schedule == "constant":
        return train.learning_rate
    warm_up = round(WARM_UP * steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=train.learning_rate,
        warmup_steps=warm_up,
        decay_steps=steps - warm_up,
    )


def compile_model(model: keras.Model, train: TrainParams, steps: int) -> None:
    """Give `model` its loss and its optimizer, for a training of `steps` batches in all."""
    optimizer = OPTIMIZERS[train.optimizer](learning_rate(train, steps))
    one_hot = train.label_smoothing > 0
    model.compile(
        optimizer=optimizer,
        loss="categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        # 16 is a little faster, with the same weights; MirroredStrategy fails with more than 1.
        steps_per_execution=16 if model.distribute_strategy.num_replicas_in_sync == 1 else 1,
    )
    optimizer.build(model.trainable_variables)


def fit(
    model: keras.Model,
    batches: TrainingBatches,
    validation: Batches,
    epochs: int,
    history: History,
    keep: Callable[[History], None],
) -> None:
    """Train `model` from the epoch after those in `history` on; after each, extend and `keep` it.

    Raises InputError if the training diverges.
    """

    def begin(epoch: int, logs: Any) -> None:
        seeding.seed_dropout(model, batches.seed, epoch + 1)
        batches.start(epoch + 1)

    def end(epoch: int, logs: dict[str, float]) -> None:
        if not np.isfinite(list(logs.values())).all():
            raise InputError(
                f"training diverged in epoch {epoch + 1}: loss {logs['loss']}; expected a finite "
                "loss: lower train.learning_rate in params.yaml"
            )
        history.append({"epoch": epoch + 1} | {name: float(logs[name]) for name in METRICS})
        keep(history)

    model.fit(
        feed(batches),
        validation_data=feed(validation),
        initial_epoch=len(history),
        epochs=epochs,
        shuffle=False,  # batches shuffle themselves, from the seed
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_epoch_end=end)],
        # A bar where somebody watches it; elsewhere one line per epoch, not per batch.
        verbose=1 if sys.stdout.isatty() else 2,
    )
