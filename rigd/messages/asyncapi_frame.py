"""What stands around channels and messages in the AsyncAPI document: servers, parameters, MQTT 5 properties, and how it is written. Pure."""

from __future__ import annotations

import json
from typing import Any

import yaml

from rigd.messages import topics
from rigd.messages.base import MAX_PAYLOAD_BYTES

Node = dict[str, Any]

BINDING = "0.2.0"
"""Version of the MQTT bindings."""

ABOUT = f"""\
A focus-stacking rig: a rail, a camera, and the daemon `rigd` that runs them. This is the contract from the rig's point of view.

- Every topic is below `<base>/<rig>/`. Payloads are JSON in UTF-8, but for `availability`, `preview/image` and plain values.
- A command is a `Request` on `request/<verb>`, or a plain value where its channel says so. Its answer goes to the response
  topic that it names (MQTT 5, with its correlation data), else to `response/<verb>`. `accepted` means that it has begun;
  `event/action_finished` tells its end.
- A command that is retained, expired, longer than {MAX_PAYLOAD_BYTES} bytes, malformed or out of limits is refused, answered, and
  told on `event/command_refused`. `estop` takes any payload, retained or not.
- What a client does not know in a message it passes over: a newer rig may say more. The first number of the version changes
  when an old client would misunderstand a new rig.

`docs/mqtt.md` tells how to use it.
"""

PARAMETERS: Node = {
    "base": {
        "description": "What all rigs of a broker have in common; `mqtt.base` in the config.",
        "default": "rigd",
    },
    "rig": {"description": "The rig's id; `rig.id` in the config."},
    "session": {"description": "Id of a session."},
    "verb": {"description": "What was asked: a verb, `set`, `estop`, or what is no command at all."},
}

REQUEST_PROPERTIES: Node = {
    "description": "Properties of an MQTT 5 message; a client that speaks 3.1.1 has none.",
    "type": "object",
    "properties": {
        "responseTopic": {
            "description": "Where the answer goes: below `<base>/clients/` or `<base>/<rig>/response/`, or outside of `<base>/`.",
            "type": "string",
        },
        "correlationData": {"description": "Comes back with the answer.", "type": "string"},
    },
}
REPLY_PROPERTIES: Node = {
    "description": "Properties of an MQTT 5 message.",
    "type": "object",
    "properties": {"correlationData": {"description": "As in the request.", "type": "string"}},
}
CORRELATED: Node = {"location": "$message.header#/correlationData"}
SECURITY: Node = {
    "password": {"type": "userPassword", "description": "MQTT's user name and password."},
    "certificate": {"type": "X509", "description": "A client certificate."},
}
CONNECTION: Node = {
    "mqtt": {
        "clientId": "rigd-{rig}",
        "cleanSession": True,
        "keepAlive": 10,
        "sessionExpiryInterval": 0,
        "lastWill": {
            "topic": f"{{base}}/{{rig}}/{topics.AVAILABILITY}",
            "qos": 1,
            "message": topics.OFFLINE,
            "retain": True,
        },
        "bindingVersion": BINDING,
    }
}


def servers() -> Node:
    """The broker, in the clear and over TLS."""
    password = {"$ref": "#/components/securitySchemes/password"}
    certificate = {"$ref": "#/components/securitySchemes/certificate"}
    common = {
        "protocolVersion": "5",
        "variables": {"host": {"$ref": "#/components/serverVariables/host"}},
        "bindings": {"$ref": "#/components/serverBindings/rig"},
    }
    return {
        "broker": {
            "host": "{host}:1883",
            "protocol": "mqtt",
            "description": "MQTT 5, or 3.1.1 where the broker speaks no other.",
            "security": [password],
            **common,
        },
        "encrypted": {
            "host": "{host}:8883",
            "protocol": "secure-mqtt",
            "description": "The same over TLS.",
            "security": [password, certificate],
            **common,
        },
    }


SERVER_VARIABLES: Node = {
    "host": {"description": "The broker; `mqtt.host` in the config.", "default": "localhost"}
}


def written(document: Node) -> str:
    """A document as YAML: texts of several lines as they are read, small mappings on one line, no aliases."""
    # A round trip through JSON: what is used twice is written twice.
    plain = json.loads(json.dumps(document))
    return str(yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000))


class _Dumper(yaml.SafeDumper):
    """YAML for people."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


def _mapping(dumper: yaml.SafeDumper, mapping: Node) -> yaml.Node:
    small = len(mapping) == 1 and not isinstance(next(iter(mapping.values())), dict | list)
    return dumper.represent_mapping("tag:yaml.org,2002:map", mapping.items(), flow_style=small)


def _listing(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
    flat = all(isinstance(item, str) for item in items) and sum(map(len, items)) < 90
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flat)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(dict, _mapping)
_Dumper.add_representer(list, _listing)
