"""Run trials with Ray, on this machine or on a cluster, after checking that every node can."""

import logging
import os
import socket
from collections.abc import Generator, Sequence
from typing import Any

from stages.common.errors import InputError
from sweep import node
from sweep.node import Source, Trial
from tools import commands, dvc_internals

TRAVELLING = node, commands, dvc_internals  # modules that nodes need not have


def connect(address: str | None) -> Any:
    """Join a cluster, or start one for this process alone; return `ray`, or raise InputError."""
    quiet: Any = {"include_dashboard": False, "log_to_driver": False}
    try:
        if address:  # asked first, since Ray tries for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        else:
            # Where this is off, as by default on macOS, all of Ray's servers stay on loopback.
            os.environ.update(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", RAY_USAGE_STATS_ENABLED="0")
        import ray

        ray.init(address or "local", logging_level=logging.ERROR, **quiet)
    except ModuleNotFoundError:
        install = "pip install --require-hashes -r requirements/sweep.txt"
        raise InputError(f"Ray is not installed: {install}") from None
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        if address:
            hint = "; --address expects HOST:PORT, and RAY_AUTH_MODE=token if Ray has a token"
        else:  # the path of a socket may have 107 characters
            hint = "; set TMPDIR to a shorter path" if "AF_UNIX" in reason else ""
        raise InputError(f"Ray can't be used: {reason}{hint}") from None
    for module in TRAVELLING:
        ray.cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
    return ray


def check_nodes(ray: Any, source: Source, cpus: int, gpus: float) -> None:
    """Try each node that is large enough for a trial; raise InputError if one fails or none is."""
    probe = ray.remote(num_cpus=0)(node.probe)
    on_node = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    probes = {}
    for found in ray.nodes():
        has, id_ = found["Resources"], found["NodeID"]
        if found["Alive"] and has.get("CPU", 0) >= cpus and has.get("GPU", 0) >= gpus:
            there = probe.options(scheduling_strategy=on_node(id_, soft=False))
            probes[id_, found["NodeManagerAddress"]] = there.remote(source, id_)
    if not probes:
        raise InputError(f"no node has {cpus} CPUs and {gpus:g} GPUs: see --cpus and --gpus")
    fs, folder = dvc_internals.open_remote()
    problems = []
    for (id_, address), task in probes.items():
        problem = failure(ray, task)
        written = fs.join(folder, f"probe-{id_}")
        if fs.exists(written):
            fs.remove(written)
        elif not problem:
            problem = f"what it writes to {folder} is not seen here"
        if problem:
            problems.append(f"node {address}: {problem}")
    if problems:
        raise InputError("; ".join(problems))


def run_trials(
    ray: Any, source: Source, trials: Sequence[Trial], gpus: float
) -> Generator[tuple[Trial, str], None, None]:
    """Yield each trial when it has ended, with the reason if it failed."""
    # Ray gives the trials of a node that dies to other nodes, and doesn't repeat one that failed.
    publish = ray.remote(num_gpus=gpus, scheduling_strategy="SPREAD")(node.publish)
    tasks = {publish.options(num_cpus=t.cpus).remote(source, t): t for t in trials}
    running = list(tasks)
    try:
        while running:
            (ended,), running = ray.wait(running)
            yield tasks[ended], failure(ray, ended)
    finally:
        for task in running:
            ray.cancel(task)
        # Those that were interrupted take a moment to remove their clones.
        ray.wait(list(tasks), num_returns=len(tasks), timeout=10)
        ray.shutdown()


def failure(ray: Any, task: Any) -> str:
    """Wait for a task; return the reason in one line if it failed, else an empty one."""
    try:
        ray.get(task)
    except ray.exceptions.RayError as error:  # the task's own error is its cause
        reason = getattr(error, "cause", None) or error
        return (str(reason).strip() or repr(reason)).splitlines()[-1]
    return ""
