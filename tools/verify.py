"""Hash every output again, in the DVC cache and in the workspace, and name what differs.

DVC itself trusts a cached file as long as it is read-only.
"""

import hashlib
import sys
from pathlib import Path

from dvc.output import Output
from dvc.repo import Repo


def md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def problems(out: Output) -> list[str]:
    """Say what is wrong with the copies of an output; what isn't there can't be wrong."""
    expected = out.hash_info.value
    if not expected:
        return [f"{out}: not in dvc.lock; run dvc repro"]
    copies = {"workspace": Path(out.fs_path)}
    if out.use_cache:
        copies["cache"] = Path(out.cache_path)
    return [
        f"{out}: the copy in the {place} ({path}) has md5 {found}; dvc.lock says {expected}"
        for place, path in copies.items()
        if path.is_file() and (found := md5(path)) != expected
    ]


def main() -> None:
    outs = list(Repo().index.outs)
    found = [problem for out in outs for problem in problems(out)]
    absent = [str(out) for out in outs if not Path(out.fs_path).exists()]
    if absent:
        print(f"Not here, and so not checked in the workspace: {', '.join(absent)}")
    if found:
        sys.exit("\n".join(found))
    print(f"{len(outs) - len(absent)} of {len(outs)} outputs checked: each is what dvc.lock says")


if __name__ == "__main__":
    main()
