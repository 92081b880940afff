"""The trials of a sweep: which combinations of values, checked and named before any starts."""

import hashlib
import math
import random
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from dvc.exceptions import DvcException
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
from sweep.node import Trial


class Parameters(params.Section):
    seed: params.Seed
    prepare: PrepareParams
    model: ModelParams
    train: TrainParams
    visualize: VisualizeParams


def expand(argument: str) -> list[str]:
    """Return one override per value: `seed=1,2` gives `seed=1` and `seed=2`."""
    try:
        return list(dict.fromkeys(found[""][0] for found in get_hydra_sweeps({"": [argument]})))
    except (HydraException, DvcException) as error:
        raise InputError(f"{argument}: {str(error).splitlines()[0]}") from None


def shuffle(axes: Sequence[Sequence[str]], seed: int) -> Iterator[tuple[str, ...]]:
    """Yield all combinations in an order that `seed` decides; a few of a billion take no time."""
    rng = random.Random(seed)  # noqa: S311  # not for cryptography
    drawn: set[tuple[str, ...]] = set()
    while len(drawn) < math.prod(len(axis) for axis in axes):
        overrides = tuple(rng.choice(axis) for axis in axes)
        if overrides not in drawn:
            drawn.add(overrides)
            yield overrides


def describe(commit: str, overrides: Sequence[str], cpus: int | None) -> Trial:
    """Check a trial's parameters, and name it by them and the commit, which decide its result.

    Without `cpus` it gets as many as it trains with. Raises InputError that names the wrong key.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, PARAMS)
        path.write_bytes(PARAMS.read_bytes())
        try:
            apply_overrides(path, list(overrides))
        except (DvcException, OmegaConfBaseException) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise InputError(f"{PARAMS}: {reason}") from None
        parameters = params.check("", load_yaml(path), Parameters)
    digest = hashlib.sha256(f"{commit} {parameters.model_dump_json()}".encode()).hexdigest()
    return Trial(f"sweep-{digest[:8]}", tuple(overrides), cpus or parameters.train.threads)


def choose_trials(
    commit: str, arguments: Sequence[str], cpus: int | None, samples: int | None, seed: int
) -> list[Trial]:
    """Return a trial for each combination of values, or for `samples` of them, none twice.

    With the same seed, a larger sample contains a smaller one. Raises InputError if an argument
    can't be read or a chosen trial's parameters are wrong.
    """
    axes = [expand(argument) for argument in arguments]
    trials: dict[str, Trial] = {}
    for overrides in shuffle(axes, seed) if samples else product(*axes):
        trial = describe(commit, overrides, cpus)
        trials.setdefault(trial.name, trial)
        if len(trials) == samples:
            break
    return list(trials.values())
