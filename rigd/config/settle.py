"""The sections about motion and stillness: the shape of moves, and the wait before each exposure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from drivers.base import NonNegative, Positive
from rigd.config.section import Section


class Motion(Section):
    """The shape of moves, for rails whose driver times each step itself (simulated, `stepdir`)."""

    shaping: Literal["auto", "rail", "trapezoid", "quintic", "zv", "zvd", "mzv", "ei"] = "auto"
    """`auto`: ZVD where the ringing was measured, EI where its frequency is guessed, a quintic where that is quicker, and as
    the rail's driver has it where nothing is known; `rail`: always as the rail's driver has it; or one of them by name."""
    quintic_periods: Annotated[float, Field(ge=0, le=20)] = 3.0
    """A quintic lasts at least so many periods of the ringing."""


class Settle(Section):
    """The wait from end of motion to start of exposure."""

    mode: Literal["fixed", "model", "measured"] = "fixed"
    """`fixed`: always `fixed_s`; `model`: from the length of the move, the frequency and damping given here, exposure and
    allowed blur; `measured`: the same with what `rigd calibrate settle` measured."""
    fixed_s: NonNegative = 0.3
    """The wait of mode `fixed`, and of the others while what they need is not known."""
    blur_px: Annotated[float, Field(gt=0, le=20)] = 0.5
    """Motion blur that a frame may have, in pixels of a still."""
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """Chance that a frame stays below it, given how well the ringing is known."""
    min_s: NonNegative = 0.0
    """A computed wait is at least this long."""
    max_s: Positive = 3.0
    """A computed wait is at most this long."""
    frequency_hz: Annotated[float, Field(ge=0.5, le=500)] | None = None
    """Natural frequency of camera and mount, for mode `model` and for the shape of moves while nothing was measured."""
    frequency_error: Annotated[float, Field(ge=0, le=0.5)] = 0.15
    """How far it may be off, as a share of it."""
    damping: Annotated[float, Field(gt=0, lt=1)] = 0.02
    """Damping ratio, for mode `model`. Aluminium on a column has some 0.02 to 0.05."""
    damping_error: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """How far it may be off, as a share of it."""
    coupling: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Shift of the image, in subject micrometres, for each micrometre by which the camera rings along the rail, for mode `model`."""
    shake_check: bool = True
    """Look for shake in every frame (modes `model` and `measured`); one that shows it is taken again, and later ones wait longer."""
    audit_every: Annotated[int, Field(ge=0)] = 100
    """Among so many frames one is taken twice, once after its settle and once when it is surely still, and the two are compared;
    the third one of a stack is too. 0: none."""
