"""A user's mistake, or a failing system, ends a program in one line and never in a traceback."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(Exception):
    """A mistake in what the user gave: the file or key, what was found, what was expected."""


@contextmanager
def in_one_line(program: str) -> Iterator[None]:
    """Turn errors of the block into one line on stderr that starts with `program`.

    Exits with 1 after an InputError, an OSError or a closed pipe, and with 130 after an interrupt.
    A character that the terminal can't show is printed as its code.
    """
    for stream in sys.stdout, sys.stderr:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
        print(end="", flush=True)  # unlike sys.stdout.flush(), it works if stdout is closed
    except BrokenPipeError:
        sys.exit(1)
    except InputError as error:
        sys.exit(f"{program}: {error}")
    except OSError as error:
        sys.exit(f"{program}: {error.filename or 'system'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        sys.exit(130)
