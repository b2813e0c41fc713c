"""What the rail says of how a motion ended and of what is not as it should be."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from drivers.base import Limit, RailStatus
from drivers.stepdir.statistics import Statistics
from drivers.stepdir.train import End, Ending

KEPT_LIMIT = 256_000_000
"""So many bytes kept by lgpio are worth a word."""


def alarm_of(end: End, met: AbstractSet[Limit]) -> str | None:
    """Why the position is unknown after a leg that ended so; None when it is known.

    Args:
        end: of the leg.
        met: the switches that it ran into.
    """
    if end.ending is Ending.CUT:
        names = " and ".join(sorted(limit.value for limit in met))
        return f"ran into the {names} switch: home the rail"
    if end.ending is Ending.LOST:
        return f"the pulses ran dry at {end.rate_hz:.0f} a second, steps may be lost: home the rail"
    return None


def lost(alarm: str, ended_s: float) -> RailStatus:
    """At rest, nobody knows where."""
    return RailStatus(moving=False, homed=False, position=None, ended_s=ended_s, alarm=alarm)


def warnings(statistics: Statistics) -> tuple[str, ...]:
    """What does not stop it."""
    if statistics.kept_bytes < KEPT_LIMIT:
        return ()
    kept_mb = statistics.kept_bytes // 1_000_000
    return (f"lgpio keeps {kept_mb} MB of pulses that were sent: restart rigd when it is idle",)
