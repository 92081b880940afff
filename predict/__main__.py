"""Classify pictures: python -m predict PICTURE ..."""

import argparse
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

SUFFIXES = ".png", ".jpg", ".jpeg", ".webp"  # of the files that are taken from a folder
MODEL = Path("models/model.tflite")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m predict", description=__doc__)
    formats = "PNG, JPEG or WebP, or a folder of them"
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE", help=formats)
    default = f"default: {MODEL}"
    parser.add_argument("--model", type=Path, default=MODEL, metavar="PATH", help=default)
    parser.add_argument("--top", type=int, default=1, metavar="N", help="the N likeliest classes")
    parser.add_argument("--json", action="store_true", help="one JSON document per line")
    parsed = parser.parse_args(arguments)
    if parsed.top < 1:
        parser.error(f"argument --top: found {parsed.top}; expected at least 1")
    return parsed


Complain = Callable[[object], None]


def find(paths: Iterable[Path], complain: Complain) -> Iterator[Path]:
    """Yield the files among `paths`, and the pictures in their folders and in folders of these."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = False
        for folder, below, files in os.walk(path, onerror=complain):
            below[:] = sorted(name for name in below if not name.startswith("."))
            for name in sorted(files):
                if not name.startswith(".") and name.lower().endswith(SUFFIXES):
                    found = True
                    yield Path(folder, name)
        if not found:
            complain(f"{path}: no pictures; expected PNG, JPEG or WebP files")


def watched(paths: Iterable[Path]) -> Iterable[Path]:
    """Show on the terminal how far it is, unless the answers appear there."""
    if sys.stdout.isatty() or not sys.stderr.isatty():
        return paths
    from tqdm import tqdm  # type: ignore[import-untyped]  # takes as long as 20 pictures

    bar: Iterable[Path] = tqdm(list(paths), unit="picture", leave=False, delay=1)
    return bar


def printable(text: str) -> str:
    """Escape what would break the line or can't be printed: a file's name may hold anything."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def main(arguments: Sequence[str]) -> int:
    """Print one line per picture; return 0, or 1 if there were unreadable ones, named on stderr."""
    options = parse(arguments)
    try:
        from predict.classifier import Classifier, ModelError, PictureError
    except ModuleNotFoundError as error:
        sys.exit(
            f"predict: {sys.executable} has no {error.name}: activate the environment "
            "(. .venv/bin/activate) or run pip install --require-hashes -r requirements/predict.txt"
        )
    try:
        classifier = Classifier(options.model)
    except ModelError as error:
        sys.exit(printable(f"predict: {error}"))
    complaints = 0

    def complain(reason: object) -> None:
        nonlocal complaints
        complaints += 1
        if isinstance(reason, OSError):
            reason = f"{reason.filename}: {reason.strerror}"
        clear = "\r\x1b[K" if sys.stderr.isatty() else ""  # the bar
        print(f"{clear}predict: {printable(str(reason))}", file=sys.stderr)

    for path in watched(find(options.pictures, complain)):
        try:
            answer = classifier.classify(path)
        except PictureError as error:
            complain(error)
            continue
        except MemoryError:  # of one huge picture; the next may need a hundredth of it
            complain(f"{path}: memory ran out; expected a smaller picture")
            continue
        best = list(answer.items())[: options.top]
        line = printable(f"{path}: " + ", ".join(f"{name} {share:.2%}" for name, share in best))
        if options.json:
            predictions = [{"label": name, "confidence": share} for name, share in best]
            line = json.dumps({"image": str(path), "predictions": predictions})
        print(line, flush=True)
    return int(complaints > 0)


if __name__ == "__main__":
    # There is nothing to tidy up: Ctrl-C, and a reader that stops early, end the process at once.
    for number in signal.SIGINT, signal.SIGPIPE:
        signal.signal(number, signal.SIG_DFL)
    for stream in sys.stdout, sys.stderr:
        if isinstance(stream, io.TextIOWrapper):  # what the terminal can't show appears as its code
            stream.reconfigure(errors="backslashreplace")
    try:
        code = main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"predict: {error.filename or 'system'}: {error.strerror or error}")
    sys.exit(code)
