"""Damaged checkpoints, and the environment around prepare changed at random: as in test_fuzz."""

import io
import os
import random
import resource
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.common import paths
from stages.prepare import __main__ as prepare
from stages.train import checkpoint
from stages.train.fitting import compile_model
from stages.train.model import build
from tests.builders import SHAPE, model_params, train_params
from tests.files import set_parameter
from tests.unit.test_fuzz import ROUNDS, damage, ending


def test_a_checkpoint_damaged_at_random_is_whole_or_none(
    prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = build(model_params(filters=[2]), SHAPE, 10)
    compile_model(model, train_params(), 10)
    model.optimizer.build(model.trainable_variables)
    path = checkpoint.path_for("fuzz")
    checkpoint.save(path, model, [{"loss": 0.5}])
    good, weights = path.read_bytes(), model.get_weights()
    ended = Counter[str]()
    for i in range(ROUNDS):
        path.write_bytes(damage(good, random.Random(i)))  # noqa: S311
        whole = path.read_bytes() == good
        history, best = checkpoint.restore(path, model)
        said = capsys.readouterr().err
        assert (history, best) == ([{"loss": 0.5}] if whole else [], []), i
        assert ("" if whole else f"{path}: damaged; kept as") in said, i
        for now, before in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(now, before)
        ended[said] += 1
    assert len(ended) == 2, "some rounds change nothing"


@contextmanager
def surrounded(chance: random.Random, folder: Path) -> Iterator[str]:
    """Change something around this process, and back: return what."""
    umask, temporary, limits = os.umask(0), tempfile.tempdir, resource.getrlimit(FILE_SIZE)
    os.umask(umask)
    kind = chance.choice(["umask", "TMPDIR", "full disk"])
    match kind:
        case "umask":
            os.umask(chance.choice([0, 0o77, 0o277, 0o777, chance.randrange(0o1000)]))
        case "TMPDIR":
            (folder / "file").touch()
            places = "missing", "file", "file/below", "", ".", "x" * 300, "\udce4", "a\rb\nc"
            tempfile.tempdir = str(folder / chance.choice(places))
        case "full disk":
            size = int(10 ** chance.uniform(0, 6))
            resource.setrlimit(FILE_SIZE, (size, limits[1]))
    try:
        yield kind
    finally:
        os.umask(umask)
        tempfile.tempdir = temporary
        resource.setrlimit(FILE_SIZE, limits)


FILE_SIZE = resource.RLIMIT_FSIZE
ARRAYS = paths.X_TRAIN, paths.Y_TRAIN, paths.X_TEST, paths.Y_TEST


@pytest.mark.parametrize("dataset", ["mnist", "ours"])
def test_a_system_changed_at_random_gives_the_same_arrays_or_one_line(
    dataset: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    set_parameter(paths.PARAMS, "prepare.dataset", dataset)
    for i in range(20):
        path = paths.RAW / f"ours/{'ab'[i % 2]}/{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((9, 7), 50).save(path)
    prepare.main()
    good = [path.read_bytes() for path in ARRAYS]
    ended = Counter[tuple[str, bool]]()
    for i in range(ROUNDS // 2):
        # What a stage prints would meet the limit of files' sizes in the file that pytest keeps.
        with (
            redirect_stdout(io.StringIO()),
            surrounded(random.Random(i), tmp_path) as kind,  # noqa: S311
        ):
            line = ending(i, "prepare", prepare.main)
        done = line == "prepare: done"
        ended[kind, done] += 1
        if done:
            for path in ARRAYS:
                path.chmod(0o644)
            assert [path.read_bytes() for path in ARRAYS] == good, (i, kind)
        else:
            assert not line.startswith("prepare: system"), (i, kind, line)
        for folder in paths.X_TRAIN.parent, paths.X_TRAIN.parent.parent:
            folder.chmod(0o755)
    prepare.main()
    assert [path.read_bytes() for path in ARRAYS] == good
    assert {("umask", True), ("TMPDIR", True), ("full disk", False)} <= ended.keys()
