"""All that this project uses of DVC beyond its commands: when DVC changes, only this has to follow.

Functions raise InputError, in one line, for what DVC refuses. Two of them travel to the nodes of a
sweep, which have DVC and not this project: `configure` and `open_remote` use nothing else, and
raise DVC's own errors.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from dvc.config import Config, NoRemoteError
from dvc.exceptions import DvcException
from dvc.output import HashInfo, Output
from dvc.repo import Repo
from dvc.repo.experiments.refs import ExpRefInfo
from dvc.utils import hydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from stages.common.errors import InputError
from stages.common.files import md5


class Copy(NamedTuple):
    """A file with an output's content, which may be missing, and the md5 that it should have."""

    place: str  # workspace or cache
    path: Path
    md5: str


@contextmanager
def in_one_error(prefix: str = "") -> Iterator[None]:
    """Turn DVC's errors in the block into an InputError, whose line starts with `prefix`."""
    try:
        yield
    except DvcException as error:
        raise InputError(f"{prefix}{' '.join(str(error).split())}") from None


def stale_stages() -> list[str]:
    """Return the stages that `dvc repro` would run, whether their data is here or not."""
    with in_one_error("dvc.lock can't be checked: "), Repo() as repo, repo.lock:
        stages = repo.index.stages
        changed = [stage for stage in stages if stage.changed(allow_missing=True, upstream=stages)]
        return [stage.addressing for stage in changed]


def locate_outputs() -> dict[str, list[Copy]]:
    """Return where each output of dvc.yaml and of .dvc files lies, in the workspace and the cache.

    An output that dvc.lock does not have is nowhere.
    """
    with in_one_error(), Repo() as repo:
        return {str(out): list(_copies(out)) for out in repo.index.outs}


def _copies(out: Output) -> Iterator[Copy]:
    if not out.hash_info:
        return
    files = [((), None, out.hash_info)]
    if out.hash_info.isdir:  # the cache also has a list of its files
        files += out.get_obj() or []
    for parts, _, hash_info in files:
        expected = hash_info.value.removesuffix(".dir")
        yield Copy("workspace", Path(out.fs_path, *parts), expected)
        yield Copy("cache", Path(out.cache.oid_to_path(hash_info.value)), expected)


def find_outputs(outputs: Mapping[Path, str]) -> list[Path]:
    """Return where each output with this md5 is: in the cache or in the workspace.

    What neither has is fetched from the default remote into the cache; if the remote doesn't have
    it either, there is no file at the path.
    """
    with in_one_error(), Repo() as repo:
        places = []
        for path, expected in outputs.items():
            cached = Path(repo.cache.local.oid_to_path(expected))
            here = not cached.is_file() and path.is_file() and md5(path) == expected
            places.append(path if here else cached)
        absent = [
            HashInfo("md5", expected)
            for place, expected in zip(places, outputs.values(), strict=True)
            if not place.is_file()
        ]
        if absent:
            with asking_remote(), suppress(NoRemoteError):
                repo.cloud.pull(absent)
    return places


@contextmanager
def asking_remote() -> Iterator[None]:
    """Turn errors of the block into an InputError."""
    try:
        yield
    except Exception as error:  # each kind of remote has its own
        raise InputError(f"The remote can't be asked: {' '.join(str(error).split())}") from None


def missing_from_remote() -> list[str]:
    """Return the outputs that dvc.lock needs and the remote does not have, sorted."""
    with asking_remote(), Repo() as repo:
        status = repo.data_status(not_in_remote=True, remote_refresh=True)
    return sorted(status["not_in_remote"])


def default_remote() -> dict[str, Any]:
    """Return the sections `core` and `remote` of a configuration whose only remote is this one's.

    Raises InputError without a default remote.
    """
    with in_one_error():
        config = Config.from_cwd()
    if not (name := config["core"].get("remote")):
        raise InputError("no DVC remote: run dvc remote add --default NAME URL")
    settings = {key: str(value) for key, value in config["remote"][name].items()}
    return {"core": {"remote": name}, "remote": {name: settings}}


def configure(root: str, sections: dict[str, Any]) -> None:
    """Set these sections in .dvc/config.local of the repository at `root`. It travels to nodes."""
    with Config(f"{root}/.dvc").edit("local") as local:
        local.update(sections)


def open_remote(root: str | None = None) -> tuple[Any, str]:
    """Return the file system of the default remote, as fsspec has them, and the folder of outputs.

    The remote is that of the repository at `root`, or at the current folder. It travels to nodes.
    """
    with Repo(root) as repo:
        storage = repo.cloud.get_remote_odb()
        return storage.fs, storage.path


def experiment_ref(commit: str, name: str) -> str:
    """Return the Git reference of the experiment `name`, which started from `commit`."""
    return str(ExpRefInfo(commit, name))


def combine(arguments: Sequence[str]) -> list[list[str]]:
    """Return every combination of values of KEY=VALUE[,VALUE...], as Hydra's grammar has it."""
    try:
        return [found[""] for found in hydra.get_hydra_sweeps({"": list(arguments)})]
    except (DvcException, HydraException) as error:
        raise InputError(f"{' '.join(arguments)}: {str(error).splitlines()[0]}") from None


def apply_overrides(path: str | Path, overrides: Sequence[str]) -> None:
    """Change parameters in the YAML file `path`, as `dvc exp run -S` does."""
    try:
        hydra.apply_overrides(path, list(overrides))
    except (DvcException, OmegaConfBaseException) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise InputError(f"{Path(path).name}: {reason}") from None
