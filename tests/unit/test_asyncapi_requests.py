"""The AsyncAPI document and the models agree on what a rig hears."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from rigd.messages import verbs
from rigd.messages.asyncapi import camel
from tests.unit._asyncapi import messages_of

ENVELOPE = {
    "transaction": "t-1",
    "not_after": "2026-05-04T12:30:15Z",
    "expect": {"mode": "idle", "homed": True},
    "lease": "token",
}
HEARD = [
    ("goto", {"position_um": 100}, True),
    ("goto", {"position_um": 100.5}, True),
    ("goto", {"position_um": "100"}, False),
    ("goto", {"position_um": -1}, False),
    ("goto", {"position_um": True}, False),
    ("goto", {}, False),
    ("goto", {"position_um": 1, "fast": True}, False),
    ("home", {}, True),
    ("home", {"speed": 1}, False),
    ("jog", {"distance_um": -50}, True),
    ("jog", {"nudge": "away", "hold_s": 5}, True),
    ("jog", {"nudge": "up"}, False),
    ("jog", {"distance_um": 100_001}, False),
    ("jog.renew", {"hold_s": 0}, False),
    ("session.start", {"name": "beetle", "frames": 40, "end": "park"}, True),
    ("session.start", {"frames": 1}, False),
    ("session.start", {"frames": 4.5}, False),
    ("session.start", {"name": ""}, False),
    ("session.start", {"end": "fly"}, False),
    ("lease.take", {"holder": "me", "ttl_s": 5, "force": True}, True),
    ("lease.take", {}, False),
    ("settings", {}, True),
    ("settings", {"step_um": None, "jog_um": 5}, True),
    ("mark_near", {"position_um": None}, True),
]


@pytest.mark.parametrize(("verb", "params", "good"), HEARD)
def test_document_and_models_agree_on_requests(verb, params, good):
    try:
        verbs.VERBS[verb].params.model_validate_json(json.dumps(params))
        taken = True
    except ValidationError:
        taken = False
    assert taken == good
    assert messages_of(f"request/{verb}", {**ENVELOPE, "params": params}) == (
        [camel("request", verb)] if good else []
    )


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({}, True),
        ({"transaction": "two words"}, False),
        ({"transaction": ""}, False),
        ({"expect": {"mode": "asleep"}}, False),
        ({"lease": None}, True),
        ({"verb": "home"}, False),
    ],
)
def test_document_and_models_agree_on_the_envelope(change, good):
    envelope = {**ENVELOPE, **change}
    try:
        verbs.Request.model_validate_json(json.dumps(envelope))
        taken = True
    except ValidationError:
        taken = False
    assert taken == good == bool(messages_of("request/home", envelope))


@pytest.mark.parametrize(
    ("topic", "payload", "names"),
    [
        ("request/home", "PRESS", ["press"]),
        ("request/home", "press", ["press"]),
        ("request/goto", "PRESS", []),
        ("request/jog", "PRESS", []),
        ("request/goto", 1200, ["plainGoto"]),
        ("request/goto", -1, []),
        ("request/session.start", "beetle", ["plainSessionStart"]),
        ("request/session.start", "PRESS", ["press"]),
        ("request/session.start", '{"params": {}}', []),
        ("request/identify", 5, ["plainIdentify"]),
        ("set/step_um", 12.5, ["plainSetStepUm"]),
        ("set/step_um", 0, []),
        ("set/frames", 40, ["plainSetFrames"]),
        ("set/frames", 4.5, []),
        ("set/end", "park", ["plainSetEnd"]),
        ("set/end", "fly", []),
        ("set/end", "", ["reset"]),
        ("set/profile", "", ["reset"]),
        ("set/profile", "fine", ["plainSetProfile"]),
        ("set/end", {"params": {"value": "park"}, "transaction": "t"}, ["setEnd"]),
        ("set/end", {"params": {"value": None}}, ["setEnd"]),
        ("set/end", {"params": {"end": "park"}}, []),
        ("estop", "now", ["estop"]),
        ("estop", None, ["estop"]),
    ],
)
def test_plain_values(topic, payload, names):
    assert messages_of(topic, payload) == names
