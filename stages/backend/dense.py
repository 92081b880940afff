"""Dense layers that are rounded alike on every CPU, however large its caches are."""

from collections.abc import Callable
from types import MethodType
from typing import Any

from stages.backend.layers import leaves
from stages.backend.runtime import keras, tf

Gradient = Callable[[Any], tuple[Any, Any]]


def replace(model: keras.Model) -> None:
    """Let each of Keras's dense layers in `model` compute with `product`, if it is in float32."""
    for layer in leaves(model):
        if type(layer) is keras.layers.Dense and layer.compute_dtype == "float32":
            layer.call = MethodType(call, layer)


def call(layer: keras.layers.Dense, inputs: Any, training: bool | None = None) -> Any:
    """Do what Keras's `Dense.call` does, with `product`."""
    flat = inputs.ndim == 2
    rows = inputs if flat else keras.ops.reshape(inputs, (-1, inputs.shape[-1]))
    outputs = product(rows, tf.convert_to_tensor(layer.kernel))
    if not flat:
        outputs = keras.ops.reshape(outputs, (-1, *inputs.shape[1:-1], layer.units))
    if layer.bias is not None:
        outputs = outputs + layer.bias
    return outputs if layer.activation is None else layer.activation(outputs)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def product(rows: Any, kernel: Any) -> tuple[Any, Gradient]:
    """Return float32 `rows` (n, inputs) times `kernel` (inputs, outputs), and its gradient.

    oneDNN splits a product's rows among threads only if the matrices exceed the CPU's L2 cache, and
    the split changes how some sums are rounded. A convolution of one pixel is unaffected. So is a
    product that is split along its inputs, as the gradients are once that of `kernel` is computed
    transposed.
    Source: adjust_thread_count in oneDNN's gemm_driver.cpp.
    """

    def gradient(upstream: Any) -> tuple[Any, Any]:
        of_kernel = tf.matmul(upstream, rows, transpose_a=True)
        return tf.matmul(upstream, kernel, transpose_b=True), tf.transpose(of_kernel)

    pixels = tf.nn.conv2d(rows[:, None, None, :], kernel[None, None], 1, "VALID")
    return pixels[:, 0, 0, :], gradient
