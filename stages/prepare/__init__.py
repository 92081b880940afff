"""The stage prepare: importing it ends the program unless the locked packages are installed."""

import os

from stages.common.environment import require_locked

require_locked()
# NumPy reads it when it is imported. On a busy machine, threads that wait for each other made the
# product in copies.py take four times the CPU time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
