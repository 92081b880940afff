"""Classify pictures: python -m predict IMAGE ..."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from predict import picture
from stages.common.errors import InputError, in_one_line
from stages.common.files import load_names
from stages.common.paths import CLASSES, MODEL


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m predict", description=__doc__)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="PNG or JPEG")
    parser.add_argument("--top", type=int, default=1, metavar="N", help="the N likeliest classes")
    parser.add_argument("--json", action="store_true", help="one JSON document per line")
    parsed = parser.parse_args(arguments)
    if parsed.top < 1:
        parser.error(f"argument --top: found {parsed.top}; expected at least 1")
    return parsed


def rank(probabilities: np.ndarray, names: Sequence[str], top: int) -> list[dict[str, Any]]:
    """Return the `top` likeliest classes of probabilities (classes,), the likeliest first."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [{"label": names[i], "confidence": float(probabilities[i])} for i in order]


def main(arguments: Sequence[str]) -> int:
    """Print one line per image; return 0, or 1 if there were unreadable ones, named on stderr.

    Raises InputError if there is no model, or one of other images or classes.
    """
    options = parse(arguments)
    for path in MODEL, CLASSES:
        if not path.is_file():
            raise InputError(f"{path}: not found; dvc repro makes it, dvc pull fetches it")
    names = load_names(CLASSES)

    from stages.backend import archive, runtime  # takes seconds: not before it is needed

    runtime.pin(threads=1)
    model = archive.load(MODEL)
    if model.input_shape[3:] != (1,) or model.output_shape[-1] != len(names):
        raise InputError(
            f"{MODEL}: takes {model.input_shape}, gives {model.output_shape}; expected grey images "
            f"and the {len(names)} classes of {CLASSES}"
        )
    prepared = []
    for path in options.images:
        try:
            prepared.append((path, picture.prepare(picture.read(path), *model.input_shape[1:3])))
        except InputError as error:
            print(f"predict: {error}", file=sys.stderr)
    if prepared:
        outputs = model.predict(np.stack([image for _, image in prepared]), verbose=0)
        for (path, _), probabilities in zip(prepared, outputs, strict=True):
            ranked = rank(probabilities, names, options.top)
            line = ", ".join("{label} {confidence:.2%}".format(**entry) for entry in ranked)
            document = {"image": str(path), "predictions": ranked}
            print(json.dumps(document) if options.json else f"{path}: {line}")
    return int(len(prepared) < len(options.images))


if __name__ == "__main__":
    with in_one_line("predict"):
        code = main(sys.argv[1:])
    sys.exit(code)
