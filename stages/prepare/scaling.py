"""From bytes to the numbers that a network takes."""

import numpy as np


def scale(images: np.ndarray) -> np.ndarray:
    """Turn uint8 images (n, height, width) into float32 (n, height, width, 1) in [0, 1]."""
    scaled: np.ndarray = np.divide(images, 255, dtype=np.float32)
    return scaled[..., np.newaxis]
