"""The acceleration that leaves little ringing, for rails whose controller times the steps itself and cannot shape a move.

A ramp of constant acceleration that lasts a whole number of ringing periods ends without ringing: what its start sets off, its
end takes back. A trapezoid that reaches its speed has ramps of v/a; one that does not, a triangle, has ramps of √(L/a).
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers.base import Shaping
from rigd.settling import Ring
from rigd.vibration.amplitude import Drive, ringing_um

MOST_PERIODS = 6
"""Longer ramps cost more time than they can save."""
WORTH = 0.5
"""An acceleration is worth changing when it leaves less than this share of the present ringing."""
OFF = 0.05
"""Frequency error at which an advice is judged, for it must hold when the rig is not quite as measured."""


@dataclass(frozen=True, slots=True)
class Advice:
    """An acceleration for steps of one length."""

    step_um: float
    frequency_hz: float
    present_um_per_s2: float
    advised_um_per_s2: float
    periods: int
    """Ringing periods that each ramp then lasts."""
    present_um: float
    """Ringing along the rail after such a step now, at worst within 5 % of the frequency."""
    advised_um: float
    """The same with the advised acceleration."""

    @property
    def text(self) -> str:
        """In words, with the figures."""
        ramp_ms = 1e3 * self.periods / self.frequency_hz
        lasts = "one ringing period" if self.periods == 1 else f"{self.periods} ringing periods"
        return (
            f"with an acceleration of {self.advised_um_per_s2 / 1000:.4g} mm/s² instead of "
            f"{self.present_um_per_s2 / 1000:.4g} ($120 to $122 of a Grbl controller) each ramp of a {self.step_um:.4g} um step "
            f"lasts {ramp_ms:.0f} ms, {lasts} at {self.frequency_hz:.4g} Hz, and ends without ringing: {self.advised_um:.2g} um "
            f"instead of {self.present_um:.2g} um are left, with the frequency up to {OFF:.0%} off"
        )


def advise(ring: Ring, drive: Drive, step_um: float) -> Advice | None:
    """The highest acceleration up to the present one with which steps of this length leave little ringing; None where none is worth it."""
    present = _left_um(ring, drive, step_um)
    for periods in range(1, MOST_PERIODS + 1):
        acceleration = _with_ramps_of(periods / ring.frequency_hz, drive.speed_um_per_s, step_um)
        if acceleration > drive.acceleration_um_per_s2 * (1 + 1e-9):
            continue
        advised = _left_um(ring, Drive(drive.speed_um_per_s, acceleration), step_um)
        if advised > WORTH * present:
            return None
        return Advice(
            step_um=step_um,
            frequency_hz=ring.frequency_hz,
            present_um_per_s2=drive.acceleration_um_per_s2,
            advised_um_per_s2=acceleration,
            periods=periods,
            present_um=present,
            advised_um=advised,
        )
    return None


def _with_ramps_of(ramp_s: float, speed_um_per_s: float, step_um: float) -> float:
    """The acceleration whose ramps last so long: with the speed where the step is long enough to reach it, else by a triangle."""
    by_speed = speed_um_per_s / ramp_s
    return by_speed if step_um >= speed_um_per_s * ramp_s else step_um / ramp_s**2


def _left_um(ring: Ring, drive: Drive, step_um: float) -> float:
    shape = Shaping("trapezoid")
    return max(
        ringing_um(ring.frequency_hz * (1 + off), ring.damping, shape, drive, step_um)
        for off in (-OFF, 0.0, OFF)
    )
