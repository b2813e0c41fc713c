"""A desk on a small simulated rig and virtual time, with nothing between it and the test but bytes."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from drivers.clock import Clock
from rigd.app import Rig
from rigd.config import RigConfig
from rigd.control.notices import Changed, Notice
from rigd.machine.state import Mode
from rigd.remote.bus import Incoming, Outgoing, Switchboard
from rigd.remote.desk import Desk
from rigd.remote.leases import Leases
from rigd.remote.ledger import Ledger
from rigd.remote.reporter import Reporter
from rigd.remote.settings import LiveSettings
from tests.rigs import Seen, small_rig, with_rig

LONG_S = 3600.0
"""Of virtual time: what takes longer never comes."""


@dataclass
class Asked:
    """A message that was put to the desk, and what came back."""

    replies: list[dict[str, Any]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def reply(self, payload: bytes) -> None:
        self.replies.append(json.loads(payload))
        self.came.set()

    async def answer(self) -> dict[str, Any]:
        async with asyncio.timeout(LONG_S):
            await self.came.wait()
        return self.replies[0]


class Bench:
    """One desk, and what the rig says."""

    def __init__(self, rig: Rig, clock: Clock, *, boot_id: str = "boot-1") -> None:
        self.rig = rig
        self.clock = clock
        self.boot_id = boot_id
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.modes: list[Mode] = []
        self.times: list[float] = []
        """When each of `modes` was come to, monotonic."""
        self._news = asyncio.Event()
        self._numbers = itertools.count(1)
        folder = rig.config.service.state
        switchboard = Switchboard()
        switchboard.attach(self)
        self.reporter = Reporter(switchboard, clock, boot_id)
        self.settings = LiveSettings(rig.config, folder)
        self.ledger = Ledger(folder, clock)
        self.leases = Leases(clock)
        self.desk = Desk(rig, self.reporter, self.settings, self.ledger, self.leases, clock, boot_id=boot_id)
        rig.controller.listen(self._note)
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Bench:
        self._serving = asyncio.create_task(self.desk.serve())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._serving is not None
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)
        self.ledger.close()

    def send(self, message: Outgoing) -> None:
        """As an outlet of the switchboard."""
        if message.topic.startswith("event/"):
            self.events.append((message.topic.removeprefix("event/"), json.loads(message.payload)))
            self._news.set()

    def _note(self, notice: Notice) -> None:
        if isinstance(notice, Changed):
            self.modes.append(notice.state.mode)
            self.times.append(self.clock.now())

    def put(self, topic: str, payload: Any = b"", *, source: str = "mqtt", **flags: Any) -> Asked:
        """Put a message to the desk; what is not bytes goes as JSON."""
        asked = Asked()
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.desk.take(Incoming(topic, data, source, asked.reply, **flags))
        return asked

    def ask(self, verb: str, params: dict[str, Any] | None = None, **envelope: Any) -> Asked:
        """Put a request to the desk."""
        return self.put(f"request/{verb}", {"params": params or {}, **envelope})

    async def do(self, verb: str, params: dict[str, Any] | None = None, **envelope: Any) -> dict[str, Any]:
        """A request that is not refused; its answer."""
        reply = await self.ask(verb, params, **envelope).answer()
        assert reply["status"] != "error", reply
        return reply

    async def refused(
        self, verb: str, params: dict[str, Any] | None = None, **envelope: Any
    ) -> dict[str, Any]:
        """A request that is refused; the error."""
        return error(await self.ask(verb, params, **envelope).answer())

    async def run(self, verb: str, params: dict[str, Any] | None = None, **envelope: Any) -> dict[str, Any]:
        """A long action; the event that told its end."""
        transaction = envelope.setdefault("transaction", f"{self.boot_id}.{next(self._numbers)}")
        reply = await self.ask(verb, params, **envelope).answer()
        assert reply["status"] == "accepted", reply
        return await self.end_of(transaction)

    async def end_of(self, transaction: str | None) -> dict[str, Any]:
        """The first event that told the end of an action."""
        return await self.event("action_finished", lambda event: event["transaction"] == transaction)

    async def event(
        self, kind: str, matches: Callable[[dict[str, Any]], bool] = lambda _: True
    ) -> dict[str, Any]:
        """The first event of a kind, when it has come."""
        async with asyncio.timeout(LONG_S):
            while True:
                for found, event in self.events:
                    if found == kind and matches(event):
                        return event
                self._news.clear()
                await self._news.wait()

    def told(self, kind: str) -> list[dict[str, Any]]:
        """All events of a kind so far."""
        return [event for found, event in self.events if found == kind]

    async def reached(self, *modes: Mode) -> None:
        async with asyncio.timeout(LONG_S):
            await self.rig.controller.reached(*modes)

    def lasted_s(self, mode: Mode) -> float:
        """How long the rig was in a mode, when it was last."""
        last = len(self.modes) - 1 - self.modes[::-1].index(mode)
        return self.times[last + 1] - self.times[last]

    def later(self, seconds: float) -> str:
        """A moment that far from now by the rig's clock, as JSON has it."""
        return (self.clock.utc() + timedelta(seconds=seconds)).isoformat()

    @property
    def position_um(self) -> float | None:
        position = self.rig.state.position
        return None if position is None else position * self.rig.parts.rail.capabilities.microstep_um


def error(reply: dict[str, Any]) -> dict[str, Any]:
    """Of a reply that is one."""
    assert reply["status"] == "error", reply
    found: dict[str, Any] = reply["error"]
    return found


def at_desk(
    folder: Path,
    body: Callable[[Bench], Awaitable[Any]],
    *overrides: str,
    config: RigConfig | None = None,
    clock: Clock | None = None,
    boot_id: str = "boot-1",
) -> Any:
    """Open a small rig with a desk on virtual time, and run `body`."""
    from drivers.clock import VirtualClock

    time = clock or VirtualClock()

    async def with_desk(rig: Rig, _: Seen) -> Any:
        async with Bench(rig, time, boot_id=boot_id) as bench:
            return await body(bench)

    return with_rig(config or small_rig(folder, *overrides), with_desk, time)
