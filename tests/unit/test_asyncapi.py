"""The AsyncAPI document: whole, sound in itself, and true of everything that is said and heard."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from rigd.messages import base, reports, schemas, topics, verbs
from rigd.messages.asyncapi import camel, document_yaml
from rigd.messages.contract import PUBLISHED
from rigd.messages.events import EVENTS, Event
from tests.asyncapi_check import AsyncApi
from tests.unit import _samples as said
from tests.unit._asyncapi import (
    BY_ADDRESS,
    CHANNELS,
    DOCUMENT,
    MESSAGES,
    OPERATIONS,
    messages_of,
    plain,
    resolve,
)


def references(node):
    if isinstance(node, dict):
        if set(node) == {"$ref"}:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_reference_leads_somewhere():
    found = set(references(DOCUMENT))
    assert len(found) > 100
    for reference in found:
        assert isinstance(resolve(reference), dict), reference
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert name.isidentifier()
        jsonschema.Draft7Validator.check_schema(schema)
    for message in MESSAGES.values():
        jsonschema.Draft7Validator.check_schema(message["payload"])


def test_nothing_is_declared_that_nobody_uses():
    found = set(references(DOCUMENT))
    kinds = ("messages", "parameters", "schemas", "securitySchemes", "serverVariables", "serverBindings")
    for kind in kinds:
        for name in DOCUMENT["components"][kind]:
            assert f"#/components/{kind}/{name}" in found, f"{kind}/{name}"


def test_every_topic_of_the_contract_is_a_channel_with_an_operation():
    published = {channel.topic: channel for channel in PUBLISHED}
    taken = (
        {f"request/{verb}" for verb in verbs.VERBS} | {f"set/{name}" for name in verbs.SETTINGS} | {"estop"}
    )
    assert set(BY_ADDRESS) == set(published) | taken
    assert [key for key, channel in CHANNELS.items() if channel["address"] is None] == ["reply"]
    for topic, (key, channel) in BY_ADDRESS.items():
        action = "send" if topic in published else "receive"
        operation = OPERATIONS[camel(action, key)]
        assert operation["action"] == action
        assert operation["channel"] == {"$ref": f"#/channels/{key}"}
        assert {ref["$ref"].rsplit("/", 1)[1] for ref in operation["messages"]} == set(channel["messages"])
        binding = operation["bindings"]["mqtt"]
        if action == "send":
            assert (binding["qos"], binding["retain"]) == (published[topic].qos, published[topic].retained)
        else:
            assert (binding["qos"], binding["retain"]) == (1, False)
            assert operation["reply"]["channel"] == {"$ref": "#/channels/reply"}
            assert resolve(operation["reply"]["messages"][0]["$ref"])
    assert len(OPERATIONS) == len(BY_ADDRESS)


def test_it_is_of_this_version_of_the_contract():
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert DOCUMENT["info"]["version"] == base.CONTRACT
    will = DOCUMENT["components"]["serverBindings"]["rig"]["mqtt"]["lastWill"]
    assert (will["topic"], will["message"]) == ("{base}/{rig}/availability", topics.OFFLINE)


def test_on_disk_it_is_the_same_and_always_written_alike():
    text = document_yaml()
    assert yaml.safe_load(text) == DOCUMENT
    assert text == document_yaml()
    assert "&id" not in text


# ------------------------------------------------------------------------------------------------------- what a rig says


def topic_of(message):
    if isinstance(message, reports.Reply):
        return "response/{verb}"
    if isinstance(message, Event):
        return f"event/{message.event_type}"
    return next(channel.topic for channel in PUBLISHED if channel.carries is type(message))


@pytest.mark.parametrize("message", said.SAID, ids=lambda message: type(message).__name__)
def test_what_a_rig_says_is_one_message_of_its_channel(message):
    assert len(messages_of(topic_of(message), plain(message))) == 1


def test_the_document_on_disk_judges_what_went_over_a_broker():
    api = AsyncApi("lab", "bench-1")
    for message in said.SAID:
        topic = topic_of(message).replace("{verb}", "home").replace("{session}", "s-1")
        payload = message.model_dump_json().encode()
        assert len(api.messages(f"lab/bench-1/{topic}", payload)) == 1, topic
        assert not api.messages(f"lab/other/{topic}", payload)
        assert not api.messages(f"lab/bench-1/{topic}", payload[:-1])
        assert api.why_not(f"lab/bench-1/{topic}", b"{}")
    assert api.messages("lab/bench-1/availability", b"offline") == ["availability"]
    assert api.messages("lab/bench-1/preview/image", b"\xff\xd8") == ["previewImage"]
    assert api.operation("lab/bench-1/health") == {"qos": 0, "retain": True, "bindingVersion": "0.2.0"}
    assert api.operation("lab/bench-1/session/s-1/frame") == {
        "qos": 0,
        "retain": False,
        "bindingVersion": "0.2.0",
    }


def test_samples_are_of_everything_that_is_said():
    assert {type(message) for message in said.SAID} == set(schemas.outward()) - {
        verb.data for verb in verbs.VERBS.values() if verb.data is not reports.Settings
    }


@pytest.mark.parametrize("message", said.SAID, ids=lambda message: type(message).__name__)
def test_what_lacks_a_key_or_has_another_kind_is_not(message):
    model = type(message)
    needed = [name for name, field in model.model_fields.items() if field.is_required()]
    for name in needed:
        whole = plain(message)
        assert not messages_of(topic_of(message), {**whole, name: {"no": "such"}}), name
        del whole[name]
        assert not messages_of(topic_of(message), whole), name


def test_an_answer_carries_what_its_verb_declares():
    common = {"transaction": None, "error": None, "repeated": False, "time": said.NOW.isoformat()}
    pong = {"boot_id": "b", "contract": "1.0", "mode": "idle"}
    answer = {**common, "verb": "ping", "status": "ok", "data": pong}
    assert messages_of("response/{verb}", answer) == ["replyPing"]
    assert not messages_of("response/{verb}", {**answer, "data": {}})
    assert messages_of("response/{verb}", {**answer, "status": "error", "data": {}}) == ["replyPing"]
    begun = {**common, "verb": "capture.test", "status": "accepted", "data": {}}
    assert messages_of("response/{verb}", begun) == ["replyCaptureTest"]
    changed = {**common, "verb": "set/step_um", "status": "ok", "data": plain(said.STEPPED)}
    assert messages_of("response/{verb}", changed) == ["replySet"]
    for unknown in ("fly", "set/fly"):
        refused = {**common, "verb": unknown, "status": "error", "data": {}, "error": plain(said.REFUSAL)}
        assert messages_of("response/{verb}", refused) == ["replyOther"]


def test_text_and_pictures_are_no_json():
    assert MESSAGES["availability"]["contentType"] == "text/plain"
    assert messages_of("availability", "online")
    assert not messages_of("availability", "maybe")
    assert MESSAGES["previewImage"]["contentType"] == "image/jpeg"


def test_every_kind_of_event_is_told_apart():
    kinds = {plain(event)["event_type"] for event in said.EVENTS}
    assert kinds == set(EVENTS)
    ended = plain(said.EVENTS[0])
    assert not messages_of("event/fault", ended)


# --------------------------------------------------------------------------------------------------------------- schemas


def test_what_releases_of_pydantic_spell_differently_is_spelt_alike():
    old = {
        "title": "Thing",
        "type": "object",
        "properties": {
            "title": {"title": "Title", "const": "a", "enum": ["a"]},
            "extra": {"title": "Extra", "type": "object"},
            "part": {"allOf": [{"$ref": "#/x"}]},
            "told": {"allOf": [{"$ref": "#/x"}], "description": "of it"},
            "most": {"maximum": 5.0, "type": "number"},
        },
    }
    new = {
        "properties": {
            "title": {"const": "a", "type": "string"},
            "extra": {"type": "object", "additionalProperties": True},
            "part": {"$ref": "#/x"},
            "told": {"$ref": "#/x", "description": "of it"},
            "most": {"type": "number", "maximum": 5},
        },
        "type": "object",
    }
    assert json.dumps(schemas._tidy(old)) == json.dumps(schemas._tidy(new))
    assert "title" in schemas._tidy(old)["properties"]


def test_one_field_by_itself():
    assert schemas.property_schema(verbs.Goto, "position_um") == {
        "description": "From home.",
        "type": "number",
        "maximum": 10_000_000,
        "minimum": 0,
    }
    assert schemas.property_schema(verbs.SettingsParams, "frames")["type"] == "integer"
