"""Messages as nobody should send them, and as somebody does: right ones, right ones with something broken in them, and noise."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from rigd.messages.base import MAX_PAYLOAD_BYTES
from rigd.messages.verbs import SETTINGS, VERBS

TRANSACTIONS = st.sampled_from(["a", "b", "c", "d"])
LENGTHS = (
    st.sampled_from([0, 0.5, 100, 1500, 2000, 5000, 19999.9, 20000, 20001, 1e7, -100, -5000]) | st.floats()
)
COUNTS = st.sampled_from([2, 3, 0, -1, 10**6]) | st.integers()
WORDS = st.sampled_from(["ring", "fine", "near_to_far", "stay", "..", "", "PRESS", "a" * 70]) | st.text(
    max_size=8
)
PARAMS: dict[str, st.SearchStrategy[Any]] = {
    "position_um": LENGTHS,
    "distance_um": LENGTHS,
    "near_um": LENGTHS,
    "far_um": LENGTHS,
    "step_um": LENGTHS,
    "jog_um": LENGTHS,
    "frames": COUNTS,
    "margin_frames": COUNTS,
    "hold_s": st.sampled_from([0.1, 1, 5, 50]),
    "ttl_s": st.sampled_from([1, 10, 5000]),
    "settle_s": st.sampled_from([0, 0.2, 500, 601]),
    "seconds": st.sampled_from([0.5, 3, 61]),
    "nudge": st.sampled_from(["toward", "away", "up"]),
    "force": st.booleans(),
    "value": LENGTHS | COUNTS | WORDS | st.none(),
}
"""Values that a parameter of this name may have, and some that it may not; every other is a word."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@dataclass(frozen=True)
class Message:
    """One message, on a topic below the rig's own."""

    topic: str
    payload: bytes
    retained: bool = False
    redelivered: bool = False


def _params(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: PARAMS.get(name, WORDS) for name in names})


@st.composite
def requests(draw: st.DrawFn) -> Message:
    """A request as the contract has it, if not always with good values."""
    # A seldom-used verb must not be as likely as the ones that move something.
    moving = st.sampled_from(
        ["home", "home", "goto", "jog", "session.start", "stop", "lease.take", "settings"]
    )
    verb = draw(moving | st.sampled_from(sorted(VERBS)))
    envelope: dict[str, Any] = {"params": draw(_params(list(VERBS[verb].params.model_fields)))}
    if verb == "session.start" and draw(st.booleans()):
        envelope["params"] = {"frames": 2, "end": draw(st.sampled_from(["stay", "return"]))}
    if draw(st.booleans()):
        envelope["transaction"] = draw(TRANSACTIONS)
    if draw(st.integers(0, 5)) == 0:
        envelope["lease"] = draw(WORDS)
    if draw(st.integers(0, 5)) == 0:
        envelope["expect"] = {"mode": draw(st.sampled_from(["idle", "unhomed", "paused"]))}
    if draw(st.integers(0, 8)) == 0:
        moments = ["2026-01-01T00:17:00Z", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", 1e18, "x"]
        envelope["not_after"] = draw(st.sampled_from(moments))
    return Message(f"request/{verb}", json.dumps(envelope).encode())


@st.composite
def plain(draw: st.DrawFn) -> Message:
    """A plain value on some topic."""
    topics = [*(f"request/{verb}" for verb in VERBS), *(f"set/{name}" for name in SETTINGS)]
    value = draw(LENGTHS | COUNTS | WORDS | st.just("PRESS") | st.none())
    text = value if isinstance(value, str) and draw(st.booleans()) else json.dumps(value)
    return Message(draw(st.sampled_from(topics)), text.encode())


@st.composite
def mutated(draw: st.DrawFn) -> Message:
    """A right one with something broken in it."""
    message = draw(requests() | plain())
    payload = bytearray(message.payload)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(payload)))
        kind = draw(st.sampled_from(["cut", "flip", "insert", "double", "grow"]))
        if kind == "cut":
            del payload[at:]
        elif kind == "flip" and at < len(payload):
            payload[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "insert":
            payload[at:at] = draw(st.binary(min_size=1, max_size=4))
        elif kind == "double":
            payload[at:at] = payload[at : at + 30]
        elif kind == "grow" and draw(st.integers(0, 20)) == 0:
            payload.extend(b" " * MAX_PAYLOAD_BYTES)
    return Message(message.topic, bytes(payload))


def noise() -> st.SearchStrategy[Message]:
    """Bytes and JSON that are nothing, on topics that may be none."""
    known = st.sampled_from([*(f"request/{verb}" for verb in VERBS), *(f"set/{name}" for name in SETTINGS)])
    loose = st.sampled_from(["request/", "set/", "request/homme", "set/colour", "state"]) | st.text(
        max_size=12
    )
    payload = st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode())
    return st.builds(Message, known | loose.filter(lambda topic: topic != "estop"), payload)


@st.composite
def messages(draw: st.DrawFn, estop: bool = True) -> Message:
    """Any of them, now and then kept by the broker or delivered again."""
    message = draw(st.one_of(requests(), requests(), plain(), mutated(), noise()))
    if estop and draw(st.integers(0, 30)) == 0:
        message = Message("estop", draw(st.binary(max_size=20)))
    flag = draw(st.integers(0, 12))
    return Message(message.topic, message.payload, retained=flag == 0, redelivered=flag == 1)
