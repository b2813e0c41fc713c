"""A sweep on an open rig: go, settle, look, and on; always from the same side."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rigd.rig import Refused, Rig
from rigd.sweep.curves import Found, energies_of, find_ends

Image = npt.NDArray[np.uint8]
Energies = npt.NDArray[np.float32]

LONGEST_PX = 1024
"""Pictures are reduced to less than twice this before they are measured: a sweep looks for tops, not for detail."""
FEWEST, MOST = 5, 2000
"""Pictures of one sweep."""


@dataclass(frozen=True, slots=True)
class Range:
    """From where to where, and how fine."""

    from_um: float
    to_um: float
    step_um: float

    def positions_um(self) -> list[float]:
        """Evenly from end to end, both included, no farther apart than the step.

        Raises:
            ValueError: it is no range, or would take too few or too many pictures.
        """
        values = (self.from_um, self.to_um, self.step_um)
        if not all(math.isfinite(value) for value in values) or self.step_um <= 0:
            raise ValueError(f"a step of {self.step_um:g} um cannot be: it must be above 0")
        if self.to_um <= self.from_um:
            raise ValueError(f"a sweep goes up: {self.to_um:g} um must be above {self.from_um:g} um")
        count = math.ceil((self.to_um - self.from_um) / self.step_um - 1e-9) + 1
        if not FEWEST <= count <= MOST:
            raise ValueError(
                f"{count} pictures from {self.from_um:g} to {self.to_um:g} um: {FEWEST} to {MOST} are possible, change the step"
            )
        span = self.to_um - self.from_um
        return [self.from_um + span * index / (count - 1) for index in range(count)]


@dataclass(slots=True)
class Sweep:
    """Pictures measured so far."""

    positions_um: list[float] = field(default_factory=list)
    energies: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def found(self) -> Found:
        """What they say. Raises `NothingSharp`, and ValueError for too few."""
        return find_ends(self.positions_um, self.energies)

    def curve(self) -> list[float]:
        """The whole picture's focus measure at each position, the highest 1."""
        whole = [float(one.mean()) for one in self.energies]
        highest = max(whole, default=0.0)
        return [value / highest if highest > 0 else 0.0 for value in whole]


async def _here(work: Callable[[Image], Energies], image: Image) -> Energies:
    return work(image)


async def sweep(
    rig: Rig,
    where: Range,
    on_picture: Callable[[int, int, Sweep], None] = lambda *_: None,
    *,
    run: Callable[[Callable[[Image], Energies], Image], Awaitable[Energies]] = _here,
) -> Sweep:
    """Take a picture at each position, none of which is kept. The rig is homed, and stands at the last position afterwards.

    Args:
        rig: open and idle.
        where: from where to where.
        on_picture: called after each with how many there are, of how many, and what there is. What it raises ends the sweep.
        run: has a function run with a picture, such as `Worker.run`: measuring takes tens of milliseconds. Default: here.

    Raises:
        Refused: not possible now, or stopped.
        RigFault: the rig stopped with a fault.
        ValueError: a range that cannot be, or pictures in a format that cannot be looked at.
    """
    places = where.positions_um()
    capabilities = rig.parts.rail.capabilities
    back_off_um = max(1.5 * capabilities.backlash_um, capabilities.microstep_um)
    await rig.goto(max(rig.config.limits.min_um, places[0] - back_off_um))
    seen = Sweep()
    for index, place_um in enumerate(places, start=1):
        microsteps = round(place_um / capabilities.microstep_um)
        await rig.goto(place_um)
        if rig.state.position != microsteps:
            raise Refused(f"the sweep was stopped on its way to {place_um:.1f} um")
        picture = await rig.test_shot()
        if picture.image is None:
            raise ValueError(
                f"the picture at {place_um:.1f} um cannot be looked at: {picture.note or 'its format is not decoded'}"
            )
        seen.positions_um.append(microsteps * capabilities.microstep_um)
        seen.energies.append(await run(_measured, picture.image))
        on_picture(index, len(places), seen)
    return seen


def _measured(image: Image) -> Energies:
    return energies_of(_reduced(image))


def _reduced(image: Image) -> Image:
    """Every pixel the mean of a square of pixels."""
    side = max(1, max(image.shape[:2]) // LONGEST_PX)
    if side == 1:
        return image
    height, width = (size // side for size in image.shape[:2])
    blocks = image[: height * side, : width * side].reshape(height, side, width, side, *image.shape[2:])
    means: Image = blocks.mean(axis=(1, 3), dtype=np.float32).round().astype(np.uint8)
    return means
