"""The bytes of a message, and what is made of them: never an exception, and never more than is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rigd.messages.base import MAX_PAYLOAD_BYTES, Error, ErrorCode
from rigd.messages.verbs import SETTINGS, VERBS, SettingsParams
from rigd.remote.reading import Command, Unreadable, clean, read, transaction_in
from tests.fuzz import payloads
from tests.fuzz.messages import Shot, shots
from tests.fuzz.payloads import Payload
from tests.fuzz.raw import to_json
from tests.fuzz.values import good_params

EASY = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
TOPICS = [
    *(f"request/{verb}" for verb in VERBS),
    *(f"set/{name}" for name in SETTINGS),
    "request/",
    "set/x",
    "request/\ufeff",
]


def whole(found: Command | Unreadable, topic: str, payload: bytes) -> None:
    """Whatever it is, an answer can be made of it."""
    answer = {"verb": found.name, "transaction": found.transaction}
    assert len(found.name) <= 80
    json.dumps(answer).encode()
    assert found.transaction is None or 1 <= len(found.transaction) <= 64
    if isinstance(found, Unreadable):
        error = Error.model_validate_json(found.error.model_dump_json())
        assert error == found.error
        assert 0 < len(error.message) < 2000
        assert error.message.isprintable()
        assert error.code is not ErrorCode.INTERNAL
        return
    assert len(payload) <= MAX_PAYLOAD_BYTES
    assert found.verb.name == found.name == topic.removeprefix("request/")
    model: Any = SettingsParams if topic.startswith("set/") else VERBS[found.name].params
    assert type(found.params) is model
    # What is in force is exactly what was asked for, as often as it is read.
    assert model.model_validate(found.params.model_dump(exclude_unset=True)) == found.params
    again = read(topic, payload)
    assert isinstance(again, Command)
    assert again.fingerprint == found.fingerprint
    assert transaction_in(payload) == found.transaction


def raw_bytes(topic: str, payload: Payload) -> None:
    found = read(topic, payload.data)
    whole(found, topic, payload.data)
    if payload.sound is False:
        assert isinstance(found, Unreadable)
    transaction_in(payload.data)


def whole_message(shot: Shot) -> None:
    payload = shot.payload
    found = read(shot.topic, payload.data)
    whole(found, shot.topic, payload.data)
    if payload.sound is True and shot.topic.partition("/")[2] in VERBS:
        assert isinstance(found, Command)
        assert found.transaction == payload.transaction
    if payload.sound is False:
        assert isinstance(found, Unreadable)


def mutation(data: st.DataObject, verb: str) -> None:
    payload = data.draw(payloads.mutated(payloads.requests(verb)))
    whole(read(f"request/{verb}", payload.data), f"request/{verb}", payload.data)


def two_spellings_of_one_command(data: st.DataObject, verb: str) -> None:
    params = data.draw(good_params(verb))
    short = to_json({"params": params})
    long = to_json({"transaction": "x", "params": params}, indent=2, escaped=False)
    one, other = read(f"request/{verb}", short), read(f"request/{verb}", b" " + long)
    assert isinstance(one, Command)
    assert isinstance(other, Command)
    assert (one.params, one.fingerprint) == (other.params, other.fingerprint)


def repeated_text(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) <= 64
    assert cleaned.isprintable()
    cleaned.encode()


VERB = st.sampled_from(sorted(VERBS))
CASES: list[tuple[Callable[..., None], tuple[st.SearchStrategy[Any], ...]]] = [
    (raw_bytes, (st.sampled_from(TOPICS), st.one_of(payloads.raws, payloads.doubled(), payloads.plain))),
    (whole_message, (shots(),)),
    (mutation, (st.data(), VERB)),
    (two_spellings_of_one_command, (st.data(), VERB)),
    (repeated_text, (st.text(st.characters(), max_size=3000),)),
]
NAMES = [body.__name__ for body, _ in CASES]


@pytest.mark.parametrize(("body", "drawn"), CASES, ids=NAMES)
def test_whatever_is_drawn(body, drawn):
    settings(EASY, max_examples=300, derandomize=True)(given(*drawn)(body))()


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("body", "drawn"), CASES, ids=NAMES)
def test_much_of_whatever_is_drawn(body, drawn):
    settings(EASY, max_examples=20_000)(given(*drawn)(body))()


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("request/goto", b'{"params":{"position_um":' + b"9" * 5000 + b"}}"),
        ("request/goto", b'{"params":{"position_um":1' + b"0" * 400 + b"}}"),
        ("set/frames", b"9" * 5000),
        ("set/frames", b"-" + b"9" * 4000),
        ("set/frames", b'{"params":{"value":' + b"9" * 4000 + b"}}"),
        ("request/home", b'{"not_after":' + b"9" * 4000 + b"}"),
        ("request/home", b'{"not_after":-1e308}'),
        ("request/" + "x" * 60_000, b"{}"),
        ("request/\udcff", b"{}"),
    ],
)
def test_numbers_and_names_beyond_all_bounds(topic, payload):
    raw_bytes(topic, Payload(payload))
