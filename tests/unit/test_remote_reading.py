"""Bytes into commands: everything that is right is read, everything else ends in an error that says where."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rigd.messages.base import MAX_PAYLOAD_BYTES, ErrorCode
from rigd.messages.verbs import SETTINGS, VERBS
from rigd.remote.reading import Command, Unreadable, clean, read, transaction_in

E = ErrorCode


def read_well(topic: str, payload: bytes) -> Command:
    found = read(topic, payload)
    assert isinstance(found, Command), found
    return found


def read_badly(topic: str, payload: bytes) -> Unreadable:
    found = read(topic, payload)
    assert isinstance(found, Unreadable), found
    return found


@pytest.mark.parametrize(
    ("topic", "payload", "params"),
    [
        ("request/home", b"PRESS", {}),
        ("request/home", b"press\n", {}),
        ("request/home", b'"PRESS"', {}),
        ("request/home", b"{}", {}),
        ("request/goto", b"12000", {"position_um": 12000.0}),
        ("request/goto", b" 12000.5 ", {"position_um": 12000.5}),
        ("request/goto", b'{"params": {"position_um": 5}}', {"position_um": 5.0}),
        ("request/jog", b"-50", {"distance_um": -50.0}),
        ("request/jog", b'{"params": {"nudge": "away"}}', {"nudge": "away"}),
        ("request/session.start", b"ring", {"name": "ring"}),
        ("request/session.start", b"a ring & a stone", {"name": "a ring & a stone"}),
        ("request/session.start", b"42", {"name": "42"}),
        ("request/session.start", b'"ring"', {"name": "ring"}),
        ("request/session.start", b"PRESS", {}),
        ("request/session.start", "Käfer".encode(), {"name": "Käfer"}),
        ("request/lease.renew", b"abc", {"lease": "abc"}),
        ("request/identify", b"5", {"seconds": 5.0}),
        ("set/step_um", b"20", {"step_um": 20.0}),
        ("set/step_um", b"", {"step_um": None}),
        ("set/step_um", b"null", {"step_um": None}),
        ("set/step_um", b'""', {"step_um": None}),
        ("set/step_um", b'{"params": {"value": 20}}', {"step_um": 20.0}),
        ("set/step_um", b'{"params": {"value": null}}', {"step_um": None}),
        ("set/direction", b"far_to_near", {"direction": "far_to_near"}),
        ("set/direction", b'"far_to_near"', {"direction": "far_to_near"}),
        ("set/profile", b"5", {"profile": "5"}),
        ("set/frames", b"12", {"frames": 12}),
    ],
)
def test_plain_values_and_objects_are_read(topic, payload, params):
    assert read_well(topic, payload).params.model_dump(exclude_unset=True) == params


@pytest.mark.parametrize(
    ("topic", "payload", "code", "field", "words"),
    [
        ("request/home", b"", E.MALFORMED, None, "empty"),
        ("request/home", b"5", E.MALFORMED, None, "no plain value"),
        ("request/home", b"\xff\xfe{}", E.MALFORMED, None, "not UTF-8"),
        ("request/home", b'{"transaction": ', E.MALFORMED, None, "not JSON"),
        ("request/home", b"[1, 2]", E.MALFORMED, None, "neither"),
        ("request/home", b"null", E.MALFORMED, None, "neither"),
        ("request/home", b"[" * 9000, E.MALFORMED, None, "recursion"),
        ("request/home", b'{"params": ' * 900 + b"1" + b"}" * 900, E.MALFORMED, None, "recursion"),
        ("request/home", b'{"not_after": "tomorrow"}', E.MALFORMED, "not_after", "datetime"),
        ("request/home", b'{"not_after": "2026-01-01T00:00:00"}', E.MALFORMED, "not_after", "timezone"),
        ("request/home", b'{"not_after": 1e999}', E.MALFORMED, "not_after", "datetime"),
        ("request/home", b'{"transaction": "a b"}', E.MALFORMED, "transaction", "ASCII without blanks"),
        ("request/home", b'{"transaction": 5}', E.MALFORMED, "transaction", "string"),
        ("request/home", b'{"transcation": "a"}', E.MALFORMED, "transcation", "unknown key"),
        ("request/home", b'{"expect": {"mode": "sleeping"}}', E.MALFORMED, "expect.mode", "'idle'"),
        ("request/home", b'{"params": {"speed": 5}}', E.INVALID_PARAMS, "params.speed", "unknown key"),
        ("request/goto", b'{"params": {"position_um": 5, "position_um": 6}}', E.MALFORMED, None, "twice"),
        ("request/goto", b"{}", E.INVALID_PARAMS, "params.position_um", "missing"),
        ("request/goto", b"PRESS", E.INVALID_PARAMS, "params.position_um", "missing"),
        ("request/goto", b"-1", E.INVALID_PARAMS, "params.position_um", "greater than or equal to 0"),
        ("request/goto", b"true", E.INVALID_PARAMS, "params.position_um", "number"),
        ("request/goto", b'"5"', E.INVALID_PARAMS, "params.position_um", "number"),
        ("request/goto", b"0x10", E.INVALID_PARAMS, "params.position_um", "number"),
        ("request/goto", b"NaN", E.INVALID_PARAMS, "params.position_um", "number"),
        ("request/goto", b'{"params": {"position_um": NaN}}', E.MALFORMED, None, "not JSON"),
        (
            "request/goto",
            b'{"params": {"position_um": 1e999}}',
            E.INVALID_PARAMS,
            "params.position_um",
            "finite",
        ),
        ("request/goto", b"9" * 400, E.INVALID_PARAMS, "params.position_um", "number"),
        ("request/goto", b"9" * 9000, E.INVALID_PARAMS, "params.position_um", "number"),
        ("request/jog", b"PRESS", E.INVALID_PARAMS, "params", "distance_um"),
        (
            "request/jog",
            b'{"params": {"distance_um": 5, "nudge": "away"}}',
            E.INVALID_PARAMS,
            "params",
            "not both",
        ),
        ("request/session.start", b'{"name', E.MALFORMED, None, "not JSON"),
        (
            "request/session.start",
            b'"a\\u0007b"',
            E.INVALID_PARAMS,
            "params.name",
            "free of control characters",
        ),
        ("request/session.start", b'"\\ud800"', E.MALFORMED, None, "not JSON"),
        ("request/session.start", b"x" * 65, E.INVALID_PARAMS, "params.name", "64"),
        ("request/goot", b"5", E.UNKNOWN_VERB, None, "did you mean 'goto'"),
        ("request/", b"{}", E.UNKNOWN_VERB, None, "there are ping, home"),
        ("elsewhere", b"{}", E.UNKNOWN_VERB, None, "elsewhere"),
        ("set/step", b"5", E.UNKNOWN_SETTING, None, "did you mean 'step_um'"),
        ("set/step_um", b"[5]", E.MALFORMED, None, "neither"),
        ("set/step_um", b"-5", E.INVALID_PARAMS, "params.step_um", "greater than 0"),
        ("set/step_um", b"thick", E.INVALID_PARAMS, "params.step_um", "number"),
        (
            "set/step_um",
            b'{"value": 5}',
            E.MALFORMED,
            "value",
            'belongs into params: {"params": {"value": ...}}',
        ),
        ("request/goto", b'{"position_um": 5}', E.MALFORMED, "position_um", "belongs into params: "),
        ("request/GoTo", b"5", E.UNKNOWN_VERB, None, "did you mean 'goto'?"),
        ("set/step_um", b'{"params": {"step_um": 5}}', E.INVALID_PARAMS, "params", "'value'"),
        ("set/frames", b"12.5", E.INVALID_PARAMS, "params.frames", "integer"),
        ("set/end", b"explode", E.INVALID_PARAMS, "params.end", "'park'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(topic, payload, code, field, words):
    error = read_badly(topic, payload).error
    assert (error.code, error.field) == (code, field)
    assert words in error.message
    assert len(error.message) < 700


def test_a_message_that_is_too_long_is_not_read():
    longest = b'{"transaction": "a"}'.ljust(MAX_PAYLOAD_BYTES)
    assert read_well("request/home", longest).transaction == "a"
    found = read_badly("request/home", longest + b" ")
    assert found.error.code is E.OVERSIZED
    assert found.transaction is None


def test_the_transaction_of_a_wrong_request_is_still_known():
    assert read_badly("request/goto", b'{"transaction": "a", "params": {}}').transaction == "a"
    assert read_badly("request/goto", b'{"transaction": "a", "parms": {}}').transaction == "a"
    assert read_badly("request/nothing", b'{"transaction": "a"}').transaction == "a"
    assert read_badly("request/goto", b'{"transaction": ["a"]}').transaction is None
    assert transaction_in(b'{"transaction": "a", "anything": 5}') == "a"
    assert transaction_in(b"stop!") is None
    assert transaction_in(b'{"transaction": "a"}'.ljust(MAX_PAYLOAD_BYTES + 1)) is None


def test_a_moment_is_read_with_its_offset():
    found = read_well("request/home", b'{"not_after": "2026-01-01T02:00:00+02:00"}')
    assert found.request.not_after == datetime(2026, 1, 1, tzinfo=UTC)


def test_equal_commands_have_equal_fingerprints():
    def print_of(topic: str, payload: bytes) -> str:
        return read_well(topic, payload).fingerprint

    plain = print_of("request/goto", b"5")
    assert plain == print_of("request/goto", b'{"params": {"position_um": 5.0}, "transaction": "x"}')
    assert plain != print_of("request/goto", b"6")
    assert print_of("request/home", b"{}") != print_of("request/stop", b"{}")
    assert print_of("set/step_um", b"") != print_of("request/settings", b"{}")
    left_away, reset = b"{}", b'{"params": {"step_um": null}}'
    assert print_of("request/settings", left_away) != print_of("request/settings", reset)


def test_what_an_answer_repeats_is_short_and_printable():
    assert clean("a\x00b\ud800") == "a\ufffdb\ufffd"
    assert clean("x" * 65) == "x" * 60 + " ..."
    assert clean("x" * 64) == "x" * 64


TOPICS = [*(f"request/{name}" for name in VERBS), *(f"set/{name}" for name in SETTINGS), "request/?", "set/?"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "transaction": JSON,
        "params": st.dictionaries(
            st.sampled_from(["value", "position_um", "distance_um", "name", "lease", *SETTINGS]),
            JSON,
            max_size=3,
        )
        | JSON,
        "not_after": JSON,
        "expect": JSON,
        "lease": JSON,
    },
)
PAYLOADS = st.binary(max_size=60) | (JSON | ENVELOPES).map(lambda value: json.dumps(value).encode())


@given(st.sampled_from(TOPICS) | st.text(max_size=20), PAYLOADS)
@example("request/home", b'{"params":' * 5000)
def test_whatever_comes_is_read_or_refused(topic, payload):
    found = read(topic, payload)
    if isinstance(found, Unreadable):
        assert found.error.message
        found.error.model_dump_json()
    else:
        assert found.fingerprint == read_well(topic, payload).fingerprint
        found.params.model_dump_json()
