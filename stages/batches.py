"""Batches gathered from memory-mapped arrays, so that memory does not grow with the data."""

import math
from dataclasses import dataclass

import numpy as np

from stages import seeding
from stages.augmentation import translate
from stages.runtime import tf


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

    `translation` is a fraction of the images' size. `smoothing` of each one-hot target is shared
    out among all classes; without it, labels stay numbers.
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
    """Return `batches` in their order, prepared while the one before is trained on.

    Keras would do so with a PyDataset, but autotuned: TensorFlow then ends an epoch only when the
    autotuner wakes up again, for which every fifth epoch of 5 s waited another 5 s.
    """
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
