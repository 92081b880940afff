"""Muon, an optimizer whose updates of kernels are orthogonal matrices."""

from typing import Any

from stages.backend.dense import product
from stages.backend.runtime import keras

RMS = 0.2  # of an update at a learning rate of 1, about that of Adam: arXiv 2502.16982


class Muon(keras.optimizers.Muon):  # type: ignore[misc]
    """Keras's Muon, extended to kernels of convolutions, flattened to matrices (inputs, outputs).

    Keras's own leaves those to Adam. Both leave biases and `exclude_layers` to Adam.
    Source: https://kellerjordan.github.io/posts/muon/
    """

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return len(variable.shape) < 2 or variable.path.split("/")[-2] in self.exclude_layers

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        ops = keras.ops
        matrix = ops.reshape(x, (-1, x.shape[-1]))
        tall = matrix.shape[0] > matrix.shape[1]
        wide = ops.transpose(matrix) if tall else matrix
        wide = wide / (ops.norm(wide) + 1e-7)
        for _ in range(steps):
            # Not Keras's own products, which CPUs with different caches round differently.
            square = product(wide, ops.transpose(wide))
            mixed = self.muon_b * square + self.muon_c * product(square, square)
            wide = self.muon_a * wide + product(mixed, wide)
        orthogonal = ops.transpose(wide) if tall else wide
        return ops.reshape(RMS * max(matrix.shape) ** 0.5 * orthogonal, x.shape)
