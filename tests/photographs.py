"""Pictures of a data set's digits as a user might hand them in: scanned or photographed.

`python -m tests.photographs` counts how many of 2,000 test images of each kind the trained model
reads; it takes two minutes.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

RULING = 37  # pixels from one line to the next


def enlarge(digit: np.ndarray, angle: float, random: np.random.Generator) -> Image.Image:
    """Return `digit`, uint8 (n, n), at 120 to 700 pixels somewhere on a larger sheet.

    It is white on black and turned by `angle` degrees.
    """
    side = int(random.integers(120, 701))
    large = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    width, height = (int(side * random.uniform(1.1, 3)) for _ in range(2))
    sheet = Image.new("L", (width, height))
    left, top = (int(random.integers(free + 1)) for free in (width - side, height - side))
    sheet.paste(large.rotate(angle, Image.Resampling.BICUBIC), (left, top))
    return sheet


def scan(digit: np.ndarray, path: Path, random: np.random.Generator) -> None:
    """Write `digit`, uint8 (n, n), as a PNG file: black on white, without any flaw."""
    ImageOps.invert(enlarge(digit, 0, random)).save(path, "PNG")


def photograph(
    digit: np.ndarray, path: Path, random: np.random.Generator, ruled: bool = False
) -> None:
    """Write `digit`, uint8 (n, n), as a JPEG file: ink on paper, turned, unevenly lit, noisy.

    Ruled paper has grey lines, which are turned with the digit.
    """
    angle = random.uniform(-8, 8)
    drawn = np.asarray(enlarge(digit, angle, random)) / np.float32(255)
    height, width = drawn.shape
    if ruled:
        rows, columns = np.ogrid[:height, :width]
        turn = np.deg2rad(angle)
        across = np.cos(turn) * rows + np.sin(turn) * columns + random.uniform(0, RULING)
        distance = np.abs(across % RULING - RULING / 2)
        lines = (random.uniform(1.5, 2.5) / 2 + 0.5 - distance).clip(0, 1)
        drawn = np.maximum(drawn, random.uniform(0.2, 0.8) * lines)
    ink, paper = random.uniform(10, 90), random.uniform(170, 250)
    lamps = Image.fromarray(random.uniform(-15, 15, size=(3, 3)).astype(np.float32))
    light = np.asarray(lamps.resize((width, height), Image.Resampling.BICUBIC))
    grey = paper + (ink - paper) * drawn + light
    grey += random.uniform(0, 6) * random.standard_normal((height, width), np.float32)
    image = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
    image.save(path, "JPEG", quality=int(random.integers(40, 96)))


Draw = Callable[[np.ndarray, Path, np.random.Generator], None]
KINDS: dict[str, Draw] = {
    "scans": scan,
    "photographs": photograph,
    "ruled": partial(photograph, ruled=True),
}


def count() -> None:
    """Print how many pictures of each kind the model in models/ reads."""
    from predict import picture
    from stages.backend import archive, determinism
    from stages.common.paths import MODEL
    from stages.prepare import idx
    from tests.builders import MNIST

    determinism.pin(threads=1)
    model = archive.load(MODEL)
    images = idx.read_array(MNIST / "t10k-images-idx3-ubyte.gz", 3)
    labels = idx.read_array(MNIST / "t10k-labels-idx1-ubyte.gz", 1)
    for k, (kind, draw) in enumerate(KINDS.items()):
        chosen = np.random.default_rng([1, k]).permutation(len(images))[:2000]
        prepared = []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "picture")
            for i, image in enumerate(images[chosen]):
                draw(image, path, np.random.default_rng([1, i, k]))
                prepared.append(picture.load(path, (28, 28, 1), centre_ink=True))
        read = model.predict(np.stack(prepared), verbose=0).argmax(axis=1) == labels[chosen]
        print(f"{kind}: {read.mean():.2%}")


if __name__ == "__main__":
    count()
