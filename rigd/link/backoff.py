"""How long to wait before the next try: ever longer, and never in step with others."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

GROWTH = 2.0
LEAST_SHARE = 0.5
"""Of each delay, at least this much is waited; the rest is chance, so that fifty rigs do not come back in one second."""


class Backoff:
    """Delays between tries.

    Args:
        least_s: about how long the first one is.
        most_s: the longest.
        chance: a number from 0 to 1, anew at each call.
    """

    def __init__(self, least_s: float, most_s: float, chance: Callable[[], float] = random.random) -> None:
        self._least_s = min(least_s, most_s)
        self._most_s = most_s
        self._chance = chance
        self._next_s = self._least_s

    def next_s(self, most_s: float = math.inf) -> float:
        """The delay before the next try, this time of at most `most_s`."""
        delay_s = min(self._next_s, most_s)
        self._next_s = min(self._most_s, delay_s * GROWTH)
        return self._jittered(delay_s)

    def longest_s(self) -> float:
        """The delay where a try soon after would end in the same way."""
        return self._jittered(self._most_s)

    def reset(self) -> None:
        """It worked: the next delay is a short one."""
        self._next_s = self._least_s

    def _jittered(self, delay_s: float) -> float:
        return delay_s * (LEAST_SHARE + (1 - LEAST_SHARE) * self._chance())
