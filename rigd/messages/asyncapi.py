"""The contract as an AsyncAPI 3.0 document: `docs/asyncapi.yaml`. Pure.

`send` is what a rig publishes, `receive` what it takes. Structure as AsyncAPI 3.0.0 and version 0.2.0 of its MQTT bindings
declare it. Only the documents need this; nothing that runs imports it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from rigd.messages import reports, topics
from rigd.messages.asyncapi_frame import (
    ABOUT,
    BINDING,
    CONNECTION,
    CORRELATED,
    PARAMETERS,
    REPLY_PROPERTIES,
    REQUEST_PROPERTIES,
    SECURITY,
    SERVER_VARIABLES,
    Node,
    servers,
    written,
)
from rigd.messages.base import CONTRACT
from rigd.messages.contract import PUBLISHED, Channel
from rigd.messages.schemas import Schema, property_schema, reference, schemas
from rigd.messages.verbs import SETTINGS, VERBS, Request, SettingsParams, Verb

_JSON, _TEXT, _JPEG, _BYTES = "application/json", "text/plain", "image/jpeg", "application/octet-stream"
_ANSWERS = f"{topics.RESPONSE}{{verb}}"
_PRESS: Schema = {"description": "In any case.", "type": "string", "pattern": "^[Pp][Rr][Ee][Ss][Ss]$"}
_ASKING: Node = {"headers": {"$ref": "#/components/schemas/RequestProperties"}, "correlationId": CORRELATED}
_ANSWERING: Node = {"headers": {"$ref": "#/components/schemas/ReplyProperties"}, "correlationId": CORRELATED}


def document() -> Node:
    """The whole document. The same contract always gives the same document."""
    parts = _Parts()
    for channel in PUBLISHED:
        if channel.topic != _ANSWERS:
            parts.say(channel)
    parts.answers()
    for verb in VERBS.values():
        parts.request(verb)
    for setting in SETTINGS:
        parts.setting(setting)
    parts.estop()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "rigd",
            "version": CONTRACT,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": _JSON,
        "servers": servers(),
        "channels": parts.channels,
        "operations": parts.operations,
        "components": {
            "messages": parts.messages,
            "schemas": {
                **schemas(),
                "RequestProperties": REQUEST_PROPERTIES,
                "ReplyProperties": REPLY_PROPERTIES,
            },
            "parameters": PARAMETERS,
            "serverVariables": SERVER_VARIABLES,
            "serverBindings": {"rig": CONNECTION},
            "securitySchemes": SECURITY,
        },
    }


def document_yaml() -> str:
    """The document as it is on disk."""
    return f"# Made from the models in rigd/messages by `make docs`.\n{written(document())}"


@dataclass
class _Parts:
    """Channels, operations and messages, as they come together."""

    channels: Node = field(default_factory=dict)
    operations: Node = field(default_factory=dict)
    messages: Node = field(default_factory=dict)

    def say(self, channel: Channel) -> None:
        """What the rig publishes by itself."""
        key = camel(channel.topic)
        summary = _sentence(channel.summary)
        if channel.carries == "text":
            self._message(key, summary, _TEXT, {"type": "string", "enum": [topics.ONLINE, topics.OFFLINE]})
        elif channel.carries == "jpeg":
            self._message(key, summary, _JPEG, {"type": "string", "format": "binary"})
        else:
            self._message(key, summary, _JSON, reference(channel.carries))
        self._channel(key, channel.topic, summary, [key])
        self._operation("send", key, [key], summary, qos=channel.qos, retain=channel.retained)

    def answers(self) -> None:
        """Answers: to a topic that the request names, or to `response/<verb>`. Which one it is, its key `verb` says."""
        names = [
            self._reply(camel("reply", verb.name), verb.name, {"const": verb.name}, _data(verb))
            for verb in VERBS.values()
        ]
        known = {"pattern": f"^set/({'|'.join(SETTINGS)})$"}
        names.append(self._reply("replySet", "set/<setting>", known, reference(reports.Settings)))
        names.append(self._reply("replyEstop", topics.ESTOP, {"const": topics.ESTOP}, None))
        others: Schema = {"not": {"anyOf": [{"enum": [*VERBS, topics.ESTOP]}, known]}}
        names.append(self._reply("replyOther", "what is no command of this rig", others, None))
        summary = "Answers, on the topic that the request named."
        own = {name: {"$ref": f"#/components/messages/{name}"} for name in names}
        self.channels["reply"] = {"address": None, "summary": summary, "messages": own}
        summary = "Answers to requests that named no response topic."
        self._channel("response", _ANSWERS, summary, names)
        self._operation("send", "response", names, summary)

    def request(self, verb: Verb) -> None:
        """A command."""
        key = camel("request", verb.name)
        summary = _sentence(verb.summary)
        needed = _needs_params(verb)
        params: Schema = {"properties": {"params": reference(verb.params)}}
        if needed:
            params["required"] = ["params"]
        self._message(key, summary, _JSON, {"allOf": [reference(Request), params]}, **_ASKING)
        names = [key]
        if not needed:
            self._message("press", "Without parameters, as buttons send it.", _TEXT, _PRESS, **_ASKING)
            names.append("press")
        if verb.plain is not None:
            plain = camel("plain", verb.name)
            value = property_schema(verb.params, verb.plain)
            self._message(plain, f"`{verb.plain}` alone.", *_plain(value), **_ASKING)
            names.append(plain)
        self._channel(key, f"{topics.REQUEST}{verb.name}", summary, names)
        self._take(key, names, summary, camel("reply", verb.name))

    def setting(self, setting: str) -> None:
        """A setting, alone or in the envelope."""
        key, plain = camel("set", setting), camel("plain", "set", setting)
        value = property_schema(SettingsParams, setting)
        summary = f"Change `{setting}`."
        back: Schema = {"type": "string", "maxLength": 0}
        self._message("reset", "An empty payload: back to the config's.", _TEXT, back, **_ASKING)
        self._message(plain, summary, *_plain(value), **_ASKING)
        params = {
            "type": "object",
            "properties": {"value": {"anyOf": [value, {"type": "null"}]}},
            "required": ["value"],
            "additionalProperties": False,
        }
        enveloped = {
            "allOf": [reference(Request), {"properties": {"params": params}, "required": ["params"]}]
        }
        self._message(key, summary, _JSON, enveloped, **_ASKING)
        self._channel(key, f"{topics.SET}{setting}", summary, [plain, "reset", key])
        self._take(key, [plain, "reset", key], summary, "replySet")

    def estop(self) -> None:
        """The emergency stop."""
        summary = "Emergency stop: any payload, retained or not. It only ever stops."
        self._message("estop", summary, _BYTES, {"description": "Anything."}, **_ASKING)
        self._channel("estop", topics.ESTOP, summary, ["estop"])
        self._take("estop", ["estop"], summary, "replyEstop")

    def _reply(self, name: str, asked: str, verb: Schema, data: Schema | None) -> str:
        narrowed: Schema = {"properties": {"verb": {"type": "string", **verb}}}
        if data is not None:
            narrowed["if"] = {"properties": {"status": {"enum": ["ok", "accepted"]}}}
            narrowed["then"] = {"properties": {"data": data}}
        payload = {"allOf": [reference(reports.Reply), narrowed]}
        self._message(name, f"Answer to `{asked}`.", _JSON, payload, **_ANSWERING)
        return name

    def _take(self, key: str, names: list[str], summary: str, reply: str) -> None:
        address = {
            "location": "$message.header#/responseTopic",
            "description": f"Without one: `{topics.RESPONSE}<verb>`, as in the operation `sendResponse`.",
        }
        answer = {
            "address": address,
            "channel": {"$ref": "#/channels/reply"},
            "messages": [{"$ref": f"#/channels/reply/messages/{reply}"}],
        }
        self._operation("receive", key, names, summary, reply=answer)

    def _message(self, name: str, summary: str, content: str, payload: Schema, **more: Any) -> None:
        self.messages[name] = {
            "name": name,
            "summary": summary,
            "contentType": content,
            "payload": payload,
            **more,
        }

    def _channel(self, key: str, topic: str, summary: str, names: list[str]) -> None:
        address = f"{{base}}/{{rig}}/{topic}"
        parameters = re.findall(r"{(\w+)}", address)
        self.channels[key] = {
            "address": address,
            "summary": summary,
            "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in parameters},
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        }

    def _operation(
        self,
        action: str,
        key: str,
        names: list[str],
        summary: str,
        *,
        qos: int = 1,
        retain: bool = False,
        **more: Any,
    ) -> None:
        self.operations[camel(action, key)] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{key}"},
            "summary": summary,
            "messages": [{"$ref": f"#/channels/{key}/messages/{name}"} for name in names],
            **more,
            "bindings": {"mqtt": {"qos": qos, "retain": retain, "bindingVersion": BINDING}},
        }


def camel(*parts: str) -> str:
    """`session/{session}/frame` gives `sessionFrame`; `set`, `step_um` give `setStepUm`."""
    words: list[str] = re.findall(r"[A-Za-z0-9]+", re.sub(r"{\w+}", "", "/".join(parts)))
    return words[0] + "".join(word[0].upper() + word[1:] for word in words[1:])


def _data(verb: Verb) -> Schema | None:
    if verb.data is None:
        return None
    # A long command may have its data at its end only, with `action_finished`.
    carried = reference(verb.data)
    return {"anyOf": [carried, {"maxProperties": 0}]} if verb.long else carried


def _plain(value: Schema) -> tuple[str, Schema]:
    """Content type and schema of a plain value: text as it is, everything else as JSON."""
    if value.get("type") != "string":
        return _JSON, value
    if "enum" in value:
        return _TEXT, value
    # What begins like JSON must be JSON, and `PRESS` is no text.
    others = {"anyOf": [{"pattern": '^\\s*[{\\["]'}, {"pattern": _PRESS["pattern"]}]}
    return _TEXT, {**value, "not": others}


def _needs_params(verb: Verb) -> bool:
    try:
        verb.params.model_validate({})
    except ValidationError:
        return True
    return False


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}." if text[0].isalpha() else f"{text.rstrip('.')}."
