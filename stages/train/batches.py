"""Batches gathered from memory-mapped arrays, so that memory does not grow with the data."""

from collections.abc import Callable, Iterator

import numpy as np

from stages.backend.runtime import tf
from stages.common.errors import InputError
from stages.common.holdout import first_held_out
from stages.train import seeding
from stages.train.augmentation import translate
from stages.train.schema import TrainParams

# Images, float32 (n, height, width, channels), and targets, (n,) or (n, classes).
Batches = Iterator[tuple[np.ndarray, np.ndarray]]


def split(n: int, train: TrainParams) -> tuple[np.ndarray, np.ndarray]:
    """Return which of `n` rows to train on and which, from the end, to validate on, as Keras does.

    Raises InputError if either part would be empty, or a batch larger than the training part.
    """
    first = first_held_out(n, train.validation_split)
    if not 0 < first < n:
        raise InputError(
            f"params.yaml: train.validation_split {train.validation_split} parts {n} images into "
            f"{first} and {n - first}; expected some in both"
        )
    if (size := train.batch_size) > first:
        raise InputError(
            f"params.yaml: train.batch_size is {size}; expected at most {first} images"
        )
    return np.arange(first), np.arange(first, n)


def check_shares(train: TrainParams, devices: int, *parts: np.ndarray) -> None:
    """Raise InputError unless each of `devices` gets the same number of images of every batch.

    The gradients of the devices are averaged: an image in a smaller share would weigh more.
    """
    for size in train.batch_size, *(len(rows) % train.batch_size for rows in parts):
        if size % devices:
            raise InputError(
                f"params.yaml: train.batch_size {train.batch_size} gives a batch of {size} images "
                f"to {devices} GPUs; expected every batch to be a multiple of {devices}"
            )


def make_targets(classes: int, smoothing: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the target of each class, to train with and to validate with.

    Targets are the classes' numbers, (classes,); with `smoothing`, one-hot rows, float32
    (classes, classes), of which that part is spread over all classes in training.
    """
    if not smoothing:
        return np.arange(classes), np.arange(classes)
    one_hot = np.eye(classes, dtype=np.float32)
    return one_hot * (1 - smoothing) + smoothing / classes, one_hot


def gather(
    images: np.ndarray, labels: np.ndarray, targets: np.ndarray, rows: np.ndarray, size: int
) -> Batches:
    """Yield batches of `size` images and targets, in the order of `rows`."""
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        yield images[batch], targets[labels[batch]]


def augment(batches: Batches, translation: float, *key: int) -> Batches:
    """Yield `batches` with images translated at random; `key` is (seed, epoch)."""
    if not translation:
        yield from batches
        return
    for i, (images, targets) in enumerate(batches):
        rng = np.random.default_rng(seeding.stream(*key, i, 0))
        yield translate(images, translation, rng), targets


def feed(batches: Callable[[], Batches], n: int) -> tf.data.Dataset:
    """Wrap the `n` batches that `batches` yields in a Dataset that prefetches two of them."""
    # Keras would wrap a PyDataset in an autotuned Dataset, whose autotuner keeps an epoch from
    # ending until it wakes up again: every fifth epoch of 5 s took 10 s.
    options = tf.data.Options()
    options.autotune.enabled = False
    parts = next(batches())
    signature = tuple(tf.TensorSpec([None, *part.shape[1:]], part.dtype) for part in parts)
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(n))
    return dataset.prefetch(2).with_options(options)
