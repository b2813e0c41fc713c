"""Ring-downs by a camera that gives single pictures only: the same move many times, and after each one picture at another moment.

Moves that begin at rest and end at the same place ring alike, so that their pictures together are one ring-down, looked at at many
moments. These are drawn at random, one from each of equal parts of the time: nothing repeats in them that a frequency could hide
behind. It takes a camera that tells within a few milliseconds when it exposes, as one that is fired by a wire or runs freely
does; where that is not so, no ringing is seen, and nothing is believed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rigd.calibration.ringing import Track
from rigd.calibration.settle import Run
from rigd.calibration.stand import CalibrationRefused, Still, Watched

SPAN_S = 2.0
"""After the end of the motion, within which pictures are taken."""
FIRST, OTHERS = 60, 20
"""Pictures after moves of the longest length, which tells the frequency, and of each other."""
LATER_S = 0.25
"""At most so much longer a rig rests, at random: a sensor that runs freely is then met at any moment of its own."""
SEED = 1


@dataclass(slots=True)
class StillRun(Run):
    """One measurement under way, by single pictures."""

    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))

    async def _watch_all(self) -> list[Track]:
        moves = sorted(self.wish.moves_um, reverse=True)
        counts = [FIRST] + [OTHERS] * (len(moves) - 1)
        self.stand.progress.expect(len(moves))
        tracks = []
        for move_um, count in zip(moves, counts, strict=True):
            self.rate_hz = count / SPAN_S
            tracks.append(await self._watched(move_um, self.rate_hz))
            self.stand.progress.step(f"{count} moves of {move_um:g} um")
        return tracks

    async def _watched(self, move_um: float, rate_hz: float) -> Track:
        if self._tracker is None:
            await self._refer(move_um)
        stills = []
        for number in range(round(SPAN_S * rate_hz)):
            await self._before(move_um)
            await self.stand.rest(LATER_S * float(self.random.random()))
            ended_s = await self.stand.go(self.wish.position_um)
            still = await self.stand.still(ended_s + (number + float(self.random.random())) / rate_hz)
            stills.append(Still(still.start_s - ended_s, still.end_s - ended_s, still.image))
        stills.sort(key=lambda still: still.start_s)
        return self._tracked(Watched(0.0, tuple(stills), move_um), rate_hz)

    async def _refer(self, move_um: float) -> None:
        """All pictures are compared with one of the rig at rest."""
        from stackcore.tracking import Tracker  # noqa: PLC0415  (Numba is loaded here)

        await self._before(move_um)
        await self.stand.go(self.wish.position_um)
        await self.stand.rest(2 * self.rest_s)
        still = await self.stand.still(self.stand.clock.now())
        try:
            self._tracker = Tracker(still.image)
        except ValueError as error:
            raise CalibrationRefused(
                f"nothing can be followed at {self.wish.position_um:g} um: {error}. Choose a place with texture in focus (--at)"
            ) from error
