"""Run stages in the current folder one after the other, some of them killed on the way.

A program; each argument is a run: the name of a stage, and after a colon perhaps the point at which
it kills itself; after an @, a file that becomes params.yaml before. Each run is a fork of this
process, which imports TensorFlow once for all of them. `forget` removes all checkpoints; between
`two-devices` and `one-device`, two virtual devices of the CPU stand for two GPUs. Prints a JSON
list with the exit code of each run, what it printed, and the md5 of what its outputs' folders had.
"""

import hashlib
import importlib
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
from stages.common.paths import CHECKPOINTS  # noqa: E402
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


# Where a run kills itself: an object, the name of its function, and what stands in for it.
POINTS: dict[str, tuple[Any, str, Callable[[Any], Any]]] = {
    "while it writes": (os, "fsync", lambda _: kill),
    "before the first epoch": (seeding, "seed_dropout", lambda _: kill),
    "in the first batch": (batches, "translate", lambda real: at_call(1, real)),
    "inside an epoch": (batches, "translate", lambda real: at_call(24, real)),
    "while a checkpoint is written": (Path, "write_bytes", lambda real: at_call(2, real, half)),
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


def run(name: str, point: str) -> int:
    """Run a stage; return the exit code, unless the stage kills itself before that."""
    if point:
        owner, function, replace = POINTS[point]
        setattr(owner, function, replace(getattr(owner, function)))
    main = importlib.import_module(f"stages.{name}.__main__").main
    try:
        with stage(name) as check_inputs:
            main(check_inputs) if name == "train" else main()
    except SystemExit as stopped:
        print(stopped.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 70
    return 0


FOLDERS = "data/prepared", "models", "reports"


def outputs() -> dict[str, str]:
    paths = (path for name in FOLDERS for path in Path(name).rglob("[!.]*.*"))
    return {str(path): hashlib.md5(path.read_bytes()).hexdigest() for path in paths}  # noqa: S324


def fork(argument: str, devices: int) -> tuple[int, str, dict[str, str]]:
    """Run a stage in a process of its own; return its exit code, what it printed, and outputs."""
    what, _, parameters = argument.partition("@")
    name, _, point = what.partition(":")
    if parameters:
        shutil.copy(parameters, "params.yaml")
    with tempfile.TemporaryFile("w+") as printed:
        child = os.fork()
        if not child:
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            if devices == 2:
                split_the_cpu()
            code = run(name, point)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        printed.seek(0)
        return os.waitstatus_to_exitcode(status), printed.read(), outputs()


if __name__ == "__main__":
    found, devices = [], 1
    for argument in sys.argv[1:]:
        match argument:
            case "forget":
                shutil.rmtree(CHECKPOINTS)
            case "one-device" | "two-devices":
                devices = 1 if argument == "one-device" else 2
            case _:
                found.append(fork(argument, devices))
    print(json.dumps(found))
