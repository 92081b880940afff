"""The same bytes from the same inputs: what is pinned for it, and on which machines that holds."""

import os
import shutil

from stages.backend import cpu
from stages.backend.layers import leaves
from stages.backend.runtime import keras, tf

LIMIT = "ONEDNN_MAX_CPU_ISA"  # of the instructions that oneDNN may use
# Two networks whose layers have the same of these differ in sizes alone.
KIND = "kernel_size", "pool_size", "strides", "padding", "dilation_rate", "groups", "activation"
# Other layers and activations that did so for two steps, on an emulated AMD EPYC.
ALIKE = {
    *("AveragePooling2D", "DepthwiseConv2D", "GlobalAveragePooling2D"),
    *("gelu", "linear", "relu", "silu", "softmax"),
}
# Layers that did not.
UNLIKE = {"BatchNormalization", "LayerNormalization", "LSTM"}


def pin(
    threads: int, precision: str = "float32", instructions: str = "avx2", use_gpus: bool = False
) -> None:
    """Make results depend on nothing but the inputs; call it before any other TensorFlow code.

    Sums are split among threads, so the last bits of the weights depend on the number of
    `threads`. oneDNN chooses its kernels by the CPU: with the `instructions` "avx2" it is limited
    to these, which gives the same bytes on every CPU with AVX2 if dense layers compute as
    `dense.replace` lets them; with "native" it uses all that the CPU has. `precision` is a dtype
    policy of Keras; for bfloat16, oneDNN has no kernels that AVX2 suffices for.
    """
    if instructions == "avx2":
        os.environ[LIMIT] = "AVX2"  # read when oneDNN makes its first kernel
    for gpu in tf.config.list_physical_devices("GPU"):
        # By default TensorFlow takes all memory of a GPU, and two runs could not share it.
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


def machine() -> str:
    """Return on what this process computes, as one would say it."""
    if gpus := tf.config.list_logical_devices("GPU"):
        visible = tf.config.get_visible_devices("GPU")
        details = map(tf.config.experimental.get_device_details, visible)
        names = sorted({found.get("device_name", "unknown") for found in details})
        return f"{len(gpus)} GPU{'s' if len(gpus) > 1 else ''} ({', '.join(names)})"
    return f"the CPU ({cpu.model_name()}{'' if cpu.has_avx2() else ', without AVX2'})"


def portability(model: keras.Model) -> str:
    """Return whether `model`, trained in this process, would be the same bytes on other CPUs.

    `shown` and `expected` mean every x86-64 CPU with AVX2: tests have shown it for networks of
    these kinds of layers, or only of the same layers. Otherwise it is the reason why not, which
    continues the sentence "its bytes differ elsewhere, because ...".
    """
    layers = [layer for layer in leaves(model) if not isinstance(layer, keras.layers.InputLayer)]
    if tf.config.list_logical_devices("GPU") or not cpu.has_avx2():
        return f"the model was trained on {machine()}"
    if others := {layer.dtype_policy.name for layer in layers} - {"float32"}:
        return f"the model was trained in {', '.join(sorted(others))} on {machine()}"
    if os.environ.get(LIMIT) != "AVX2":
        return f"the model was trained with all instructions of {machine()}"
    if {*map(kind, layers)} <= {*map(kind, shown())}:
        return "shown"
    used = {type(layer).__name__ for layer in layers}
    activations = (layer.activation for layer in layers if hasattr(layer, "activation"))
    used |= {getattr(found, "__name__", type(found).__name__) for found in activations}
    if unlike := used & UNLIKE:
        return f"CPUs round {', '.join(sorted(unlike))} differently"
    if unknown := used - ALIKE - {type(layer).__name__ for layer in shown()}:
        return f"nobody has compared {', '.join(sorted(unknown))}"
    return "expected"


def shown() -> list[keras.layers.Layer]:
    """Return a layer of each kind that gave the same bytes on emulated and on real CPUs.

    tests/pipeline/test_portable.py trains networks of them.
    """
    return [
        keras.layers.Conv2D(1, 3, activation="relu"),
        keras.layers.Conv2D(1, 3),
        keras.layers.Conv2D(1, 3, padding="same", activation="relu"),
        keras.layers.Conv2D(1, 3, padding="same"),
        keras.layers.MaxPooling2D(2),
        keras.layers.MaxPooling2D(3),
        keras.layers.ReLU(),
        keras.layers.Flatten(),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(1, activation="relu"),
        keras.layers.Dense(1),
        keras.layers.Dense(1, activation="softmax"),
        keras.layers.Softmax(),
    ]


def kind(layer: keras.layers.Layer) -> tuple[object, ...]:
    """Return the name of a layer's class, and those of its settings that are not sizes."""
    config = layer.get_config()
    return type(layer).__name__, *((key, str(config[key])) for key in KIND if key in config)


def describe(promise: str) -> str:
    """Say on what this process trains, and what a `portability` means."""
    sentences = {
        "shown": "the same bytes on every x86-64 CPU with AVX2",
        "expected": "probably the same bytes on every x86-64 CPU with AVX2, as other networks of "
        "these layers have shown",
    }
    where = f"Computing on {machine()}"
    if shutil.which("nvidia-smi") and not tf.config.list_physical_devices("GPU"):
        where += ", no GPU (to use one: pip install --require-hashes -r requirements/gpu.txt)"
    otherwise = f"perhaps different bytes elsewhere, because {promise}"
    return f"{where}: {sentences.get(promise, otherwise)}"
