"""The trials of a sweep: which combinations of values, checked and named before any starts."""

import hashlib
import random
import shutil
import tempfile
from collections.abc import Sequence

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


def describe(commit: str, overrides: Sequence[str], cpus: int | None) -> Trial:
    """Check a trial's parameters, and name it by them and the commit, which decide its result.

    Without `cpus` it gets as many as it trains with. Raises InputError that names the wrong key.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copy(PARAMS, folder)
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
    can't be read or a trial's parameters are wrong.
    """
    try:
        combinations = [found[""] for found in get_hydra_sweeps({"": list(arguments)})]
    except (HydraException, DvcException) as error:
        raise InputError(f"{' '.join(arguments)}: {str(error).splitlines()[0]}") from None
    if samples:
        random.Random(seed).shuffle(combinations)  # noqa: S311  # not for cryptography
    trials = [describe(commit, overrides, cpus) for overrides in combinations[:samples]]
    return list({trial.name: trial for trial in trials}.values())
