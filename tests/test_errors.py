"""Errors end a program in one line; see test_bad_input for what the line says."""

import sys

import pytest

from stages.common.errors import in_one_line


def test_a_closed_stdout_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as `>&-` in a shell makes it
    with in_one_line("train"):
        print("done")
