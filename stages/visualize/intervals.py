"""How far a measured proportion may be from the true one."""

from math import sqrt

Z = 1.959963984540054  # 95% of the normal distribution lies within so many standard deviations


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of the proportion `successes` / `n`; (0, 1) if `n` is 0."""
    centre = successes + Z**2 / 2
    half = Z * sqrt(successes * (n - successes) / max(n, 1) + Z**2 / 4)
    return max(0.0, (centre - half) / (n + Z**2)), min(1.0, (centre + half) / (n + Z**2))
