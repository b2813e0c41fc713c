"""The composition root: from a config to drivers, controller and pictures, and back to a rig that is safe.

This is the one room that knows all others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from drivers.clock import Clock
from rigd.config import RigConfig
from rigd.control.camera import CameraControl
from rigd.control.controller import Controller
from rigd.control.hands import Hands
from rigd.control.lamp import Lamp
from rigd.control.rail import RailControl
from rigd.control.still import StillControl
from rigd.control.switches import watch_switches
from rigd.machine import events as ev
from rigd.machine.state import State
from rigd.parts import make_parts
from rigd.planning import rail_facts
from rigd.rig import HALTED, RESTING, Refused, Rig, RigFault
from rigd.workers import Worker

__all__ = ["HALTED", "RESTING", "Refused", "Rig", "RigFault", "open_rig", "warm_up"]

log = logging.getLogger(__name__)

ESTOP_SWITCH = "estop"
"""The name under `switches:` whose contact is an emergency stop."""
SWITCH_WATCH_S = 0.02


def warm_up() -> None:
    """Load or compile every kernel that a run needs, so that no frame waits for it."""
    from stackcore import merge, quality  # noqa: PLC0415  (Numba is loaded here, and not when rigd is imported)

    merge.warm_up()
    quality.warm_up()


@asynccontextmanager
async def open_rig(
    config: RigConfig,
    clock: Clock,
    *,
    on_progress: Callable[[], None] = lambda: None,
    progress_s: float = 1.0,
    strict: bool = True,
) -> AsyncIterator[Rig]:
    """Make a rig, open its drivers, and leave it safe at the end, whatever happens.

    `strict` False: a rig that cannot be opened, or whose e-stop is pressed, is given all the same, in its fault.

    Raises:
        DriverError: a driver cannot be made.
        RigFault: a driver cannot be opened.
    """
    parts = make_parts(config, clock)
    store = Worker("store", clock)
    rail = RailControl(parts.rail, clock)
    camera = CameraControl(
        parts.camera,
        clock,
        exposure_timeout_s=config.capture.exposure_timeout_s,
        transfer_timeout_s=config.capture.transfer_timeout_s,
    )
    controller = Controller(
        State(rail=rail_facts(config, parts.rail.capabilities.microstep_um)),
        Hands(
            rail=rail,
            camera=camera,
            lamp=Lamp(parts.light, store),
            still=StillControl(config, rail, camera, store, clock),
            jog_speed_um_per_s=config.jog.speed_um_per_s,
            store=store,
            clock=clock,
        ),
        on_progress=on_progress,
        progress_s=progress_s,
    )
    rig = Rig(config, parts, controller, clock)
    running = asyncio.create_task(controller.run())
    watching = asyncio.create_task(watch_switches(parts.switches, controller, clock))
    tie = Tie(asyncio.current_task(), running, watching)
    try:
        await rig.command(ev.Connect())
        state = await controller.reached(*RESTING)
        if strict:
            rig.raise_fault(state)
        yield rig
    finally:
        tie.cut()
        await _leave(rig, running, watching)


async def _leave(rig: Rig, running: asyncio.Task[None], watching: asyncio.Task[None]) -> None:
    """Stop, then end the tasks, then close the parts: each whatever became of the one before."""
    try:
        suspending = asyncio.create_task(rig.suspend("rigd was stopped"))
        waits: set[asyncio.Task[None]] = {suspending, running}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        suspending.cancel()
    finally:
        try:
            watching.cancel()
            running.cancel()
            outcomes = await asyncio.gather(running, watching, return_exceptions=True)
        finally:
            await rig.close()
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


class Tie:
    """Cancels whoever uses the rig when a background task dies; the cause is raised when the background is closed.

    Args:
        body: the task that uses the rig.
        tasks: in the background.
    """

    def __init__(self, body: asyncio.Task[Any] | None, *tasks: asyncio.Task[None]) -> None:
        self._body = body
        for task in tasks:
            task.add_done_callback(self._ended)

    def cut(self) -> None:
        """It is being closed: nobody is to be cancelled any more."""
        self._body = None

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._body is not None and not task.cancelled() and task.exception() is not None:
            self._body.cancel()
