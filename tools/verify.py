"""Hash every output again, in the DVC cache and in the workspace, and name what differs.

DVC itself trusts a cached file as long as it is read-only. Files that lie beside the outputs and
are not outputs are named as well: git and DVC ignore them, so nobody else would ever get them.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from stages.common.errors import in_one_line
from stages.common.files import md5
from stages.common.paths import METRICS, MODEL, X_TRAIN
from tools.commands import call
from tools.dvc_internals import Copy, locate_outputs

FOLDERS = [str(path.parent) for path in (X_TRAIN, MODEL, METRICS)]


def problems(output: str, copies: Sequence[Copy]) -> Iterator[str]:
    """Yield what is wrong with the copies of an output; what isn't there can't be wrong."""
    if not copies:
        yield f"{output}: not in dvc.lock; run dvc repro"
    for place, path, expected in copies:
        if path.is_file() and (found := md5(path)) != expected:
            yield f"{output}: the copy in the {place} ({path}) has md5 {found}, not {expected}"


def undeclared(outputs: Iterable[str]) -> list[str]:
    """Return the files in the folders of outputs that neither git nor DVC keeps.

    Hidden ones are left out: they belong to a stage that is writing, or to other programs.
    """
    listed = call("git", "ls-files", "-z", "--others", "--", *FOLDERS)
    return [
        name
        for name in filter(None, listed.split("\0"))
        if not any(part.startswith(".") for part in Path(name).parts)
        and not any(Path(name).is_relative_to(output) for output in outputs)
    ]


def main() -> None:
    with in_one_line("verify"):
        outputs = locate_outputs()
        absent = [output for output in outputs if not Path(output).exists()]
        if absent:
            print(f"Not here, and so not checked in the workspace: {', '.join(absent)}")
        found = [problem for output in outputs for problem in problems(output, outputs[output])]
        found += [
            f"{name}: no stage declares it in dvc.yaml, so no colleague gets it; "
            "declare it as an output, or remove it"
            for name in undeclared(outputs)
        ]
        if found:
            sys.exit("\n".join(found))
        print(f"{len(outputs) - len(absent)} of {len(outputs)} outputs checked: all match dvc.lock")


if __name__ == "__main__":
    main()
