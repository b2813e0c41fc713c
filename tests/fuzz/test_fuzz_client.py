"""Whatever a rig, or somebody in its name, says: a client takes it for what it is, tells nobody nonsense, and goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.clock import VirtualClock
from rigd.client import RigError, serving
from rigd.client.fleet import Fleet
from rigd.client.reading import Unreadable, read
from rigd.client.transport import Listener, Message
from rigd.link.endpoint import Received
from rigd.messages import topics
from rigd.remote.bus import Incoming, Outgoing
from rigd.virtualtime import run
from tests.fake_rig import FakeRig
from tests.fuzz.raw import anything, scalars, to_json
from tests.fuzz.sayings import WORSE, hostile

EASY = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
ANSWER_S = 5.0


# ------------------------------------------------------------------------------------------------------------------- alone


def one_message(said: tuple[str, bytes]) -> None:
    """It is read, or it is unreadable; and what a fleet makes of it is no worse."""
    topic, payload = said
    with contextlib.suppress(Unreadable):
        read(topic, payload)
    fleet = Fleet("rigd")
    fleet.take(Received(f"rigd/{topic}", payload))
    fleet.take(Received(f"rigd/one/{topic}", payload))
    for seen in fleet.rigs.values():
        _ = seen.last_seen


# ------------------------------------------------------------------------------------------------------------- in company


@dataclass
class Bending:
    """What to do to the answers of a rig."""

    replies: list[tuple[str, Any]]
    """Keys, and what they are to be."""


class Pipe:
    """A way to a fake rig on which anybody may speak."""

    where = "a pipe"

    def __init__(self, fake: FakeRig) -> None:
        self.fake = fake
        self.listener: Listener | None = None
        self.bends: list[Callable[[dict[str, Any]], None]] = []
        self.gone = asyncio.Event()

    async def run(self, listener: Listener) -> None:
        self.listener = listener
        self.fake.switchboard.attach(self)
        listener.message(Message(topics.AVAILABILITY, b"online"))
        for message in self.fake.switchboard.retained.values():
            self.send_in(message.topic, message.payload)
        listener.up()
        await self.gone.wait()

    def send_in(self, topic: str, payload: bytes) -> None:
        assert self.listener is not None
        self.listener.message(Message(topic, payload))

    def send(self, *said: Any, **more: Any) -> None:
        """Of an outlet, or of a transport."""
        if isinstance(said[0], Outgoing):
            self.send_in(said[0].topic, said[0].payload)
            return
        topic, payload = said
        self.fake.take(Incoming(topic, payload, "pipe", lambda raw: self._answer(topic, raw)))

    def _answer(self, topic: str, raw: bytes) -> None:
        reply = json.loads(raw)
        for bend in self.bends:
            bend(reply)
        loop = asyncio.get_running_loop()
        loop.call_soon(self.send_in, f"response/{topic.removeprefix('request/')}", to_json(reply))


def among_others(said: list[tuple[str, bytes]], key: str, value: Any) -> None:
    """A client that hears all this, and whose answers are bent in one place, still gets the truth when it is told."""
    unheard: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unheard.append(context))
        pipe = Pipe(FakeRig())
        async with serving(pipe, timeout_s=ANSWER_S) as rig:
            seen = rig.everything()
            run_ = await rig.start("beetle")
            for topic, payload in said[: len(said) // 2]:
                pipe.send_in(topic, payload)
            await over(run_.result())
            pipe.bends = [lambda reply: reply.update({key: value})]
            for topic, payload in said[len(said) // 2 :]:
                pipe.send_in(topic, payload)
            for ask in (
                rig.ping,
                rig.home,
                rig.settings,
                rig.test_shot,
                rig.sessions,
                rig.stop,
                rig.take_lease,
                rig.estop,
            ):
                await over(ask("me") if ask == rig.take_lease else ask())
            pipe.bends = []
            pipe.fake.lease = pipe.fake.lease_token = None
            pipe.send_in(topics.AVAILABILITY, b"online")
            pipe.fake.boot()
            pipe.fake.say_state(mode="idle")
            pong = await rig.ping()
            assert (pong.mode, pong.boot_id) == ("idle", pipe.fake.boot_id)
            assert (rig.state.mode, rig.state.boot_id) == ("idle", pipe.fake.boot_id)
            assert rig.birth is not None
            assert rig.birth.boot_id == pipe.fake.boot_id
            await rig.home()
            assert seen.dropped == 0

    run(main(), VirtualClock())
    assert unheard == []


async def over(asked: Any) -> None:
    """It has some end, and a known one."""
    try:
        async with asyncio.timeout(100 * ANSWER_S):
            await asked
    except RigError:
        return


KEYS = st.sampled_from(["transaction", "verb", "status", "data", "error", "time", "repeated", "new"])
CASES = [
    (one_message, (hostile,)),
    (
        among_others,
        (st.lists(hostile, max_size=30), KEYS, st.one_of(scalars, anything, WORSE)),
    ),
]
NAMES = ["one message", "among others"]


@pytest.mark.parametrize(("body", "drawn"), CASES, ids=NAMES)
def test_whatever_is_said(body, drawn, caplog):
    caplog.set_level(logging.ERROR)
    settings(EASY, max_examples=250, derandomize=True)(given(*drawn)(body))()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("body", "drawn"), CASES, ids=NAMES)
def test_a_great_deal_of_whatever_is_said(body, drawn, caplog):
    caplog.set_level(logging.ERROR)
    settings(EASY, max_examples=10_000)(given(*drawn)(body))()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("time", moment) for moment in ("9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+23:59")),
        *(("time", moment) for moment in ("1970-01-01T00:00:00Z", "2038-01-19T03:14:08Z")),
        *(("error", error) for error in ({}, [], {"code": "new", "message": ""}, {"code": 5})),
        *(("status", status) for status in ("error", "new", None)),
    ],
)
def test_answers_as_only_a_rig_in_trouble_gives_them(key, value):
    among_others([], key, value)
