"""Fixture: processes that decode pictures beside TensorFlow."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import pytest

from stages.prepare import parallel


@pytest.fixture(autouse=True)
def processes_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start prepare's processes from one that never had TensorFlow.

    In this process, tests of other stages may have run TensorFlow, whose threads a fork doesn't
    have: what they held stays locked, and a process now and then crashes. prepare never imports it.
    """
    pool = partial(ProcessPoolExecutor, mp_context=get_context("forkserver"))
    monkeypatch.setattr(parallel, "ProcessPoolExecutor", pool)
