"""Pictures of one's own, from folders to the page: what docs/data.md promises."""

import json
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.builders import ROOT, write_shapes
from tests.conftest import MakeOnce
from tests.files import md5_of
from tests.project import Project, duplicate, fork, share


@pytest.fixture(scope="session")
def shapes_once(make_once: MakeOnce, reproduced_once: Project) -> Project:
    """A project whose model has learnt shapes by the five commands of docs/data.md. It is shared.

    Beside it is `b`, a colleague's clone of before, and the remote of both.
    """

    def make(folder: Path) -> None:
        project = duplicate(reproduced_once, folder)
        project.run("dvc", "remote", "modify", "storage", "url", "../storage")
        project.set("train.epochs", 12)
        project.commit("The team's storage")
        share(folder)
        write_shapes(project.root, n=150)
        page = (ROOT / "docs/data.md").read_text(encoding="utf-8")
        commands = re.findall(r"^    \$ (.+)$", page, re.MULTILINE)
        assert len(commands) == 6, "the last one predicts"
        for command in commands[:5]:
            project.run("sh", "-c", command)

    return make_once("shapes", make)


@pytest.fixture
def shapes(shapes_once: Project, tmp_path: Path) -> Project:
    return duplicate(shapes_once, tmp_path)


def test_a_colour_set_is_learnt_and_shown(shapes_once: Project) -> None:
    root = shapes_once.root
    metrics = json.loads((root / "reports/metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.9
    assert metrics["test"]["images"] == 90
    assert shapes_once.run("git", "status", "--porcelain").stdout == ""
    assert "data/raw/shapes/" not in shapes_once.run("git", "ls-files").stdout
    page = (root / "reports/index.html").read_text()
    assert "32 by 32 pixels, in colour" in page
    assert '<th scope="row">circle</th>' in page
    kernels = np.asarray(Image.open(root / "reports/figures/kernels.png").convert("HSV"))
    assert (kernels[..., 1] > 60).mean() > 0.1, "some are in colour"


def test_predict_gives_a_test_picture_the_probabilities_of_evaluate(shapes_once: Project) -> None:
    """The test pictures are those that were not trained on: found by their pixels."""
    root = shapes_once.root
    x_test = np.load(root / "data/prepared/x_test.npy")
    probabilities = np.load(root / "reports/probabilities.npy")
    names = ["circle", "square", "triangle"]
    pictures = {
        np.asarray(Image.open(path)).tobytes(): str(path.relative_to(root))
        for path in (root / "data/raw/shapes").glob("*/*.jpg")
    }
    paths = [pictures[np.rint(image * 255).astype(np.uint8).tobytes()] for image in x_test[:20]]
    done = shapes_once.run("python", "-m", "predict", "--json", "--top", "3", *paths)
    lines = list(map(json.loads, done.stdout.splitlines()))
    assert [line["image"] for line in lines] == paths
    for line, expected in zip(lines, probabilities, strict=False):
        found = {entry["label"]: entry["confidence"] for entry in line["predictions"]}
        np.testing.assert_allclose([found[name] for name in names], expected, atol=1e-4)


def test_an_added_picture_makes_all_anew(shapes: Project) -> None:
    Image.new("RGB", (32, 32), "navy").save(shapes.root / "data/raw/shapes/circle/new.jpg")
    shapes.run("dvc", "add", "data/raw/shapes")
    assert shapes.repro("prepare") == ["prepare"]
    status = json.loads(shapes.run("dvc", "status", "--json").stdout)
    assert set(status) == {"train", "evaluate", "visualize", "export"}


def test_a_second_clone_pulls_pictures_and_results(shapes: Project) -> None:
    b = Project(shapes.root.parent / "b", shapes.env)
    b.run("git", "pull", "--quiet")
    b.run("dvc", "pull")
    assert len(list((b.root / "data/raw/shapes/circle").iterdir())) == 150
    assert b.repro() == []
    # Prepared anew elsewhere, they have the same bytes.
    b.run("dvc", "repro", "--force", "--single-item", "prepare")
    assert b.outputs() == shapes.outputs()


def test_a_killed_training_of_colours_resumes_to_the_same_bytes(shapes: Project) -> None:
    model = shapes.root / "models/model.keras"
    model.unlink()
    shutil.rmtree(shapes.root / ".checkpoints")  # it has the finished training
    killed, resumed = fork(shapes, "train:between epochs", "train")
    assert killed.code == -signal.SIGKILL
    assert "Resuming after epoch 1 of 12" in resumed.text
    assert md5_of(model) == shapes.outputs()["models/model.keras"], "which was not interrupted"
