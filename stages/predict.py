"""Tell what a picture shows: python -m stages.predict IMAGE ..."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages import picture
from stages.errors import InputError
from stages.files import load_names

MODEL = Path("models/model.keras")
CLASSES = Path("data/prepared/classes.txt")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stages.predict", description=__doc__)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="PNG or JPEG")
    parser.add_argument("--top", type=int, default=1, metavar="N", help="the N likeliest classes")
    parser.add_argument("--json", action="store_true", help="a JSON document a line")
    parsed = parser.parse_args(arguments)
    if parsed.top < 1:
        parser.error(f"argument --top: found {parsed.top}; expected at least 1")
    return parsed


def tell(path: Path, probabilities: np.ndarray, names: Sequence[str], top: int) -> dict[str, Any]:
    """Return the `top` likeliest classes of probabilities (classes,), the likeliest first."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    ranked = [{"label": names[i], "confidence": float(probabilities[i])} for i in order]
    return {"image": str(path), "predictions": ranked}


def main(arguments: Sequence[str]) -> int:
    """Print a line an image; return 0, or 1 if there were bad ones, named on stderr.

    Raises InputError if there is no model.
    """
    options = parse(arguments)
    for path in MODEL, CLASSES:
        if not path.is_file():
            raise InputError(f"{path}: not found; dvc repro makes it, dvc pull fetches it")
    names = load_names(CLASSES)

    from stages import archive, runtime  # takes seconds: not before it is needed

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
            told = tell(path, probabilities, names, options.top)
            line = ", ".join("{label} {confidence:.2%}".format(**p) for p in told["predictions"])
            print(json.dumps(told) if options.json else f"{path}: {line}")
    return int(len(prepared) < len(options.images))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as error:
        sys.exit(f"predict: {error}")
