"""Payloads of messages: requests that are right, late, nearly right, and broken.

Whoever makes a payload says with it what is known: whether it is surely a request, or surely none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.fuzz import raw
from tests.fuzz.raw import MOST, to_json
from tests.fuzz.values import GOOD, SESSIONS, bad, bad_params, good_params, names

NEW = "@" * 10
"""Stands for a number that no other message has."""


@dataclass(frozen=True)
class Payload:
    """Bytes, and what whoever made them knows."""

    data: bytes
    sound: bool | None = None
    """A request, right in itself; False: certainly none; None: nobody knows."""
    late: bool = False
    """A request that must not be acted on, whatever it asks for."""
    transaction: str | None = None
    """Of a sound one."""

    def numbered(self, number: int) -> Payload:
        """With its own transaction, where it has a new one."""
        new = f"{number:0{len(NEW)}}"
        transaction = None if self.transaction is None else self.transaction.replace(NEW, new)
        return replace(self, data=self.data.replace(NEW.encode(), new.encode()), transaction=transaction)


# --------------------------------------------------------------------------------------------------------------- envelopes

transactions = st.one_of(
    st.just(f"new-{NEW}"),
    st.sampled_from([f"new-{NEW}", NEW, f"'{NEW}\"\\"]),
    st.sampled_from([f"again-{number}" for number in range(12)]),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64),
)
in_time = st.integers(5, 55).map(lambda minutes: timedelta(minutes=minutes))
out_of_time = st.sampled_from(
    [timedelta(days=-1), timedelta(seconds=-1), timedelta(hours=2), timedelta(days=1)]
)
PAST_OR_FAR = (
    *[
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
    ],
    *(0, 1, -1, 1e9, "1", "2000-01-01T00:00:00.123456789+05:30"),
)
NO_TIMES = (
    *[
        "2026-01-01T00:00:00",
        "tomorrow",
        "now",
        "2026-13-01T00:00:00Z",
        "99999-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "1970-01-01",
    ],
    *("", [], {}, True, float("nan"), 10**40, "T" * 500),
)
NO_TRANSACTIONS = ("", "t" * 65, "a b", "é", "\n", 5, True, [], {}, "t" * 9000)
NO_EXPECTATIONS = (
    {"mode": "happy"},
    {"mode": 5},
    {"x": 1},
    {"homed": "yes"},
    {"session": 5},
    [],
    "idle",
    True,
)
NO_LEASES = (5, "", "x" * 65, [], {}, True, "\0")
STRANGERS = ("", "x", "Params", "transactions", "k" * 2000, "\0", "verb")
broken_parts = st.one_of(
    st.tuples(st.just("transaction"), st.sampled_from(NO_TRANSACTIONS)),
    st.tuples(st.just("not_after"), st.sampled_from(NO_TIMES)),
    st.tuples(st.just("expect"), st.sampled_from(NO_EXPECTATIONS)),
    st.tuples(st.just("lease"), st.sampled_from(NO_LEASES)),
    st.tuples(st.just("params"), st.sampled_from([None, [], 5, "x", True])),
    st.tuples(st.sampled_from(STRANGERS), raw.anything),
)
"""A key of a request, and what it cannot be."""


@dataclass(frozen=True)
class Envelope:
    """A request on its way to bytes."""

    body: dict[str, Any]
    sound: bool = True
    late: bool = False


@st.composite
def expects(draw: st.DrawFn) -> tuple[dict[str, Any], bool]:
    """What must hold, and whether it surely does not."""
    key = draw(st.sampled_from(["mode", "homed", "session", "boot_id", "nothing"]))
    match key:
        case "mode":
            return {"mode": draw(st.sampled_from(["idle", "unhomed", "paused", "capturing", "fault"]))}, False
        case "homed":
            return {"homed": draw(st.booleans())}, False
        case "nothing":
            return {}, False
        case _:
            return {key: draw(st.one_of(names, st.sampled_from(SESSIONS)))}, True


@st.composite
def envelopes(draw: st.DrawFn, params: Any) -> Envelope:
    """A request round these parameters; right, late, or broken in one place."""
    body: dict[str, Any] = {"params": params} if params != {} or draw(st.booleans()) else {}
    late = False
    if draw(st.integers(0, 9)) < 7:
        body["transaction"] = draw(transactions)
    match draw(st.integers(0, 23)):
        case 0:
            body["not_after"] = (datetime.now(UTC) + draw(in_time)).isoformat()
        case 1:
            body["not_after"], late = (datetime.now(UTC) + draw(out_of_time)).isoformat(), True
        case 2:
            body["not_after"], late = draw(st.sampled_from(PAST_OR_FAR)), True
        case 3:
            body["expect"], late = draw(expects())
        case 4:
            body["lease"] = draw(names)
        case 5:
            key, value = draw(broken_parts)
            return Envelope({**body, key: value}, sound=False)
    return Envelope(body, late=late)


def _sealed(envelope: Envelope, *, escaped: bool, indent: int | None) -> Payload:
    try:
        data = to_json(envelope.body, escaped=escaped, indent=indent)
    except ValueError:  # an integer of too many digits for Python's own words
        data = to_json({**envelope.body, "params": {"x": 1}})
    transaction = envelope.body.get("transaction") if envelope.sound else None
    readable = not envelope.sound or _readable(data)
    return Payload(
        data,
        sound=envelope.sound and readable,
        late=envelope.late,
        transaction=transaction if readable else None,
    )


def _readable(data: bytes) -> bool:
    """Lone surrogates and NaN are no JSON, whatever Python writes."""
    try:
        json.dumps(json.loads(data.decode()), ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return len(data) <= MOST


# ---------------------------------------------------------------------------------------------------------------- payloads


@st.composite
def requests(draw: st.DrawFn, verb: str) -> Payload:
    """A request for this verb: mostly right."""
    wrong = draw(st.integers(0, 3)) == 0
    params = draw(bad_params(verb) if wrong else good_params(verb))
    envelope = draw(envelopes(params))
    payload = _sealed(envelope, escaped=draw(st.booleans()), indent=draw(st.sampled_from([None, None, 2])))
    if wrong and envelope.sound:
        # What is meant to be wrong may be right after all; nobody knows.
        return replace(payload, sound=None, transaction=None)
    return payload


@st.composite
def settings(draw: st.DrawFn, name: str) -> Payload:
    """A setting: mostly right."""
    value = draw(st.one_of(GOOD[name], GOOD[name], GOOD[name], st.none(), bad(name)))
    if draw(st.booleans()):
        try:
            return Payload(to_json(value))
        except ValueError:
            return Payload(b"1" * 5000)
    params = draw(st.sampled_from([{"value": value}] * 6 + [{}, {"value": value, "x": 1}, {name: value}]))
    payload = _sealed(draw(envelopes(params)), escaped=True, indent=None)
    return replace(payload, sound=None, transaction=None)


PLAIN = (b"PRESS", b"press", b'"PRESS"', b" PRESS\n", b"{}", b"null", b"true", b"5", b"12000", b"-3", b"ring")
plain = st.one_of(st.sampled_from(PLAIN), raw.numbers.map(str).map(str.encode)).map(Payload)
raws = raw.raw.map(Payload)


def mutated(payloads: st.SearchStrategy[Payload]) -> st.SearchStrategy[Payload]:
    """With a few bytes changed."""
    return raw.mutated(payloads.map(lambda payload: payload.data)).map(Payload)


@st.composite
def doubled(draw: st.DrawFn) -> Payload:
    """A key that is there twice."""
    key = draw(st.sampled_from(["params", "transaction", "lease", "x"]))
    values = draw(st.tuples(raw.anything, raw.anything).filter(_short))
    inside = b"{" + b",".join(to_json(key) + b":" + to_json(value) for value in values) + b"}"
    return Payload(draw(st.sampled_from([inside, b'{"params":' + inside + b"}"])), sound=False)


def _short(values: Any) -> bool:
    try:
        return len(to_json(values)) < 2000
    except ValueError:
        return False
