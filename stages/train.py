"""Train the network, from its last finished epoch if a run was interrupted."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from stages import archive, checkpoint, params, runtime, seeding
from stages.augmentation import AugmentationParams
from stages.batches import Batches, TrainingBatches, feed
from stages.errors import InputError, run
from stages.files import load_array, replacing
from stages.model import ModelParams, PositiveInt, build
from stages.runtime import keras

X_TRAIN = Path("data/prepared/x_train.npy")
Y_TRAIN = Path("data/prepared/y_train.npy")
ENVIRONMENT = Path("requirements.txt")
MODEL = Path("models/model.keras")
SUMMARY = Path("models/summary.txt")
HISTORY = Path("reports/history.csv")
INPUTS = (X_TRAIN, Y_TRAIN)
OUTPUTS = (MODEL, SUMMARY, HISTORY)

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")
OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
}
WARM_UP = 0.2  # of the steps of a one_cycle schedule


class TrainParams(params.Section):
    epochs: PositiveInt
    batch_size: PositiveInt
    validation_split: Annotated[float, Field(gt=0, lt=1)]
    optimizer: Literal["adam", "sgd", "rmsprop"]
    learning_rate: Annotated[float, Field(gt=0)]
    schedule: Literal["constant", "one_cycle"]
    precision: Literal["float32", "mixed_bfloat16"]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    augmentation: AugmentationParams
    threads: PositiveInt


class EndOfEpoch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Seeds each epoch at its begin; at its end, adds to the history and writes a checkpoint."""

    def __init__(self, batches: TrainingBatches, history: list[list[float]], path: Path) -> None:
        super().__init__()
        self.batches = batches
        self.history = history
        self.path = path

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        seeding.seed_dropout(self.model, self.batches.seed, epoch + 1)
        self.batches.start(epoch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        row = [float((logs or {})[name]) for name in METRICS]
        if not np.isfinite(row).all():
            raise InputError(
                f"training diverged in epoch {epoch + 1}: loss {row[0]}; expected a finite loss: "
                "lower train.learning_rate in params.yaml"
            )
        self.history.append(row)
        checkpoint.save(self.path, self.model, self.history)


def split(labels: np.ndarray, train: TrainParams) -> tuple[np.ndarray, np.ndarray]:
    """Return the row numbers to train on and, from the end, those to validate on, as Keras does.

    Raises InputError if either would be empty or a batch larger than the training rows.
    """
    n = len(labels)
    first = math.floor(n * (1 - train.validation_split))
    if not 0 < first < n:
        raise InputError(
            f"params.yaml: train.validation_split {train.validation_split} parts {n} images into "
            f"{first} and {n - first}; expected some in both"
        )
    if train.batch_size > first:
        raise InputError(
            f"params.yaml: train.batch_size is {train.batch_size}; expected at most {first}, "
            "the number of training images"
        )
    return np.arange(first), np.arange(first, n)


def check_shares(train: TrainParams, devices: int, rows: Sequence[np.ndarray]) -> None:
    """Raise InputError unless each of `devices` gets the same number of images of every batch.

    The gradients of the devices are averaged: an image in a smaller share would weigh more.
    """
    sizes = {train.batch_size, *(len(part) % train.batch_size for part in rows)}
    for size in sorted(size for size in sizes if size % devices):
        raise InputError(
            f"params.yaml: train.batch_size {train.batch_size} gives a batch of {size} images to "
            f"{devices} GPUs; expected every batch, the last one too, to be a multiple of {devices}"
        )


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
    optimizer = OPTIMIZERS[train.optimizer](learning_rate(train, steps))
    # Smoothed labels are no longer numbers of classes.
    loss = (
        "categorical_crossentropy" if train.label_smoothing else "sparse_categorical_crossentropy"
    )
    model.compile(
        optimizer=optimizer,
        loss=loss,
        metrics=["accuracy"],
        # 16 is a little faster, with the same weights; MirroredStrategy fails with more than 1.
        steps_per_execution=16 if model.distribute_strategy.num_replicas_in_sync == 1 else 1,
    )
    optimizer.build(model.trainable_variables)


def summarise(model: keras.Model) -> str:
    lines: list[str] = []
    model.summary(line_length=80, print_fn=lambda line, **_: lines.append(line))
    return "\n".join(lines) + "\n"


def tabulate(history: list[list[float]]) -> pd.DataFrame:
    """Return the history with a column per metric, and the epoch from 1 first."""
    table = pd.DataFrame(history, columns=list(METRICS))
    table.insert(0, "epoch", range(1, len(history) + 1))
    return table


def main() -> None:
    seed = params.load("seed", params.Seed)
    network = params.load("model", ModelParams)
    train = params.load("train", TrainParams)
    images = load_array(X_TRAIN, np.float32, ndim=4)
    labels = load_array(Y_TRAIN, np.uint8, ndim=1)
    if len(images) != len(labels):
        raise InputError(
            f"{Y_TRAIN}: {len(labels)} labels; expected {len(images)}, one an image of {X_TRAIN}"
        )
    training_rows, validation_rows = split(labels, train)

    runtime.pin(train.threads, train.precision)
    strategy = runtime.strategy()
    devices = strategy.num_replicas_in_sync
    check_shares(train, devices, (training_rows, validation_rows))
    classes = int(labels.max()) + 1
    one_hot = classes if train.label_smoothing else None
    batches = TrainingBatches(
        images,
        labels,
        training_rows,
        train.batch_size,
        one_hot,
        seed=seed,
        translation=train.augmentation.translation,
        smoothing=train.label_smoothing,
    )
    validation = Batches(images, labels, validation_rows, train.batch_size, one_hot)
    with strategy.scope():
        model = build(network, images.shape[1:], classes)
        seeding.draw_weights(model, seed)
        summary = summarise(model)
        print(summary)
        compile_model(model, train, steps=train.epochs * len(batches))
    if devices > 1:
        print(f"Training on {devices} GPUs, which share each batch", flush=True)
    sources = sorted(Path(__file__).parent.glob("*.py"))
    path = checkpoint.path_for(
        f"{seed} {network} {train} {devices} {sys.version} {keras.version()}",
        [X_TRAIN, Y_TRAIN, ENVIRONMENT, *sources],
    )
    with checkpoint.exclusive(path):
        history = checkpoint.restore(path, model)
        if history:
            print(f"Resuming after epoch {len(history)} of {train.epochs}", flush=True)
        model.fit(
            feed(batches),
            validation_data=feed(validation),
            initial_epoch=len(history),
            epochs=train.epochs,
            shuffle=False,  # batches shuffle themselves, from the seed
            callbacks=[EndOfEpoch(batches, history, path)],
            # A bar where somebody watches it; elsewhere a line an epoch, not one a batch.
            verbose=1 if sys.stdout.isatty() else 2,
        )
        archive.save(model, MODEL)
        with replacing(SUMMARY, HISTORY) as (summary_partial, history_partial):
            summary_partial.write_text(summary, encoding="utf-8")
            tabulate(history).to_csv(history_partial, index=False, lineterminator="\n")


if __name__ == "__main__":
    run(main, INPUTS, OUTPUTS)
