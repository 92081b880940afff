"""Keras and TensorFlow, imported silently in a clean environment: others import them from here."""

import os
from pathlib import Path

# Removed from the environment: they can change numbers (fast math, XLA, threads) or limit epochs.
SETTINGS = ("DNNL_", "KERAS_", "KMP_", "MKL_", "OMP_", "ONEDNN_", "TF_", "XLA_")
OURS = {
    "KERAS_BACKEND": "tensorflow",
    "KERAS_HOME": os.devnull,  # no keras.json is read from there
    "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
    "TF_ENABLE_ONEDNN_OPTS": "1",  # off, it is 1.9x slower and rounds differently
}
for name in [name for name in os.environ if name.startswith(SETTINGS)]:
    del os.environ[name]
os.environ |= OURS

# TensorFlow's start-up notes ignore TF_CPP_MIN_LOG_LEVEL, and C++ code writes them to stderr:
# https://github.com/tensorflow/tensorflow/issues/100442
stderr = os.dup(2)
with Path(os.devnull).open("w") as sink:
    os.dup2(sink.fileno(), 2)
try:
    import keras
    import tensorflow as tf
finally:
    os.dup2(stderr, 2)
    os.close(stderr)

__all__ = ["keras", "tf"]
