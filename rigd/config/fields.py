"""What a field may hold, in words: read from the models, for messages and for the reference."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rigd.config.units import shown, split_key

_NAMES: dict[Any, str] = {
    float: "number",
    int: "whole number",
    bool: "true or false",
    str: "text",
    Path: "path",
}


def unit_of(name: str, field: FieldInfo) -> str:
    """The unit of a field as its name says it (`um`), for numbers only; otherwise empty."""
    kinds = {bare for bare, _ in _alternatives(field.annotation, field.metadata)}
    return split_key(name)[1] if kinds & {int, float} else ""


def allowed(field: FieldInfo) -> str:
    """What the field may hold: `number above 0`, `whole number from 2 or 'all'`."""
    words = (_words(kind, metadata) for kind, metadata in _alternatives(field.annotation, field.metadata))
    return " or ".join(word for word in words if word)


def allowed_with_unit(name: str, field: FieldInfo) -> str:
    """As `allowed`, with the unit: `number above 0, in µm`."""
    unit = unit_of(name, field)
    return allowed(field) + (f", in {shown(unit)}" if unit else "")


def type_name(field: FieldInfo) -> str:
    """The kind of value without its bounds: `number`, `text`, or the words to choose from."""
    words = (_words(kind, ()) for kind, _ in _alternatives(field.annotation, ()))
    return " or ".join(word for word in words if word)


def bounds(field: FieldInfo) -> str:
    """The bounds alone: `above 0`, `0 to 50`; empty when there are none."""
    found = (_bounds(metadata) for _, metadata in _alternatives(field.annotation, field.metadata))
    return " or ".join(text for text in found if text)


def holds(field: FieldInfo, kind: type) -> bool:
    """Whether `kind` is one of the field's types."""
    return any(bare is kind for bare, _ in _alternatives(field.annotation, ()))


def choices(field: FieldInfo) -> list[str]:
    """The words that the field may be, where it is one of some words."""
    return [
        value
        for bare, _ in _alternatives(field.annotation, ())
        if get_origin(bare) is Literal
        for value in get_args(bare)
        if isinstance(value, str)
    ]


def nested_model(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a mapping of its own, such as `capture.checks`."""
    for bare, _ in _alternatives(field.annotation, ()):
        if isinstance(bare, type) and issubclass(bare, BaseModel):
            return bare
    return None


def find_field(model: type[BaseModel], path: tuple[str | int, ...]) -> FieldInfo | None:
    """The field at a path below a model; None where the path leads nowhere or into a list."""
    here: type[BaseModel] | None = model
    field: FieldInfo | None = None
    for part in path:
        field = here.model_fields.get(str(part)) if here is not None else None
        if field is None:
            return None
        here = nested_model(field)
    return field


def describe(field: FieldInfo) -> str:
    """The field's description on one line."""
    return " ".join((field.description or "").split())


def _alternatives(annotation: Any, metadata: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Each member of a union with what is said about it; `Annotated` unwrapped."""
    origin = get_origin(annotation)
    if origin is Annotated:
        bare, *more = get_args(annotation)
        yield from _alternatives(bare, (*metadata, *more))
    elif origin in {typing.Union, types.UnionType}:
        for member in get_args(annotation):
            yield from _alternatives(member, metadata)
    else:
        yield annotation, tuple(metadata)


def _words(kind: Any, metadata: tuple[Any, ...]) -> str:
    if kind is type(None):
        return ""
    if get_origin(kind) is Literal:
        *most, last = (f"'{value}'" if isinstance(value, str) else str(value) for value in get_args(kind))
        return f"{', '.join(most)} or {last}" if most else last
    if get_origin(kind) in {list, tuple, set, frozenset}:
        members = [
            one for member in get_args(kind) if member is not Ellipsis for one in _alternatives(member, ())
        ]
        return "list of " + " or ".join(_words(bare, metadata) for bare, metadata in members)
    if get_origin(kind) in {dict, Mapping}:
        return "mapping"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "mapping"
    name = _NAMES.get(kind, getattr(kind, "__name__", str(kind)))
    return f"{name} {_bounds(metadata)}".strip()


def _bounds(metadata: tuple[Any, ...]) -> str:
    found: dict[str, Any] = {}
    for item in _constraints(metadata):
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern"):
            if getattr(item, name, None) is not None:
                found[name] = getattr(item, name)
    low = f"from {found['ge']:g}" if "ge" in found else f"above {found['gt']:g}" if "gt" in found else ""
    high = f"to {found['le']:g}" if "le" in found else f"below {found['lt']:g}" if "lt" in found else ""
    pattern = f"matching {found['pattern']}" if "pattern" in found else ""
    return " ".join(text for text in (low, high, pattern) if text)


def _constraints(metadata: tuple[Any, ...]) -> Iterator[Any]:
    for item in metadata:
        if isinstance(item, FieldInfo):
            yield from _constraints(tuple(item.metadata))
        else:
            yield item
