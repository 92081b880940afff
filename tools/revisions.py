"""Read what git keeps of this project, in a commit, a branch, a tag or an experiment.

Git reads it, and not DVC's file system: in a clone without blobs git fetches what is missing, where
DVC hangs, and it knows the folder of a project within a larger repository.
"""

from pathlib import Path

from stages.common.errors import InputError
from tools.commands import call
from tools.dvc_internals import experiment_ref


def read_texts(revision: str | None, *paths: str | Path) -> list[str]:
    """Return text files of a revision, of the workspace if it is None.

    Raises OSError if one is missing, and InputError if git can't find or read the revision.
    """
    if revision is None:
        return [Path(path).read_text(encoding="utf-8") for path in paths]
    commit = find_commit(revision)
    try:
        return [call("git", "show", f"{commit}:./{path}") for path in paths]
    except ChildProcessError as error:
        if "promisor remote" not in str(error):
            raise
        raise InputError(
            f"{revision}: this clone was made without blobs, and can't get one ({error}); where "
            "its remote can be reached, git fetch --refetch --no-filter gets them all"
        ) from None


def find_commit(revision: str) -> str:
    """Return the hash of a revision; of an experiment's name, that which started from HEAD first.

    Raises InputError if there is none, if several experiments from elsewhere have the name, or if
    git can't read the repository.
    """
    try:
        call("git", "rev-parse", "--git-dir")
    except ChildProcessError as error:  # what is wrong with the repository itself
        raise InputError(str(error)) from None
    try:
        verify = "git", "rev-parse", "--verify", "--quiet", "--end-of-options"
        return call(*verify, f"{revision}^{{commit}}")
    except ChildProcessError:
        pattern = f"refs/exps/*/*/{revision}"
        listed = call("git", "for-each-ref", "--format=%(refname) %(objectname)", pattern)
    head = call("git", "rev-parse", "HEAD")
    found = [line.split(" ") for line in listed.splitlines()]
    here = [commit for name, commit in found if name == experiment_ref(head, revision)]
    commits = here or [commit for _, commit in found]
    if len(commits) == 1:
        return commits[0]
    how_many = "several experiments have this name" if commits else "unknown"
    raise InputError(f"{revision}: {how_many}; expected a commit, a branch or an experiment")
