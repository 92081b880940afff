from pathlib import Path

import pytest

from tests.unit.sweep.origin import Origin


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Origin:
    """A Git remote, of which the current folder is a clone."""
    created = Origin(tmp_path)
    monkeypatch.chdir(created.clone)
    return created
