"""What the fault tests of the Grbl rail share: a quick emulator, a rail on it, and ways to wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from drivers.base import DriverError, RailStatus
from drivers.clock import SystemClock
from drivers.grbl.rail import GrblRail
from tests.emulators.grbl import GrblEmulator
from tests.emulators.grbl_rails import Kit, emulated

PATIENCE_S = 20.0


class Bench:
    """An emulator and the rail on it; everything is ended by `close`."""

    def __init__(self, folder: Path, kit: Kit | None = None, **wire: float) -> None:
        self._stack = ExitStack()
        link = folder / "grbl"
        self.motions = 0
        """How many a test makes."""
        self.emulator: GrblEmulator
        self.rail: GrblRail
        self.emulator, self.rail = emulated(kit or Kit(), link, SystemClock(), self._stack, **wire)

    def close(self) -> None:
        self._stack.close()

    def rest(self) -> RailStatus:
        """Poll until the rail stands."""
        ends_s = time.monotonic() + PATIENCE_S
        while (status := self.rail.poll()).moving:
            assert time.monotonic() < ends_s, "the rail does not come to rest"
        return status

    def home(self) -> RailStatus:
        self.rail.start_home()
        status = self.rest()
        assert status.homed, status.alarm
        return status

    def ready(self) -> None:
        """Open and homed."""
        self.rail.open()
        self.home()

    def trouble(self, act: Callable[[], object]) -> DriverError | str:
        """What comes of a fault: the error that is raised, or the alarm that is shown."""
        ends_s = time.monotonic() + PATIENCE_S
        try:
            act()
            while (status := self.rail.poll()).alarm is None:
                assert time.monotonic() < ends_s, "the fault is not noticed"
        except DriverError as error:
            return error
        assert not status.homed
        assert status.position is None
        return status.alarm
