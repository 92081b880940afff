"""Too large numbers, too little memory, no temporary files, as train and evaluate meet them."""

from pathlib import Path
from typing import Any

import pytest

from stages.backend import archive
from stages.backend.runtime import keras
from stages.common import params
from stages.common.errors import InputError
from stages.prepare.schema import PrepareParams
from stages.train.schema import ModelParams, TrainParams
from tests.builders import DEFAULTS, SHAPE, model_params

SCHEMAS: dict[str, Any] = {"prepare": PrepareParams, "model": ModelParams, "train": TrainParams}


@pytest.mark.parametrize(
    ("section", "key", "value", "most"),
    [
        ("train", "threads", 3_000_000_000, 1024),
        ("train", "threads", 1025, 1024),
        ("train", "epochs", 10**30, 1_000_000),
        ("train", "batch_size", 2**31, 1_000_000),
        ("model", "dense_units", 100_000_000, 1_000_000),
        ("model", "filters", [2**63], 1_000_000),
        ("prepare", "image_size", [64, 100_000], 10_000),
    ],
)
def test_numbers_that_nothing_can_hold_are_refused(
    section: str, key: str, value: Any, most: int
) -> None:
    with pytest.raises(InputError) as raised:
        params.check(section, DEFAULTS[section] | {key: value}, SCHEMAS[section])
    message = str(raised.value)
    assert message.startswith(f"params.yaml: {section}.{key}")
    assert message.endswith(f"; input should be less than or equal to {most}")


def build() -> keras.Model:
    from stages.train import model

    return model.build(model_params(filters=[2]), SHAPE, classes=10)


def test_a_folder_for_temporary_files_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "missing"
    monkeypatch.setattr("tempfile.tempdir", str(missing))
    with pytest.raises(OSError, match=f"cannot be written: .*No such file.*{missing}") as raised:
        archive.save(build(), tmp_path / "model.keras")
    assert raised.value.filename == str(tmp_path / "model.keras")
    assert not [*tmp_path.iterdir()]


def test_a_lack_of_memory_is_no_fault_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate")

    archive.save(build(), tmp_path / "model.keras")
    monkeypatch.setattr(keras.models, "load_model", refuse)
    with pytest.raises(MemoryError):
        archive.load(tmp_path / "model.keras")
