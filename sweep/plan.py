"""What a sweep runs, checked before anything starts: a commit that nodes can get, and trials."""

import random
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.utils import dict_sha256
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from dvc.utils.serialize import load_yaml
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from stages.common import params
from stages.common.errors import InputError
from stages.common.paths import PARAMS
from stages.prepare.schema import PrepareParams
from stages.train.schema import ModelParams, TrainParams
from stages.visualize.schema import VisualizeParams
from sweep.node import Source, Trial, call
from tools import check_remote


class Parameters(params.Section):
    seed: params.Seed
    prepare: PrepareParams
    model: ModelParams
    train: TrainParams
    visualize: VisualizeParams


def find_source() -> Source:
    """Return what a clone of this commit needs; raise InputError unless nodes can get it all."""
    if changed := call("git", "status", "--porcelain").splitlines():
        raise InputError(f"not committed: {changed[0]}; git commit and git push, or git stash")
    url = call("git", "remote", "get-url", "origin")
    if re.match(r"https?://[^/]*@|[^/]+://[^/]*:[^/]*@", url):
        hint = "git remote set-url origin URL, and use SSH or a Git credential helper on each node"
        raise InputError(f"origin's URL has credentials, which would go to every node: {hint}")
    if Path(url).exists():
        url = str(Path(url).resolve())  # a relative path leads elsewhere from a clone
    call("git", "fetch", "--quiet", "origin")
    commit = call("git", "rev-parse", "HEAD")
    if not call("git", "branch", "--remotes", "--contains", commit, "--list", "origin/*"):
        raise InputError(f"commit {commit[:7]} is not on origin: git push")
    name, email, _ = re.split(" ?[<>]", call("git", "var", "GIT_COMMITTER_IDENT"))
    config = Config.from_cwd()
    if not (remote := config["core"].get("remote")):
        raise InputError("no DVC remote: dvc remote add --default NAME URL")
    if lacks := check_remote.missing():
        raise InputError(f"the DVC remote lacks {lacks[0]} and {len(lacks) - 1} more: dvc push")
    settings = {key: str(value) for key, value in config["remote"][remote].items()}
    dvc = {"core": {"remote": remote}, "remote": {remote: settings}}
    return Source(url, commit, {"name": name, "email": email}, dvc)


def choose_trials(
    commit: str, arguments: Sequence[str], cpus: int | None, samples: int | None
) -> list[Trial]:
    """Return a trial for each combination of values, or for `samples` of them, none twice.

    A name stands for the commit and the parameters, which decide the result. A larger sample
    contains a smaller one. Raises InputError if an argument or a trial's parameters are wrong.
    """
    try:
        combinations = [found[""] for found in get_hydra_sweeps({"": list(arguments)})]
    except (HydraException, DvcException) as error:
        raise InputError(f"{' '.join(arguments)}: {str(error).splitlines()[0]}") from None
    if samples:
        seed = params.load("seed", params.Seed)
        random.Random(seed).shuffle(combinations)  # noqa: S311  # not for cryptography
    trials = {}
    for overrides in combinations[:samples]:
        with tempfile.TemporaryDirectory() as folder:
            path = shutil.copy(PARAMS, folder)
            try:
                apply_overrides(path, overrides)
            except (DvcException, OmegaConfBaseException) as error:
                reason = str(error.__cause__ or error).splitlines()[0]
                raise InputError(f"{PARAMS}: {reason}") from None
            parameters = params.check("", load_yaml(path), Parameters)
        digest = dict_sha256({"commit": commit, **parameters.model_dump(mode="json")})
        name = f"sweep-{digest[:8]}"
        trials[name] = Trial(name, tuple(overrides), cpus or parameters.train.threads)
    return list(trials.values())
