"""Errors end a program in one line; see test_bad_input for what the line says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stages.common.errors import in_one_line


def test_a_closed_stdout_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as `>&-` in a shell makes it
    with in_one_line("train"):
        print("done")


def test_an_interrupt_is_told_and_has_the_exit_code_that_shells_give_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped, in_one_line("train"):
        raise KeyboardInterrupt
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "train: interrupted\n"


def test_an_error_of_the_system_is_named_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped, in_one_line("train"):
        (tmp_path / "missing").read_text()
    assert stopped.value.code == f"train: {tmp_path / 'missing'}: No such file or directory"


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_who_leaves_ends_a_program_silently(lines: int) -> None:
    program = (
        "from stages.common.errors import in_one_line\n"
        "with in_one_line('x'):\n"
        f"    for i in range({lines}): print(i)"
    )
    reader, writer = os.pipe()
    os.close(reader)  # as `| head` does, sooner or later
    done = subprocess.run([sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_what_a_terminal_cannot_show_is_printed_as_its_code() -> None:
    program = (
        "from stages.common.errors import InputError, in_one_line\n"
        "with in_one_line('x'):\n"
        "    print('é')\n"
        "    raise InputError('ü')"
    )
    env = os.environ | {"PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (1, "\\xe9\n", "x: \\xfc\n")
