"""Everything random in a training, drawn from the seed and independent of global state.

Each use has streams of its own, so that a resumed run draws what an uninterrupted one would have
drawn: (0, place) gives a layer's initial weights, (epoch,) the order of an epoch, (epoch, place)
the dropout of a layer, (epoch, batch, 0) the translations of a batch, (epoch, batch, 1) its flips.
"""

import numpy as np

from stages.backend.layers import leaves
from stages.backend.runtime import keras


def stream(seed: int, *key: int) -> np.random.SeedSequence:
    """Return the independent random stream that `key` names."""
    return np.random.SeedSequence(seed, spawn_key=key)


def draw_weights(model: keras.Model, seed: int) -> None:
    """Draw the initial weights anew from (seed, place), each with its layer's own initializer.

    Places count the random initializers alone, so that they are the same however the network is
    written. Where a layer calls its initializer otherwise than Keras's usual ones do, its weights
    stay as Keras drew them: before it does, let `keras.utils.set_random_seed` decide how.
    """
    place = 0
    for layer in leaves(model):
        for weight in layer.weights:
            initializer = getattr(layer, f"{weight.name}_initializer", keras.initializers.Zeros())
            config = initializer.get_config()
            if "seed" in config:
                config["seed"] = int(stream(seed, 0, place).generate_state(1)[0])
                weight.assign(type(initializer).from_config(config)(weight.shape))
                place += 1


def seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the state of every seed generator of the model from (seed, epoch, its place)."""
    states = (variable for variable in model.variables if variable.name == "seed_generator_state")
    for place, state in enumerate(states):
        state.assign(stream(seed, epoch, place).generate_state(2))
