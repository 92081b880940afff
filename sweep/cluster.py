"""Run trials with Ray, on this machine or on a cluster, after checking that every node can."""

import logging
import os
import socket
from collections.abc import Generator, Sequence
from typing import Any

from dvc.repo import Repo

from stages.common.errors import InputError
from sweep import node
from sweep.node import Source, Trial


def connect(address: str | None) -> Any:
    """Join a cluster, or start Ray for this process alone; return the module `ray`.

    Raises InputError if it isn't installed or there is no cluster.
    """
    quiet: Any = {"include_dashboard": False, "log_to_driver": False}
    try:
        if address:  # asked first, since Ray tries for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        else:
            # Where this is off, as by default on macOS, all of Ray's servers stay on loopback.
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
            os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        ray.init(address or "local", logging_level=logging.ERROR, **quiet)
    except ModuleNotFoundError:
        install = "pip install --require-hashes -r requirements/sweep.txt"
        raise InputError(f"Ray is not installed: {install}") from None
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        expected = "--address expects HOST:PORT, and RAY_AUTH_MODE=token if Ray has a token"
        raise InputError(f"{str(error).splitlines()[0]}; {expected}") from None
    ray.cloudpickle.register_pickle_by_value(node)  # type: ignore[no-untyped-call]
    return ray


def check_nodes(ray: Any, source: Source, cpus: int, gpus: float) -> None:
    """Let each node that is large enough for a trial write to both remotes.

    Raises InputError if there is no such node, or if one fails.
    """
    needs = {"CPU": cpus, "GPU": gpus}.items()
    nodes = {
        found["NodeID"]: found["NodeManagerAddress"]
        for found in ray.nodes()
        if found["Alive"] and all(found["Resources"].get(key, 0) >= least for key, least in needs)
    }
    if not nodes:
        raise InputError(f"no node has {cpus} CPUs and {gpus:g} GPUs: see --cpus and --gpus")
    on_node = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    probe = ray.remote(num_cpus=0)(node.probe)
    probes = {
        id_: probe.options(scheduling_strategy=on_node(id_, soft=False)).remote(source, id_)
        for id_ in nodes
    }
    problems = {id_: failure(ray, task) for id_, task in probes.items()}
    storage = Repo().cloud.get_remote_odb()
    for id_ in nodes:
        written = storage.fs.join(storage.path, f"probe-{id_}")
        if storage.fs.exists(written):
            storage.fs.remove(written)
        else:
            problems[id_] = problems[id_] or f"what it writes to {storage.path} is not seen here"
    if said := [f"node {nodes[id_]}: {problem}" for id_, problem in problems.items() if problem]:
        raise InputError("; ".join(said))


def run_trials(
    ray: Any, source: Source, trials: Sequence[Trial], gpus: float
) -> Generator[tuple[Trial, str], None, None]:
    """Yield each trial when it has ended, with the reason if it failed.

    Ray gives the trials of a node that dies to other nodes; one that fails would fail again.
    """
    publish = ray.remote(num_gpus=gpus, scheduling_strategy="SPREAD")(node.publish)
    running = {publish.options(num_cpus=t.cpus).remote(source, t): t for t in trials}
    try:
        while running:
            (ended,), _ = ray.wait(list(running))
            yield running.pop(ended), failure(ray, ended)
    finally:
        for task in running:  # interrupted: trials take a moment to remove their clones
            ray.cancel(task)
        if running:
            ray.wait(list(running), num_returns=len(running), timeout=10)
        ray.shutdown()


def failure(ray: Any, task: Any) -> str:
    """Wait for a task; return the reason in one line if it failed, else an empty one."""
    try:
        ray.get(task)
    except ray.exceptions.RayError as error:  # the task's own error is its cause
        reason = getattr(error, "cause", None) or error
        return (str(reason).strip() or repr(reason)).splitlines()[-1]
    return ""
