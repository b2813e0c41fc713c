"""What is known of the ringing of a rig, from its config and its calibration."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

from drivers.base import Shaping
from rigd.calibration.records import Calibration, RingDown
from rigd.config.model import RigConfig
from rigd.settling import Ring

GUESS_CONFIDENCE = 0.95
"""`settle.frequency_error` and `damping_error` are meant to hold for so much of what may be."""
SAME_HZ = 0.02
"""Frequencies that differ by less than this share are one."""
LEAST_ERROR = 0.002
"""A frequency is never trusted better than this share: masses move with the rail, and clamps warm up."""


@dataclass(frozen=True, slots=True)
class Known:
    """The ringing of a rig."""

    ring: Ring
    guessed: bool
    """It comes from the config and not from a measurement."""
    source: str
    """In words."""
    px_um: float | None
    """Micrometres on the subject that a pixel of a still sees; None: not known."""
    coupling: float
    """Shift of the image for each micrometre of ringing along the rail, where it was not measured."""
    ring_down: RingDown | None = None
    """The newest measurement with this objective."""
    unshaped: RingDown | None = None
    """The newest one of the same frequency whose moves were plain trapezoids: what the swing of any other shape is computed from."""
    all_measured: tuple[RingDown, ...] = ()
    """Every one of this objective and frequency, newest first: one for each shape of moves at least, where they were taken."""
    second: tuple[Ring, float] | None = None
    """A second way of ringing, and its amplitude as a share of the first one's."""

    def measured_with(self, shaping: Shaping) -> RingDown | None:
        """The newest measurement that was taken with moves of this shape."""
        return next((one for one in self.all_measured if _same_shape(one, shaping)), None)


@dataclass(frozen=True, slots=True)
class Note:
    """Something that stands in the way of knowing more, for whoever operates the rig."""

    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.message}: {self.fix}"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known, and what stands in the way of knowing more."""

    known: Known | None
    notes: tuple[Note, ...] = ()


def knowledge(config: RigConfig, calibration: Calibration, camera_width_px: int) -> Knowledge:
    """Put together config and calibration. A measurement counts more than the config's guess, unless `settle.mode` is `model` and says a frequency."""
    settle, objective = config.settle, config.optics.objective
    px_um = config.optics.object_px_um(camera_width_px) or config.finish.um_per_px
    found = calibration.ring_down() if objective is None else calibration.ring_down(objective)
    notes: list[Note] = []
    if found is None and settle.mode == "measured":
        others = sorted({one.objective for one in calibration.ring_downs})
        what = f"with the objective '{objective}', only with {', '.join(others)}" if others else "yet"
        message = (
            f"settle.mode is measured, and nothing has been measured {what}; frames settle for settle.fixed_s"
        )
        notes.append(Note(message, "run `rigd calibrate settle`"))
    if settle.frequency_hz is not None and (found is None or settle.mode == "model"):
        return Knowledge(_guess(config, px_um), tuple(notes))
    if found is None:
        return Knowledge(None, tuple(notes))
    if found.damping <= 0:
        message = f"the ring-down of {found.measured} has no damping and is not used"
        notes.append(Note(message, "run `rigd calibrate settle`"))
        return Knowledge(None, tuple(notes))
    known = _measured(calibration, found, px_um or found.px_um or None, settle.coupling)
    if known.px_um is None and settle.mode != "fixed":
        message = "how much of the subject a pixel sees is not known; frames settle for settle.fixed_s"
        notes.append(Note(message, "give optics.magnification and sensor_width_mm"))
    return Knowledge(known, tuple(notes))


def _guess(config: RigConfig, px_um: float | None) -> Known:
    settle = config.settle
    assert settle.frequency_hz is not None
    sigmas = NormalDist().inv_cdf(GUESS_CONFIDENCE)
    ring = Ring(
        settle.frequency_hz,
        settle.damping,
        frequency_error_hz=settle.frequency_error * settle.frequency_hz / sigmas,
        damping_error=settle.damping_error * settle.damping / sigmas,
    )
    return Known(ring, True, "settle.frequency_hz", px_um, settle.coupling)


def _measured(calibration: Calibration, found: RingDown, px_um: float | None, coupling: float) -> Known:
    alike = tuple(
        one
        for one in reversed(calibration.ring_downs)
        if one.objective == found.objective
        and abs(one.frequency_hz - found.frequency_hz) <= SAME_HZ * found.frequency_hz
    )
    ring = Ring(
        found.frequency_hz,
        found.damping,
        frequency_error_hz=max(found.frequency_error_hz, LEAST_ERROR * found.frequency_hz),
        damping_error=found.damping_error,
    )
    second = None
    if found.second is not None and found.second.damping > 0:
        other = found.second
        second = (
            Ring(other.frequency_hz, other.damping, other.frequency_error_hz, other.damping_error),
            other.share,
        )
    return Known(
        ring,
        guessed=False,
        source=f"measured {found.measured[:10]} with {found.objective or 'the lens'} by {found.source}",
        px_um=px_um,
        coupling=coupling,
        ring_down=found,
        unshaped=next((one for one in alike if one.shaping in {"", "trapezoid"}), None),
        all_measured=alike,
        second=second,
    )


def _same_shape(found: RingDown, shaping: Shaping) -> bool:
    if (found.shaping or "trapezoid") != shaping.kind:
        return False
    if shaping.kind == "trapezoid":
        return True
    return abs(found.shaping_hz - shaping.frequency_hz) <= SAME_HZ * shaping.frequency_hz
