"""A panel on a small simulated rig and virtual time: buttons that a test presses, and an LED that is looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from drivers.clock import VirtualClock
from rigd.app import Rig
from rigd.config import RigConfig
from rigd.machine.state import Mode
from rigd.remote.bus import Incoming, Outgoing
from rigd.serving import Reach, reachable
from tests.rigs import SMALL, Seen, passes, small_rig, with_rig

BUTTONS = ("stop", "pause", "start", "near", "far", "home", "jog_near", "jog_far")
PANEL = (
    SMALL
    + "remote: {local: false}\npanel:\n  buttons:\n"
    + "".join(f"    {role}: {{driver: sim}}\n" for role in BUTTONS)
    + "  led: {driver: sim}\n"
)
NO_PLAN = "\n".join(line for line in PANEL.splitlines() if not line.startswith("plan:"))
LONG_S = 3600.0


class Desk:
    """The rig, its panel, and whoever else commands it."""

    def __init__(self, rig: Rig, reach: Reach, clock: VirtualClock) -> None:
        assert reach.panel is not None
        self.rig = rig
        self.reach = reach
        self.clock = clock
        self.panel = reach.panel
        self.events: list[tuple[str, dict[str, Any]]] = []
        reach.switchboard.attach(self)

    def send(self, message: Outgoing) -> None:
        if message.topic.startswith("event/"):
            self.events.append((message.topic.removeprefix("event/"), json.loads(message.payload)))

    def refusals(self) -> list[str]:
        return [event["error"]["code"] for kind, event in self.events if kind == "command_refused"]

    def finished(self, verb: str) -> list[dict[str, Any]]:
        return [event for kind, event in self.events if kind == "action_finished" and event["verb"] == verb]

    async def press(self, role: str, held_s: float = 0.1) -> None:
        """Press a button, and let go of it."""
        self.panel.buttons[role].press()
        await passes(held_s)
        self.panel.buttons[role].let_go()
        await passes(0.1)

    async def reached(self, *modes: Mode) -> None:
        async with asyncio.timeout(LONG_S):
            await self.rig.controller.reached(*modes)

    async def pushed_to(self, mode: Mode, *roles: str) -> None:
        for role in roles:
            await self.press(role)
        await self.reached(mode)

    async def ask(self, verb: str, params: dict[str, Any] | None = None, **envelope: Any) -> dict[str, Any]:
        """A command from elsewhere."""
        came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        payload = json.dumps({"params": params or {}, **envelope}).encode()
        self.reach.desk.take(Incoming(f"request/{verb}", payload, "mqtt", came.set_result))
        return json.loads(await came)

    async def lights(self, seconds: float, step_s: float = 0.01) -> list[tuple[bool, float]]:
        """What the LED does for so long: lit or dark, and for how many seconds each; the first and the last are cut off."""
        runs: list[tuple[bool, float]] = []
        for _ in range(round(seconds / step_s)):
            lit = self.panel.light.lit
            if runs and runs[-1][0] == lit:
                runs[-1] = (lit, runs[-1][1] + step_s)
            else:
                runs.append((lit, step_s))
            await passes(step_s)
        return [(lit, round(lasted, 2)) for lit, lasted in runs]

    @property
    def position_um(self) -> float | None:
        position = self.rig.state.position
        return None if position is None else position * self.rig.parts.rail.capabilities.microstep_um


def at_panel(
    folder,
    body: Callable[[Desk], Awaitable[Any]],
    *overrides: str,
    text: str = PANEL,
    config: RigConfig | None = None,
    clock: VirtualClock | None = None,
) -> Any:
    """Open a small rig with a panel on virtual time, and run `body`."""
    time = clock or VirtualClock()

    async def with_panel(rig: Rig, _: Seen) -> Any:
        async with opened(rig, time) as desk:
            return await body(desk)

    return with_rig(config or small_rig(folder, *overrides, text=text), with_panel, time)


@asynccontextmanager
async def opened(rig: Rig, clock: VirtualClock):
    async with reachable(rig, clock) as reach:
        desk = Desk(rig, reach, clock)
        await passes(0.1)
        yield desk
