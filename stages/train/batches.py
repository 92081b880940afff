"""Batches gathered from memory-mapped arrays, so that memory does not grow with the data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.backend.runtime import tf
from stages.common.errors import InputError
from stages.common.holdout import first_held_out
from stages.train import seeding
from stages.train.augmentation import translate
from stages.train.schema import TrainParams


def split(n: int, train: TrainParams) -> tuple[np.ndarray, np.ndarray]:
    """Part `n` rows into those to train on and, from the end, those to validate on, as Keras does.

    Returns row numbers, int64. Raises InputError if either part would be empty, or a batch larger
    than the training part.
    """
    first = first_held_out(n, train.validation_split)
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


def check_shares(train: TrainParams, devices: int, parts: Sequence[np.ndarray]) -> None:
    """Raise InputError unless each of `devices` gets the same number of images of every batch.

    The gradients of the devices are averaged: an image in a smaller share would weigh more.
    """
    sizes = {train.batch_size, *(len(rows) % train.batch_size for rows in parts)}
    for size in sorted(size for size in sizes if size % devices):
        raise InputError(
            f"params.yaml: train.batch_size {train.batch_size} gives a batch of {size} images to "
            f"{devices} GPUs; expected every batch, the last one too, to be a multiple of {devices}"
        )


@dataclass
class Batches:
    """Batches of images (n, height, width, channels) and labels (n,), in the order of `rows`.

    `rows` is int64 (n,). With `classes`, labels become one-hot targets, float32 (n, classes).
    """

    images: np.ndarray
    labels: np.ndarray
    rows: np.ndarray
    batch_size: int
    classes: int | None = None

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.rows[index * self.batch_size : (index + 1) * self.batch_size]
        labels = self.labels[rows]
        if self.classes:
            labels = np.eye(self.classes, dtype=np.float32)[labels]
        return self.images[rows], labels


@dataclass(kw_only=True)
class TrainingBatches(Batches):
    """Batches in each epoch's own order, their images translated, both as `seed` decides.

    `translation` is a fraction of the images' size. `smoothing` is the part of each one-hot target
    that all classes share; it needs `classes`.
    """

    seed: int
    translation: float
    smoothing: float

    def __post_init__(self) -> None:
        self.unshuffled = self.rows
        self.start(epoch=1)

    def start(self, epoch: int) -> None:
        """Shuffle for `epoch`, counted from 1."""
        self.epoch = epoch
        order = seeding.permutation(len(self.unshuffled), self.seed, epoch)
        self.rows = self.unshuffled[order]

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        images, labels = super().__getitem__(index)
        if self.translation:
            rng = np.random.default_rng(seeding.stream(self.seed, self.epoch, index, 0))
            images = translate(images, self.translation, rng)
        if self.smoothing:
            labels = labels * (1 - self.smoothing) + self.smoothing / labels.shape[1]
        return images, labels


def feed(batches: Batches) -> tf.data.Dataset:
    """Wrap `batches` in a Dataset that prefetches two of them."""
    # Keras would wrap a PyDataset in an autotuned Dataset, whose autotuner keeps an epoch from
    # ending until it wakes up again: every fifth epoch of 5 s took 10 s.
    options = tf.data.Options()
    options.autotune.enabled = False
    signature = tuple(tf.TensorSpec([None, *part.shape[1:]], part.dtype) for part in batches[0])
    return (
        tf.data.Dataset.from_generator(
            lambda: (batches[i] for i in range(len(batches))), output_signature=signature
        )
        .apply(tf.data.experimental.assert_cardinality(len(batches)))
        .prefetch(2)
        .with_options(options)
    )
