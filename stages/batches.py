"""Batches gathered from memory-mapped arrays, so that memory does not grow with the data."""

import math

import numpy as np

from stages.runtime import keras


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Batches of images (n, height, width, channels) and labels (n,), in the order of `order`.

    `order` is int64 (n,), and may be replaced between epochs.
    """

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, order: np.ndarray, batch_size: int
    ) -> None:
        super().__init__()
        self.images = images
        self.labels = labels
        self.order = order
        self.batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.order) / self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.images[rows], self.labels[rows]
