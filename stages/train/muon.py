"""Muon, which learns more from each batch than Adam does."""

from typing import Any

from stages.backend.runtime import keras
from stages.train.schema import TrainParams

RMS = 0.2  # of an update at a learning rate of 1, about that of Adam: arXiv 2502.16982


class Muon(keras.optimizers.Muon):  # type: ignore[misc]
    """Keras's Muon, for kernels of convolutions, too: matrices of (inputs, outputs), flattened.

    Keras's own leaves them to Adam. So are, here as there, biases and the layers `exclude_layers`.
    Source: https://kellerjordan.github.io/posts/muon/
    """

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return len(variable.shape) < 2 or variable.path.split("/")[-2] in self.exclude_layers

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        matrix = keras.ops.reshape(x, (-1, x.shape[-1]))
        orthogonal = super().zeropower_via_newtonschulz5(matrix, steps)
        return keras.ops.reshape(RMS * max(matrix.shape) ** 0.5 * orthogonal, x.shape)


def make(model: keras.Model, rate: Any, train: TrainParams) -> Muon:
    """Return Muon for the hidden layers of `model`, and Adam for the first and the last one."""
    names = [layer.name for layer in model.layers if layer.weights]
    return Muon(
        rate,
        momentum=train.momentum,
        adam_beta_1=train.beta_1,
        adam_beta_2=train.beta_2,
        exclude_layers=[names[0], names[-1]],
        rms_rate=None,  # see RMS
        weight_decay=None,
        adam_weight_decay=None,
    )
