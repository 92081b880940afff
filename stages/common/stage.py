"""What surrounds every stage's `main`, so that dvc.lock never names a result of other inputs."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stages.common import inputs
from stages.common.environment import STARTED
from stages.common.errors import InputError, in_one_line
from stages.common.files import together
from stages.common.paths import LOCK

CheckInputs = Callable[[], None]


@contextmanager
def stage(name: str) -> Iterator[CheckInputs]:
    """Run the block as the stage `name`: alone, from inputs that stay as they are, all or nothing.

    DVC hashes the inputs again after a stage has ended, so an edit made meanwhile would be recorded
    as what made the outputs. The outputs therefore take their places only if the block succeeds and
    every input that dvc.yaml declares is unchanged since the start. The function that this yields
    raises InputError if one has changed. Errors end the program as `in_one_line` says.
    """
    started = time.perf_counter()
    with in_one_line(name):
        with alone(), together():
            # Code was imported before this point, and perhaps long ago, if another stage still ran.
            edited = inputs.edited_since(STARTED, name)
            before = inputs.snapshot(name)

            def check_inputs() -> None:
                now = inputs.snapshot(name)
                changed = [key for key in before | now if before.get(key) != now.get(key)]
                if found := edited + changed:
                    raise InputError(
                        f"{found[0]}: changed while {name} ran, so its outputs were not written; "
                        "run dvc repro again"
                    )

            check_inputs()
            yield check_inputs
            check_inputs()
        print(f"{name}: done in {time.perf_counter() - started:.1f} s")


@contextmanager
def alone() -> Iterator[None]:
    """Run the block when no other stage runs in this folder; wait for it, and say so.

    If `dvc repro` alone is killed, its stage goes on, and would write over what the next one wrote.
    Raises OSError, naming the file, if the file system can't lock it.
    """
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting: another process is running a stage in this folder", flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            reason = f"cannot be locked: {error.strerror}"
            raise OSError(error.errno, reason, str(LOCK)) from None
        yield
