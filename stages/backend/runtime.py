"""Keras and TensorFlow, imported silently and pinned: other modules import both from here."""

import os
import shutil
from pathlib import Path

from stages.backend import cpu

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

    from stages.backend import dense
finally:
    os.dup2(stderr, 2)
    os.close(stderr)

__all__ = ["describe", "keras", "pin", "strategy", "tf"]


def pin(threads: int, precision: str = "float32", use_gpus: bool = False) -> None:
    """Make results depend on nothing but the inputs; call it before any other TensorFlow code.

    Sums are split among threads, so the last bits of the weights depend on the number of
    `threads`. oneDNN chooses its kernels by the CPU: for float32 it is limited to AVX2, and dense
    layers avoid kernels that depend on caches, which gives the same bytes on every CPU with AVX2.
    Other `precision`s, dtype policies of Keras, have no such kernels and are not limited.
    """
    if precision == "float32":
        os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"  # read when oneDNN makes its first kernel
        keras.layers.Dense.call = dense.call
    for gpu in tf.config.list_physical_devices("GPU"):
        # By default TensorFlow takes all memory of a GPU, and two trials could not share it.
        tf.config.experimental.set_memory_growth(gpu, True)
    if not use_gpus:
        tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy(precision)


def strategy() -> tf.distribute.Strategy:
    """Return how to train here: on every GPU at once if there are several."""
    gpus = [gpu.name for gpu in tf.config.list_logical_devices("GPU")]
    return tf.distribute.MirroredStrategy(gpus) if len(gpus) > 1 else tf.distribute.get_strategy()


def describe() -> str:
    """Say on what this process computes, and on which other machines the bytes are the same."""
    if gpus := tf.config.list_logical_devices("GPU"):
        return f"Computing on GPUs ({len(gpus)}): the bytes will differ from those of a CPU"
    where = f"Computing on the CPU, {cpu.model_name()}"
    if shutil.which("nvidia-smi") and not tf.config.list_physical_devices("GPU"):
        where += ", no GPU (to use one: pip install --require-hashes -r requirements/gpu.txt)"
    if not cpu.has_avx2():
        return f"{where}: it has no AVX2, so the bytes will differ from those of other CPUs"
    if keras.config.dtype_policy().name != "float32":
        return f"{where}, in bfloat16: the same bytes on this type of CPU only"
    return f"{where}: the same bytes on every x86-64 CPU with AVX2"
