"""Train in the current folder again and again, some of the trainings killed on the way.

A program; each argument is a training: `whole`, or the point at which it kills itself. After an @,
it may name a file that becomes params.yaml before. Each training is a fork of this process, which
imports TensorFlow once for all of them. Prints a JSON list of exit codes and of what each training
printed. With the option `--two-devices`, two virtual devices of the CPU stand for two GPUs.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[0] = str(Path.cwd())

from stages.backend import archive, determinism, runtime  # noqa: E402
from stages.common.stage import stage  # noqa: E402
from stages.train import __main__ as train  # noqa: E402
from stages.train import batches, seeding  # noqa: E402


def kill(*_: object, **__: object) -> None:
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(n: int, function: Callable[..., Any], act: Callable[..., Any] = kill) -> Any:
    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal n
        n -= 1
        return act(*arguments, **options) if n == 0 else function(*arguments, **options)

    return counted


def half(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content[: len(content) // 2])
    kill()


# Where a training kills itself: an object, the name of its function, and what stands in for it.
POINTS: dict[str, tuple[Any, str, Callable[[Any], Any]]] = {
    "before the first epoch": (seeding, "seed_dropout", lambda _: kill),
    "in the first batch": (batches, "translate", lambda real: at_call(1, real)),
    "inside an epoch": (batches, "translate", lambda real: at_call(24, real)),
    "while a checkpoint is written": (Path, "write_bytes", lambda real: at_call(2, real, half)),
    "before a checkpoint is flushed": (os, "fsync", lambda real: at_call(2, real)),
    "before a checkpoint is renamed": (Path, "replace", lambda real: at_call(2, real)),
    "between epochs": (seeding, "seed_dropout", lambda real: at_call(2, real)),
    "before the model is saved": (archive, "save", lambda _: kill),
    "while the model is saved": (zipfile.ZipFile, "writestr", lambda _: kill),
    "before the history is written": (train, "write_table", lambda _: kill),
    "before the summary is written": (train, "write_text", lambda _: kill),
}


def split_the_cpu() -> None:
    """Let two devices share the CPU, and let `determinism` take them for GPUs."""
    config = runtime.tf.config
    pin, listed = determinism.pin, config.list_logical_devices

    def pin_and_split(*arguments: Any, **options: Any) -> None:
        pin(*arguments, **options)
        part = config.LogicalDeviceConfiguration()
        cpu = config.list_physical_devices("CPU")[0]
        config.set_logical_device_configuration(cpu, [part, part])

    determinism.pin = pin_and_split
    config.list_logical_devices = lambda kind: listed("CPU")


def run(point: str) -> int:
    """Train; return the exit code, unless the training kills itself before that."""
    if point != "whole":
        owner, name, replace = POINTS[point]
        setattr(owner, name, replace(getattr(owner, name)))
    try:
        with stage("train") as check_inputs:
            train.main(check_inputs)
    except SystemExit as stopped:
        print(stopped.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 70
    return 0


def fork(training: str) -> tuple[int, str]:
    """Run a training in a process of its own; return its exit code and what it printed."""
    point, _, parameters = training.partition("@")
    if parameters:
        shutil.copy(parameters, "params.yaml")
    with tempfile.TemporaryFile("w+") as printed:
        child = os.fork()
        if not child:
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            code = run(point)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        printed.seek(0)
        return os.waitstatus_to_exitcode(status), printed.read()


if __name__ == "__main__":
    points = sys.argv[1:]
    if points[0] == "--two-devices":
        split_the_cpu()
        points = points[1:]
    print(json.dumps([fork(point) for point in points]))
