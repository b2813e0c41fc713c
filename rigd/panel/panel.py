"""The panel: what each button asks of the desk, and what the LED says of the answer and of the rig.

Nothing is decided here: a button is one more way to send a command (`rigd/remote/desk.py`), and the desk holds it against every
rule. The panel hears what everybody hears.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self

from drivers.base import Light, Switch
from drivers.clock import Clock
from drivers.registry import Context, create, find
from rigd.config import DriverConfig, RigConfig
from rigd.config.panel import Role
from rigd.machine.state import Mode
from rigd.messages import topics
from rigd.panel.contacts import Contacts
from rigd.panel.heard import Heard
from rigd.panel.jogging import HOLD_S, JOGS, HeldJog
from rigd.panel.led import StatusLed
from rigd.panel.patterns import PATTERNS, REFUSED, TAKEN
from rigd.panel.presses import Presses
from rigd.remote.bus import Incoming, Outgoing, Switchboard
from rigd.workers import Worker

log = logging.getLogger(__name__)

SOURCE = "panel"
WATCH_S = 0.02
"""Between two looks at the buttons."""


class Taker(Protocol):
    """Who obeys: the desk."""

    def take(self, incoming: Incoming) -> None:
        """One message, whatever it is."""

    def way_lost(self, source: str) -> None:
        """Nobody is there any more who came this way."""


class Panel:
    """The buttons and the LED of one rig: `async with Panel(...)`, and `serve` meanwhile.

    Args:
        config: of the rig; it must have the section `panel`.
        desk: who obeys.
        switchboard: what the rig says.
        clock: of presses and of the dead-man jog.

    Raises:
        DriverError: a driver cannot be made.
    """

    def __init__(self, config: RigConfig, desk: Taker, switchboard: Switchboard, clock: Clock) -> None:
        assert config.panel is not None
        self._options = config.panel
        self._desk = desk
        self._switchboard = switchboard
        self._clock = clock
        # Of its own: a status LED lights no subject, and a simulated camera must not wait for it.
        context = Context(clock=clock, seed=config.rig.seed)
        self.buttons: dict[Role, Switch] = {
            role: _made(section, context) for role, section in config.panel.buttons.items()
        }
        """The drivers of the buttons."""
        self.light: Light | None = None if config.panel.led is None else _made(config.panel.led, context)
        """The driver of the LED."""
        self._contacts = Contacts(self.buttons, clock)
        self._worker = Worker("panel", clock)
        self._led = StatusLed(self.light, clock)
        self._presses = Presses()
        self._heard = Heard(on_mode=self._mode)
        hold_s = min(HOLD_S, config.remote.jog_hold_max_s)
        self._jog = HeldJog(self._ask, self._heard, self._refused, hold_s)
        self._heard.on_end = self._jog.ended
        self._took_back = False

    async def __aenter__(self) -> Self:
        try:
            await self._worker.run(self._contacts.open)
            await self._led.open()
        except BaseException:
            await self._close()
            raise
        for message in self._switchboard.retained.values():
            self._heard.take(message)
        self._switchboard.attach(self)
        log.info("the panel commands this rig: %s", ", ".join(self.buttons) or "an LED only")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._switchboard.detach(self)
        self._desk.way_lost(SOURCE)
        await self._close()

    async def _close(self) -> None:
        try:
            await asyncio.shield(self._worker.run(self._contacts.close))
        finally:
            try:
                await self._led.close()
            finally:
                self._worker.close()

    def send(self, message: Outgoing) -> None:
        """As an outlet of the switchboard."""
        if not message.absolute:
            self._heard.take(message)

    async def serve(self) -> None:
        """Watch the buttons and light the LED, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._led.serve())
            if self.buttons:
                group.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            closed = await self._worker.run(self._contacts.closed)
            now_s = self._clock.now()
            for change in self._presses.look(closed, now_s):
                if change.pressed:
                    self._pressed(change.role)
            held = [role for role in JOGS if self._presses.held_s(role, now_s) is not None]
            self._jog.want(held[0] if len(held) == 1 else None, now_s)
            self._watch_stop(self._presses.held_s("stop", now_s))
            await asyncio.sleep(WATCH_S)

    # ---------------------------------------------------------------------------------------------------------- commands

    def _pressed(self, role: Role) -> None:
        mode = self._heard.mode
        match role:
            case "stop":
                self._jog.spoil()
                self._ask("stop")
            case "pause":
                self._ask("session.resume" if mode is Mode.PAUSED else "session.pause")
            case "start" if mode is Mode.PAUSED:
                self._ask("session.resume")
            case "start":
                self._ask("session.start", self._stack())
            case "near" | "far":
                self._ask(f"mark_{role}", on_reply=self._marked)
            case "home":
                self._ask("fault.clear" if mode in {Mode.FAULT, Mode.ESTOPPED} else "home")
            case "jog_near" | "jog_far":
                pass  # for as long as it is held: see `HeldJog`

    def _stack(self) -> dict[str, Any]:
        """What the settings leave open: a step, and which of two marks is the nearer one."""
        heard, params = self._heard, {}
        if not heard.stepped and self._options.step_um is not None:
            params["step_um"] = self._options.step_um
        if heard.near_um is not None and heard.far_um is not None and heard.far_um < heard.near_um:
            params |= {"near_um": heard.far_um, "far_um": heard.near_um}
        return params

    def _watch_stop(self, held_s: float | None) -> None:
        """Held long enough, it ends the stack and the lease: whoever stands at the rig has the last word."""
        if held_s is None:
            self._took_back = False
        elif held_s >= self._options.hold_s and not self._took_back:
            self._took_back = True
            if self._heard.session:
                self._ask("session.abort")
            if self._heard.leased:
                self._take_back()

    def _take_back(self) -> None:
        def taken(reply: dict[str, Any]) -> None:
            if reply["status"] == "ok":
                self._put("lease.release", {"lease": reply["data"]["lease"]}, lambda _reply: None)

        self._put("lease.take", {"holder": SOURCE, "ttl_s": 1.0, "force": True}, taken)

    def _ask(
        self,
        verb: str,
        params: dict[str, Any] | None = None,
        on_reply: Callable[[bool], None] | None = None,
        *,
        transaction: str | None = None,
    ) -> None:
        """Put a command to the desk. Unless somebody else is told of the answer, a refusal is shown."""

        def replied(reply: dict[str, Any]) -> None:
            taken = reply["status"] != "error"
            if on_reply is not None:
                on_reply(taken)
            elif not taken:
                self._refused()

        self._put(verb, params or {}, replied, transaction)

    def _put(
        self,
        verb: str,
        params: dict[str, Any],
        replied: Callable[[dict[str, Any]], None],
        transaction: str | None = None,
    ) -> None:
        envelope = {"transaction": transaction or f"{SOURCE}-{uuid.uuid4().hex}", "params": params}
        payload = json.dumps(envelope).encode()
        self._desk.take(
            Incoming(f"{topics.REQUEST}{verb}", payload, SOURCE, lambda answer: replied(json.loads(answer)))
        )

    # --------------------------------------------------------------------------------------------------------------- LED

    def _mode(self, mode: Mode) -> None:
        self._led.show(PATTERNS[mode])

    def _marked(self, taken: bool) -> None:
        self._led.answer(TAKEN if taken else REFUSED)

    def _refused(self) -> None:
        self._led.answer(REFUSED)


def _made(section: DriverConfig, context: Context) -> Any:
    return create(find(section.kind, section.driver), section.options, context)
