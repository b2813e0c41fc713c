"""Holds messages, as they went over a broker, against `docs/asyncapi.yaml` as it is on disk."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import yaml

DOCUMENT = Path(__file__).parents[1] / "docs" / "asyncapi.yaml"


class AsyncApi:
    """The document, ready to judge.

    Args:
        base: of the topics.
        rig: whose topics they are.
    """

    def __init__(self, base: str = "rigd", rig: str = "rig") -> None:
        self._document = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
        self._channels: list[tuple[re.Pattern[str], str]] = []
        for key, channel in self._document["channels"].items():
            if channel["address"] is not None:
                address = channel["address"].replace("{base}", base).replace("{rig}", rig)
                self._channels.append(
                    (
                        re.compile(
                            re.sub(
                                r"{\w+}", "[^/]+", re.escape(address).replace(r"\{", "{").replace(r"\}", "}")
                            )
                        ),
                        key,
                    )
                )
        self._judges: dict[str, jsonschema.Draft7Validator] = {}

    def channel(self, topic: str) -> str | None:
        """The channel of a whole topic, None where the document has none. A topic without parameters goes first."""
        found = [(pattern, key) for pattern, key in self._channels if pattern.fullmatch(topic)]
        return min(found, key=lambda pair: "[^/]" in pair[0].pattern)[1] if found else None

    def messages(self, topic: str, payload: bytes) -> list[str]:
        """Those messages of the topic's channel that this payload is: exactly one, if all is well."""
        key = self.channel(topic)
        if key is None:
            return []
        return [name for name in self._document["channels"][key]["messages"] if self._fits(name, payload)]

    def why_not(self, topic: str, payload: bytes) -> list[str]:
        """What is wrong with a payload, for people: the complaints of each message of the channel."""
        key = self.channel(topic)
        if key is None:
            return [f"no channel for {topic}"]
        complaints = []
        for name in self._document["channels"][key]["messages"]:
            try:
                value = self._value(name, payload)
            except ValueError as error:
                complaints.append(f"{name}: {error}")
                continue
            complaints += [f"{name}: {error.message}" for error in self._judge(name).iter_errors(value)]
        return complaints

    def operation(self, topic: str, action: str = "send") -> dict[str, Any] | None:
        """QoS and retain flag that the document names for a topic."""
        reference = {"$ref": f"#/channels/{self.channel(topic)}"}
        for operation in self._document["operations"].values():
            if operation["channel"] == reference and operation["action"] == action:
                binding: dict[str, Any] = operation["bindings"]["mqtt"]
                return binding
        return None

    def _fits(self, name: str, payload: bytes) -> bool:
        try:
            return bool(self._judge(name).is_valid(self._value(name, payload)))
        except ValueError:
            return False

    def _value(self, name: str, payload: bytes) -> Any:
        content = self._document["components"]["messages"][name]["contentType"]
        if content == "application/json":
            return json.loads(payload)
        return payload.decode() if content == "text/plain" else ""

    def _judge(self, name: str) -> jsonschema.Draft7Validator:
        if name not in self._judges:
            payload = self._document["components"]["messages"][name]["payload"]
            schema = {**payload, "components": self._document["components"]}
            self._judges[name] = jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())
        return self._judges[name]
