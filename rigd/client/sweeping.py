"""How far a sweep is, read off the rig's states: they tell where the rail stands, and that is all a sweep tells before its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rigd.client.hub import Hub
from rigd.messages.reports import State


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """How far a sweep is."""

    picture: int
    """Which is being taken, from 1; 0: on the way to the first."""
    pictures: int
    """Of how many."""
    position_um: float | None = None
    """Where the rail is."""


class Tracker:
    """Counts the pictures of one sweep.

    Args:
        from_um, to_um, step_um: as it was asked for; the real step is evened out.
        tell: called with each change.
    """

    def __init__(
        self, from_um: float, to_um: float, step_um: float, tell: Callable[[SweepProgress], None]
    ) -> None:
        self._from_um = from_um
        steps = max(1, math.ceil((to_um - from_um) / step_um - 1e-9))
        self._spacing_um = (to_um - from_um) / steps
        self._now = SweepProgress(0, steps + 1)
        self._tell = tell

    def hear(self, said: object) -> None:
        """A state is looked at, anything else is not."""
        # A rail between two pictures is nowhere in particular; while one is taken it stands at its place.
        if not isinstance(said, State) or said.mode != "testing" or said.rail.position_um is None:
            return
        at_um = said.rail.position_um
        picture = round((at_um - self._from_um) / self._spacing_um) + 1
        if self._now.picture < picture <= self._now.pictures:
            self._now = SweepProgress(picture, self._now.pictures, at_um)
            self._tell(self._now)


@contextmanager
def tracked(hub: Hub, tracker: Tracker | None) -> Iterator[None]:
    """Hear what the rig says for as long as the block lasts."""
    if tracker is None:
        yield
        return
    hub.handle(tracker.hear)
    try:
        yield
    finally:
        hub.forget(tracker.hear)
