"""An event loop on virtual time: when it has nothing to do and no worker works, the clock jumps.

With a `SystemClock` this room does nothing: `run` is `asyncio.run`.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from drivers.clock import Clock, VirtualClock

T = TypeVar("T")

REAL_WAIT_S = 0.05
"""How long to look for real input (signals, sockets) before asking the clock again. Workers wake the loop at once."""


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, unused-ignore]  # the class differs by platform
    """Waits for input in virtual time."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        limit = None if timeout is None else self._clock.now() + max(0.0, timeout)
        while True:
            quiet = self._clock.quiet()
            ready = super().select(0)
            if ready or (timeout is not None and timeout <= 0):
                return ready
            # Only now is it certain that nothing was left behind by work that ended before `quiet` was taken.
            if quiet is not None and self._clock.advance(limit, quiet):
                return []
            # Something works, and its end wakes the loop; or nothing at all is waited for, and only real input can come.
            if ready := super().select(REAL_WAIT_S):
                return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose time is a `VirtualClock`'s."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(_JumpingSelector(clock))
        self._virtual_clock = clock
        clock.on_idle = self._wake

    def time(self) -> float:
        """Virtual seconds."""
        return self._virtual_clock.now()

    def _wake(self) -> None:
        if not self.is_closed():
            self.call_soon_threadsafe(lambda: None)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109
        """Wait for threads to end. Without the limit that Python 3.12 and later set: virtual time would be over at once."""
        await super().shutdown_default_executor()

    def close(self) -> None:
        """Close the loop and let go of the clock."""
        self._virtual_clock.on_idle = None
        super().close()


def run(main: Coroutine[Any, Any, T], clock: Clock) -> T:
    """Run a coroutine to its end on a loop that keeps this clock's time."""
    if not isinstance(clock, VirtualClock):
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        return runner.run(main)
