"""What a run reads, and what is around it, changed at random: the next plain run mends it all."""

import os
import random
import subprocess
import sys
from pathlib import Path

from tests.files import read_tree
from tests.project import Project
from tests.unit.test_fuzz import ROUNDS, damage, damage_text

# What people write, which they get back from git, and what is made from it.
WRITTEN = "params.yaml", "dvc.lock", "data/raw/mnist"
MADE = ".checkpoints", "data/prepared", "models", "reports"


def change_a_file(project: Project, chance: random.Random) -> str:
    folder = project.root / chance.choice([*WRITTEN, *MADE])
    files = [path for path in folder.rglob("*") if path.is_file()] or [folder]
    path = chance.choice(sorted(files))
    change = damage_text if path.suffix in (".yaml", ".lock") else damage
    content = change(path.read_bytes(), chance)
    path.chmod(0o644)
    path.write_bytes(content)
    return str(path.relative_to(project.root))


def change_the_environment(project: Project, chance: random.Random) -> dict[str, str]:
    missing = str(project.root.parent / "missing")
    (project.root.parent / "file").touch()
    changes: tuple[dict[str, str], ...] = (
        {},
        {"HOME": missing},
        {"TMPDIR": missing},
        {"TMPDIR": str(project.root.parent / "file")},
        {"MPLCONFIGDIR": missing, "XDG_CONFIG_HOME": missing, "XDG_CACHE_HOME": missing},
        {"PATH": os.defpath},
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    )
    return chance.choice(changes)


def test_after_a_run_that_was_disturbed_at_random_a_plain_one_gives_what_was_before(
    reproduced: Project,
) -> None:
    before = {name: read_tree(reproduced.root / name) for name in ("data", "models", "reports")}
    lock = (reproduced.root / "dvc.lock").read_bytes()
    dvc = Path(sys.executable).with_name("dvc")
    for i in range(max(1, ROUNDS // 24)):
        chance = random.Random(i)  # noqa: S311
        told = change_a_file(reproduced, chance), change_the_environment(reproduced, chance)
        umask = chance.choice([0o022, 0o077, 0])
        disturbed = subprocess.run(
            [dvc, "repro"],
            cwd=reproduced.root,
            env=reproduced.env | told[1],
            capture_output=True,
            text=True,
            umask=umask,
        )
        assert "Traceback" not in disturbed.stdout + disturbed.stderr, (i, told)
        reproduced.run("git", "checkout", "--quiet", ".")
        reproduced.run("dvc", "repro")
        assert (reproduced.root / "dvc.lock").read_bytes() == lock, (i, told)
        after = {name: read_tree(reproduced.root / name) for name in before}
        assert after == before, (i, told)
