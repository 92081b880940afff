"""Classify pictures: python -m predict IMAGE ..."""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.common.errors import InputError, in_one_line
from stages.common.paths import CLASSES, MODEL, PICTURES


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m predict", description=__doc__)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="PNG or JPEG")
    parser.add_argument("--top", type=int, default=1, metavar="N", help="the N likeliest classes")
    parser.add_argument("--json", action="store_true", help="one JSON document per line")
    parsed = parser.parse_args(arguments)
    if parsed.top < 1:
        parser.error(f"argument --top: found {parsed.top}; expected at least 1")
    return parsed


def rank(probabilities: Sequence[float], names: Sequence[str], top: int) -> list[dict[str, Any]]:
    """Return the `top` likeliest classes with their probabilities, the likeliest first."""
    ranked = sorted(zip(probabilities, names, strict=True), key=lambda pair: -pair[0])[:top]
    return [{"label": name, "confidence": float(confidence)} for confidence, name in ranked]


def printable(text: str) -> str:
    """Escape what would break the line or can't be printed: a file's name may hold anything."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def main(arguments: Sequence[str]) -> int:
    """Print one line per image; return 0, or 1 if there were unreadable ones, named on stderr.

    Raises InputError if there is no model, or one of other images or classes.
    """
    options = parse(arguments)
    for path in MODEL, CLASSES, PICTURES:
        if not path.is_file():
            raise InputError(f"{path}: not found; dvc repro makes it, dvc pull fetches it")

    # These take seconds, for which --help and mistakes in the arguments need not wait.
    import numpy as np

    from pictures import PictureError
    from predict import picture
    from stages.backend import archive, determinism
    from stages.common.files import load_names

    names = load_names(CLASSES)
    determinism.pin(threads=1)
    model = archive.load(MODEL)
    settings = json.loads(PICTURES.read_text(encoding="utf-8"))
    shape = tuple(settings["shape"])
    if model.input_shape[1:] != shape or model.output_shape[-1] != len(names):
        raise InputError(
            f"{MODEL}: takes {model.input_shape}, gives {model.output_shape}; expected images of "
            f"{shape}, as {PICTURES} has it, and the {len(names)} classes of {CLASSES}"
        )
    prepared = []
    for path in options.images:
        try:
            prepared.append((path, picture.load(path, **settings)))
        except PictureError as error:
            print(printable(f"predict: {error}"), file=sys.stderr)
    if prepared:
        outputs = model.predict(np.stack([image for _, image in prepared]), verbose=0)
        for (path, _), probabilities in zip(prepared, outputs, strict=True):
            ranked = rank(probabilities, names, options.top)
            line = ", ".join("{label} {confidence:.2%}".format(**entry) for entry in ranked)
            document = {"image": str(path), "predictions": ranked}
            print(json.dumps(document) if options.json else printable(f"{path}: {line}"))
    return int(len(prepared) < len(options.images))


if __name__ == "__main__":
    # Inside TensorFlow's C++ code a KeyboardInterrupt may become a TypeError, and there is nothing
    # to tidy up: Ctrl-C ends the process at once, which a shell reports as exit code 130.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with in_one_line("predict"):
        code = main(sys.argv[1:])
    sys.exit(code)
