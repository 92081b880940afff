"""Run a grid of parameter values, each trial a DVC experiment, here or on a Ray cluster."""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress

from tqdm import tqdm  # type: ignore[import-untyped]

from stages.common.errors import InputError, in_one_line
from sweep import cluster
from sweep.node import Trial
from sweep.plan import choose_trials, find_source
from sweep.results import fetch, table
from tools.results import Results

PAUSE = 5  # seconds before the last try to fetch what could not be fetched


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sweep", description=__doc__)
    parser.add_argument("overrides", nargs="+", metavar="KEY=VALUE[,VALUE...]")
    parser.add_argument("--samples", type=int, metavar="N", help="try N combinations, by the seed")
    parser.add_argument("--address", metavar="HOST:PORT", help="Ray cluster; else this machine")
    parser.add_argument("--cpus", type=int, metavar="N", help="per trial; else its train.threads")
    parser.add_argument("--gpus", type=float, metavar="N", default=0, help="per trial; else none")
    options = parser.parse_args(arguments)
    for name, least in ("samples", 1), ("cpus", 1), ("gpus", 0):
        value = getattr(options, name)
        if value is not None and not value >= least:
            raise InputError(f"--{name} {value:g}: expected at least {least}")
    if options.gpus > 1 and options.gpus % 1 != 0:
        raise InputError(f"--gpus {options.gpus:g}: expected a fraction of one or a whole number")
    return options


def fetch_at_last(commit: str, trials: Sequence[Trial], results: dict[Trial, Results]) -> list[str]:
    """Add the results of published trials to `results`; return a line for each if that fails."""
    time.sleep(PAUSE)
    try:
        results |= fetch(commit, trials)
    except ChildProcessError as error:
        hint = "its results are published: the same command again fetches them"
        return [f"{' '.join(trial.overrides)} not fetched: {error}; {hint}" for trial in trials]
    return []


def sweep(options: argparse.Namespace) -> None:
    """Run the trials that are not published, and print all results; InputError if one fails."""
    source = find_source()
    trials = choose_trials(source.commit, options.overrides, options.cpus, options.samples)
    results = fetch(source.commit, trials)
    missing = [trial for trial in trials if trial not in results]
    print(f"{len(missing)} of {len(trials)} trials to run", flush=True)
    failed: list[str] = []
    unfetched: list[Trial] = []
    if missing:
        print("Starting Ray, and checking that each node can clone, import and push", flush=True)
        ray = cluster.connect(options.address)
        cluster.check_nodes(ray, source, max(trial.cpus for trial in missing), options.gpus)
        print("Running trials: each clones, trains and pushes", flush=True)
        with closing(cluster.run_trials(ray, source, missing, options.gpus)) as ended:
            bar = tqdm(ended, total=len(trials), initial=len(results), unit="trial")
            for trial, problem in bar:
                if problem:
                    failed.append(f"{' '.join(trial.overrides)} failed: {problem}")
                    continue
                unfetched.append(trial)
                # A failure says nothing of the other trials: the next one's end is the next try.
                with suppress(ChildProcessError):
                    results |= fetch(source.commit, unfetched)
                    unfetched.clear()
                    best = max((r.metrics["validation.accuracy"], r.name) for r in results.values())
                    bar.set_postfix_str("best {:.4f}, {}".format(*best), refresh=False)
    if unfetched:
        failed += fetch_at_last(source.commit, unfetched, results)
    if results:
        print(table(results))
    if failed:
        print("\n".join(failed), file=sys.stderr)
        raise InputError(f"{len(failed)} of {len(trials)} trials have no results")


def main(arguments: Sequence[str] | None = None) -> None:
    with in_one_line("sweep"):
        sweep(parse(arguments))


if __name__ == "__main__":
    main()
