"""Hash every output again, in the DVC cache and in the workspace, and name what differs.

DVC itself trusts a cached file as long as it is read-only.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from dvc.output import Output
from dvc.repo import Repo
from dvc_data.hashfile.hash import file_md5

from stages.common.errors import in_one_line


def copies(out: Output) -> Iterator[tuple[str, Path, str]]:
    """Yield the place, path and expected md5 of each copy of each file of an output."""
    files = [((), None, out.hash_info)]
    if out.hash_info.isdir:  # the cache holds a list of its files
        yield "cache", Path(out.cache_path), out.hash_info.value.removesuffix(".dir")
        files = out.get_obj() or []
    for parts, _, hash_info in files:
        yield "workspace", Path(out.fs_path, *parts), hash_info.value
        yield "cache", Path(out.cache.oid_to_path(hash_info.value)), hash_info.value


def problems(out: Output) -> list[str]:
    """Say what is wrong with the copies of an output; what isn't there can't be wrong."""
    if not out.hash_info:
        return [f"{out}: not in dvc.lock; run dvc repro"]
    return [
        f"{out}: the copy in the {place} ({path}) has md5 {found}; dvc.lock says {expected}"
        for place, path, expected in copies(out)
        if path.is_file() and (found := file_md5(str(path))) != expected
    ]


if __name__ == "__main__":
    with in_one_line("verify"), Repo() as repo:
        outs = list(repo.index.outs)
        found = [problem for out in outs for problem in problems(out)]
        absent = [str(out) for out in outs if not Path(out.fs_path).exists()]
        if absent:
            print(f"Not here, and so not checked in the workspace: {', '.join(absent)}")
        if found:
            sys.exit("\n".join(found))
        print(f"{len(outs) - len(absent)} of {len(outs)} outputs checked: all match dvc.lock")
