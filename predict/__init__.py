"""Classify pictures with an exported model: `Classifier("model.tflite").classify("five.png")`.

Needs NumPy, Pillow and LiteRT alone, neither TensorFlow nor the pipeline.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pictures import PictureError
    from predict.classifier import Classifier, ModelError

__all__ = ["Classifier", "ModelError", "PictureError"]


def __getattr__(name: str) -> Any:
    # Imported when first used: `python -m predict` says in one line which package is missing, and
    # --help need not wait.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from predict import classifier

    return getattr(classifier, name)
