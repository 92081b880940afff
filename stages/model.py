"""The network, written in three ways that give the same weights the same outputs."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from stages.errors import InputError
from stages.params import Section
from stages.runtime import keras

PositiveInt = Annotated[int, Field(ge=1)]


class ModelParams(Section):
    architecture: Literal["compact", "explicit", "functional"]
    filters: Annotated[list[PositiveInt], Field(min_length=1)]
    kernel_size: PositiveInt
    pool_size: PositiveInt
    dense_units: PositiveInt
    dropout: Annotated[float, Field(ge=0, lt=1)]


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
    """One layer a line; BatchNormalization would stand between a convolution and its ReLU."""
    model = keras.Sequential()
    model.add(keras.Input(shape))
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


ARCHITECTURES: dict[str, Callable[[ModelParams, Shape, int], keras.Model]] = {
    "compact": compact,
    "explicit": explicit,
    "functional": functional,
}


def build(params: ModelParams, shape: Shape, classes: int) -> keras.Model:
    """Build the network for images of `shape` (height, width, channels).

    Raises InputError if nothing is left of such an image after the convolutions and pools.
    """
    height, width, _ = shape
    for _ in params.filters:
        height, width = (
            (side - params.kernel_size + 1) // params.pool_size for side in (height, width)
        )
        if min(height, width) < 1:
            raise InputError(
                f"params.yaml: model.kernel_size {params.kernel_size} and model.pool_size "
                f"{params.pool_size} leave nothing of {shape[0]}x{shape[1]} images after "
                f"{len(params.filters)} convolutions; expected smaller ones"
            )
    return ARCHITECTURES[params.architecture](params, shape, classes)
