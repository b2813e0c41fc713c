"""The status LED: shows a pattern until there is another one. A lamp that fails costs nothing but its light."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math

from drivers.base import DriverError, Light
from drivers.clock import Clock
from rigd.panel.patterns import DARK, Pattern
from rigd.workers import Worker

log = logging.getLogger(__name__)

CLOSE_S = 1.0
"""A lamp that hangs is not waited for any longer."""


class StatusLed:
    """One lamp, or none.

    Args:
        light: its driver; None: nothing is shown.
        clock: told of the thread that switches it.
    """

    def __init__(self, light: Light | None, clock: Clock) -> None:
        self._light = light
        self._worker = None if light is None else Worker("panel-led", clock)
        self._pattern = DARK
        self._answer: Pattern | None = None
        self._news = asyncio.Event()
        self._lit: bool | None = None
        self._failed = False

    async def open(self) -> None:
        """Take the lamp into use, dark. Raises `DriverError`."""
        if self._light is not None and self._worker is not None:
            await self._worker.run(self._light.open)

    async def close(self) -> None:
        """Dark, and let go of it."""
        if self._light is None or self._worker is None:
            return
        try:
            async with asyncio.timeout(CLOSE_S):
                await asyncio.shield(self._worker.run(self._light.close))
        except (DriverError, TimeoutError) as error:
            log.warning("the panel's LED could not be closed: %s", str(error) or "it hangs")
        finally:
            self._worker.close(CLOSE_S)

    def show(self, pattern: Pattern) -> None:
        """From now on."""
        if pattern is not self._pattern:
            self._pattern = pattern
            self._news.set()

    def answer(self, pattern: Pattern) -> None:
        """Once, and then again what was shown before."""
        self._answer = pattern
        self._news.set()

    async def serve(self) -> None:
        """Show it, until cancelled."""
        if self._light is None:
            return
        while True:
            self._news.clear()
            answer, self._answer = self._answer, None
            if answer is not None:
                for lit, seconds in answer.steps:
                    await self._set(lit)
                    await asyncio.sleep(seconds)
            else:
                await self._repeat(self._pattern)

    async def _repeat(self, pattern: Pattern) -> None:
        while True:
            for lit, seconds in pattern.steps:
                await self._set(lit)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if math.isinf(seconds) else seconds):
                        await self._news.wait()
                if self._news.is_set():
                    return

    async def _set(self, lit: bool) -> None:
        if lit is self._lit:
            return
        assert self._light is not None
        assert self._worker is not None
        try:
            await self._worker.run(self._light.on if lit else self._light.off)
        except DriverError as error:
            if not self._failed:
                log.warning("the panel's LED cannot be switched: %s", error)
            self._lit, self._failed = None, True
        else:
            self._lit, self._failed = lit, False
