"""What a rig says, and what somebody in its name may say instead."""

from __future__ import annotations

import asyncio
import functools
import json

from hypothesis import strategies as st

from rigd.messages import events
from rigd.messages.contract import PUBLISHED
from rigd.messages.verbs import VERBS
from rigd.remote.bus import Incoming, Outgoing
from tests.fake_rig import FakeRig
from tests.fuzz import raw

TOPICS = [
    channel.topic.replace("{verb}", "home").replace("{session}", "one").replace("{kind}", "x")
    for channel in PUBLISHED
]


@functools.cache
def sayings() -> tuple[tuple[str, bytes], ...]:
    """All that a rig says in a busy day, topics and payloads."""
    said: list[tuple[str, bytes]] = []

    class Ear:
        def send(self, message: Outgoing) -> None:
            said.append((message.topic, message.payload))

    async def day() -> None:
        fake = FakeRig()
        fake.switchboard.attach(Ear())
        fake.boot()
        for verb in VERBS:
            params = {"goto": {"position_um": 5.0}, "lease.take": {"holder": "me"}}.get(verb, {})
            body = json.dumps({"transaction": verb, "params": params}).encode()
            answer = functools.partial(lambda verb, raw: said.append((f"response/{verb}", raw)), verb)
            fake.take(Incoming(f"request/{verb}", body, "test", answer))
            for _ in range(3):
                await asyncio.sleep(0)
        fake.event(events.FaultRaised, code="x", message="y", next_step="z")
        fake.event(events.SessionPaused, session="one", why="", frame=1, frames=2)
        fake.event(events.FrameRetried, session="one", index=1, reason="dark")

    asyncio.run(day())
    return tuple(dict.fromkeys(said))


@st.composite
def bent(draw: st.DrawFn) -> tuple[str, bytes]:
    """Something that a rig says, with a value or two that no rig would."""
    topic, payload = draw(st.sampled_from(sayings()))
    if not payload.startswith(b"{"):
        return topic, payload
    said = json.loads(payload)
    for _ in range(draw(st.integers(1, 2))):
        inside = said
        while True:
            key = draw(st.sampled_from([*inside, "new"]))
            if isinstance(inside.get(key), dict) and inside[key] and draw(st.booleans()):
                inside = inside[key]
                continue
            break
        if draw(st.integers(0, 4)) == 0:
            inside.pop(key, None)
        else:
            inside[key] = draw(st.one_of(raw.anything, WORSE))
    try:
        return topic, raw.to_json(said, escaped=draw(st.booleans()))
    except ValueError:
        return topic, b"9" * 5000


WORSE = st.sampled_from(
    [
        *(
            "9999-12-31T23:59:59.999999Z",
            "0001-01-01T00:00:00+23:59",
            "1969-12-31T23:59:59Z",
            "\x1b[2J\x1b]0;x\x07",
            "\ud800",
        ),
        *(
            -1,
            1e300,
            2**63,
            10**300,
            "NaN",
            float("nan"),
            float("inf"),
            0,
            "",
            [],
            {},
            None,
            "offline",
            "idle",
            "capturing",
        ),
    ]
)
hostile = st.one_of(
    bent(),
    bent(),
    st.tuples(st.sampled_from(TOPICS), raw.raw),
    st.tuples(st.sampled_from(sayings()), st.integers(0, 4000), st.binary(max_size=3)).map(
        lambda drawn: (drawn[0][0], drawn[0][1][: drawn[1]] + drawn[2] + drawn[0][1][drawn[1] + 1 :])
    ),
    st.tuples(st.text(max_size=30), st.sampled_from(sayings())).map(lambda drawn: (drawn[0], drawn[1][1])),
)
"""A relative topic, and what is said there."""
