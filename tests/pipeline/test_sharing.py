"""What docs/sharing.md promises beyond push and pull: colleagues, large data, other projects."""

import json
import shutil
import sys
from pathlib import Path

from tests.files import md5_of
from tests.project import Clone, Project, environment


def in_storage(project: Project) -> set[str]:
    """Return the md5 of every object in the remote."""
    folder = project.root.parent / "home/mnist-pipeline-storage/files/md5"
    return {f"{path.parent.name}{path.name}" for path in folder.glob("??/*")}


def test_a_colleague_with_another_home_pulls_without_any_setting(team: tuple[Clone, Clone]) -> None:
    a, b = team
    folder = a.root.parent
    a.run("dvc", "remote", "modify", "storage", "url", str(folder / "storage"))
    a.commit("The team's storage")
    a.run("dvc", "push")
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
    a.run("dvc", "add", "data/raw/named")
    a.run("git", "add", "data/raw/named.dvc", "data/raw/.gitignore")
    a.run("git", "commit", "--quiet", "--message", "The data set named")
    a.run("dvc", "exp", "run", "-S", "prepare.dataset=named")
    a.run("git", "commit", "--quiet", "--all", "--message", "Named digits")
    a.run("dvc", "push")
    a.run("git", "push", "--quiet")
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
    b.run("dvc", "exp", "push", "origin", "coarse")
    b.run("dvc", "exp", "remove", "coarse")

    clean_up = "dvc", "gc", "--all-commits", "--all-experiments", "--cloud", "--dry"
    assert page[2:] in a.run(*clean_up).stdout, "what a has not fetched would be deleted"
    a.run("git", "fetch", "--quiet", "--all")
    a.run("dvc", "exp", "pull", "origin", "--all-commits", "--no-cache")
    assert page[2:] not in a.run(*clean_up).stdout

    a.run("dvc", "exp", "pull", "origin", "coarse")
    a.run("dvc", "exp", "apply", "coarse")
    assert a.repro() == []
    assert a.outputs()["reports/index.html"] == page
    a.run("dvc", "exp", "remove", "coarse")
    a.run("dvc", "exp", "remove", "--git-remote", "origin", "coarse")
    assert "coarse" not in a.run("git", "ls-remote", "origin").stdout


def test_another_project_uses_the_model_and_the_data(
    team: tuple[Clone, Clone], tmp_path: Path
) -> None:
    a, b = team
    a.run("git", "tag", "--annotate", "mnist-cnn@v1.0.0", "--message", "The first")
    a.run("git", "push", "--quiet", "origin", "mnist-cnn@v1.0.0")
    released = a.outputs()
    address = f"file://{tmp_path}/origin.git"
    other = Project(tmp_path / "other", b.env)
    other.root.mkdir()
    other.run("git", "init", "--quiet")
    other.run("dvc", "init", "--quiet")

    def received(name: str) -> str:
        return md5_of(other.root / name)

    other.run("dvc", "artifacts", "get", address, "mnist-cnn", "--rev", "v1.0.0")
    assert received("model.keras") == released["models/model.keras"]
    other.run("dvc", "get", address, "reports/index.html", "--rev", "main")
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
