"""The pipeline as its user runs it: `dvc repro` on a few hundred real images."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.builders import write_idx
from tests.conftest import MakeOnce
from tests.project import Project, create_project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def elsewhere(make_once: MakeOnce) -> Project:
    """A project after `dvc repro` by a user with settings of their own; `printed` is beside it.

    What else they could set: the locale's time, the order of sets, how to draw and to compute.
    """

    def make(folder: Path) -> None:
        project = create_project(folder)
        home = folder / "home"
        project.env |= {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
        (home / ".config/matplotlib").mkdir(parents=True)
        settings = "font.size: 30\nsavefig.dpi: 33\n"
        (home / ".config/matplotlib/matplotlibrc").write_text(settings)
        (home / ".keras").mkdir()
        (home / ".keras/keras.json").write_text(
            '{"floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.1}'
        )
        done = project.run("dvc", "repro")
        (folder / "printed.json").write_text(json.dumps([done.stdout, done.stderr]))

    return make_once("elsewhere", make)


def test_two_clones_end_with_the_same_lock(elsewhere: Project, reproduced_once: Project) -> None:
    locks = [(project.root / "dvc.lock").read_text() for project in (elsewhere, reproduced_once)]
    assert elsewhere.root != reproduced_once.root
    assert locks[0] == locks[1]


def test_a_run_is_quiet_but_for_what_it_has_to_say(elsewhere: Project) -> None:
    stdout, stderr = json.loads((elsewhere.root.parent / "printed.json").read_text())
    assert stderr == ""
    assert "data/raw/mnist: 300 training and 100 test images" in stdout
    assert "Total params: 70,378" in stdout
    assert "Epoch 2/2" in stdout
    assert re.search(r"^Test loss:     \d\.\d{3}$", stdout, re.MULTILINE)
    assert re.search(r"^Test accuracy: \d+\.\d\d%$", stdout, re.MULTILINE)
    for stage in "prepare", "train", "evaluate", "visualize":
        assert re.search(rf"^{stage}: done in \d+\.\d s$", stdout, re.MULTILINE)


def test_what_a_run_leaves_is_ignored_by_git_but_for_the_lock_and_the_metrics(
    elsewhere: Project,
) -> None:
    status = elsewhere.run("git", "status", "--porcelain", "--untracked-files=all").stdout
    assert sorted(line[3:] for line in status.splitlines()) == ["dvc.lock", "reports/metrics.json"]


def test_a_second_repro_runs_nothing(elsewhere: Project) -> None:
    assert elsewhere.repro() == []


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
    assert project.repro() == ["prepare", "train", "evaluate", "visualize"]
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
