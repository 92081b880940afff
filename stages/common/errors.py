"""A user's mistake, or a failing system, ends a program in one line and never in a traceback."""

import errno
import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# What NumPy and TensorFlow say that they had no memory for, somewhere in their messages.
REQUEST = r"Unable to allocate .+? data type \w+|OOM when allocating tensor .+? type \w+"
LOWER = (
    "lower one of these in params.yaml: prepare.image_size, model.filters, model.dense_units or "
    "train.batch_size"
)


class InputError(Exception):
    """A mistake in what the user gave: the file or key, what was found, what was expected."""


@contextmanager
def in_one_line(program: str) -> Iterator[None]:
    """Turn errors of the block into one line on stderr that starts with `program`.

    Exits with 1 after an InputError, an OSError, a lack of memory or a closed pipe, and with 130
    after an interrupt. A character that would break the line, or that the terminal can't show, is
    printed as its code.
    """
    for stream in sys.stdout, sys.stderr:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
        print(end="", flush=True)  # unlike sys.stdout.flush(), it works if stdout is closed
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if (reason := explain(error)) is None:
            raise
        sys.exit(printable(f"{program}: {reason}"))


def explain(error: Exception) -> str | None:
    """Return what a user is told of `error`; None if it can only be a mistake in the program."""
    if is_lack_of_memory(error):
        request = re.search(REQUEST, str(error), re.DOTALL)
        reason = request[0] if request else getattr(error, "strerror", None) or str(error)
        return f"memory ran out{f' ({reason})' if reason else ''}; {LOWER}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'system'}: {error.strerror}"
    if isinstance(error, OSError):  # a command's, or that of a library which writes its own
        return " ".join(str(error).split()) or type(error).__name__
    return str(error) if isinstance(error, InputError) else None


def is_lack_of_memory(error: Exception) -> bool:
    """Return whether `error` is Python's, the system's or TensorFlow's for a lack of memory."""
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or type(error).__name__ == "ResourceExhaustedError"  # without importing TensorFlow
    )


def printable(text: str) -> str:
    """Escape what would break a line or can't be printed: a file's name may hold anything."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
