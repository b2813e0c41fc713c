"""JSON Schemas of all messages, made from the models, in a form that does not change with every release of pydantic. Pure.

Only the documents need this; nothing that runs imports it.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from rigd.messages import events, reports, verbs
from rigd.messages.base import Inward, Outward
from rigd.messages.contract import PUBLISHED

Schema = dict[str, Any]
_Model = TypeVar("_Model", bound=type[BaseModel])

PLACE = "#/components/schemas/"
"""Where the documents keep schemas."""
_MAPS = ("properties", "patternProperties")
_DATA = ("default", "enum", "const", "examples", "required")
_FIRST = ("$ref", "title", "description", "type", "format")
_LAST = ("properties", "required", "additionalProperties", "default")


def reference(model: type[BaseModel]) -> Schema:
    """Points to the schema of a model."""
    return {"$ref": f"{PLACE}{model.__name__}"}


def schemas() -> dict[str, Schema]:
    """Every model that a message is made of, by name, in alphabetical order."""
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((model, "validation") for model in inward()),
        *((model, "serialization") for model in outward()),
    ]
    _, whole = models_json_schema(wanted, ref_template=PLACE + "{model}")
    return {name: _tidy(schema) for name, schema in sorted(whole["$defs"].items())}


def inward() -> list[type[Inward]]:
    """What a rig hears: the envelope, and the parameters of every command."""
    return _once([verbs.Request, verbs.SettingsParams, *(verb.params for verb in verbs.VERBS.values())])


def outward() -> list[type[Outward]]:
    """What a rig says: everything published, and what answers carry."""
    carried = [channel.carries for channel in PUBLISHED if isinstance(channel.carries, type)]
    answers = [verb.data for verb in verbs.VERBS.values() if verb.data is not None]
    return _once([reports.Reply, *carried, *events.EVENTS.values(), *answers])


def property_schema(model: type[BaseModel], name: str) -> Schema:
    """The schema of one field, when it is given at all: without null and default."""
    whole = _tidy(model.model_json_schema(ref_template=PLACE + "{model}"))
    field: Schema = whole["properties"][name]
    field.pop("default", None)
    kinds = [kind for kind in field.pop("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        return _ordered({**kinds[0], **field})
    return _ordered({**field, **({"anyOf": kinds} if kinds else {})})


def _once(models: list[_Model]) -> list[_Model]:
    return list(dict.fromkeys(models))


def _tidy(node: Any, *, mapping: bool = False) -> Any:
    """One spelling for what releases of pydantic spell in several ways, and no titles made from names."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if isinstance(node, float) and node.is_integer():
        return int(node)
    if not isinstance(node, dict):
        return node
    if mapping:
        return {key: _tidy(value) for key, value in node.items()}
    tidied = {
        key: value if key in _DATA else _tidy(value, mapping=key in _MAPS) for key, value in node.items()
    }
    tidied.pop("title", None)
    if tidied.get("additionalProperties") is True:
        del tidied["additionalProperties"]
    if "const" in tidied:
        tidied.pop("enum", None)
        tidied.setdefault("type", "string")
    if "$ref" in tidied and len(tidied) > 1:
        # Beside a $ref, draft 7 reads nothing else.
        tidied["allOf"] = [{"$ref": tidied.pop("$ref")}]
    if list(tidied) == ["allOf"] and len(tidied["allOf"]) == 1:
        return tidied["allOf"][0]
    return _ordered(tidied)


def _ordered(schema: Schema) -> Schema:
    """What it is first, then its bounds by name, then its parts."""
    middle = sorted(key for key in schema if key not in _FIRST and key not in _LAST)
    return {key: schema[key] for key in (*_FIRST, *middle, *_LAST) if key in schema}
