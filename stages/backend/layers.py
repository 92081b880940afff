"""The layers of a network, those of networks within it too."""

from collections.abc import Iterator

from stages.backend.runtime import keras


def leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers of `model` in order, those of a model in it in its place."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer


def first_convolution(model: keras.Model) -> keras.layers.Layer | None:
    """Return the first two-dimensional convolution of `model`; None if there is none."""
    convolutions = keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D
    return next((layer for layer in leaves(model) if isinstance(layer, convolutions)), None)
