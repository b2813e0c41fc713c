"""What can be said of the pulses that were sent: for a bench that measures them, and for whoever wonders about a busy machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class Statistics:
    """Since the rail was opened."""

    pulses: int = 0
    """Sent."""
    waves: int = 0
    """Handed over."""
    motions: int = 0
    """Begun."""
    underruns: int = 0
    """How often the queue ran dry in the middle of a motion."""
    worst_late_s: float = 0.0
    """By how much lgpio was late at least, at worst: what it did between two looks is not seen."""
    worst_feed_s: float = 0.0
    """Longest time between two looks at the queue in a motion."""
    worst_start_s: float = 0.0
    """Longest time from wanting pulses to lgpio beginning with them."""
    glitches: int = 0
    """Edges of a switch that was not pressed when it was looked at: noise."""
    kept_bytes: int = 0
    """Memory that lgpio keeps of pulses sent, about: it frees it only when the process ends."""


@dataclass(frozen=True, slots=True)
class Trace:
    """When the pulses of the last stretch without a gap should have gone out, to compare with what a loop-back pin saw."""

    rises_s: NDArray[np.float64]
    """(pulses,) on the injected clock."""
    uncertain_s: float
    """All of them may have been so much earlier together."""
