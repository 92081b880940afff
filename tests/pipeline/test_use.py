"""What docs/use.md promises of the exported files."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from stages.common.paths import MODEL, TFLITE, TRY
from tests.builders import ROOT
from tests.pages import blocks
from tests.project import Project


def test_its_programs_run_and_print_a_digit(exported_once: Path, tmp_path: Path) -> None:
    """All but those that need further packages."""
    for path in exported_once / MODEL, exported_once / TFLITE, ROOT / "docs/five.png":
        shutil.copy(path, tmp_path)
    page = (ROOT / "docs/use.md").read_text(encoding="utf-8")
    programs = [text for text in blocks(page) if "print(" in text and "$" not in text]
    assert len(programs) == 3
    for program in programs:
        command = [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{program}",
        ]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert re.match(r"\d\b", done.stdout), done.stderr


def test_the_md5_in_a_file_that_somebody_sent_finds_its_commit(reproduced_once: Project) -> None:
    with zipfile.ZipFile(reproduced_once.root / TFLITE) as content:
        about = content.read("about.json").decode()
    md5 = reproduced_once.outputs()[str(MODEL)]
    assert md5 in about
    assert f"Made from {MODEL} with the md5 {md5}." in (reproduced_once.root / TRY).read_text()
    log = "git", "log", "--all", "--format=%s", "-S", md5, "--", "dvc.lock"
    assert reproduced_once.run(*log).stdout.split() == ["Results"]
