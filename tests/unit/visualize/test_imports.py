"""What visualize imports decides how long it takes."""

import subprocess
import sys

from tests.builders import ROOT


def test_it_imports_neither_tensorflow_nor_scipy() -> None:
    """Also where SciPy is installed, as it is here: seaborn would import it, and take a second."""
    program = (
        "import sys, stages.visualize.__main__\n"
        "print({'keras', 'scipy', 'tensorflow'} & {name.split('.')[0] for name in sys.modules})"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
