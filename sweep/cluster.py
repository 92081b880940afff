"""Run trials with Ray, on this machine or on a cluster whose nodes were seen to be able to."""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from dvc.repo import Repo

from stages.common.errors import InputError
from sweep import node
from sweep.node import Source, Trial


def connect(address: str | None) -> Any:
    """Join a cluster, or start Ray for this process alone; return the module `ray`.

    Raises InputError if it isn't installed or there is no cluster.
    """
    if address:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=10).close()  # Ray tries for minutes
        except (OSError, ValueError) as error:
            raise InputError(
                f"--address {address}: expected HOST:PORT of Ray's head; {error}"
            ) from None
    else:
        # Where this is off, as by default on macOS, all of Ray's servers stay on loopback.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ModuleNotFoundError:
        install = "pip install --require-hashes -r requirements/sweep.txt"
        raise InputError(f"Ray is not installed: {install}") from None
    try:
        ray.init(
            address or "local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{reason} (with a token, it needs RAY_AUTH_MODE=token)") from None
    ray.cloudpickle.register_pickle_by_value(node)  # type: ignore[no-untyped-call]
    return ray


def check_nodes(ray: Any, source: Source, cpus: int, gpus: float) -> None:
    """Let each node that is large enough for a trial try both remotes.

    Raises InputError if there is none, or if one fails.
    """
    addresses = {
        found["NodeID"]: found["NodeManagerAddress"]
        for found in ray.nodes()
        if found["Alive"]
        and found["Resources"].get("CPU", 0) >= cpus
        and found["Resources"].get("GPU", 0) >= gpus
    }
    if not addresses:
        raise InputError(f"no node has {cpus} CPUs and {gpus:g} GPUs: see --cpus and --gpus")
    on_node = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    check = ray.remote(num_cpus=0)(node.check)
    checks = [
        check.options(scheduling_strategy=on_node(id_, soft=False)).remote(
            source, f"probe-{id_}", node.versions()
        )
        for id_ in addresses
    ]
    storage = Repo().cloud.get_remote_odb()
    problems = []
    for (id_, address), problem in zip(addresses.items(), ray.get(checks), strict=True):
        probe = storage.fs.join(storage.path, f"probe-{id_}")
        if storage.fs.exists(probe):
            storage.fs.remove(probe)
        else:
            problem = problem or f"what it writes to {storage.path} is not seen from here"
        if problem:
            problems.append(f"node {address}: {problem}")
    if problems:
        raise InputError("; ".join(problems))


def start(
    source: Source, trials: Sequence[Trial], address: str | None, gpus: float
) -> Iterator[tuple[Trial, str]]:
    """Start trials, and return an iterator of them as they end.

    Ray gives the trials of a node that dies to other nodes; one that fails would fail again.
    """
    ray = connect(address)
    check_nodes(ray, source, max(trial.cpus for trial in trials), gpus)
    publish = ray.remote(num_gpus=gpus, scheduling_strategy="SPREAD")(node.publish)
    running = {
        publish.options(num_cpus=trial.cpus).remote(source, trial): trial for trial in trials
    }
    return wait(ray, running)


def wait(ray: Any, running: dict[Any, Trial]) -> Iterator[tuple[Trial, str]]:
    """Yield each trial when it has ended, with the last line of its error or an empty one."""
    try:
        while running:
            (ended,), _ = ray.wait(list(running))
            try:
                problem = ray.get(ended)
            except ray.exceptions.RayError as error:
                problem = str(error).strip().splitlines()[-1]
            yield running.pop(ended), problem
    finally:
        for task in running:  # interrupted: trials take a moment to remove their clones
            ray.cancel(task)
        if running:
            ray.wait(list(running), num_returns=len(running), timeout=10)
        ray.shutdown()
