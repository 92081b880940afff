"""Ray, on this machine or on a cluster, and nodes of which each is known to be able to work."""

import logging
import os
from typing import Any

from dvc.repo import Repo

from stages.errors import InputError
from tools import trial
from tools.trial import Source


def connect(address: str | None) -> Any:
    """Join a cluster, or start Ray for this process alone; return the module `ray`.

    Raises InputError if it isn't installed or there is no cluster.
    """
    if not address:
        # Where this is off, as by default on macOS, all of Ray's servers stay on loopback.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ModuleNotFoundError:
        install = "pip install --require-hashes -r requirements-sweep.txt"
        raise InputError(f"Ray is not installed: {install}") from None
    try:
        ray.init(
            address or "local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"--address {address}: {str(error).splitlines()[0]}") from None
    ray.cloudpickle.register_pickle_by_value(trial)
    return ray


def check_nodes(ray: Any, source: Source, cpus: int, gpus: float) -> None:
    """Let each node that is large enough for a trial try both remotes.

    Raises InputError if there is none, or if one fails.
    """
    nodes = {
        node["NodeID"]: node["NodeManagerAddress"]
        for node in ray.nodes()
        if node["Alive"]
        and node["Resources"].get("CPU", 0) >= cpus
        and node["Resources"].get("GPU", 0) >= gpus
    }
    if not nodes:
        raise InputError(f"no node has {cpus} CPUs and {gpus:g} GPUs: see --cpus and --gpus")
    affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
    check = ray.remote(num_cpus=0)(trial.check)
    checks = [
        check.options(scheduling_strategy=affinity(node, soft=False)).remote(
            source, f"probe-{node}", trial.versions()
        )
        for node in nodes
    ]
    storage = Repo().cloud.get_remote_odb()
    problems = []
    for (node, address), problem in zip(nodes.items(), ray.get(checks), strict=True):
        probe = storage.fs.join(storage.path, f"probe-{node}")
        if storage.fs.exists(probe):
            storage.fs.remove(probe)
        else:
            problem = problem or f"what it writes to {storage.path} is not seen from here"
        if problem:
            problems.append(f"node {address}: {problem}")
    if problems:
        raise InputError("; ".join(problems))
