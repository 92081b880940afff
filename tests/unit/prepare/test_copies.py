"""Test images that are nearly a training image: found, and only these."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages.common import paths
from stages.prepare import copies, idx
from stages.prepare.dataset import scale
from tests.builders import MNIST, run, write_data_set, write_idx, write_params
from tests.files import set_parameter


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path)


def mnist(prefix: str, n: int) -> np.ndarray:
    images = idx.read_array(MNIST / f"{prefix}-images-idx3-ubyte.gz", 3)[:n]
    return np.array(images)[..., np.newaxis]


def find(train: np.ndarray, test: np.ndarray) -> pd.DataFrame:
    """Return the near copies of uint8 images (n, height, width, channels)."""
    outlines = copies.outline(train), copies.outline(test)
    return copies.find(scale(train), scale(test), *outlines)


def brute_force(train: np.ndarray, test: np.ndarray) -> list[tuple[int, int, float]]:
    """Return the same rows as `find`, from all pixels of all pairs, as numbers that are exact."""
    found = []
    for i, image in enumerate(test.astype(np.int64)):
        distances = np.sqrt(((train - image) ** 2).mean(axis=(1, 2, 3)))
        contrast = np.sqrt(((image - image.mean(axis=(0, 1))) ** 2).mean())
        if (least := distances.min()) == 0 or least < min(6, contrast / 2):
            found.append((int(distances.argmin()), i, round(float(least), 2)))
    return found


def moved(images: np.ndarray, levels: int, random: np.random.Generator) -> np.ndarray:
    """Return `images` whose inked values are moved at random by up to so many levels."""
    noise = random.integers(-levels, levels, images.shape, endpoint=True)
    return np.clip(images + noise * (images > 0), 0, 255).astype(np.uint8)


def test_noisy_copies_among_a_thousand_digits_are_found_and_nothing_else() -> None:
    random = np.random.default_rng(0)
    train, test = mnist("train", 60_000), mnist("t10k", 1000)
    rows, originals = random.choice(1000, 20, False), random.choice(60_000, 20, False)
    test[rows] = moved(train[originals], 6, random)
    found = find(train, test)
    expected = {(i, j) for i, j in zip(originals.tolist(), rows.tolist(), strict=True)}
    pairs = {*zip(found["train"], found["test"], strict=True)}
    assert pairs <= expected
    assert len(pairs) >= 18
    assert found["distance"].between(0.5, 4).all()


@pytest.mark.slow
def test_mnist_has_no_copies() -> None:
    assert find(mnist("train", 60_000), mnist("t10k", 10_000)).empty


@pytest.mark.parametrize("shape", [(7, 9, 3), (5, 6, 1), (3, 2, 3), (1, 1, 1), (16, 16, 3)])
@pytest.mark.parametrize("pairs", [10, 10**6])
def test_they_are_those_of_all_pairs_whose_pixels_differ_by_less_than_6(
    shape: tuple[int, ...], pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "PAIRS", pairs)
    random = np.random.default_rng(1)
    train = random.integers(0, 256, (60, *shape), np.uint8)
    test = random.integers(0, 256, (40, *shape), np.uint8)
    for i in range(20):
        test[2 * i] = moved(train[3 * i], i, random)
    expected = brute_force(train, test)
    assert [*find(train, test).itertuples(index=False, name=None)] == expected
    assert len(expected) >= 8


def test_outlines_are_compared_exactly_at_the_limit_and_with_the_largest_sums() -> None:
    random = np.random.default_rng(2)
    others = random.integers(0, 2, (300, 48)) * 255
    others[0], others[1] = 255, 0
    amounts = np.linspace(8, 16, 300, dtype=np.int64)[:, np.newaxis]  # around 7 on average
    outlines = np.abs(others - random.integers(0, amounts, (300, 48), endpoint=True))
    distances = ((outlines[:, np.newaxis] - others) ** 2).sum(axis=2)
    limit = 49 * 48
    expected = [(i, near) for i, row in enumerate(distances) if (near := first_20(row, limit))]
    assert 100 < len(expected) < 200
    found = copies.nearest(outlines.astype(np.float32), others.astype(np.float32))
    assert [(i, near.tolist()) for i, near in found] == expected


def first_20(distances: np.ndarray, limit: int) -> list[int]:
    """Return the rows of the least distances below `limit`, and of equal ones the first."""
    below = [(distance, row) for row, distance in enumerate(distances.tolist()) if distance < limit]
    return sorted(row for _, row in sorted(below)[:20])


def test_no_more_than_the_20_nearest_outlines_are_looked_at() -> None:
    others = np.repeat([[3], [2], [1], [9]], [5, 15, 15, 5], axis=0).astype(np.float32)
    ((row, near),) = copies.nearest(np.zeros((1, 1), np.float32), others)
    assert (row, near.tolist()) == (0, [*range(5, 10), *range(20, 35)])


CHECKS = np.indices((16, 16)).sum(axis=0)[np.newaxis, ..., np.newaxis] % 2 == 1


def lines(n: int, random: np.random.Generator) -> np.ndarray:
    """Return drawings of thin lines, half of each block inked: all have the same outline."""
    rows = random.permuted(np.tile([255, 255, 0, 0], (n, 4, 1)), axis=2).reshape(n, 16, 1, 1)
    return np.broadcast_to(rows, (n, 16, 16, 1)).astype(np.uint8)


def test_a_copy_is_found_behind_another_image_whose_outline_is_nearer() -> None:
    random = np.random.default_rng(4)
    checks, inverse = np.where(CHECKS, 255, 0), np.where(CHECKS, 0, 255)
    train = np.concatenate([inverse, checks]).astype(np.uint8)
    test = moved(train[1:], 6, random)
    found = find(train, test)
    assert found[["train", "test"]].to_numpy().tolist() == [[1, 0]]
    # The inverse is as far as can be, and has the same outline.
    assert find(train[:1], train[1:]).empty

    train = np.unique(lines(60, random), axis=0)[:19]
    test = moved(train, 6, random)
    found = find(train, test)
    assert found["train"].tolist() == found["test"].tolist() == [*range(19)]


def test_an_exact_copy_is_found_behind_any_number_of_equal_outlines() -> None:
    random = np.random.default_rng(5)
    train = np.unique(lines(300, random), axis=0)
    assert len(train) > 100
    found = find(np.concatenate([train, train[-1:]]), train[[-1, 7]])
    rows = [(len(train) - 1, 0, 0.0), (7, 1, 0.0)]  # of several equal ones, the first
    assert [*found.itertuples(index=False, name=None)] == rows


@pytest.mark.parametrize("channels", [[20], [200, 20, 60]])
def test_faint_images_are_copies_only_if_they_are_alike_in_what_little_they_show(
    channels: list[int],
) -> None:
    random = np.random.default_rng(6)
    shape = 60, 24, 24, len(channels)
    train, test = (np.rint(random.normal(channels, 3, shape)).astype(np.uint8) for _ in range(2))
    test[7] = train[30]
    test[8] = moved(train[31], 1, random)
    test[9] = train[32] = channels
    found = find(train, test)
    assert found[["train", "test"]].to_numpy().tolist() == [[30, 7], [31, 8], [32, 9]]
    assert found["distance"].tolist() == [0, pytest.approx(0.8, abs=0.1), 0]


def photograph(random: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Return soft patches of colour with some texture."""
    patches = random.integers(0, 256, (6, 8, 3), np.uint8)
    soft = Image.fromarray(patches).resize(size, Image.Resampling.BICUBIC)
    grain = random.integers(-12, 13, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.asarray(soft) + grain, 0, 255).astype(np.uint8))


def save_photographs(folder: Path) -> dict[str, str]:
    """Save photographs of two classes; return which one in test is a copy of which in train."""
    random = np.random.default_rng(3)
    for part, n in ("train", 30), ("test", 20):
        for i in range(n):
            path = folder / f"{part}/{'ab'[i % 2]}/{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            photograph(random, (160, 120)).save(path, quality=92)
    copied = {}
    for i, original in enumerate(["a/0.jpg", "b/1.jpg", "a/2.jpg", "b/3.jpg", "a/4.jpg"]):
        image = Image.open(folder / "train" / original)
        smaller = image.resize((100, 75), Image.Resampling.LANCZOS)
        content = io.BytesIO()
        (image if i < 3 else smaller).save(content, "JPEG", quality=[92, 75, 40, 92, 60][i])
        name = f"test/b/copy {i}.jpg"
        (folder / name).write_bytes(content.getvalue())
        copied[name] = f"train/{original}"
    return copied


def test_another_size_or_quality_of_a_photograph_is_a_copy_and_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    copied = save_photographs(paths.RAW / "ours")
    set_parameter(paths.PARAMS, "prepare.dataset", "ours")
    set_parameter(paths.PARAMS, "prepare.image_size", [48, 64])
    run("prepare")
    table = pd.read_csv(paths.COPIES)
    files = json.loads(paths.FILES.read_text(encoding="utf-8"))
    rows = table[["test", "train"]].to_numpy()
    assert {files["test"][i]: files["train"][j] for i, j in rows} == copied
    first = files["test"][table["test"][0]]
    assert capsys.readouterr().err == (
        f"prepare: data/raw/ours/{first} is nearly the same as data/raw/ours/{copied[first]}; test "
        "images with such a near copy: 5 of 25, listed in "
        "data/prepared/copies.csv\n"
    )


def test_without_copies_the_table_is_empty_and_nothing_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_data_set(paths.RAW / "mnist")
    run("prepare")
    assert paths.COPIES.read_text() == "train,test,distance\n"
    assert capsys.readouterr().err == ""


def test_copies_among_images_without_names_are_told_by_their_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_data_set(paths.RAW / "mnist")
    test = mnist("t10k", 100)
    test[17] = mnist("train", 5)[4]
    write_idx(paths.RAW / "mnist/t10k-images-idx3-ubyte", test[..., 0])
    run("prepare")
    assert paths.COPIES.read_text() == "train,test,distance\n4,17,0.0\n"
    assert capsys.readouterr().err == (
        "prepare: test image 17 is nearly the same as training or validation image 4; test images "
        "with such a near copy: 1 of 100, listed in "
        "data/prepared/copies.csv\n"
    )
