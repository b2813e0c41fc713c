"""Contacts that act on the rig by themselves: the emergency stop."""

from __future__ import annotations

import asyncio

from drivers.base import DriverError, Switch
from drivers.clock import Clock
from rigd.control.controller import Controller
from rigd.machine import events as ev
from rigd.workers import Worker

ESTOP_SWITCH = "estop"
"""The name under `switches:` whose contact is an emergency stop."""
SWITCH_WATCH_S = 0.02


async def watch_switches(switches: dict[str, Switch], controller: Controller, clock: Clock) -> None:
    """Look at the e-stop contact; pressed, it stops everything, and nothing can be cleared before it is released."""
    estop = switches.get(ESTOP_SWITCH)
    if estop is None:
        return
    worker = Worker("switches", clock)
    try:
        try:
            await worker.run(estop.open)
        except DriverError as error:
            raise DriverError(
                f"switches.{ESTOP_SWITCH}", f"{error}; no rig moves without its e-stop"
            ) from error
        while True:
            pressed = await worker.run(estop.pressed)
            if pressed and not controller.state.estop_held:
                await controller.command(ev.EStop("the e-stop is pressed", held=True))
            elif controller.state.estop_held and not pressed:
                await controller.command(ev.EStopReleased())
            await asyncio.sleep(SWITCH_WATCH_S)
    finally:
        await asyncio.shield(worker.run(estop.close))
        worker.close()
