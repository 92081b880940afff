"""Rebuilding HEAD: what is identical, what is close enough, and what differs."""

import platform
from pathlib import Path

import pytest
import yaml

from stages.common.errors import InputError
from tests.builders import ROOT
from tests.project import Project, environment
from tools.compare import Results
from tools.rebuild import report

# A pipeline of one stage, which in the environment NOISE computes something else.
STAGE = """
import json, os, pathlib
noise = float(os.environ.get("NOISE", 0))
images = pathlib.Path("data/raw/images").read_text()
metrics = {
    "validation": {"accuracy": 0.99},
    "test": {"accuracy": 0.99 - noise, "loss": 0.03, "images": 1},
}
for path, content in {
    "data/prepared/x_test.npy": images,
    "data/prepared/y_test.npy": images,
    "models/model.keras": f"{images} {noise}",
    "reports/metrics.json": json.dumps(metrics),
    "reports/mistakes.csv": "index,actual,predicted",
}.items():
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(content)
"""
PIPELINE = {
    "cmd": "python stage.py",
    "deps": ["stage.py", "data/raw/images"],
    "params": ["train"],
    "outs": ["data/prepared/x_test.npy", "data/prepared/y_test.npy", "models/model.keras"],
    "metrics": [{"reports/metrics.json": {"cache": False}}],
    "plots": [{"reports/mistakes.csv": {"cache": False}}],
}
CONFIG = """
[core]
    remote = storage
[cache]
    dir = ../../shared-cache
['remote "storage"']
    url = ~/storage
"""


@pytest.fixture
def repository(tmp_path: Path) -> Project:
    """A repository whose raw data DVC tracks, and whose cache and remote have every output."""
    root = tmp_path / "repository"
    (root / "data/raw").mkdir(parents=True)
    (root / "data/raw/images").write_text("the images")
    (root / "stage.py").write_text(STAGE)
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": PIPELINE}}))
    (root / "params.yaml").write_text("train:\n  precision: float32\n")
    project = Project(root, environment(tmp_path) | {"PYTHONPATH": str(ROOT)})
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text(CONFIG)
    (root / ".dvc/.gitignore").write_text("/config.local\n/tmp\n")
    project.run("git", "init", "--quiet")
    project.run("dvc", "add", "--quiet", "data/raw/images")
    project.repro()
    project.run("dvc", "push", "--quiet")
    project.commit()
    return project


def rebuild(project: Project, **env: str) -> tuple[int, str, str]:
    """Return the exit code of a rebuild, and what it wrote to stdout and to stderr."""
    project.env |= env
    done = project.run("python", "-m", "tools.rebuild", check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_the_same_bytes_are_identical_although_no_cache_was_used(repository: Project) -> None:
    (repository.root / "params.yaml").write_text("train: not committed\n")
    code, printed, _ = rebuild(repository)
    assert code == 0
    assert platform.platform() in printed.splitlines()[0]
    assert printed.splitlines()[0].endswith(f"Python {platform.python_version()}")
    assert "Running stage 'train'" in printed
    assert printed.splitlines()[-1].startswith("identical: all 5 outputs ")


@pytest.mark.slow
def test_outputs_that_differ_are_named_with_the_metrics_of_both_sides(repository: Project) -> None:
    code, _, said = rebuild(repository, NOISE="0.001")
    assert code == 1
    assert "different from dvc.lock: models/model.keras, reports/metrics.json\n" in said
    metrics = [line.split() for line in said.splitlines()[-5:]]
    assert metrics[0] == ["committed", "rebuilt"]
    assert metrics[2] == ["test.accuracy", "0.99", "0.989"]


@pytest.mark.slow
def test_a_lock_of_other_bytes_is_noticed(repository: Project) -> None:
    path = repository.root / "dvc.lock"
    md5 = repository.outputs()["models/model.keras"]
    path.write_text(path.read_text().replace(md5, "f" * 32))
    repository.commit()
    code, _, said = rebuild(repository)
    assert code == 1
    assert "different from dvc.lock: models/model.keras\n" in said


@pytest.mark.slow
def test_a_pipeline_that_fails_is_said_in_one_line(repository: Project) -> None:
    (repository.root / "stage.py").write_text("raise SystemExit('broken')")
    repository.commit()
    code, _, said = rebuild(repository)
    assert code == 1
    command = "dvc repro --pull --no-run-cache"
    assert said.splitlines()[-1] == f"rebuild: {command} failed in a clone of HEAD"


@pytest.mark.slow
def test_the_real_pipeline_is_rebuilt_identically(reproduced: Project) -> None:
    reproduced.env["PYTHONPATH"] = str(ROOT)
    code, printed, _ = rebuild(reproduced)
    assert code == 0
    n = len(reproduced.outputs())
    assert f"identical: all {n} outputs have the md5 that dvc.lock says\n" in printed


@pytest.mark.parametrize(
    ("precision", "accuracy", "loss", "passes"),
    [
        ("mixed_bfloat16", 0.9871, 0.0399, True),
        ("mixed_bfloat16", 0.9929, 0.0201, True),
        ("mixed_bfloat16", 0.9869, 0.03, False),
        ("mixed_bfloat16", 0.99, 0.0401, False),
        ("float32", 0.99, 0.03, False),
    ],
)
def test_only_where_bytes_are_not_portable_do_close_metrics_pass(
    precision: str, accuracy: float, loss: float, passes: bool
) -> None:
    def results(md5: str, **metrics: float) -> Results:
        outputs = {"models/model.keras": md5, "same": "c"}
        named = {f"test.{name}": value for name, value in metrics.items()}
        return Results({}, 1, set(), [], outputs, named)

    committed = results("a", accuracy=0.99, loss=0.03)
    rebuilt = results("b", accuracy=accuracy, loss=loss)
    if passes:
        said = report(committed, rebuilt, precision)
        assert "within the tolerance" in said
    else:
        with pytest.raises(InputError) as error:
            report(committed, rebuilt, precision)
        said = str(error.value)
    assert said.startswith("different from dvc.lock: models/model.keras\n")
    assert str(accuracy) in said
