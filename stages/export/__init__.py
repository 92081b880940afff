from stages.common.environment import require_locked

require_locked("export")
