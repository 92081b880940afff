"""Each row of the images has the name of its picture."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.common import paths
from tests.builders import run, write_params
from tests.files import set_parameter

LAYOUTS = {
    "held out": ["{0}/{1}.png", "{0}/one/{1}.png", "{0}/one/two/{1}.png"],
    "parts": ["train/{0}/{1}.png", "train/{0}/one/{1}.png", "test/{0}/{1}.png"],
    "a validation part": ["train/{0}/{1}.png", "val/{0}/one/{1}.png", "test/{0}/{1}.png"],
    "validation alone": ["train/{0}/{1}.png", "train/{0}/one/{1}.png", "valid/{0}/{1}.png"],
    "other letters": ["{0}/ü {1}.png", '{0}/"{1}".png', "{0}/\n{1}.png"],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_file_of_a_row_has_the_pixels_of_that_row(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path)
    set_parameter(paths.PARAMS, "prepare.dataset", "ours")
    names = [name.format(kind, i) for name in LAYOUTS[layout] for kind in "ab" for i in range(5)]
    for name in names:
        path = paths.RAW / "ours" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((6, 5), 90).save(path)
    run("prepare")
    files = json.loads(paths.FILES.read_text(encoding="utf-8"))
    assert sorted(files["train"] + files["test"]) == sorted(names)
    for part, array in ("train", paths.X_TRAIN), ("test", paths.X_TEST):
        rows = np.rint(np.load(array)[..., 0] * 255)
        for row, name in zip(rows, files[part], strict=True):
            np.testing.assert_array_equal(row, Image.open(paths.RAW / "ours" / name))


def test_images_of_idx_files_have_no_names(prepared: Path) -> None:
    assert json.loads(paths.FILES.read_text()) == {"train": [], "test": []}
