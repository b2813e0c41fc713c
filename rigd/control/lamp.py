"""The light: on for as long as anybody who takes pictures needs it, and blinking when somebody asks which rig this is."""

from __future__ import annotations

import asyncio

from drivers.base import Light
from rigd.workers import Worker

BLINK_S = 0.25
"""On for so long, and off for so long."""


class Lamp:
    """One light, or none: then switching it does nothing.

    Args:
        light: the driver; closed by the one who made it.
        worker: on whose thread its verbs run, in order.
    """

    def __init__(self, light: Light | None, worker: Worker) -> None:
        self._light = light
        self._worker = worker
        self._users: set[object] = set()
        self._blinking = False

    @property
    def problem(self) -> str | None:
        """Why it cannot blink now, or None."""
        if self._light is None:
            return "this rig has no light to blink"
        if self._users:
            return "the light is on for a picture"
        return "the light is blinking already" if self._blinking else None

    async def open(self) -> None:
        """Take it into use, off. Raises `DriverError`."""
        if self._light is not None:
            await self._worker.run(self._light.open)

    async def on(self, user: object) -> None:
        """Switch it on, until this user and every other needs it no more. Raises `DriverError`."""
        if self._light is not None:
            self._users.add(user)
            await self._worker.run(self._light.on)

    async def off(self, user: object) -> None:
        """This user needs it no more. Raises `DriverError`."""
        if self._light is not None:
            self._users.discard(user)
            await self._off_unless_used()

    async def blink(self, seconds: float) -> None:
        """Blink, once at least; ends early when a picture needs the light, and off unless one does. Raises `DriverError`."""
        assert self._light is not None
        self._blinking = True
        try:
            for _ in range(max(1, round(seconds / (2 * BLINK_S)))):
                if self._users:
                    return
                await self._worker.run(self._light.on)
                await asyncio.sleep(BLINK_S)
                await self._off_unless_used()
                await asyncio.sleep(BLINK_S)
        finally:
            self._blinking = False
            await self._off_unless_used()

    async def _off_unless_used(self) -> None:
        # Looked at and put in the worker's line in one go: a user who comes later is later in that line too.
        if self._light is not None and not self._users:
            await self._worker.run(self._light.off)
