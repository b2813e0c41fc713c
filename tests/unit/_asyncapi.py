"""The AsyncAPI document, and which of its messages a payload is."""

from __future__ import annotations

import json

import jsonschema

from rigd.messages.asyncapi import document

DOCUMENT = document()
CHANNELS, OPERATIONS, MESSAGES = (
    DOCUMENT["channels"],
    DOCUMENT["operations"],
    DOCUMENT["components"]["messages"],
)
BY_ADDRESS = {
    channel["address"].removeprefix("{base}/{rig}/"): (key, channel)
    for key, channel in CHANNELS.items()
    if channel["address"] is not None
}


def resolve(reference):
    found = DOCUMENT
    assert reference.startswith("#/")
    for step in reference[2:].split("/"):
        found = found[step]
    return found


def fits(name, payload):
    schema = {**MESSAGES[name]["payload"], "components": DOCUMENT["components"]}
    checker = jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())
    return checker.is_valid(payload)


def messages_of(topic, payload):
    """Those messages of a channel that this payload is."""
    _, channel = BY_ADDRESS[topic]
    return [name for name in channel["messages"] if fits(name, payload)]


def plain(message):
    return json.loads(message.model_dump_json())
