"""How sure is a share that was counted?"""

import math

Z = 1.959963984540054  # 95 % of a normal distribution lie within as many standard deviations


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of the probability of which `successes` of `n` are a sample.

    Wilson (1927), Probable inference, the law of succession, and statistical inference. Of
    nothing (`n` 0) nothing is known: (0, 1).
    """
    if not n:
        return 0.0, 1.0
    centre = (successes + Z**2 / 2) / (n + Z**2)
    half = Z / (n + Z**2) * math.sqrt(successes * (n - successes) / n + Z**2 / 4)
    return max(0.0, centre - half), min(1.0, centre + half)
