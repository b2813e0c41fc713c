"""The shape of moves: which one leaves the rig still soonest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from drivers.base import ShapeKind, Shaping
from rigd.config.settle import Motion as MotionSection
from rigd.vibration.amplitude import Drive, move_time_s
from rigd.vibration.known import Known

SHAPERS = ("zv", "zvd", "mzv", "ei")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A shape of moves, and why."""

    shaping: Shaping | None
    """None: as the rail's driver has it."""
    why: str


def choose(
    section: MotionSection,
    known: Known | None,
    drive: Drive,
    step_um: float,
    settle_s: Callable[[Shaping], float | None],
) -> Chosen:
    """Choose for steps of one length.

    Args:
        section: what the config asks for.
        known: the ringing; None: nothing.
        drive: what bounds the moves.
        step_um: their length.
        settle_s: the wait after such a step in a given shape; None where that cannot be said.
    """
    if section.shaping == "rail":
        return Chosen(None, "motion.shaping is rail: moves as the rail's driver has them")
    if section.shaping != "auto":
        return _as_told(section.shaping, section.quintic_periods, known)
    if known is None:
        return Chosen(
            None, "how the rig rings is not known, so moves keep the shape that the rail's driver gives them"
        )
    frequency = f"{known.ring.frequency_hz:.4g} Hz is {'guessed' if known.guessed else 'measured'}"
    kind: ShapeKind = "ei" if known.guessed else "zvd"
    shaper = _shaping(kind, section.quintic_periods, known)
    smooth = _shaping("quintic", section.quintic_periods, known)
    waits = {one: settle_s(one) for one in (shaper, smooth)}
    reason = "which forgives an error of 15 %" if kind == "ei" else "which cancels it"
    if any(wait is None for wait in waits.values()):
        return Chosen(shaper, f"{frequency}: {kind.upper()}, {reason}")
    totals = {one: move_time_s(one, drive, step_um) + (wait or 0.0) for one, wait in waits.items()}
    figures = (
        f"{step_um:.4g} um take {totals[shaper]:.3f} s with {kind.upper()} and {totals[smooth]:.3f} s as a quintic of "
        f"{section.quintic_periods:g} periods, settled"
    )
    if totals[smooth] < totals[shaper]:
        return Chosen(smooth, f"{frequency}, and the quintic is quicker: {figures}")
    return Chosen(shaper, f"{frequency}: {kind.upper()}, {reason}; {figures}")


def _as_told(kind: ShapeKind, periods: float, known: Known | None) -> Chosen:
    if known is None and kind in SHAPERS:
        return Chosen(
            None,
            f"motion.shaping is {kind}, and the frequency is not known: run `rigd calibrate settle` or give "
            f"settle.frequency_hz; until then moves as the rail's driver has them",
        )
    return Chosen(_shaping(kind, periods, known), f"motion.shaping is {kind}")


def _shaping(kind: ShapeKind, periods: float, known: Known | None) -> Shaping:
    if kind == "trapezoid" or known is None:
        return Shaping(kind, quintic_periods=periods)
    ring = known.ring
    return Shaping(kind, ring.frequency_hz, min(ring.damping, 0.9), periods)
