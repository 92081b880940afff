"""Training's parts: how the data is split, shuffled and batched, and what is written down."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from stages.backend import runtime
from stages.backend.runtime import keras
from stages.common.errors import InputError
from stages.train import augmentation, fitting, model, seeding
from stages.train.batches import Batches, TrainingBatches, check_shares, split
from tests.builders import SHAPE, model_params, train_params


def training_batches(
    images: np.ndarray, labels: np.ndarray, classes: int | None = None, **options: Any
) -> TrainingBatches:
    rows = np.arange(len(labels))
    options = {"seed": 42, "translation": 0.0, "smoothing": 0.0} | options
    return TrainingBatches(images, labels, rows, 4, classes, **options)


def test_the_last_tenth_validates_as_in_keras() -> None:
    training, validation = split(60_000, train_params())
    assert (training[0], training[-1]) == (0, 53_999)
    assert (validation[0], validation[-1]) == (54_000, 59_999)


@pytest.mark.parametrize("n", [10, 299, 1001])
@pytest.mark.parametrize("part", [0.1, 0.25, 0.33])
def test_the_split_is_the_one_of_keras_fit(n: int, part: float) -> None:
    """Keras's own `validation_split` is the oracle: as losses it reports the labels' means."""
    labels = np.arange(n, dtype=np.float32)[:, None]
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile(loss=lambda actual, predicted: actual + 0 * predicted)
    seen = network.fit(labels, labels, validation_split=part, batch_size=n, verbose=0).history
    training, validation = split(len(labels), train_params(batch_size=1, validation_split=part))
    assert seen["loss"] == [pytest.approx(labels[training].mean())]
    assert seen["val_loss"] == [pytest.approx(labels[validation].mean())]


def test_a_split_without_validation_images_is_refused() -> None:
    with pytest.raises(InputError, match=r"train\.validation_split 0\.999"):
        split(10, train_params(validation_split=0.999, batch_size=1))


def test_a_batch_larger_than_the_training_set_is_refused() -> None:
    with pytest.raises(InputError, match=r"train\.batch_size is 32; expected at most 27"):
        split(30, train_params())


def test_an_epoch_visits_every_row_once_in_an_order_of_its_own() -> None:
    images = np.arange(10, dtype=np.float32).reshape(10, 1, 1, 1)
    labels = np.arange(10, dtype=np.uint8)
    batches = training_batches(images, labels)
    orders = []
    for epoch in 1, 2:
        batches.start(epoch)
        parts = [batches[i] for i in range(len(batches))]
        assert [len(part[1]) for part in parts] == [4, 4, 2]
        for x, y in parts:
            np.testing.assert_array_equal(x.ravel(), y)
        orders.append(np.concatenate([part[1] for part in parts]).tolist())
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10))
    assert orders[0] != orders[1]


def test_augmentation_moves_each_image_on_its_own_by_whole_pixels_up_to_the_fraction() -> None:
    images = np.zeros((2000, 20, 28, 1), np.float32)
    images[:, 8:12, 12:16] = np.random.default_rng(0).random((2000, 4, 4, 1), np.float32)
    moved = augmentation.translate(images, 0.1, np.random.default_rng(1))
    moves = []
    for before, after in zip(images, moved, strict=True):
        rows, columns = np.nonzero(after[..., 0])
        move = int(rows.min()) - 8, int(columns.min()) - 12
        np.testing.assert_array_equal(after, np.roll(before, move, axis=(0, 1)))
        moves.append(move)
    # A tenth of 20 rows is 2 pixels, of 28 columns 3: each of the 35 moves is as likely.
    counts = Counter(moves)
    assert set(counts) == {(down, right) for down in range(-2, 3) for right in range(-3, 4)}
    assert max(counts.values()) < 2 * min(counts.values())


def test_what_an_augmented_image_pushes_over_the_edge_is_lost_and_zeros_move_in() -> None:
    images = np.ones((500, 4, 4, 1), np.float32)
    moved = augmentation.translate(images, 0.25, np.random.default_rng(0))
    assert set(moved.sum(axis=(1, 2, 3))) == {16, 12, 9}
    assert images.all(), "the arrays that are read stay as they are"


def test_augmentation_depends_on_seed_epoch_and_batch_and_on_nothing_before() -> None:
    images = np.random.default_rng(0).random((8, 28, 28, 1), np.float32)
    labels = np.zeros(8, np.uint8)

    def batch(seed: int, epoch: int, index: int) -> bytes:
        batches = training_batches(images, labels, seed=seed, translation=0.1)
        batches.rows = np.arange(8)
        batches.epoch = epoch
        return batches[index][0].tobytes()

    first = batch(1, 1, 0)
    assert batch(1, 1, 0) == first
    images[4:] = images[:4]
    assert len({first, batch(1, 1, 1), batch(1, 2, 0), batch(2, 1, 0)}) == 4


def test_a_smoothed_target_gives_every_class_its_share_and_validation_gets_whole_ones() -> None:
    images = np.zeros((4, 1, 1, 1), np.float32)
    labels = np.array([2, 0, 1, 2], np.uint8)
    _, whole = Batches(images, labels, np.arange(4), 4, classes=4)[0]
    assert whole.tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    batches = training_batches(images, labels, 4, smoothing=0.2)
    _, smoothed = batches[0]
    shares = whole[batches.rows].astype(bool)
    assert smoothed[shares] == pytest.approx(0.85)
    assert smoothed[~shares] == pytest.approx(0.05)
    assert smoothed.dtype == np.float32


def test_the_loss_of_smoothed_targets_is_the_one_of_keras() -> None:
    labels = np.array([0, 1, 2, 1])
    probabilities = np.array([[0.7, 0.2, 0.1]] * 4, np.float32)
    batches = training_batches(np.zeros((4, 1, 1, 1)), labels, 3, smoothing=0.1)
    _, targets = batches[0]
    smoothing = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    expected = smoothing(np.eye(3)[labels[batches.rows]], probabilities)
    found = keras.losses.CategoricalCrossentropy()(targets, probabilities)
    assert float(found) == pytest.approx(float(expected))


def test_one_cycle_climbs_for_a_fifth_and_falls_to_zero() -> None:
    rate = fitting.learning_rate(train_params(schedule="one_cycle", learning_rate=0.006), steps=100)
    assert [float(rate(step)) for step in (0, 10, 20, 60, 100)] == pytest.approx(
        [0, 0.003, 0.006, 0.003, 0], abs=1e-9
    )


def test_a_constant_rate_is_constant() -> None:
    assert fitting.learning_rate(train_params(learning_rate=0.006), steps=100) == 0.006


def test_in_bfloat16_the_weights_and_the_softmax_stay_float32() -> None:
    runtime.keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = model.build(model_params(), SHAPE, 10)
    finally:
        runtime.keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in network.layers[:-1]} == {"bfloat16"}
    assert network.layers[-1].compute_dtype == "float32"
    assert {weight.dtype for weight in network.trainable_variables} == {"float32"}


def test_gpus_that_would_get_unequal_shares_are_refused() -> None:
    rows = np.arange(288), np.arange(30)
    check_shares(train_params(batch_size=32), 2, rows)
    with pytest.raises(InputError, match="gives a batch of 30 images to 4 GPUs"):
        check_shares(train_params(batch_size=32), 4, rows)


def test_dropout_depends_on_seed_and_epoch_and_on_nothing_before() -> None:
    network = model.build(model_params(), SHAPE, 10)
    images = np.ones((4, *SHAPE), np.float32)

    def outputs(seed: int, epoch: int) -> list[float]:
        seeding.seed_dropout(network, seed, epoch)
        values: list[float] = network(images, training=True).numpy().ravel().tolist()
        return values

    first = outputs(1, 1)
    outputs(1, 2)
    assert outputs(1, 1) == first
    assert outputs(1, 2) != first
    assert outputs(2, 1) != first


def test_initial_weights_have_the_spread_that_glorot_and_bengio_give() -> None:
    network = model.build(model_params(), SHAPE, 10)
    seeding.draw_weights(network, seed=3)
    kernel = network.layers[-3].kernel.numpy()
    assert kernel.shape == (1600, 32)
    limit = np.sqrt(6 / (1600 + 32))
    assert 0.99 * limit < np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)


def test_the_history_counts_epochs_from_one() -> None:
    table = fitting.tabulate([[0.5, 0.8, 0.4, 0.9], [0.3, 0.9, 0.2, 0.95]])
    assert table.to_csv(index=False).splitlines() == [
        "epoch,loss,accuracy,val_loss,val_accuracy",
        "1,0.5,0.8,0.4,0.9",
        "2,0.3,0.9,0.2,0.95",
    ]
