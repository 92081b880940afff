"""The batches of a run, gathered from memory-mapped arrays: memory doesn't grow with the data."""

import math
import sys
from collections.abc import Callable, Iterator

import numpy as np

from stages.backend.runtime import tf
from stages.common.errors import InputError
from stages.common.holdout import describe_lack, first_validated
from stages.train import seeding
from stages.train.augmentation import flip, translate
from stages.train.estimate import Estimate
from stages.train.schema import AugmentationParams, TrainParams

# Images, float32 (n, height, width, channels); targets, (n,) or (n, classes); and, if the classes
# are weighted, the weights of the images, float32 (n,).
Parts = Iterator[tuple[np.ndarray, ...]]


class Batches:
    """The batches of a run: those of each epoch, in an order of its own, and of the validation."""

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, seed: int, train: TrainParams, own: int = 0
    ):
        """Split `images`, float32 (n, height, width, channels), and `labels`, (n,).

        The last `own` of them are the data set's own validation part. Raises InputError as `split`
        and `check_classes` do.
        """
        self.images, self.labels, self.seed, self.train = images, labels, seed, train
        self.rows, self.held_out = split(len(labels), train, own)
        self.classes = int(labels.max()) + 1
        check_classes(self.classes, labels[self.rows], labels[self.held_out])
        self.targets, self.whole_targets = make_targets(self.classes, train.label_smoothing)
        self.weights: np.ndarray | None = None
        if train.class_weight == "balanced":
            self.weights = balance(labels[self.rows])
        self.estimate = Estimate()
        whole_epoch = math.ceil(len(self.rows) / train.batch_size)
        self.steps = min(whole_epoch, train.steps_per_epoch or whole_epoch)  # of an epoch

    def epoch(self, number: int) -> tf.data.Dataset:
        """Return the batches of an epoch, which counts from 1, with their images augmented."""

        def batches() -> Parts:
            rng = np.random.default_rng(seeding.stream(self.seed, number))
            order = rng.permutation(self.rows)[: self.steps * self.train.batch_size]
            gathered = self.gather(order, self.targets)
            watched = self.estimate.watch(gathered, self.steps, self.train.epochs - number + 1)
            return augment(watched, self.train.augmentation, self.seed, number)

        return self.feed(batches, self.steps)

    def validation(self) -> tf.data.Dataset:
        """Return the validation images in their order, with targets that are not smoothed."""
        steps = math.ceil(len(self.held_out) / self.train.batch_size)
        return self.feed(lambda: self.gather(self.held_out, self.whole_targets), steps)

    def validation_labels(self) -> np.ndarray:
        """Return the labels of the validation images, (n,)."""
        labels: np.ndarray = self.labels[self.held_out]
        return labels

    def gather(self, rows: np.ndarray, targets: np.ndarray) -> Parts:
        """Yield batches of images and targets, and perhaps weights, in the order of `rows`."""
        for start in range(0, len(rows), self.train.batch_size):
            batch = rows[start : start + self.train.batch_size]
            of_labels = (targets,) if self.weights is None else (targets, self.weights)
            yield self.images[batch], *(values[self.labels[batch]] for values in of_labels)

    def feed(self, batches: Callable[[], Parts], n: int) -> tf.data.Dataset:
        """Wrap the `n` batches that `batches` yields in a Dataset that prefetches two of them."""
        # Keras would wrap a PyDataset in an autotuned Dataset, whose autotuner keeps an epoch from
        # ending until it wakes up again: every fifth epoch of 5 s took 10 s.
        options = tf.data.Options()
        options.autotune.enabled = False
        arrays = [self.images, self.targets]
        if self.weights is not None:
            arrays.append(self.weights)
        signature = tuple(tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in arrays)
        dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(n))
        return dataset.prefetch(2).with_options(options)

    def check_shares(self, devices: int) -> None:
        """Raise InputError unless each of `devices` gets the same number of images of every batch.

        The gradients of the devices are averaged: an image in a smaller share would weigh more.
        """
        whole = self.train.batch_size
        for size in whole, *(len(rows) % whole for rows in (self.rows, self.held_out)):
            if size % devices:
                raise InputError(
                    f"params.yaml: train.batch_size {whole} gives a batch of {size} images to "
                    f"{devices} GPUs; expected every batch to be a multiple of {devices}"
                )


def split(n: int, train: TrainParams, own: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return which of `n` rows to train on and which, from the end, to validate on, as Keras does.

    The last `own` rows are the data set's own validation part. Raises InputError if either part
    would be empty, or a batch larger than the training part.
    """
    if own and train.validation_split is not None:
        raise InputError(
            f"params.yaml: train.validation_split is {train.validation_split}; expected null, "
            f"because the data set has a validation part of its own, of {own:,} images"
        )
    if not own and train.validation_split is None:
        raise InputError(
            "params.yaml: train.validation_split is null; expected a fraction, because the data "
            "set has no folder val or valid"
        )
    first = first_validated(n, train.validation_split, own)
    if not 0 < first < n:
        raise InputError(
            f"params.yaml: train.validation_split {train.validation_split} leaves {first} of {n} "
            "images to train on; expected some for training and for validation"
        )
    if (size := train.batch_size) > first:
        raise InputError(
            f"params.yaml: train.batch_size is {size}; expected at most the {first} images to "
            f"train on: try {2 ** int(math.log2(max(1, first / 10)))}"
        )
    return np.arange(first), np.arange(first, n)


def check_classes(classes: int, training: np.ndarray, validation: np.ndarray) -> None:
    """Say on stderr which of `classes` no label of the validation part has.

    Raises InputError if the training part lacks a class, which would never be learnt.
    """
    for part, labels in ("training", training), ("validation", validation):
        absent = {*range(classes)} - {*np.unique(labels).tolist()}
        if not absent:
            continue
        line = describe_lack(part, absent, classes)
        if part == "training":
            raise InputError(
                f"data/prepared/y_train.npy: {line}; expected some of each: is the data sorted by "
                "label, or train.validation_split too large?"
            )
        print(f"train: {line}: its figures say nothing about them", file=sys.stderr)


def make_targets(classes: int, smoothing: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the target of each class, to train with and to validate with.

    Targets are the classes' numbers, (classes,); with `smoothing`, one-hot rows, float32
    (classes, classes), of which that part is spread over all classes in training.
    """
    if not smoothing:
        return np.arange(classes), np.arange(classes)
    one_hot = np.eye(classes, dtype=np.float32)
    return one_hot * (1 - smoothing) + smoothing / classes, one_hot


def balance(labels: np.ndarray) -> np.ndarray:
    """Return the weight of each class, float32 (classes,): n / (classes * its count) of `labels`.

    So every class counts as much as any other, and images weigh 1 on average, as in scikit-learn.
    """
    counts = np.bincount(labels)
    weights: np.ndarray = (len(labels) / (len(counts) * counts)).astype(np.float32)
    return weights


def augment(batches: Parts, how: AugmentationParams, *key: int) -> Parts:
    """Yield `batches` with images translated and flipped at random; `key` is (seed, epoch)."""
    for i, (images, *others) in enumerate(batches):
        if how.translation:
            rng = np.random.default_rng(seeding.stream(*key, i, 0))
            images = translate(images, how.translation, rng)
        if how.horizontal_flip:
            images = flip(images, np.random.default_rng(seeding.stream(*key, i, 1)))
        yield images, *others
