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


def problems(out: Output) -> Iterator[str]:
    """Yield what is wrong with the copies of an output; what isn't there can't be wrong."""
    if not out.hash_info:
        yield f"{out}: not in dvc.lock; run dvc repro"
        return
    files = [((), None, out.hash_info)]
    if out.hash_info.isdir:  # the cache has a list of its files, too
        files += out.get_obj() or []
    for parts, _, hash_info in files:
        expected = hash_info.value.removesuffix(".dir")
        cached = Path(out.cache.oid_to_path(hash_info.value))
        for place, path in ("workspace", Path(out.fs_path, *parts)), ("cache", cached):
            if path.is_file() and (found := file_md5(str(path))) != expected:
                yield f"{out}: the copy in the {place} ({path}) has md5 {found}, not {expected}"


if __name__ == "__main__":
    with in_one_line("verify"), Repo() as repo:
        outs = list(repo.index.outs)
        absent = [str(out) for out in outs if not Path(out.fs_path).exists()]
        if absent:
            print(f"Not here, and so not checked in the workspace: {', '.join(absent)}")
        if found := [problem for out in outs for problem in problems(out)]:
            sys.exit("\n".join(found))
        print(f"{len(outs) - len(absent)} of {len(outs)} outputs checked: all match dvc.lock")
