"""Run a grid of parameter values, each trial a DVC experiment, here or on a Ray cluster."""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from hydra.errors import HydraException
from tqdm import tqdm  # type: ignore[import-untyped]

from stages.common import params
from stages.common.errors import InputError
from sweep import cluster
from sweep.node import Source, Trial, last_error, run
from tools import check_remote

Metrics = dict[str, float]


def find_source() -> Source:
    """Return what a clone of this commit needs; raise InputError unless others can have it."""
    changed = run("git", "status", "--porcelain").splitlines()
    if changed:
        raise InputError(f"not committed: {changed[0]}; git commit and git push, or git stash")
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


def describe(commit: str, overrides: Sequence[str], cpus: int | None) -> Trial:
    """Name a trial by what decides its result, the commit and all parameters.

    Without `cpus` it gets as many as it trains with. Raises InputError if params.yaml has no
    such parameter.
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
    return Trial(f"sweep-{digest[:8]}", tuple(overrides), cpus or document["train"]["threads"])


def grid(commit: str, overrides: Sequence[str], cpus: int | None = None) -> list[Trial]:
    """Return a trial for each combination of the values, none twice.

    Raises InputError if an override can't be read.
    """
    try:
        combinations = get_hydra_sweeps({"params.yaml": overrides})
    except (HydraException, DvcException) as error:
        raise InputError(f"{' '.join(overrides)}: {str(error).splitlines()[0]}") from None
    trials = [describe(commit, chosen["params.yaml"], cpus) for chosen in combinations]
    return list({trial.name: trial for trial in trials}.values())


def sample(trials: Sequence[Trial], n: int, seed: int) -> list[Trial]:
    """Draw `n` trials; with the same seed the same ones, and a larger `n` adds to them."""
    return [trials[i] for i in np.random.default_rng(seed).permutation(len(trials))[:n]]


def published(source: Source) -> set[str]:
    """Return the names of all experiments with this commit that the Git remote has."""
    listed = run("git", "ls-remote", "origin", source.reference()).splitlines()
    return {line.rpartition("/")[2] for line in listed}


def metrics(source: Source, trial: Trial) -> Metrics:
    """Return the test metrics of a published trial."""
    run("git", "fetch", "--quiet", "origin", source.reference(trial.name))
    found: dict[str, Metrics] = json.loads(run("git", "show", "FETCH_HEAD:reports/metrics.json"))
    return found["test"]


def table(results: dict[Trial, Metrics]) -> str:
    """Return the values and the test metrics of trials, the best first."""
    rows = [
        {
            "experiment": trial.name,
            **dict(override.split("=", 1) for override in trial.overrides),
            "accuracy": measured["accuracy"],
            "loss": measured["loss"],
        }
        for trial, measured in results.items()
    ]
    best_first = pd.DataFrame(rows).sort_values("accuracy", ascending=False)
    return str(best_first.to_string(index=False, float_format="{:.4f}".format))


def sweep(options: argparse.Namespace) -> None:
    """Run those trials of the grid that the Git remote doesn't have; print all of them.

    Raises InputError if not all could be done.
    """
    source = find_source()
    trials = grid(source.commit, options.overrides, options.cpus)
    if options.samples:
        trials = sample(trials, options.samples, params.load("seed", params.Seed))
    lacks = check_remote.missing()
    if lacks:
        raise InputError(f"the DVC remote lacks {lacks[0]} and {len(lacks) - 1} more: dvc push")
    names = published(source)
    results = {trial: metrics(source, trial) for trial in trials if trial.name in names}
    missing = [trial for trial in trials if trial not in results]
    print(f"{len(missing)} of {len(trials)} trials to run", flush=True)
    failed = {}
    if missing:
        ended = cluster.start(source, missing, options.address, options.gpus)
        with tqdm(total=len(trials), initial=len(results), unit="trial") as bar:
            for trial, problem in ended:
                if problem:
                    failed[trial] = problem
                else:
                    results[trial] = metrics(source, trial)
                    accuracy, name = max((results[t]["accuracy"], t.name) for t in results)
                    bar.set_postfix_str(f"best {accuracy:.4f}, {name}", refresh=False)
                bar.update()
    if results:
        print(table(results))
    for trial, problem in failed.items():
        print(f"{' '.join(trial.overrides)} failed: {problem}", file=sys.stderr)
    if failed:
        raise InputError(f"{len(failed)} of {len(trials)} trials failed")


def main() -> None:
    parser = argparse.ArgumentParser(prog="sweep", description=__doc__)
    parser.add_argument("overrides", nargs="+", metavar="KEY=VALUE[,VALUE...]")
    parser.add_argument("--samples", type=int, metavar="N", help="draw N combinations, by the seed")
    parser.add_argument("--address", help="of a Ray cluster; without it, this machine")
    parser.add_argument("--cpus", type=int, metavar="N", help="of a trial; else its train.threads")
    parser.add_argument("--gpus", type=float, metavar="N", default=0, help="of a trial; else none")
    try:
        sweep(parser.parse_args())
    except (InputError, DvcException) as error:
        sys.exit(f"sweep: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"sweep: {last_error(error.stderr)}")
    except KeyboardInterrupt:
        print("sweep: interrupted; the same command runs what is missing", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
