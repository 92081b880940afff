"""Run a grid of parameter values, each trial a DVC experiment, here or on a Ray cluster."""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from hydra.errors import HydraException
from tqdm import tqdm  # type: ignore[import-untyped]

from stages import params
from stages.errors import InputError
from tools import check_remote, cluster, trial
from tools.trial import Source, run

Metrics = dict[str, float]


@dataclass(frozen=True)
class Trial:
    name: str
    overrides: tuple[str, ...]
    threads: int


def describe(commit: str, overrides: Sequence[str]) -> Trial:
    """Name a trial by what decides its result: the commit and all parameters.

    Raises InputError if params.yaml has no such parameter.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "params.yaml")
        path.write_bytes(params.PARAMS.read_bytes())
        try:
            apply_overrides(path, overrides)
        except DvcException as error:
            raise InputError(f"params.yaml: {str(error.__cause__).splitlines()[0]}") from None
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    digest = hashlib.sha256(json.dumps([commit, document], sort_keys=True).encode()).hexdigest()
    return Trial(f"sweep-{digest[:8]}", tuple(overrides), document["train"]["threads"])


def grid(commit: str, overrides: Sequence[str]) -> list[Trial]:
    """Return a trial for each combination of the values, none twice.

    Raises InputError if an override can't be read.
    """
    try:
        combinations = get_hydra_sweeps({"params.yaml": overrides})
    except (HydraException, DvcException) as error:
        raise InputError(f"{' '.join(overrides)}: {str(error).splitlines()[0]}") from None
    trials = [describe(commit, combination["params.yaml"]) for combination in combinations]
    return list({trial.name: trial for trial in trials}.values())


def sample(trials: Sequence[Trial], n: int, seed: int) -> list[Trial]:
    """Draw `n` trials; with the same seed the same ones, and a larger `n` adds to them."""
    return [trials[i] for i in np.random.default_rng(seed).permutation(len(trials))[:n]]


def find_source() -> Source:
    """Return what a clone of this commit needs; raise InputError unless others can have it."""
    changed = run("git", "status", "--porcelain").splitlines()
    if changed:
        raise InputError(f"not committed: {changed[0]}: git commit and git push, or git stash")
    run("git", "fetch", "--quiet", "origin")
    commit = run("git", "rev-parse", "HEAD")
    if not run("git", "branch", "--remotes", "--contains", commit, "--list", "origin/*"):
        raise InputError(f"commit {commit[:7]} is not on origin: git push")
    url = run("git", "remote", "get-url", "origin")
    if Path(url).exists():
        url = str(Path(url).resolve())  # a relative path leads elsewhere from a clone
    name, email, *_ = run("git", "var", "GIT_COMMITTER_IDENT").replace("<", ">").split(">")
    config = Config.from_cwd()
    remote = config["core"].get("remote")
    if not remote:
        raise InputError("no DVC remote: dvc remote add --default NAME URL")
    settings = {key: str(value) for key, value in config["remote"][remote].items()}
    dvc = {"core": {"remote": remote}, "remote": {remote: settings}}
    return Source(url, commit, (name.strip(), email), dvc)


def published(source: Source) -> set[str]:
    """Return the names of all experiments with this commit that the Git remote has."""
    listed = run("git", "ls-remote", "origin", source.reference()).splitlines()
    return {line.rpartition("/")[2] for line in listed}


def metrics(source: Source, name: str) -> Metrics:
    """Return the test metrics of a published experiment."""
    run("git", "fetch", "--quiet", "origin", source.reference(name))
    found: dict[str, Metrics] = json.loads(run("git", "show", "FETCH_HEAD:reports/metrics.json"))
    return found["test"]


def run_missing(
    source: Source, missing: list[Trial], results: dict[str, Metrics], options: argparse.Namespace
) -> dict[str, str]:
    """Run trials and add their metrics to `results`; return why the others failed, by name.

    Ray gives the trials of a node that dies to other nodes. One that fails would fail again.
    """
    ray = cluster.connect(options.address)
    cpus = {trial.name: options.cpus or trial.threads for trial in missing}
    cluster.check_nodes(ray, source, max(cpus.values()), options.gpus)
    publish = ray.remote(num_gpus=options.gpus, scheduling_strategy="SPREAD")(trial.publish)
    names = {
        publish.options(num_cpus=cpus[t.name]).remote(source, t.name, t.overrides): t.name
        for t in missing
    }
    failed = {}
    total, pending = len(results) + len(missing), list(names)
    with tqdm(total=total, initial=len(results), unit="trial") as bar:
        while pending:
            (done,), pending = ray.wait(pending)
            name = names[done]
            try:
                problem = ray.get(done)
            except ray.exceptions.RayError as error:
                problem = str(error).strip().splitlines()[-1]
            if problem:
                failed[name] = problem
            else:
                results[name] = metrics(source, name)
                best = max(results, key=lambda name: results[name]["accuracy"])
                bar.set_postfix_str(f"best {results[best]['accuracy']:.4f}, {best}", refresh=False)
            bar.update()
    return failed


def table(trials: Sequence[Trial], results: dict[str, Metrics]) -> str:
    """Return values and test metrics of the trials that have some, the best first."""
    rows = [
        {
            "experiment": t.name,
            **dict(override.split("=", 1) for override in t.overrides),
            "accuracy": results[t.name]["accuracy"],
            "loss": results[t.name]["loss"],
        }
        for t in trials
        if t.name in results
    ]
    best_first = pd.DataFrame(rows).sort_values("accuracy", ascending=False)
    return best_first.to_string(index=False, float_format="{:.4f}".format)


def sweep(options: argparse.Namespace) -> None:
    source = find_source()
    trials = grid(source.commit, options.overrides)
    if options.samples:
        trials = sample(trials, options.samples, params.load("seed", params.Seed))
    check_remote.main()
    names = published(source)
    results = {t.name: metrics(source, t.name) for t in trials if t.name in names}
    missing = [t for t in trials if t.name not in names]
    print(f"{len(missing)} of {len(trials)} trials to run", flush=True)
    failed = run_missing(source, missing, results, options) if missing else {}
    if results:
        print(table(trials, results))
    if failed:
        sys.exit(
            "\n".join(
                f"{' '.join(t.overrides)} failed: {failed[t.name]}"
                for t in missing
                if t.name in failed
            )
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="sweep", description=__doc__)
    parser.add_argument("overrides", nargs="+", metavar="KEY=VALUE[,VALUE...]")
    parser.add_argument("--samples", type=int, help="how many of the combinations to draw")
    parser.add_argument("--address", help="of a Ray cluster; without it, this machine")
    parser.add_argument("--cpus", type=int, help="of a trial; without it, its train.threads")
    parser.add_argument("--gpus", type=float, default=0, help="of a trial; without it, none")
    try:
        sweep(parser.parse_args())
    except (InputError, DvcException) as error:
        sys.exit(f"sweep: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"sweep: {trial.last_error(error.stderr)}")
    except KeyboardInterrupt:
        print(
            "\nsweep: interrupted; what is published stays, the same again runs the rest",
            file=sys.stderr,
        )
        sys.exit(130)


if __name__ == "__main__":
    main()
