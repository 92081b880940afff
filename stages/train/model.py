"""The network, written in three ways that give the same weights the same outputs."""

import contextlib
import io
import os
from collections.abc import Iterator

from stages.backend.runtime import keras
from stages.common.errors import InputError
from stages.train.schema import ModelParams

layers = keras.layers
Layers = Iterator[keras.layers.Layer]


def convolutions(params: ModelParams) -> Iterator[tuple[int, str, int]]:
    """Yield filters, padding and pool size of each convolution, in order."""
    return zip(params.filters, params.padding, params.pool_size, strict=True)


def compact(params: ModelParams, classes: int) -> Layers:
    """Activations as arguments."""
    for filters, padding, pool_size in convolutions(params):
        yield layers.Conv2D(filters, params.kernel_size, padding=padding, activation="relu")
        if pool_size > 1:
            yield layers.MaxPooling2D(pool_size)
    if params.dense_units is None:
        yield layers.GlobalAveragePooling2D()
    else:
        yield layers.Flatten()
        yield layers.Dropout(params.dropout)
        yield layers.Dense(params.dense_units, activation="relu")
    yield layers.Dropout(params.dropout)
    yield layers.Dense(classes, activation="softmax", dtype="float32")


def explicit(params: ModelParams, classes: int) -> Layers:
    """Activations as layers; BatchNormalization would stand between a convolution and its ReLU."""
    for filters, padding, pool_size in convolutions(params):
        yield layers.Conv2D(filters, params.kernel_size, padding=padding)
        yield layers.ReLU()
        if pool_size > 1:
            yield layers.MaxPooling2D(pool_size)
    if params.dense_units is None:
        yield layers.GlobalAveragePooling2D()
    else:
        yield layers.Flatten()
        yield layers.Dropout(params.dropout)
        yield layers.Dense(params.dense_units)
        yield layers.ReLU()
    yield layers.Dropout(params.dropout)
    yield layers.Dense(classes, dtype="float32")
    yield layers.Softmax(dtype="float32")


def build(params: ModelParams, shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Build the network for images of `shape` (height, width, channels).

    `functional` calls each layer on the one before; the others stack them in a Sequential.

    Raises InputError if the convolutions and pools leave nothing of such an image.
    """
    side = min(shape[:2])
    for _, padding, pool_size in convolutions(params):
        side = (side if padding == "same" else side - params.kernel_size + 1) // pool_size
    if side < 1:
        raise InputError(
            f"params.yaml: model.kernel_size {params.kernel_size} and model.pool_size "
            f"{params.pool_size} leave nothing of {shape[0]}x{shape[1]} images after "
            f"{len(params.filters)} convolutions; expected smaller kernels or pools, "
            "or fewer convolutions"
        )
    if params.architecture != "functional":
        write = {"compact": compact, "explicit": explicit}[params.architecture]
        return keras.Sequential([keras.Input(shape), *write(params, classes)])
    inputs = outputs = keras.Input(shape)
    for layer in compact(params, classes):
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def summarise(model: keras.Model) -> str:
    """Return Keras's table of the layers, their outputs' shapes and numbers of parameters."""
    text: list[str] = []
    # Keras asks the terminal for its width, and stdout whether it can write the table's lines.
    os.environ["COLUMNS"] = "80"
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), encoding="utf-8")):
        model.summary(line_length=80, print_fn=text.append)
    return f"{text[0]}\n"
