"""Batches gathered from memory-mapped arrays, so that memory does not grow with the data."""

import math

import numpy as np

from stages import seeding
from stages.augmentation import Augmentation, AugmentationParams
from stages.runtime import keras


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Batches of images (n, height, width, channels) and labels (n,), in the order of `rows`.

    `rows` is int64 (n,).
    """

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, rows: np.ndarray, batch_size: int
    ) -> None:
        super().__init__()
        self.images = images
        self.labels = labels
        self.rows = rows
        self.batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.rows[index * self.batch_size : (index + 1) * self.batch_size]
        return self.images[rows], self.labels[rows]


class TrainingBatches(Batches):
    """Batches in each epoch's own order, their images augmented, both as `seed` decides."""

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        rows: np.ndarray,
        batch_size: int,
        seed: int,
        augmentation: AugmentationParams,
    ) -> None:
        super().__init__(images, labels, rows, batch_size)
        self.seed = seed
        self.augment = Augmentation(augmentation) if augmentation.translation else None
        self.start(epoch=1)

    def start(self, epoch: int) -> None:
        """Shuffle for `epoch`, counted from 1."""
        self.epoch = epoch
        self.rows = seeding.permutation(len(self.rows), self.seed, epoch)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        images, labels = super().__getitem__(index)
        if self.augment:
            images = self.augment(images, seeding.stream(self.seed, self.epoch, index, 0))
        return images, labels
