"""The pipeline as its user runs it: `dvc repro` on a few hundred real images."""

import html
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from stages.common import paths
from tests.builders import draw, run, write_idx
from tests.files import set_parameter
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


def test_another_data_set_of_another_size_runs_by_its_name_alone(prepared: Path) -> None:
    """Twelve by twenty pixels, four classes: a bright column tells the class."""
    random = np.random.default_rng(0)
    for prefix, n in ("train", 200), ("t10k", 40):
        labels = np.arange(n) % 4
        images = random.integers(50, size=(n, 12, 20))
        images[np.arange(n), :, 4 * labels + 3] = 255
        folder = paths.RAW / "columns"
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)
    names = ["far left", "left & middle", "<right>", "čtyři"]
    (folder / "classes.txt").write_text("\n".join(names), encoding="utf-8")
    set_parameter(paths.PARAMS, "prepare.dataset", "columns")
    set_parameter(paths.PARAMS, "train.epochs", 20)
    set_parameter(paths.PARAMS, "model.filters", [32, 64])
    for stage in "prepare", "train", "evaluate", "export":
        run(stage)
    page = draw(prepared)
    assert np.load(paths.PROBABILITIES).shape == (40, 4)
    assert np.load(paths.KERNELS).shape == (3, 3, 1, 32)
    assert json.loads(paths.METRICS.read_text())["test"]["accuracy"] > 0.9
    (table,) = re.findall(r'<table class="numbers">(.*?)</table>', page, re.DOTALL)
    shown = re.findall(r'<th scope="row">(.*?)</th>', table)
    assert sorted(map(html.unescape, shown)) == sorted(names)
    assert "<right>" not in page
    assert "12 by 20 pixels" in page


def test_repro_stops_at_bad_input_and_keeps_the_last_good_state(reproduced: Project) -> None:
    """What each bad input says is in unit/test_bad_input.py."""
    before = reproduced.contents()
    reproduced.set("visualize.dpi", 0)
    done = reproduced.run("dvc", "repro", check=False)
    assert done.returncode
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("visualize: ")]
    assert "params.yaml: visualize.dpi: found 0; " in line
    reproduced.set("visualize.dpi", 100)
    reproduced.run("dvc", "checkout")
    assert reproduced.contents() == before
    assert reproduced.repro() == []


def test_keras_opens_the_model_without_this_project(
    reproduced_once: Project, tmp_path: Path
) -> None:
    root = reproduced_once.root
    program = (
        "import keras, numpy, sys\n"
        "model = keras.models.load_model(sys.argv[1])\n"
        "images = numpy.load(sys.argv[2])\n"
        "numpy.save('outputs.npy', model.predict(images, verbose=0))\n"
        "model.evaluate(images, numpy.zeros(len(images)), verbose=0)\n"
    )
    command = [sys.executable, "-c", program, str(root / paths.MODEL), str(root / paths.X_TEST)]
    subprocess.run(command, cwd=tmp_path, check=True)
    expected = np.load(root / paths.PROBABILITIES)
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), expected, rtol=1e-4)


def test_dvc_shows_and_compares_metrics_params_plots_and_experiments(reproduced: Project) -> None:
    reproduced.run("dvc", "exp", "run", "--name", "coarse", "-S", "visualize.dpi=50")
    assert "test.macro_f1" in reproduced.run("dvc", "metrics", "show", "--md").stdout
    assert "test.accuracy" in reproduced.run("dvc", "metrics", "diff", "HEAD", "--all").stdout
    assert "visualize.dpi" in reproduced.run("dvc", "params", "diff", "HEAD").stdout
    shown = reproduced.run("dvc", "exp", "show", "--csv", "--only-changed").stdout
    assert "coarse" in shown
    assert "visualize.dpi" in shown
    page = reproduced.root / "dvc_plots/index.html"
    for command in "show", "diff":
        reproduced.run("dvc", "plots", command)
        for plot in "Loss", "Accuracy", "Mistakes", "confusion_matrix.png", "trust.png":
            assert plot in page.read_text()
        page.unlink()
