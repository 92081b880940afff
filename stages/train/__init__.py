"""The stage train: importing it ends the program unless the locked packages are installed."""

from stages.common.environment import require_locked

require_locked()
