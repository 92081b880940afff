"""Muon, which learns more from each batch than Adam does."""

from typing import Any

from stages.backend.runtime import keras

RMS = 0.2  # of an update at a learning rate of 1, about that of Adam: arXiv 2502.16982


class Muon(keras.optimizers.Muon):  # type: ignore[misc]
    """Keras's Muon, for kernels of convolutions, too: matrices of (inputs, outputs), flattened.

    Keras's own leaves those to Adam. Both leave biases and `exclude_layers` to Adam.
    Source: https://kellerjordan.github.io/posts/muon/
    """

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return len(variable.shape) < 2 or variable.path.split("/")[-2] in self.exclude_layers

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        matrix = keras.ops.reshape(x, (-1, x.shape[-1]))
        orthogonal = super().zeropower_via_newtonschulz5(matrix, steps)
        return keras.ops.reshape(RMS * max(matrix.shape) ** 0.5 * orthogonal, x.shape)
