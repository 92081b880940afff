"""The pipeline as its user runs it: `dvc repro` on a few hundred real images."""

import html
import json
import re

import numpy as np

from tests.builders import write_idx
from tests.project import Project


def test_a_run_is_quiet_but_for_what_it_has_to_say(reproduced_once: Project) -> None:
    printed = reproduced_once.root.parent / "printed.json"
    stdout, stderr = json.loads(printed.read_text(encoding="utf-8"))
    assert stderr == ""
    assert "data/raw/mnist: 300 training and 100 test images" in stdout
    assert "Total params: 70,378" in stdout
    assert "Epoch 2/2" in stdout
    assert re.search(r"^Test loss: +\d\.\d{3}$", stdout, re.MULTILINE)
    assert re.search(r"^Test accuracy: +\d+\.\d\d%$", stdout, re.MULTILINE)
    for stage in "prepare", "train", "evaluate", "visualize", "export":
        assert re.search(rf"^{stage}: done in \d+\.\d s$", stdout, re.MULTILINE)


def test_git_gets_the_lock_and_what_dvc_does_not_cache_and_ignores_all_else(
    reproduced_once: Project,
) -> None:
    committed = reproduced_once.run("git", "show", "--format=", "--name-only").stdout.split()
    assert committed == ["dvc.lock", "reports/metrics.json", "reports/mistakes.csv"]
    assert reproduced_once.run("git", "status", "--porcelain").stdout == ""


def test_a_second_repro_runs_nothing(reproduced: Project) -> None:
    assert reproduced.repro() == []


def test_another_data_set_of_another_size_runs_by_its_name_alone(project: Project) -> None:
    """Twelve by twenty pixels, four classes: a bright column tells the class."""
    random = np.random.default_rng(0)
    for prefix, n in ("train", 200), ("t10k", 40):
        labels = np.arange(n) % 4
        images = random.integers(50, size=(n, 12, 20))
        images[np.arange(n), :, 4 * labels + 3] = 255
        folder = project.root / "data/raw/columns"
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)
    names = ["far left", "left & middle", "<right>", "čtyři"]
    (folder / "classes.txt").write_text("\n".join(names), encoding="utf-8")
    project.set("prepare.dataset", "columns")
    project.set("train.epochs", 20)
    assert project.repro() == ["prepare", "train", "evaluate", "visualize", "export"]
    probabilities = np.load(project.root / "reports/probabilities.npy")
    assert probabilities.shape == (40, 4)
    assert np.load(project.root / "reports/kernels.npy").shape == (3, 3, 1, 32)
    metrics = json.loads((project.root / "reports/metrics.json").read_text())["test"]
    assert metrics["accuracy"] > 0.9
    page = (project.root / "reports/index.html").read_text(encoding="utf-8")
    shown = re.findall(r'<th scope="row">(.*?)</th>', page)
    assert [html.unescape(name) for name in shown] == names
    assert "<right>" not in page
    assert "12 by 20 pixels" in page


def test_dvc_shows_and_compares_metrics_params_plots_and_experiments(tried: Project) -> None:
    assert "test.macro_f1" in tried.run("dvc", "metrics", "show", "--md").stdout
    assert "train.learning_rate" in tried.run("dvc", "params", "diff", "HEAD").stdout
    assert "test.accuracy" in tried.run("dvc", "metrics", "diff", "HEAD").stdout
    shown = tried.run("dvc", "exp", "show", "--csv", "--only-changed").stdout
    assert "slower" in shown
    assert "train.learning_rate" in shown
    page = tried.root / "dvc_plots/index.html"
    for command in "show", "diff":
        tried.run("dvc", "plots", command)
        for plot in "loss", "accuracy", "confusion", "history.png", "mistakes.png":
            assert plot in page.read_text()
        page.unlink()
