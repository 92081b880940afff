"""What a sweep runs, checked before anything starts: a commit that nodes can get, and trials."""

import hashlib
import random
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml import YAML

from stages.common import params
from stages.common.errors import InputError
from stages.common.paths import PARAMS
from stages.prepare.schema import PrepareParams
from stages.train.schema import ModelParams, TrainParams
from stages.visualize.schema import VisualizeParams
from sweep.node import Source, Trial
from tools.commands import call
from tools.dvc_internals import apply_overrides, combine, default_remote, missing_from_remote


class Parameters(params.Section):
    seed: params.Seed
    prepare: PrepareParams
    model: ModelParams
    train: TrainParams
    visualize: VisualizeParams


def find_source() -> Source:
    """Return what a clone of this commit needs; raise InputError unless nodes can get it all."""
    if changed := call("git", "status", "--porcelain", "--", ".").splitlines():
        raise InputError(f"not committed: {changed[0]}; git commit and git push, or git stash")
    url = call("git", "remote", "get-url", "origin")
    if re.match(r"https?://[^/]*@|[^/]+://[^/]*:[^/]*@", url):
        hint = "git remote set-url origin URL, and use SSH or a Git credential helper on each node"
        raise InputError(f"origin's URL has credentials, which would go to every node: {hint}")
    if (path := Path(call("git", "rev-parse", "--show-toplevel"), url)).exists():
        url = str(path.resolve())  # a relative path leads elsewhere from a clone
    call("git", "fetch", "--quiet", "origin")
    commit = call("git", "rev-parse", "HEAD")
    if not call("git", "branch", "--remotes", "--contains", commit, "--list", "origin/*"):
        raise InputError(f"commit {commit[:7]} is not on origin: run git push")
    name, email, _ = re.split(" ?[<>]", call("git", "var", "GIT_COMMITTER_IDENT"))
    dvc = default_remote()
    if missing := missing_from_remote():
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"missing from the DVC remote: {missing[0]}{more}; run dvc push")
    folder = call("git", "rev-parse", "--show-prefix")
    return Source(url, commit, {"name": name, "email": email}, dvc, folder)


def choose_trials(
    commit: str, arguments: Sequence[str], cpus: int | None, samples: int | None
) -> list[Trial]:
    """Return a trial for each combination of values, or for `samples` of them, none twice.

    A name stands for the commit and the parameters, which decide the result. A larger sample
    contains a smaller one. Raises InputError if an argument or a trial's parameters are wrong.
    """
    combinations = combine(arguments)
    if samples:
        seed = params.load("seed", params.Seed)
        random.Random(seed).shuffle(combinations)  # noqa: S311  # not for cryptography
    trials: dict[str, Trial] = {}
    chosen: dict[str, Parameters] = {}
    for overrides in combinations[:samples]:
        parameters = override(overrides)
        name = name_of(commit, parameters)
        if chosen.setdefault(name, parameters) != parameters:
            both = f"{' '.join(trials[name].overrides)} and {' '.join(overrides)}"
            raise InputError(f"{both} have one name, {name}: sweep them from another commit")
        trials[name] = Trial(name, tuple(overrides), cpus or parameters.train.threads)
    return list(trials.values())


def override(overrides: Sequence[str]) -> Parameters:
    """Return what params.yaml says with these values instead; raise InputError if it is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copy(PARAMS, folder)
        apply_overrides(path, overrides)
        return params.check("", YAML(typ="safe").load(Path(path)), Parameters)


def name_of(commit: str, parameters: Parameters) -> str:
    """Return a trial's name, of 64 bits: of 10,000 names, two are alike with p = 3e-12."""
    digest = hashlib.sha256(f"{commit} {parameters.model_dump_json()}".encode()).hexdigest()
    return f"sweep-{digest[:16]}"
