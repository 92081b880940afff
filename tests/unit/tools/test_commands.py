"""How git's and DVC's commands fail, and what of a damaged dvc.lock is said."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import RunMain
from tests.project import Project
from tools import commands, compare, verify
from tools.results import parse


def test_a_reason_that_is_not_utf8_is_escaped() -> None:
    program = r"import os; os.write(2, b'fatal: caf\xe9\n'); os._exit(1)"
    with pytest.raises(ChildProcessError, match=r"^fatal: caf\\xe9$"):
        commands.call(sys.executable, "-c", program)


def test_where_dvc_asks_for_help_is_no_reason() -> None:
    said = "ERROR: unexpected error - uid not found: 7\n\nHaving any troubles? Hit us up at x"
    with pytest.raises(ChildProcessError, match=r"^ERROR: unexpected error - uid not found: 7$"):
        commands.call(sys.executable, "-c", f"import sys; sys.exit({said!r})")


def test_names_that_are_not_utf8_come_through() -> None:
    program = r"import os; os.write(1, b'caf\xe9\n')"
    assert commands.call(sys.executable, "-c", program) == "caf\udce9"


@pytest.mark.parametrize("lock", ["", "[]", "stages", "seed: 1"])
def test_a_lock_without_stages_is_called_so(lock: str) -> None:
    with pytest.raises(ValueError, match=r"^dvc\.lock has no stages$"):
        parse("HEAD", "{}", lock)


def test_a_damaged_lock_ends_in_one_line(
    stub: Project, enter: Callable[[Project], None], run_main: RunMain
) -> None:
    enter(stub)
    path = Path("dvc.lock")
    good = path.read_text()
    for text, said in (f"{good}]\n", "structure is corrupted"), ("", "validation failed"):
        path.write_text(text)
        code, line = run_main(verify.main)
        assert (code, line.count("\n")) == (1, 1), line
        assert line.startswith("verify: ")
        assert said in line
        code, line = run_main(compare.main, ["HEAD"])
        assert (code, line.count("\n")) == (1, 1), line
        assert line.startswith("compare: workspace has no results (")
