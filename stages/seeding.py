"""Everything random in a training, drawn from the seed and independent of global state.

Each use has streams of its own, so that a resumed run draws what an uninterrupted one would have
drawn: (0, layer) gives a layer's initial weights, (epoch,) the order of an epoch, (epoch, layer)
its dropout in a layer, (epoch, batch, 0) the augmentation of one of its batches.
"""

import numpy as np

from stages.runtime import keras


def stream(seed: int, *key: int) -> np.random.SeedSequence:
    """Return the independent random stream that `key` names."""
    return np.random.SeedSequence(seed, spawn_key=key)


def draw_weights(model: keras.Model, seed: int) -> None:
    """Initialise each kernel from (seed, its place), however the network is written."""
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]
    for place, kernel in enumerate(kernels):
        state = stream(seed, 0, place).generate_state(1)
        kernel.assign(keras.initializers.GlorotUniform(int(state[0]))(kernel.shape))


def seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the state of every seed generator of the model from (seed, epoch, its place)."""
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    for place, state in enumerate(states):
        state.assign(stream(seed, epoch, place).generate_state(2))


def permutation(n: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order, int64 (n,), in which an epoch visits the training set."""
    return np.random.default_rng(stream(seed, epoch)).permutation(n)
