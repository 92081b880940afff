"""Training's parts: how the data is split, shuffled and batched, and what is written down."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from stages.backend import archive, determinism
from stages.backend.runtime import keras, tf
from stages.common import paths
from stages.common.errors import InputError
from stages.train import __main__ as train
from stages.train import augmentation, calibration, fitting, model, seeding
from stages.train import batches as batching
from stages.train.batches import Batches, augment, make_targets, split
from stages.train.muon import RMS, Muon
from stages.train.schema import AugmentationParams
from tests.builders import FILTERS, SHAPE, model_params, one_line, run, train_params
from tests.files import set_parameter
from tests.project import Project


def test_the_last_tenth_validates_as_in_keras() -> None:
    training, validation = split(60_000, train_params())
    assert (training[0], training[-1]) == (0, 53_999)
    assert (validation[0], validation[-1]) == (54_000, 59_999)


@pytest.mark.parametrize(("n", "part"), [(10, 0.1), (10, 0.33), (299, 0.25), (1001, 0.33)])
def test_the_split_is_the_one_of_keras_fit(n: int, part: float) -> None:
    """Keras's own `validation_split` is the oracle: as losses it reports the labels' means."""
    labels = np.arange(n, dtype=np.float32)[:, None]
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile(loss=lambda actual, predicted: actual + 0 * predicted, run_eagerly=True)
    seen = network.fit(labels, labels, validation_split=part, batch_size=n, verbose=0).history
    training, validation = split(len(labels), train_params(batch_size=1, validation_split=part))
    assert seen["loss"] == [pytest.approx(labels[training].mean())]
    assert seen["val_loss"] == [pytest.approx(labels[validation].mean())]


def test_a_split_without_validation_images_is_refused() -> None:
    with pytest.raises(InputError, match=r"train\.validation_split 0\.999"):
        split(10, train_params(validation_split=0.999, batch_size=1))


def test_a_batch_larger_than_the_training_set_is_refused_and_one_that_fits_is_named() -> None:
    expected = r"train\.batch_size is 32; expected at most the 27 images to train on: try 2$"
    with pytest.raises(InputError, match=expected):
        split(30, train_params())
    with pytest.raises(InputError, match=r"the 900 images to train on: try 64$"):
        split(1000, train_params(batch_size=1000))
    with pytest.raises(InputError, match=r"the 3 images to train on: try 1$"):
        split(4, train_params())


def test_the_data_sets_own_validation_part_needs_no_split_and_another_set_does() -> None:
    training, validation = split(100, train_params(validation_split=None), own=7)
    assert (training[-1], validation[0], validation[-1]) == (92, 93, 99)
    with pytest.raises(InputError, match=r"validation_split is 0\.1; expected null, because the"):
        split(100, train_params(), own=7)
    with pytest.raises(InputError, match="validation_split is null; expected a fraction, because"):
        split(100, train_params(validation_split=None))


def test_batches_hold_the_rows_in_their_order_and_the_targets_of_their_labels() -> None:
    images = np.arange(10, dtype=np.float32).reshape(10, 1, 1, 1)
    labels = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0], np.uint8)
    targets = np.array([5, 6, 7])
    batches = Batches(images, labels, 1, train_params(batch_size=3))
    found = list(batches.gather(np.array([9, 1, 4, 3, 2, 8, 5]), targets))
    assert [x.ravel().tolist() for x, _ in found] == [[9, 1, 4], [3, 2, 8], [5]]
    assert [y.tolist() for _, y in found] == [[5, 6, 6], [5, 7, 7], [7]]


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


def test_what_an_augmented_image_pushes_over_the_edge_is_lost_and_its_edge_is_repeated() -> None:
    images = np.random.default_rng(0).random((300, 8, 4, 3), np.float32)
    before = images.copy()
    moved = augmentation.translate(images, 0.25, np.random.default_rng(0))
    rows, columns = np.arange(8), np.arange(4)
    for original, found in zip(before, moved, strict=True):
        # Each pixel shows the nearest one of the image that was moved down and right.
        expected = [
            original[np.clip(rows - down, 0, 7)][:, np.clip(columns - right, 0, 3)]
            for down in (-2, -1, 0, 1, 2)
            for right in (-1, 0, 1)
        ]
        assert any(np.array_equal(found, one) for one in expected)
    np.testing.assert_array_equal(images, before, "the arrays that are read stay as they are")


def test_half_of_the_images_are_mirrored_each_on_its_own() -> None:
    images = np.random.default_rng(0).random((1000, 4, 5, 3), np.float32)
    mirrored = 0
    for before, after in zip(
        images, augmentation.flip(images, np.random.default_rng(1)), strict=True
    ):
        if not np.array_equal(after, before):
            np.testing.assert_array_equal(after, np.fliplr(before))
            mirrored += 1
    assert mirrored == pytest.approx(500, abs=60)


def augmented(*key: int, translation: float = 0.0, horizontal_flip: bool = False) -> list[bytes]:
    """Return two batches of the same 20 images after augmentation, with labels and weights."""
    images = np.random.default_rng(0).random((20, 28, 28, 1), np.float32)
    how = AugmentationParams(translation=translation, horizontal_flip=horizontal_flip)
    batch = images, np.arange(20), np.arange(20.0)
    found = []
    for x, y, weights in augment(iter([batch] * 2), how, *key):
        assert y is batch[1]
        assert weights is batch[2]
        found.append(x.tobytes())
    return found


@pytest.mark.parametrize("how", [{"translation": 0.1}, {"horizontal_flip": True}])
def test_augmentation_depends_on_seed_epoch_and_batch_and_on_nothing_before(how: Any) -> None:
    assert augmented(1, 1, **how) == augmented(1, 1, **how)
    found = {*augmented(1, 1, **how), *augmented(1, 2, **how), *augmented(2, 1, **how)}
    assert len(found) == 6


def test_without_augmentation_images_stay_as_they_are() -> None:
    images = np.random.default_rng(0).random((20, 28, 28, 1), np.float32)
    assert augmented(1, 1) == [images.tobytes()] * 2


def test_a_smoothed_target_gives_every_class_its_share_and_validation_gets_whole_ones() -> None:
    smoothed, whole = make_targets(4, 0.2)
    np.testing.assert_array_equal(whole, np.eye(4))
    np.testing.assert_allclose(smoothed, np.where(np.eye(4), 0.85, 0.05), rtol=1e-6)
    assert smoothed.dtype == whole.dtype == np.float32


def test_without_smoothing_targets_are_the_numbers_of_the_classes() -> None:
    for targets in make_targets(4, 0.0):
        assert targets.tolist() == [0, 1, 2, 3]


def test_the_loss_of_smoothed_targets_is_the_one_of_keras() -> None:
    labels = np.array([0, 1, 2, 1])
    probabilities = np.array([[0.7, 0.2, 0.1]] * 4, np.float32)
    smoothing = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    expected = smoothing(np.eye(3)[labels], probabilities)
    targets, _ = make_targets(3, 0.1)
    found = keras.losses.CategoricalCrossentropy()(targets[labels], probabilities)
    assert float(found) == pytest.approx(float(expected))


def test_one_cycle_climbs_for_a_fifth_and_falls_to_zero() -> None:
    rate = fitting.learning_rate(train_params(schedule="one_cycle", learning_rate=0.006), steps=100)
    assert [float(rate(step)) for step in (0, 10, 20, 60, 100)] == pytest.approx(
        [0, 0.003, 0.006, 0.003, 0], abs=1e-9
    )


@pytest.mark.parametrize("optimizer", ["adam", "muon", "sgd"])
def test_every_optimizer_follows_the_schedule(optimizer: str) -> None:
    network = model.build(model_params(), SHAPE, 10)
    one_cycle = train_params(optimizer=optimizer, schedule="one_cycle", learning_rate=0.006)
    fitting.compile_model(network, one_cycle, steps=100)
    network.optimizer.iterations.assign(10)
    assert float(network.optimizer.learning_rate) == pytest.approx(0.003)


def test_a_constant_rate_is_constant() -> None:
    assert fitting.learning_rate(train_params(learning_rate=0.006), steps=100) == 0.006


def batches_of(training: int, held_out: int, **changes: object) -> Batches:
    """Return the batches of so many images of two classes."""
    n = training + held_out
    settings = train_params(validation_split=(held_out - 0.5) / n, **changes)
    return Batches(np.zeros((n, 1, 1, 1), np.float32), np.arange(n) % 2, 1, settings)


def test_gpus_that_get_equal_shares_are_accepted() -> None:
    batches_of(288, 30, batch_size=32).check_shares(2)


@pytest.mark.parametrize(
    ("size", "training", "held_out", "batch"),
    [(27, 270, 27, 27), (32, 270, 32, 14), (32, 288, 30, 30)],
    ids=["a whole batch", "the last one in training", "the last one in validation"],
)
def test_gpus_that_would_get_unequal_shares_are_refused(
    size: int, training: int, held_out: int, batch: int
) -> None:
    with pytest.raises(InputError, match=f"gives a batch of {batch} images to 4 GPUs"):
        batches_of(training, held_out, batch_size=size).check_shares(4)


def test_training_and_validation_are_both_shared_among_gpus(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(prepared, {})
    project.set("train.batch_size", 8)
    project.set("train.validation_split", 0.2)  # 30 batches, and 7.5
    monkeypatch.setattr(determinism, "strategy", lambda: SimpleNamespace(num_replicas_in_sync=8))
    assert "gives a batch of 4 images to 8 GPUs" in one_line("train")


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


def data(values: list[float], labels: list[int]) -> tf.data.Dataset:
    images = np.array(values, np.float32).reshape(-1, 1, 1, 1)
    return tf.data.Dataset.from_tensors((images, np.array(labels)))


def test_an_epoch_gives_its_number_and_its_metrics_and_stops_where_one_is_not_finite() -> None:
    # Each of two classes is as likely, and next to nothing is learned.
    network = keras.Sequential(
        [
            keras.Input((1, 1, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(2, "softmax", kernel_initializer="zeros"),
        ]
    )
    fitting.compile_model(network, train_params(learning_rate=1e-30, optimizer="sgd"), steps=1)
    good, more = data([1, 1], [0, 1]), data([1] * 4, [0, 0, 0, 1])
    row = fitting.fit_epoch(network, 3, good, more)
    assert list(row) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert row["epoch"] == 3
    assert (row["loss"], row["val_loss"]) == pytest.approx((np.log(2), np.log(2)))
    assert (row["accuracy"], row["val_accuracy"]) == (0.5, 0.75)
    for broken in (good, data([np.nan], [0])), (data([np.nan], [0]), good):
        with pytest.raises(InputError, match="training diverged in epoch 4"):
            fitting.fit_epoch(network, 4, *broken)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_a_step_is_traced_once_for_all_the_steps_of_an_epoch(label_smoothing: float) -> None:
    traced: list[Any] = []

    class Watched(keras.Sequential):  # type: ignore[misc]
        def train_step(self, data: Any) -> Any:
            traced.append(data)
            return super().train_step(data)

    network = Watched([keras.Input((3,)), keras.layers.Dense(2, "softmax")])
    fitting.compile_model(network, train_params(label_smoothing=label_smoothing), steps=4)
    labels = np.array([0, 1, 1, 1])
    targets = np.eye(2)[labels] if label_smoothing else labels
    fed = tf.data.Dataset.from_tensor_slices((np.ones((4, 3)), targets)).batch(1)
    fitting.fit_epoch(network, 1, fed, fed)
    assert len(traced) == 1


@pytest.mark.slow
def test_a_diverged_training_stops_in_one_line_and_saves_no_model(prepared: Path) -> None:
    set_parameter(paths.PARAMS, "train.learning_rate", 1e38)
    paths.MODEL.unlink()
    expected = "training diverged in epoch 1: loss nan; expected a finite loss"
    assert expected in one_line("train")
    assert not paths.MODEL.exists()


def test_adam_gets_its_betas() -> None:
    network = model.build(model_params(), SHAPE, 10)
    fitting.compile_model(network, train_params(beta_1=0.6, beta_2=0.8), steps=1)
    assert (network.optimizer.beta_1, network.optimizer.beta_2) == (0.6, 0.8)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_muon_gets_its_momentum_and_lets_its_own_kernels_decay(decay: float) -> None:
    network = model.build(model_params(), SHAPE, 10)
    settings = {"optimizer": "muon", "momentum": 0.6, "weight_decay": decay, "learning_rate": 0.01}
    fitting.compile_model(network, train_params(**settings), steps=1)
    assert network.optimizer.momentum == 0.6
    before = network.get_weights()
    network.optimizer.apply([tf.zeros_like(weight) for weight in network.trainable_variables])
    for i, (after, weight) in enumerate(zip(network.get_weights(), before, strict=True)):
        if decay and i in (2, 4):
            np.testing.assert_allclose(after, weight * (1 - 0.01 * decay), rtol=1e-6)
        else:
            np.testing.assert_array_equal(after, weight)


@pytest.mark.slow
def test_muon_moves_hidden_kernels_by_orthogonal_matrices_and_adam_the_rest() -> None:
    """Newton-Schulz brings singular values close to 1; eight images give each kernel a few.

    For the rest, Adam itself is the oracle.
    """
    start = model.build(model_params(), SHAPE, 10)
    seeding.draw_weights(start, seed=1)
    images = np.random.default_rng(0).random((8, *SHAPE), np.float32)
    moved = {}
    for name in "muon", "adam":
        network = keras.models.clone_model(start)
        network.set_weights(start.get_weights())
        train_with = train_params(optimizer=name, learning_rate=0.01, beta_1=0.7, beta_2=0.9)
        fitting.compile_model(network, train_with, steps=1)
        seeding.seed_dropout(network, 1, 1)
        network.train_on_batch(images, np.arange(8))
        pairs = zip(network.get_weights(), start.get_weights(), strict=True)
        moved[name] = [before - after for after, before in pairs]
    for i, (muon, adam) in enumerate(zip(moved["muon"], moved["adam"], strict=True)):
        if i in (2, 4):  # the second convolution's kernel, and the hidden dense layer's
            matrix = muon.reshape(-1, muon.shape[-1])
            values = np.linalg.svd(matrix, compute_uv=False) / (0.01 * 0.2 * len(matrix) ** 0.5)
            assert 1.3 > values[0] > values[4] > 0.6
        else:
            np.testing.assert_allclose(muon, adam, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("shape", [(1600, 32), (32, 300), (3, 3, 32, 64)])
def test_muon_makes_of_a_kernel_the_matrix_that_keras_makes_of_it(shape: tuple[int, ...]) -> None:
    options: dict[str, Any] = {"rms_rate": None, "exclude_layers": []}
    kernel = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    expected = keras.optimizers.Muon(**options).zeropower_via_newtonschulz5(
        tf.constant(kernel.reshape(-1, shape[-1])), 5
    )
    found = Muon(**options).zeropower_via_newtonschulz5(tf.constant(kernel), 5)
    scale = RMS * max(expected.shape) ** 0.5
    np.testing.assert_allclose(found, scale * expected.numpy().reshape(shape), atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("freeze_after", [None, 0, 1])
def test_the_first_convolution_learns_until_it_is_frozen_and_the_rest_to_the_end(
    freeze_after: int | None, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Project(prepared, {}).set("train.freeze_after", freeze_after)
    learned: list[list[bool]] = []

    def watch(network: Any, epoch: int, *fed: tf.data.Dataset) -> dict[str, float]:
        before = network.get_weights()
        row = fitting.fit_epoch(network, epoch, *fed)
        after = network.get_weights()
        learned.append([not np.array_equal(*pair) for pair in zip(before, after, strict=True)])
        return row

    monkeypatch.setattr(train, "fit_epoch", watch)
    run("train")
    last = 2 if freeze_after is None else freeze_after
    assert learned == [[epoch <= last] * 2 + [True] * 6 for epoch in (1, 2)]
    assert archive.load(paths.MODEL).layers[0].trainable, "for whoever trains it further"


def test_calibration_finds_the_temperature_of_the_least_loss_and_keeps_the_predictions() -> None:
    network = model.build(model_params(), SHAPE, 10)
    seeding.draw_weights(network, seed=1)
    images = np.random.default_rng(0).random((200, *SHAPE), np.float32)
    for weight in network.layers[-1].weights:
        weight.assign(weight * 20)
    network.layers[-1].bias.assign(np.linspace(-1, 1, 10))
    before = network.predict(images, verbose=0)
    labels = np.where(np.arange(200) % 4, before.argmax(axis=1), 0)
    logits = np.log(before.astype(np.float64))

    def loss(temperature: float) -> float:
        return -float(log_softmax(logits / temperature, axis=1)[np.arange(200), labels].mean())

    best = minimize_scalar(loss, bounds=(0.01, 10)).x
    calibration.calibrate(network, tf.data.Dataset.from_tensors((images, labels)), labels)
    after = network.predict(images, verbose=0)
    margins = [np.ptp(np.log(part.astype(np.float64)), axis=1) for part in (before, after)]
    np.testing.assert_allclose(margins[0] / margins[1], best, atol=0.006)
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))


def test_a_network_that_does_not_end_in_a_dense_layer_cannot_be_calibrated() -> None:
    layers = keras.Input((4,)), keras.layers.Dense(2), keras.layers.BatchNormalization()
    with pytest.raises(InputError, match=r"train\.label_smoothing .* found BatchNormalization"):
        calibration.logits_layer(keras.Sequential(layers))


@pytest.mark.slow
def test_only_smoothed_targets_need_calibration_and_the_history_is_of_the_network_before_it(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrated: list[tuple[float, float]] = []

    def watch(network: Any, images: tf.data.Dataset, labels: np.ndarray) -> None:
        loss = network.evaluate(images, verbose=0)[0]
        calibration.calibrate(network, images, labels)
        calibrated.append((loss, network.evaluate(images, verbose=0)[0]))

    monkeypatch.setattr(train, "calibrate", watch)
    run("train")
    assert not calibrated
    Project(prepared, {}).set("train.label_smoothing", 0.1)
    run("train")
    ((before, after),) = calibrated
    assert after < before
    assert pd.read_csv(paths.HISTORY)["val_loss"].iloc[-1] == pytest.approx(before, rel=1e-5)


def test_targets_are_smoothed_to_train_with_and_whole_to_validate_with(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Project(prepared, {}).set("train.label_smoothing", 0.2)
    epochs: list[list[np.ndarray]] = []

    def watch(network: Any, epoch: int, *fed: tf.data.Dataset) -> dict[str, float]:
        epochs.append([np.concatenate([y.numpy() for _, y in part]) for part in fed])
        return {"epoch": epoch}

    monkeypatch.setattr(train, "fit_epoch", watch)
    run("train")
    labels = np.load(paths.Y_TRAIN)
    for training, validation in epochs:
        np.testing.assert_allclose(training.max(axis=1), 0.82, rtol=1e-6)
        np.testing.assert_array_equal(validation, np.eye(10)[labels[270:]])


def test_balanced_classes_weigh_alike_and_images_one_on_average() -> None:
    """By scikit-learn's formula: n / (classes * count)."""
    labels = np.repeat([0, 1, 2], [6, 3, 1])
    weights = batching.balance(labels)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3], rtol=1e-6)
    assert np.bincount(labels, weights[labels]) == pytest.approx([10 / 3] * 3)
    assert weights[labels].mean() == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_balanced_losses_are_those_of_weighted_images_in_training_and_in_validation(
    smoothing: float, prepared: Path
) -> None:
    """The losses of an untrained network, which hardly learns, computed here for each image."""
    project = Project(prepared, {})
    changes = {"class_weight": "balanced", "label_smoothing": smoothing, "learning_rate": 1e-30}
    for key, value in (changes | {"epochs": 1}).items():
        project.set(f"train.{key}", value)
    project.set("model.dropout", 0.0)
    run("train")
    images, labels = np.load(paths.X_TRAIN), np.load(paths.Y_TRAIN)
    network = model.build(model_params(dropout=0.0, filters=FILTERS), SHAPE, 10)
    seeding.draw_weights(network, 42)
    logs = np.log(network.predict(images, verbose=0).astype(np.float64))
    count = np.bincount(labels[:270])
    weights = 270 / (10 * count[labels])
    whole, targets = np.eye(10), np.eye(10) * (1 - smoothing) + smoothing / 10
    row = pd.read_csv(paths.HISTORY).iloc[0]
    of_training = -(targets[labels] * logs).sum(axis=1)[:270] @ weights[:270] / 270
    of_validation = -(whole[labels] * logs).sum(axis=1)[270:] @ weights[270:] / 30
    assert row["loss"] == pytest.approx(of_training, rel=1e-4)
    assert row["val_loss"] == pytest.approx(of_validation, rel=1e-4)


def script(
    monkeypatch: pytest.MonkeyPatch, losses: list[float], interrupted: int = 0
) -> Callable[[], float]:
    """Let epochs end with these validation losses, and a weight that is the epoch's number.

    The epoch `interrupted` is, once. Returns what reads that weight from the saved model.
    """

    def fit(network: Any, epoch: int, *_: tf.data.Dataset) -> dict[str, float]:
        nonlocal interrupted
        if epoch == interrupted:
            interrupted = 0
            raise KeyboardInterrupt
        network.layers[-1].bias.assign([epoch] * 10)
        return dict.fromkeys(fitting.COLUMNS, 0.5) | {"epoch": epoch, "val_loss": losses[epoch - 1]}

    monkeypatch.setattr(train, "fit_epoch", fit)
    return lambda: float(archive.load(paths.MODEL).layers[-1].bias[0])


@pytest.mark.slow
@pytest.mark.parametrize("interrupted", [0, 2, 3, 4])
def test_the_best_epoch_is_kept_even_if_a_later_one_is_interrupted(
    interrupted: int, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(prepared, {})
    project.set("train.epochs", 4)
    kept = script(monkeypatch, [0.9, 0.3, 0.3, 0.4], interrupted)
    project.set("train.keep", "best")
    if interrupted:
        with pytest.raises(SystemExit):
            run("train")
    run("train")
    assert kept() == 2, "the first of two that are equal"
    assert pd.read_csv(paths.HISTORY)["epoch"].tolist() == [1, 2, 3, 4]
    project.set("train.keep", "last")
    run("train")
    assert kept() == 4


@pytest.mark.slow
@pytest.mark.parametrize(("keep", "expected"), [("best", 2), ("last", 4)])
def test_patience_ends_a_training_that_no_longer_improves_and_is_not_lost_on_resume(
    keep: str,
    expected: int,
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for key, value in {"epochs": 9, "keep": keep, "patience": 2}.items():
        Project(prepared, {}).set(f"train.{key}", value)
    kept = script(monkeypatch, [0.9, 0.3, 0.4, 0.3, 0.1], interrupted=4)
    with pytest.raises(SystemExit):
        run("train")
    run("train")
    assert "Stopping: no lower validation loss since epoch 2" in capsys.readouterr().out
    assert len(pd.read_csv(paths.HISTORY)) == 4
    assert kept() == expected


def test_a_saved_model_leaves_the_state_of_its_optimizer_behind(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "fit_epoch", lambda _, epoch, *__: {"epoch": epoch})
    run("train")
    loaded = archive.load(paths.MODEL)
    loaded.optimizer.build(loaded.trainable_variables)
    assert {variable.shape for variable in loaded.optimizer.variables} == {()}


def test_all_that_is_random_in_a_training_has_a_stream_of_its_own_from_its_seed(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four kernels; in each of two epochs its order, two dropouts, nine batches to move and flip.

    What has the same stream as something else is not independent of it.
    """
    project = Project(prepared, {})
    project.set("seed", 5)
    project.set("train.augmentation.translation", 0.1)
    project.set("train.augmentation.horizontal_flip", True)
    real, streams = seeding.stream, set()

    def watch(seed: int, *key: int) -> np.random.SeedSequence:
        made = real(seed, *key)
        streams.add((seed, *made.generate_state(4).tolist()))
        return made

    def read(network: Any, epoch: int, *fed: tf.data.Dataset) -> dict[str, float]:
        assert len(list(fed[0])) == 9
        return {"epoch": epoch}

    monkeypatch.setattr(seeding, "stream", watch)
    monkeypatch.setattr(train, "fit_epoch", read)
    run("train")
    assert {seed for seed, *_ in streams} == {5}
    assert len(streams) == 4 + 2 * (1 + 2 + 2 * 9)


def test_the_history_can_be_watched_while_it_grows_and_comes_back_on_resume(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, list[int]] = {}
    paths.HISTORY.unlink()

    def watch(network: Any, epoch: int, *fed: tf.data.Dataset) -> dict[str, float]:
        seen[epoch] = pd.read_csv(paths.HISTORY)["epoch"].tolist()
        if epoch == 2 and len(seen) == 2:
            raise KeyboardInterrupt
        return {"epoch": epoch}

    monkeypatch.setattr(train, "fit_epoch", watch)
    with pytest.raises(SystemExit):
        run("train")
    assert seen == {1: [], 2: [1]}
    paths.HISTORY.unlink()  # as DVC does before it runs a stage
    seen.clear()
    run("train")
    assert seen == {2: [1]}


def test_an_epoch_of_fewer_steps_sees_a_random_part_and_its_schedule_ends_with_it(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(prepared, {})
    project.set("train.steps_per_epoch", 3)
    project.set("train.schedule", "one_cycle")
    seen: list[list[bytes]] = []

    def watch(network: Any, epoch: int, *fed: tf.data.Dataset) -> dict[str, float]:
        assert len(fed[0]) == 3
        assert float(network.optimizer.learning_rate) == 0
        network.optimizer.iterations.assign(5)
        assert float(network.optimizer.learning_rate) > 0
        network.optimizer.iterations.assign(6)
        assert float(network.optimizer.learning_rate) == pytest.approx(0, abs=1e-9)
        network.optimizer.iterations.assign(0)
        seen.append([image.tobytes() for x, _ in fed[0] for image in x.numpy()])
        return {"epoch": epoch}

    monkeypatch.setattr(train, "fit_epoch", watch)
    run("train")
    known = {image.tobytes() for image in np.load(paths.X_TRAIN)[:270]}
    first, second = map(set, seen)
    assert len(first) == len(second) == 3 * 32
    assert first < known
    assert second < known
    assert first != second


def test_each_epoch_sees_all_training_images_in_an_order_of_its_own_and_validates_on_the_rest(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`train` as it is but for the learning itself: what is fed to each epoch is looked at."""
    epochs: list[list[list[bytes]]] = []
    dropouts: list[tuple[int, ...]] = []

    def watch(network: Any, epoch: int, *fed: tf.data.Dataset) -> dict[str, float]:
        epochs.append([[image.tobytes() for x, _ in part for image in x.numpy()] for part in fed])
        states = (v for v in network.variables if v.name == "seed_generator_state")
        dropouts.append(tuple(int(n) for v in states for n in v.numpy()))
        return {"epoch": epoch}

    monkeypatch.setattr(train, "fit_epoch", watch)
    run("train")
    images = [image.tobytes() for image in np.load(paths.X_TRAIN)]
    for training, validation in epochs:
        assert sorted(training) == sorted(images[:270])
        assert validation == images[270:]
    (first, _), (second, _) = epochs
    assert images[:270] != first != second != images[:270]
    assert len({*dropouts[0], *dropouts[1]}) == 2 * 2 * 2, "two layers, each with two numbers"
    assert pd.read_csv(paths.HISTORY)["epoch"].tolist() == [1, 2]


def test_an_input_that_is_edited_ends_the_training_after_its_epoch_and_keeps_the_checkpoint(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Project(prepared, {})
    epochs: list[int] = []

    def edit(network: Any, epoch: int, *_: tf.data.Dataset) -> dict[str, float]:
        epochs.append(epoch)
        if len(epochs) == 1:
            project.set("train.learning_rate", 0.5)
        return {"epoch": epoch}

    paths.MODEL.unlink()
    monkeypatch.setattr(train, "fit_epoch", edit)
    assert "train.learning_rate: changed while train ran" in one_line("train")
    assert epochs == [1]
    assert not paths.MODEL.exists()
    project.set("train.learning_rate", 0.001)
    run("train")
    assert epochs == [1, 2]
    assert "Resuming after epoch 1 of 2" in capsys.readouterr().out


def test_an_edit_before_the_first_epoch_leaves_no_checkpoint_that_another_run_would_take(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(prepared, {})
    build = model.build

    def edit(*arguments: Any) -> Any:
        project.set("seed", 7)
        return build(*arguments)

    monkeypatch.setattr(train, "build", edit)
    assert "train: seed: changed while train ran" in one_line("train")
    assert not list(paths.CHECKPOINTS.glob("*.checkpoint"))


@pytest.mark.slow
def test_whoever_waited_for_the_same_training_finds_its_result(
    prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Project(prepared, {}).set("train.label_smoothing", 0.1)
    written = []
    for _ in range(2):
        keras.utils.clear_session()  # as in a process of its own, layers are counted anew
        run("train")
        written.append((paths.MODEL.read_bytes(), paths.HISTORY.read_bytes()))
    assert "Resuming after epoch 2 of 2" in capsys.readouterr().out
    assert written[0] == written[1]


LABELS = np.repeat(np.arange(4), [5, 5, 5, 3])


def test_a_class_that_is_only_validated_on_is_refused() -> None:
    settings = train_params(batch_size=1, validation_split=0.2)
    with pytest.raises(InputError) as refused:
        Batches(np.zeros((18, 1, 1, 1)), LABELS, 1, settings)
    expected = "y_train.npy: the training part has no image of 1 of 4 classes (3); expected some"
    assert expected in str(refused.value)


def test_classes_that_are_not_validated_on_are_said_in_one_bounded_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = np.concatenate([np.arange(300), np.arange(300)])
    Batches(np.zeros((600, 1, 1, 1)), labels, 1, train_params(batch_size=1))
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "train: the validation part has no image of 240 of 300 classes (0, 1, 2, 3, 4, ...): "
        "its figures say nothing about them"
    )
