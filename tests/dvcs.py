"""DVC's commands as forks of one process that has imported DVC, which takes 0.6 s each time."""

import os
import sys
from multiprocessing import get_context
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory

# What commands import only when they need it, and what remotes' clients are made of.
IMPORTED = (
    *("dvc.cli.parser", "dvc.daemon", "dvc.data_cloud", "dvc.render.match", "dvc.repo.artifacts"),
    *("dvc.repo.brancher", "dvc.repo.datasets", "dvc.repo.experiments.apply", "dvc.repo.graph"),
    *("dvc.repo.experiments.queue.workspace", "dvc.repo.experiments.run", "dvc.repo.index"),
    *("dvc.repo.experiments.show", "dvc.repo.metrics.diff", "dvc.repo.params.diff"),
    *("dvc.repo.stage", "dvc.repo.worktree", "dvc.ui.table", "dvc.utils.hydra"),
    *("dvc_data.fs", "dvc_data.hashfile.db.index", "dvc_data.hashfile.db.local"),
    *("dvc_data.index.checkout", "dvc_data.index.fetch", "dvc_data.index.push", "scmrepo.fs"),
    *("asyncssh", "s3fs", "sshfs", "celery.app.amqp", "celery.worker.worker", "dulwich.porcelain"),
    *("dulwich.worktree", "hydra.core.override_parser.overrides_parser", "networkx", "pygit2"),
    *("kombu.transport.filesystem", "platformdirs", "rich.live", "rich.table", "ruamel.yaml"),
)
context = get_context("forkserver")
context.set_forkserver_preload([*IMPORTED])


def main(arguments: list[str], folder: Path, env: dict[str, str], printed: list[Path]) -> None:
    """Be `dvc`, in a fork."""
    from dvc.cli import main

    for i, path in enumerate(printed, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), i)
    os.chdir(folder)
    os.environ.clear()
    os.environ |= env
    sys.argv = ["dvc", *arguments]
    sys.exit(main(arguments))


def run(arguments: list[str], folder: Path, env: dict[str, str]) -> CompletedProcess[str]:
    """Run `dvc` as `subprocess.run` would, which captures what it prints."""
    with TemporaryDirectory() as captured:
        printed = [Path(captured, name) for name in ("out", "err")]
        process = context.Process(target=main, args=(arguments, folder, env, printed))
        process.start()
        process.join()
        out, err = (path.read_text(encoding="utf-8") for path in printed)
        return CompletedProcess(arguments, process.exitcode or 0, out, err)
