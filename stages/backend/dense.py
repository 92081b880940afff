"""Dense layers that are rounded alike on every CPU, however large its caches are."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

Gradient = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@tf.custom_gradient  # type: ignore[untyped-decorator]
def product(rows: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    """Return float32 `rows` (n, inputs) times `kernel` (inputs, outputs), and its gradient.

    oneDNN divides the rows of a matrix product among threads only if the matrices are larger than
    the CPU's L2 cache, and how many rows a thread gets decides how some sums are rounded. A
    convolution of one pixel doesn't depend on the cache. Nor does a product of whose inputs each
    thread gets some, as in the gradients: that of `kernel` is therefore computed transposed.
    Source: adjust_thread_count in oneDNN's gemm_driver.cpp.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        of_kernel = tf.matmul(upstream, rows, transpose_a=True)
        return tf.matmul(upstream, kernel, transpose_b=True), tf.transpose(of_kernel)

    pixels = tf.nn.conv2d(rows[:, None, None, :], kernel[None, None], 1, "VALID")
    return pixels[:, 0, 0, :], gradient


def call(layer: keras.layers.Dense, inputs: tf.Tensor, training: bool | None = None) -> Any:
    """Do what Keras's `Dense.call` does, with `product`."""
    outputs = product(inputs, tf.convert_to_tensor(layer.kernel))
    return layer.activation(outputs + layer.bias)
