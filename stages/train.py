"""Train the network, from its last finished epoch if a run was interrupted."""

import math
import sys
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from stages import archive, checkpoint, params, runtime, seeding
from stages.batches import Batches
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


class TrainParams(params.Section):
    epochs: PositiveInt
    batch_size: PositiveInt
    validation_split: Annotated[float, Field(gt=0, lt=1)]
    optimizer: Literal["adam", "sgd", "rmsprop"]
    learning_rate: Annotated[float, Field(gt=0)]
    threads: PositiveInt


class EndOfEpoch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Seeds each epoch at its begin; at its end, adds to the history and writes a checkpoint."""

    def __init__(self, seed: int, batches: Batches, history: list[list[float]], path: Path) -> None:
        super().__init__()
        self.seed = seed
        self.batches = batches
        self.history = history
        self.path = path

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        seeding.seed_dropout(self.model, self.seed, epoch + 1)
        self.batches.order = seeding.permutation(len(self.batches.order), self.seed, epoch + 1)

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


def compile_model(model: keras.Model, train: TrainParams) -> None:
    optimizer = keras.optimizers.get(train.optimizer)
    optimizer.learning_rate = train.learning_rate
    model.compile(
        optimizer=optimizer,
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=16,  # a little faster, with the same weights
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

    runtime.pin(train.threads)
    model = build(network, images.shape[1:], classes=int(labels.max()) + 1)
    seeding.draw_weights(model, seed)
    summary = summarise(model)
    print(summary)
    compile_model(model, train)

    batches = Batches(images, labels, training_rows, train.batch_size)
    validation = Batches(images, labels, validation_rows, train.batch_size)
    sources = sorted(Path(__file__).parent.glob("*.py"))
    path = checkpoint.path_for(
        f"{seed} {network} {train} {sys.version} {keras.version()}",
        [X_TRAIN, Y_TRAIN, ENVIRONMENT, *sources],
    )
    with checkpoint.exclusive(path):
        history = checkpoint.restore(path, model)
        if history:
            print(f"Resuming after epoch {len(history)} of {train.epochs}", flush=True)
        model.fit(
            batches,
            validation_data=validation,
            initial_epoch=len(history),
            epochs=train.epochs,
            shuffle=False,  # batches shuffle themselves, from the seed
            callbacks=[EndOfEpoch(seed, batches, history, path)],
            # A bar where somebody watches it; elsewhere a line an epoch, not one a batch.
            verbose=1 if sys.stdout.isatty() else 2,
        )
        archive.save(model, MODEL)
        with replacing(SUMMARY, HISTORY) as (summary_partial, history_partial):
            summary_partial.write_text(summary, encoding="utf-8")
            tabulate(history).to_csv(history_partial, index=False, lineterminator="\n")


if __name__ == "__main__":
    run(main, INPUTS, OUTPUTS)
