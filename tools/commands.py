"""Run git and DVC as commands. This module travels to the nodes of a sweep: see sweep/node.py."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from math import inf
from pathlib import Path

# A line that may be the reason, unlike these, with which git and DVC end; or the one reason that
# git explains in several lines, with what to do.
REASON = (
    r"(?s:fatal: detected dubious ownership.*)|"
    r"^(?!ERROR: failed to repro|fatal: (?:Could not read|unable to fork)|Please make|and the repo|"
    r"Stopping at|Having any troubles).*\S"
)


def call(*command: str, cwd: str | None = None) -> str:
    """Return what a command prints; raise ChildProcessError with the reason if it fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # of `python` and `dvc`
    env = os.environ | {"PATH": path, "GIT_TERMINAL_PROMPT": "0"}  # nobody can type a password
    # Not pipes: ssh may leave a process in the background (ControlPersist) that keeps them open.
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=cwd, env=env, stdout=printed, stderr=errors, start_new_session=True
        )
        try:
            process.wait(inf)  # polls: Ray's cancel can't interrupt a system call that waits
        finally:
            if process.poll() is None:  # interrupted
                os.killpg(process.pid, signal.SIGKILL)
        for stream in printed, errors:
            stream.seek(0)
        if process.returncode:
            said = errors.read().decode(errors="backslashreplace").strip() or "no reason given"
            reason = (re.findall(REASON, said, re.M) or said.splitlines())[-1]
            raise ChildProcessError(" ".join(reason.split()))
        return printed.read().decode(errors="surrogateescape").strip()
