"""Training's parts: how the data is split, shuffled and batched, and what is written down."""

import numpy as np
import pytest

from stages import model, runtime, seeding, train
from stages.augmentation import AugmentationParams
from stages.batches import TrainingBatches
from stages.errors import InputError
from stages.runtime import keras
from stages.train import TrainParams
from tests.test_model import SHAPE, params

DEFAULTS = {
    "epochs": 2,
    "batch_size": 32,
    "validation_split": 0.1,
    "optimizer": "adam",
    "learning_rate": 0.001,
    "schedule": "constant",
    "precision": "float32",
    "augmentation": {"translation": 0.0},
    "threads": 2,
}


def settings(**changes: object) -> TrainParams:
    return TrainParams.model_validate(DEFAULTS | changes)


def training_batches(
    images: np.ndarray, labels: np.ndarray, seed: int = 42, translation: float = 0.0
) -> TrainingBatches:
    rows = np.arange(len(labels))
    return TrainingBatches(
        images, labels, rows, 4, seed, AugmentationParams(translation=translation)
    )


def test_the_last_tenth_validates_as_in_keras() -> None:
    training, validation = train.split(np.zeros(60_000), settings())
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
    training, validation = train.split(labels, settings(batch_size=1, validation_split=part))
    assert seen["loss"] == [pytest.approx(labels[training].mean())]
    assert seen["val_loss"] == [pytest.approx(labels[validation].mean())]


def test_a_split_without_validation_images_is_refused() -> None:
    with pytest.raises(InputError, match=r"train\.validation_split 0\.999"):
        train.split(np.zeros(10), settings(validation_split=0.999, batch_size=1))


def test_a_batch_larger_than_the_training_set_is_refused() -> None:
    with pytest.raises(InputError, match=r"train\.batch_size is 32; expected at most 27"):
        train.split(np.zeros(30), settings())


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


def moves(batches: TrainingBatches, index: int) -> list[tuple[int, int]]:
    """Return how far (down, right) each image's single lit square went, to the nearest pixel."""
    images = batches[index][0]
    weights = images[..., 0] / images.sum(axis=(1, 2, 3))[:, None, None]
    down = (weights.sum(axis=2) * np.arange(28)).sum(axis=1) - 13.5
    right = (weights.sum(axis=1) * np.arange(28)).sum(axis=1) - 13.5
    return [(round(a), round(b)) for a, b in zip(down, right, strict=True)]


def test_augmentation_moves_each_image_on_its_own_within_the_fraction() -> None:
    images = np.zeros((64, 28, 28, 1), np.float32)
    images[:, 12:16, 12:16] = 1
    batches = training_batches(images, np.zeros(64, np.uint8), translation=0.2)
    found = [move for index in range(len(batches)) for move in moves(batches, index)]
    sides = np.array(found)
    assert 4 <= np.abs(sides).max() <= 6, "a fifth of 28 pixels is 5.6"
    assert abs(np.corrcoef(sides.T)[0, 1]) < 0.5, "down and right are drawn separately"
    assert len(set(found)) > 30
    assert images[:, 12:16, 12:16].all(), "the arrays that are read stay as they are"


def test_augmentation_depends_on_seed_epoch_and_batch_and_on_nothing_before() -> None:
    images = np.random.default_rng(0).random((8, 28, 28, 1), np.float32)
    labels = np.zeros(8, np.uint8)

    def batch(seed: int, epoch: int, index: int) -> bytes:
        batches = training_batches(images, labels, seed, translation=0.1)
        batches.rows = np.arange(8)
        batches.epoch = epoch
        return batches[index][0].tobytes()

    first = batch(1, 1, 0)
    assert batch(1, 1, 0) == first
    images[4:] = images[:4]
    assert len({first, batch(1, 1, 1), batch(1, 2, 0), batch(2, 1, 0)}) == 4


def test_one_cycle_climbs_for_a_fifth_and_falls_to_zero() -> None:
    rate = train.learning_rate(settings(schedule="one_cycle", learning_rate=0.006), steps=100)
    assert [float(rate(step)) for step in (0, 10, 20, 60, 100)] == pytest.approx(
        [0, 0.003, 0.006, 0.003, 0], abs=1e-9
    )


def test_a_constant_rate_is_constant() -> None:
    assert train.learning_rate(settings(learning_rate=0.006), steps=100) == 0.006


def test_in_bfloat16_the_weights_and_the_softmax_stay_float32() -> None:
    runtime.keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = model.build(params(), SHAPE, 10)
    finally:
        runtime.keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in network.layers[:-1]} == {"bfloat16"}
    assert network.layers[-1].compute_dtype == "float32"
    assert {weight.dtype for weight in network.trainable_variables} == {"float32"}


def test_gpus_that_would_get_unequal_shares_are_refused() -> None:
    rows = np.arange(288), np.arange(30)
    train.check_shares(settings(batch_size=32), 2, rows)
    with pytest.raises(InputError, match="gives a batch of 30 images to 4 GPUs"):
        train.check_shares(settings(batch_size=32), 4, rows)


def test_dropout_depends_on_seed_and_epoch_and_on_nothing_before() -> None:
    network = model.build(params(), SHAPE, 10)
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
    network = model.build(params(), SHAPE, 10)
    seeding.draw_weights(network, seed=3)
    kernel = network.layers[-3].kernel.numpy()
    assert kernel.shape == (1600, 32)
    limit = np.sqrt(6 / (1600 + 32))
    assert 0.99 * limit < np.abs(kernel).max() <= limit
    assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)


def test_the_history_counts_epochs_from_one() -> None:
    table = train.tabulate([[0.5, 0.8, 0.4, 0.9], [0.3, 0.9, 0.2, 0.95]])
    assert table.to_csv(index=False).splitlines() == [
        "epoch,loss,accuracy,val_loss,val_accuracy",
        "1,0.5,0.8,0.4,0.9",
        "2,0.3,0.9,0.2,0.95",
    ]
