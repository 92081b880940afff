"""The experiments that README and docs show print what stands there, and judge as they say."""

import shlex
import sys
from pathlib import Path

import pytest

from tests.pages import section, transcript
from tests.project import Project


@pytest.mark.weekly
@pytest.mark.committed
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("page", "heading"),
    [
        ("README.md", "Change something"),
        ("docs/better.md", "Another seed"),
        ("docs/better.md", "The accurate recipe"),
    ],
)
def test_an_experiment_prints_what_the_page_shows(page: str, heading: str, clone: Project) -> None:
    # make would install an environment: the commands are to come from the one of the tests.
    make = "make", "-o", "setup", f"BIN={Path(sys.executable).parent}"
    commands = transcript(section(page, heading))
    assert any(commands.values())
    for command, shown in commands.items():
        first, *rest = shlex.split(command)
        ended = clone.run(*(make if first == "make" else [first]), *rest)
        if shown:
            assert (ended.stdout + ended.stderr).strip() == shown, command
