"""What README and docs show as code, so that tests do what a reader does."""

import re
import shlex
import textwrap

from tests.builders import ROOT
from tests.project import Project


def section(page: str, heading: str) -> str:
    """Return what stands below a heading of a page, up to the next heading."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.M | re.S)
    assert found, heading
    return found[1]


def blocks(text: str) -> list[str]:
    """Return the indented blocks of a text, without their indentation."""
    return [textwrap.dedent(b) for b in re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.M)]


def transcript(text: str) -> dict[str, str]:
    """Return what the commands that a text shows after `$` print there."""
    shown = (re.split(r"^\$ ", block, flags=re.M)[1:] for block in blocks(text))
    return {
        command: output.strip()
        for parts in shown
        for command, _, output in (part.partition("\n") for part in parts)
    }


def follow(
    project: Project, page: str, heading: str, block: int, words: dict[str, str] | None = None
) -> str:
    """Run the commands of one of a section's blocks, and return what they print.

    `words` has the reader's own for those of the page, such as that of a branch for NAME.
    """
    text = blocks(section(page, heading))[block]
    for word, own in (words or {}).items():
        assert word in text
        text = text.replace(word, own)
    commands = re.split(r" && |\n", text.strip())
    split = (shlex.split(command, comments=True) for command in commands)
    return "".join(project.run(*command).stdout for command in split)
