"""Random translations of the training images, so that no epoch sees the same ones again."""

from typing import Annotated

import numpy as np
from pydantic import Field

from stages.params import Section
from stages.runtime import keras, tf


class AugmentationParams(Section):
    translation: Annotated[float, Field(ge=0, lt=1)]


class Augmentation:
    """Moves each image up to a fraction of its height and width; what moves in is 0."""

    def __init__(self, params: AugmentationParams) -> None:
        self.layer = keras.layers.RandomTranslation(
            params.translation, params.translation, fill_mode="constant", dtype="float32"
        )
        self.transform = tf.function(self.layer, reduce_retracing=True)  # 3 ms a batch, not 8

    def __call__(self, images: np.ndarray, stream: np.random.SeedSequence) -> np.ndarray:
        """Translate `images`, float32 (n, height, width, channels), as `stream` decides."""
        self.layer.generator.state.assign(stream.generate_state(2))
        moved: np.ndarray = self.transform(images, training=True).numpy()
        return moved
