"""Run a stage so that a user's mistake ends in one line, never in a traceback."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path


class InputError(Exception):
    """A mistake in what the user gave: the file or key, what was found, what was expected."""


def listed(paths: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in paths)


def run(main: Callable[[], None], inputs: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Call a stage's `main` and say what it reads, what it wrote and how long it took.

    Exits with code 1 after one line on stderr if `main` raises InputError or OSError (no
    permission, a full disk), with 130 if it is interrupted.
    """
    name = Path(sys.argv[0]).stem
    started = time.perf_counter()
    print(f"{name}: reads {listed(inputs)}", flush=True)
    try:
        main()
    except InputError as error:
        sys.exit(f"{name}: {error}")
    except OSError as error:
        sys.exit(f"{name}: {error.filename or 'file system'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        sys.exit(130)
    print(f"{name}: wrote {listed(outputs)} in {time.perf_counter() - started:.1f} s", flush=True)
