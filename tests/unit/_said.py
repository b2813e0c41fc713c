"""A small rig on virtual time with everything that it says, each message held against the contract."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from drivers.clock import Clock, VirtualClock
from rigd.app import Rig
from rigd.config import RigConfig
from rigd.messages import reports
from rigd.messages.base import Outward
from rigd.messages.contract import PUBLISHED, Channel
from rigd.remote.bus import Outgoing, Switchboard
from rigd.remote.reporter import Reporter
from rigd.remote.status import Status
from rigd.remote.vitals import Counts
from tests.rigs import Seen, with_rig

BOOT = "boot-1"


def channel(topic: str) -> Channel:
    """What the contract says of a topic."""
    found = [each for each in PUBLISHED if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each.topic), topic)]
    (one,) = [each for each in found if each.topic == topic] or found
    return one


@dataclass
class Said:
    """One message."""

    at_s: float
    message: Outgoing
    data: Any
    """The model, or the bytes of a picture; None for an empty one."""

    @property
    def topic(self) -> str:
        return self.message.topic


class Ear:
    """An outlet that holds every message against the contract and keeps it."""

    def __init__(self, clock: Clock) -> None:
        self.said: list[Said] = []
        self._clock = clock
        self._heard = asyncio.Event()

    def send(self, message: Outgoing) -> None:
        one = channel(message.topic)
        assert (message.qos, message.retain) == (one.qos, one.retained), message.topic
        data: Any = message.payload
        if not message.payload:
            data = None
        elif not isinstance(one.carries, str):
            data = one.carries.model_validate_json(message.payload, strict=False)
            assert data.model_dump_json().encode() == message.payload  # nothing of it was dropped or bent
        self.said.append(Said(self._clock.now(), message, data))
        self._heard.set()

    def on(self, topic: str) -> list[Any]:
        """What was said on a topic, in order."""
        return [said.data for said in self.said if said.topic == topic]

    def times(self, topic: str) -> list[float]:
        return [said.at_s for said in self.said if said.topic == topic]

    @property
    def states(self) -> list[reports.State]:
        return self.on("state")

    @property
    def events(self) -> list[str]:
        return [said.topic.removeprefix("event/") for said in self.said if said.topic.startswith("event/")]

    def forget(self) -> None:
        self.said.clear()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what was said fulfils a condition."""
        async with asyncio.timeout(600):
            while not condition():
                self._heard.clear()
                await self._heard.wait()


class FakeSettings:
    """Settings that stay as they are."""

    step_um = 100.0

    def report(self) -> reports.Settings:
        return reports.Settings(step_um=self.step_um, settle_s=0.2, end="park", jog_um=100.0)


@dataclass
class FakeLeases:
    """A lease that a test gives and takes."""

    lease: reports.LeaseNow | None = None

    def now(self) -> reports.LeaseNow | None:
        return self.lease


@dataclass
class Voice:
    """A rig that speaks."""

    rig: Rig
    clock: Clock
    seen: Seen
    ear: Ear
    status: Status
    reporter: Reporter
    switchboard: Switchboard
    settings: FakeSettings = field(default_factory=FakeSettings)
    leases: FakeLeases = field(default_factory=FakeLeases)


def voice(rig: Rig, clock: Clock, seen: Seen, counts: Counts | None = None) -> Voice:
    """Everything that a rig speaks with, listening to it."""
    switchboard, settings, leases, ear = Switchboard(), FakeSettings(), FakeLeases(), Ear(clock)
    switchboard.attach(ear)
    reporter = Reporter(switchboard, clock, BOOT)
    status = Status(
        rig,
        switchboard,
        reporter,
        settings,
        leases,
        clock,
        boot_id=BOOT,
        started=datetime(2026, 1, 1, tzinfo=UTC),
        counts=counts,
    )
    rig.controller.listen(status.notice)
    return Voice(rig, clock, seen, ear, status, reporter, switchboard, settings, leases)


def told(
    config: RigConfig, body: Callable[[Voice], Awaitable[Any]], *, counts: Counts | None = None
) -> tuple[Voice, Any]:
    """Open a rig that announces itself and goes on speaking during `body`; all that it said, and what `body` gave."""
    clock = VirtualClock()

    async def main(rig: Rig, seen: Seen) -> tuple[Voice, Any]:
        speaks = voice(rig, clock, seen, counts)
        speaks.status.announce()
        serving = asyncio.create_task(speaks.status.serve())
        try:
            given = await body(speaks)
            await speaks.status.drained()
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        if not serving.cancelled() and serving.exception() is not None:
            raise serving.exception()  # type: ignore[misc]
        return speaks, given

    result: tuple[Voice, Any] = with_rig(config, main, clock)
    return result


async def a_stack(speaks: Voice) -> Any:
    """Home and take the configured stack; the session."""
    await speaks.rig.home()
    session = await speaks.rig.start("test", speaks.rig.plan().plan)
    await speaks.rig.ended()
    return session


def models(ear: Ear) -> list[Outward]:
    """Everything said that is numbered."""
    return [said.data for said in ear.said if hasattr(said.data, "seq")]
