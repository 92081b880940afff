"""The network, written in three ways that give the same weights the same outputs."""

import contextlib
import io
import os

from stages.backend.runtime import keras
from stages.common.errors import InputError
from stages.train.schema import ModelParams

layers = keras.layers
Shape = tuple[int, int, int]


def compact(params: ModelParams, shape: Shape, classes: int) -> keras.Model:
    """Activations as arguments."""
    model = keras.Sequential([keras.Input(shape)])
    for filters in params.filters:
        model.add(layers.Conv2D(filters, params.kernel_size, activation="relu"))
        model.add(layers.MaxPooling2D(params.pool_size))
    model.add(layers.Flatten())
    model.add(layers.Dropout(params.dropout))
    model.add(layers.Dense(params.dense_units, activation="relu"))
    model.add(layers.Dropout(params.dropout))
    model.add(layers.Dense(classes, activation="softmax", dtype="float32"))
    return model


def explicit(params: ModelParams, shape: Shape, classes: int) -> keras.Model:
    """One layer per line; BatchNormalization would stand between a convolution and its ReLU."""
    model = keras.Sequential([keras.Input(shape)])
    for filters in params.filters:
        model.add(layers.Conv2D(filters, params.kernel_size))
        model.add(layers.ReLU())
        model.add(layers.MaxPooling2D(params.pool_size))
    model.add(layers.Flatten())
    model.add(layers.Dropout(params.dropout))
    model.add(layers.Dense(params.dense_units))
    model.add(layers.ReLU())
    model.add(layers.Dropout(params.dropout))
    model.add(layers.Dense(classes, dtype="float32"))
    model.add(layers.Softmax(dtype="float32"))
    return model


def functional(params: ModelParams, shape: Shape, classes: int) -> keras.Model:
    """The functional API: each layer called on the one before."""
    inputs = x = keras.Input(shape)
    for filters in params.filters:
        x = layers.Conv2D(filters, params.kernel_size, activation="relu")(x)
        x = layers.MaxPooling2D(params.pool_size)(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(params.dropout)(x)
    x = layers.Dense(params.dense_units, activation="relu")(x)
    x = layers.Dropout(params.dropout)(x)
    outputs = layers.Dense(classes, activation="softmax", dtype="float32")(x)
    return keras.Model(inputs, outputs)


ARCHITECTURES = {write.__name__: write for write in (compact, explicit, functional)}


def build(params: ModelParams, shape: Shape, classes: int) -> keras.Model:
    """Build the network for images of `shape` (height, width, channels).

    Raises InputError if the convolutions and pools leave nothing of such an image.
    """
    side = min(shape[:2])
    for _ in params.filters:
        side = (side - params.kernel_size + 1) // params.pool_size
    if side < 1:
        raise InputError(
            f"params.yaml: model.kernel_size {params.kernel_size} and model.pool_size "
            f"{params.pool_size} leave nothing of {shape[0]}x{shape[1]} images after "
            f"{len(params.filters)} convolutions; expected smaller ones"
        )
    return ARCHITECTURES[params.architecture](params, shape, classes)


def summarise(model: keras.Model) -> str:
    """Return Keras's table of the layers, their outputs' shapes and numbers of parameters."""
    text: list[str] = []
    # Keras asks the terminal for its width, and stdout whether it can write the table's lines.
    os.environ["COLUMNS"] = "80"
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), encoding="utf-8")):
        model.summary(line_length=80, print_fn=text.append)
    return f"{text[0]}\n"
