"""What docs/sharing.md promises beyond push and pull: colleagues, large data, other projects."""

import json
import os
import shutil
import sys
from pathlib import Path

from tests.files import md5_of
from tests.pages import follow
from tests.project import Clone, Project, environment

PAGE = "docs/sharing.md"


def in_storage(project: Project) -> set[str]:
    """Return the md5 of every object in the remote."""
    folder = project.root.parent / "home/mnist-pipeline-storage/files/md5"
    return {f"{path.parent.name}{path.name}" for path in folder.glob("??/*")}


def test_a_colleague_pulls_from_a_folder_to_which_the_whole_group_can_push(
    team: tuple[Clone, Clone],
) -> None:
    a, b = team
    folder = a.root.parent
    storage = folder / "storage"
    words = {"/mnt/team/mnist": str(storage), "chgrp team": f"chgrp {os.getgid()}"}
    follow(a, PAGE, "A folder that all machines mount", 0, words)
    a.commit("The team's storage")
    a.run("dvc", "push", umask=0o022)
    made = [storage, *(path for path in storage.rglob("*") if path.is_dir())]
    assert {path.stat().st_mode & 0o7777 for path in made} == {0o2775}
    a.run("git", "push", "--quiet")
    (folder / "another-home").mkdir()
    colleague = Clone(b.root, environment(folder / "another-home"))
    colleague.run("git", "pull", "--quiet")
    colleague.run("dvc", "pull")
    assert colleague.contents() == a.outputs()
    assert colleague.repro() == []


def test_with_dvcs_hooks_a_git_push_pushes_outputs_and_a_switch_checks_them_out(
    team: tuple[Clone, Clone],
) -> None:
    a, _ = team
    a.run("dvc", "install")
    a.run("git", "switch", "--quiet", "--create", "coarse")
    a.set("visualize.dpi", 50)
    assert a.repro() == ["visualize"]
    a.commit("Coarser figures")
    page = a.outputs()["reports/index.html"]
    assert page not in in_storage(a)
    a.run("git", "push", "--quiet", "origin", "coarse")
    assert page in in_storage(a)

    a.run("git", "switch", "--quiet", "main")
    assert md5_of(a.root / "reports/index.html") == a.outputs()["reports/index.html"] != page


def test_data_too_large_for_git_comes_from_the_remote(team: tuple[Clone, Clone]) -> None:
    a, b = team
    folder = a.root / "data/raw/named"
    shutil.copytree(a.root / "data/raw/mnist", folder)
    (folder / "classes.txt").write_text("".join(f"digit {i}\n" for i in range(10)))
    follow(a, PAGE, "Data too large for git", 0, {"NAME": "named"})
    assert "data/raw/named/" not in a.run("git", "ls-files", "data/raw").stdout

    b.run("git", "pull", "--quiet")
    b.run("dvc", "pull")
    assert sorted(path.name for path in (b.root / "data/raw/named").iterdir()) == sorted(
        path.name for path in folder.iterdir()
    )
    assert b.repro() == []
    (b.root / "data/raw/named/classes.txt").write_text("".join(f"the {i}\n" for i in range(10)))
    b.run("dvc", "add", "data/raw/named")
    assert b.repro()[0] == "prepare"


def test_a_pushed_experiment_is_applied_elsewhere_and_survives_a_clean_up_as_described(
    team: tuple[Clone, Clone],
) -> None:
    a, b = team
    b.run("dvc", "pull")
    b.run("dvc", "exp", "run", "-S", "visualize.dpi=50", "--name", "coarse")
    page = b.outputs()["reports/index.html"]
    name = {"NAME": "coarse"}
    follow(b, PAGE, "Share an experiment without committing it", 0, name)
    b.run("dvc", "exp", "remove", "coarse")
    a.run("git", "commit", "--quiet", "--allow-empty", "--message", "Meanwhile")

    clean_up = "dvc", "gc", "--all-commits", "--all-experiments", "--cloud", "--dry"
    assert page[2:] in a.run(*clean_up).stdout, "what a has not fetched would be deleted"
    assert page[2:] not in follow(a, PAGE, "Clean up", 1)

    assert "coarse" in follow(a, PAGE, "Share an experiment without committing it", 1, name)
    assert a.repro() == []
    assert a.outputs()["reports/index.html"] == page
    follow(a, PAGE, "Clean up", 0, name)
    assert "coarse" not in a.run("git", "ls-remote", "origin").stdout


def test_another_project_uses_the_model_and_the_data(
    team: tuple[Clone, Clone], tmp_path: Path
) -> None:
    a, b = team
    heading = "Use the model or the data in another project"
    follow(a, PAGE, heading, 0)
    released = a.outputs()
    address = f"file://{tmp_path}/origin.git"
    other = Project(tmp_path / "other", b.env)
    other.root.mkdir()
    other.run("git", "init", "--quiet")
    other.run("dvc", "init", "--quiet")

    def received(name: str) -> str:
        return md5_of(other.root / name)

    follow(other, PAGE, heading, 1, {"ADDRESS": address})
    assert received("model.keras") == released["models/model.keras"]
    assert received("model.tflite") == released["models/model.tflite"]
    assert received("index.html") == released["reports/index.html"]
    other.run("dvc", "import", address, "reports/index.html", "--rev", "main", "--out", "page.html")
    assert received("page.html") == released["reports/index.html"]
    program = f"""
import dvc.api, hashlib, json
at = {{"repo": {address!r}, "rev": "mnist-cnn@v1.0.0"}}
model = dvc.api.read("models/model.keras", mode="rb", **at)
print(json.dumps([hashlib.md5(model).hexdigest(), dvc.api.metrics_show(**at)]))
"""
    printed = other.run(sys.executable, "-c", program).stdout
    metrics = json.loads((a.root / "reports/metrics.json").read_text())
    assert json.loads(printed) == [released["models/model.keras"], metrics]

    a.set("visualize.dpi", 50)
    a.repro()
    a.commit("Coarser figures")
    a.run("dvc", "push")
    a.run("git", "push", "--quiet")
    other.run("dvc", "update", "page.html.dvc")
    assert received("page.html") == a.outputs()["reports/index.html"]
