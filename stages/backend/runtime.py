"""Keras and TensorFlow, imported silently and pinned: other modules import both from here."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"  # off, it is 1.9x slower and rounds differently
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Drop what C++ code writes to stderr.

    TensorFlow's start-up notes ignore TF_CPP_MIN_LOG_LEVEL:
    https://github.com/tensorflow/tensorflow/issues/100442
    """
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 2)
        os.close(sink)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


with silent_stderr():
    import keras
    import tensorflow as tf

__all__ = ["keras", "pin", "strategy", "tf"]


def pin(threads: int, precision: str = "float32") -> None:
    """Use `threads` threads and deterministic kernels; call it before any other TensorFlow code.

    Sums are split among threads, so the last bits of the weights depend on their number. What a
    user's ~/.keras/keras.json says is overruled. `precision` is a dtype policy of Keras.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy(precision)


def strategy() -> tf.distribute.Strategy:
    """Return how to train here: on every GPU at once if there are several."""
    gpus = [gpu.name for gpu in tf.config.list_logical_devices("GPU")]
    return tf.distribute.MirroredStrategy(gpus) if len(gpus) > 1 else tf.distribute.get_strategy()
