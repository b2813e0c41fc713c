"""How long a stack still takes: by its plan at first, then by its own pace. Pure arithmetic.

A frame counts when it is accepted, so a picture that is taken again makes the pace slower and nothing else. A pause stands outside
of time: it is neither part of the pace nor of the time left.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from drivers.base import CameraCapabilities
from rigd.machine.state import EndAction, Stack
from rigd.plan.costs import stall_s
from rigd.planning import RailForecast


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a stack should take, before anything was measured. Seconds."""

    lead_in_s: float
    """Until the rail comes to the first frame."""
    cycle_s: float
    """From frame to frame."""
    ending_s: float
    """The end action."""


def forecast(
    stack: Stack, position: int | None, settle_s: float, rail: RailForecast, camera: CameraCapabilities
) -> Forecast:
    """The forecast of a stack whose rail stands at `position` (microsteps), as its plan would have it."""
    plan = stack.plan
    first, last = plan.positions[0], plan.positions[-1]
    step_s = rail.move_time_s(round((last - first) / max(1, plan.frames - 1)))
    waiting_s = stall_s(step_s + settle_s, camera.overhead_s, camera.transfer_s, camera.recycle_s)
    cycle_s = step_s + settle_s + camera.overhead_s + camera.exposure_s + waiting_s
    start = stack.order[0] if stack.order else 0
    approach = plan.positions[start] - plan.direction * plan.overshoot
    lead_in_s = rail.move_time_s(approach - (approach if position is None else position))
    lead_in_s += rail.move_time_s(plan.overshoot) - step_s
    if stack.compare is not None:
        lead_in_s += cycle_s
    end = {EndAction.PARK: stack.park, EndAction.RETURN: first}.get(stack.end, last)
    return Forecast(lead_in_s, cycle_s, rail.move_time_s(end - last) if end != last else 0.0)


class Pace:
    """The pace of one stack.

    Args:
        expected: used until two frames came in a row.
        now_s: when it begins, monotonic, as all times here.
    """

    def __init__(self, expected: Forecast, now_s: float) -> None:
        self._expected = expected
        self._since_s = now_s
        self._lead_in_s = expected.lead_in_s
        self._last_s: float | None = None
        self._paused_s: float | None = None
        self._spent_s = 0.0
        self._cycles = 0

    @property
    def cycle_s(self) -> float:
        """From frame to frame: the mean of this stack, as forecast while there is none."""
        return self._spent_s / self._cycles if self._cycles else self._expected.cycle_s

    def accepted(self, now_s: float) -> None:
        """One frame more."""
        self._lead_in_s = 0.0
        if self._paused_s is not None:
            return  # taken before the pause; only its verdict came now
        if self._last_s is not None:
            self._spent_s += now_s - self._last_s
            self._cycles += 1
        self._last_s = self._since_s = now_s

    def pause(self, now_s: float) -> None:
        """It stands."""
        self._paused_s = now_s
        self._last_s = None

    def resume(self, now_s: float) -> None:
        """It goes on. The frame that was under way begins anew."""
        self._paused_s = None
        self._since_s = now_s

    def left_s(self, frames: int, now_s: float) -> float:
        """Time left with so many frames still to be accepted. A frame that takes longer than it should holds it, at what follows."""
        rest_s = max(0, frames - 1) * self.cycle_s + self._expected.ending_s
        if frames <= 0:
            return max(0.0, self._expected.ending_s - (now_s - self._since_s))
        whole_s = rest_s + self.cycle_s + self._lead_in_s
        elapsed_s = (now_s if self._paused_s is None else self._paused_s) - self._since_s
        return max(whole_s - elapsed_s, rest_s)


@dataclass(slots=True)
class Underway:
    """A session from its opening to its closing."""

    id: str
    name: str
    path: Path
    frames: int
    """How many it will have."""
    done: int
    """How many it has."""
    pace: Pace | None = None

    def eta_s(self, now_s: float) -> float | None:
        """Time left, to a tenth of a second."""
        return None if self.pace is None else round(self.pace.left_s(self.frames - self.done, now_s), 1)
