"""Make a clone ready for DVC: an environment whose commands start, and an index of one's own."""

import re
import shutil
import sys
from pathlib import Path

from stages.common.errors import InputError, in_one_line
from tools.commands import call

# DVC unpickles what lies here. By default it is /var/tmp/dvc, where everybody can write.
INDEX = Path(".dvc/tmp/site")
KEY = "core.site_cache_dir"


def check_place(environment: Path) -> None:
    """Raise InputError if the scripts of `environment` start the Python of another folder."""
    script = (environment / "bin/pip").read_text(encoding="utf-8")
    # Where the path is long or has a space, pip lets the shell start it.
    named = re.match(r"#!(?:/bin/sh\n'''exec' \"(.+?)\"|(.+))", script)
    python = Path(named[1] or named[2]) if named else environment / "bin/python"
    if not python.exists() or not python.parent.samefile(environment / "bin"):
        raise InputError(
            f"{environment} was moved or copied: its commands start {python}; run rm -r .venv, and "
            "make installs it again"
        )


def make_private(folder: Path) -> None:
    """Make `folder` so that only its owner can enter it; one that others could enter is emptied."""
    if folder.exists() and folder.stat().st_mode & 0o077:
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def use_index() -> None:
    """Let DVC keep its index in INDEX of this folder, unless its user has chosen another place.

    DVC takes a relative path from the current folder, so it is absolute, and set again if the clone
    was moved.
    """
    local = Path(".dvc/config.local")
    text = local.read_text(encoding="utf-8") if local.exists() else ""
    here = str(INDEX.absolute())
    found = re.search(r"^\s*site_cache_dir\s*=\s*(.+?)\s*$", text, re.MULTILINE)
    set_to = found[1] if found else config(KEY)
    if set_to != here and (not set_to or set_to.endswith(f"/{INDEX}")):
        config("--local", KEY, here)


def config(*arguments: str) -> str:
    """Return what `dvc config` prints; raise ChildProcessError with the reason if it fails."""
    return call(sys.executable, "-m", "dvc", "config", *arguments)


def main() -> None:
    with in_one_line("setup"):
        check_place(Path(sys.prefix))
        make_private(INDEX)
        use_index()


if __name__ == "__main__":
    main()
