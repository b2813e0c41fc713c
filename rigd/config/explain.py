"""Validation errors of a section, put into words: what is wrong, and what would be right."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from rigd.config import fields, units
from rigd.config.problems import Problem
from rigd.config.source import Keys, Source, dotted

Homes = Mapping[str, Sequence[str]]
"""For each key, the sections that know it."""

_BOUNDS = {
    "greater_than": "is not above {gt:g}",
    "greater_than_equal": "is below {ge:g}, the least there may be",
    "less_than": "is not below {lt:g}",
    "less_than_equal": "is above {le:g}, the most there may be",
}
_TRUE, _FALSE = {"yes", "on", "y", "1"}, {"no", "off", "n", "0"}
_OWN_WORDS = {"value_error", "assertion_error"}
"""Errors whose message the model itself wrote."""


def validate(
    model: type[BaseModel],
    data: Any,
    source: Source,
    at: Keys,
    homes: Homes | None = None,
) -> BaseModel | None:
    """The section as its model, or None; what is wrong goes to `source.problems`.

    Args:
        model: the section's or the driver's declaration.
        data: the plain data of the section.
        source: where `data` comes from.
        at: path of the section.
        homes: sections that know a key, for keys that stand in the wrong one.
    """
    try:
        # JSON and strict: a path may be text and a whole number a float, and nothing else is bent into shape.
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        source.problems.extend(_Explainer(model, data, source, at, homes or {}).problems(error))
        return None


class _Explainer:
    """One section's data beside its declaration."""

    def __init__(self, model: type[BaseModel], data: Any, source: Source, at: Keys, homes: Homes) -> None:
        self.model = model
        self.data = data
        self.source = source
        self.at = at
        self.homes = homes
        self.expected: set[Keys] = set()
        """Keys that a suggestion already names, so that they are not reported as missing too."""

    def problems(self, error: ValidationError) -> Iterator[Problem]:
        errors = error.errors(include_url=False, include_context=True)
        done: set[Keys] = set()
        for one in errors:
            if one["type"] == "extra_forbidden":
                yield self._unknown(one["loc"])
        for one in errors:
            if one["type"] == "missing":
                yield from self._missing(one["loc"])
            elif one["type"] != "extra_forbidden":
                path = self._path_in_data(one["loc"])
                if path not in done:
                    done.add(path)
                    yield self._wrong_value(path, dict(one))

    def _path_in_data(self, location: Sequence[str | int]) -> Keys:
        """The location without the names of union branches, which are no keys."""
        here, path = self.data, []
        for part in location:
            inside = _inside(here, part)
            if inside is None:
                break
            here = inside[0]
            path.append(part)
        return tuple(path)

    def _value(self, path: Keys) -> Any:
        here = self.data
        for part in path:
            here = here[part]
        return here

    # ------------------------------------------------------------------------------------------------ unknown, missing

    def _unknown(self, location: Sequence[str | int]) -> Problem:
        path = self._path_in_data(location)
        key = str(path[-1])
        known = self._known(path[:-1])
        full = (*self.at, *path)
        fix = self._suggestion(path, key, known)
        return Problem.at(self.source.key_place(full), dotted(full), f"unknown key '{key}'", fix)

    def _known(self, path: Keys) -> Mapping[str, FieldInfo]:
        field = fields.find_field(self.model, path) if path else None
        model = fields.nested_model(field) if field is not None else self.model
        return model.model_fields if model is not None else {}

    def _suggestion(self, path: Keys, key: str, known: Mapping[str, FieldInfo]) -> str:
        present = self._value(path[:-1])
        absent = [name for name in known if name not in present]
        name, text = self._same_stem(key, self._value(path), known, absent)
        if not name and (
            homes := [home for home in self.homes.get(key, ()) if home != dotted((*self.at, *path[:-1]))]
        ):
            or_homes = "' or '".join(homes)
            return f"'{key}' belongs under '{or_homes}'"
        if not name and (close := suggestion(key, absent)) is not None:
            name, text = close, f"did you mean '{close}'?"
        if name:
            self.expected.add((*path[:-1], name))
            return text
        return f"further keys here: {', '.join(absent)}" if absent else "there are no further keys here"

    def _same_stem(
        self, key: str, value: Any, known: Iterable[str], absent: Sequence[str]
    ) -> tuple[str, str]:
        """A known key that differs in the unit only, and what to write instead; two empty texts where there is none."""
        stem, unit = units.split_key(key)
        for name in known:
            other_stem, other_unit = units.split_key(name)
            if other_stem != stem or other_unit == unit:
                continue
            number = _quantity(value, unit)
            converted = number.to(other_unit) if number is not None else None
            if number is not None and converted is not None:
                right = f"{name}: {units.plain_number(converted)} ({units.plain_number(number.number)} {units.shown(number.unit)})"
            elif not unit or not other_unit or units.dimension(unit) == units.dimension(other_unit):
                right = f"{name}" + (f", in {units.shown(other_unit)}" if other_unit else "")
            else:
                continue
            if name in absent:
                return name, f"did you mean {right}?"
            return name, f"leave it away, '{name}' is there already; or change that to {right}"
        return "", ""

    def _missing(self, location: Sequence[str | int]) -> Iterator[Problem]:
        path = (*self._path_in_data(location[:-1]), location[-1])
        if path in self.expected:
            return
        full = (*self.at, *path)
        field = fields.find_field(self.model, path)
        name = str(path[-1])
        message = f"'{name}' is missing"
        fix = f"add '{name}: ...'"
        if field is not None:
            fix = f"add '{name}: <{fields.allowed_with_unit(name, field)}>': {_sentence(fields.describe(field))}"
        yield Problem.at(self.source.key_place(full), dotted(full), message, fix)

    # ---------------------------------------------------------------------------------------------------- wrong values

    def _wrong_value(self, path: Keys, error: dict[str, Any]) -> Problem:
        full = (*self.at, *path)
        field = fields.find_field(self.model, path) if path else None
        if error["type"] in _OWN_WORDS:
            message, fix = str(error["ctx"]["error"]), ""
        elif not path:
            message, fix = (
                f"{self._shown(path)} is not a mapping of keys",
                f"keys here: {', '.join(self.model.model_fields)}",
            )
        elif field is None:
            message, fix = f"{self._shown(path)} is not possible here", self._right_list(path)
        elif fields.nested_model(field) is not None:
            inner = fields.nested_model(field)
            message = f"{self._shown(path)} is not a mapping of keys"
            fix = f"keys here: {', '.join(inner.model_fields if inner else ())}"
        else:
            message, fix = self._wrong_scalar(path, field, error)
        return Problem.at(self.source.value_place(full), dotted(full), message, fix)

    def _right_list(self, path: Keys) -> str:
        """What the list around an item may hold."""
        while path and (field := fields.find_field(self.model, path)) is None:
            path = path[:-1]
        return f"{path[-1]}: <{fields.allowed(field)}>" if path and field is not None else ""

    def _wrong_scalar(self, path: Keys, field: FieldInfo, error: dict[str, Any]) -> tuple[str, str]:
        """Message and fix for a field that is no mapping."""
        name, value, shown = str(path[-1]), self._value(path), self._shown(path)
        right = f"{name}: <{fields.allowed_with_unit(name, field)}>"
        if isinstance(value, str):
            return self._wrong_word(name, field, value, right, str(error["type"]))
        if error["type"] in _BOUNDS:
            return f"{shown} " + _BOUNDS[error["type"]].format(**error["ctx"]), right
        if value is None:
            return "there is no value", right
        if fields.holds(field, str) and not isinstance(value, list | dict):
            text = self.source.texts.get((*self.at, *path), str(value))
            return f"{shown} is not text", f'put it in quotes: {name}: "{text}"'
        return f"{shown} is not possible here", right

    def _wrong_word(self, name: str, field: FieldInfo, value: str, right: str, kind: str) -> tuple[str, str]:
        """Message and fix where there is text and something else, or another word, is wanted."""
        quantity = units.parse_quantity(value)
        if quantity is not None and (fields.holds(field, float) or fields.holds(field, int)):
            return self._with_unit(name, field, value, quantity)
        if fields.holds(field, bool) and value.lower() in _TRUE | _FALSE:
            return f"'{value}' is neither true nor false", f"{name}: {str(value.lower() in _TRUE).lower()}"
        shown = f"'{_short(value)}'"
        if kind == "string_pattern_mismatch":
            return f"{shown} is not possible here", f"{right}: {_sentence(fields.describe(field))}"
        if (word := suggestion(value, fields.choices(field))) is not None:
            return f"{shown} is not possible here", f"did you mean '{word}'? It is {fields.allowed(field)}"
        return f"{shown} is not possible here", right

    def _with_unit(
        self, name: str, field: FieldInfo, value: str, quantity: units.Quantity
    ) -> tuple[str, str]:
        wanted = fields.unit_of(name, field)
        converted = quantity.to(wanted) if quantity.unit else quantity.number
        if not quantity.unit:
            return f"'{value}' is text", f"{name}: {units.plain_number(quantity.number)}, without quotes"
        if converted is not None:
            return (
                f"'{value}' has a unit",
                f"{name}: {units.plain_number(converted)}, as a plain number in {units.shown(wanted)}",
            )
        if wanted:
            message = f"'{value}' is a {units.dimension(quantity.unit)}, not a {units.dimension(wanted)}"
            return message, f"{name}: <{fields.allowed_with_unit(name, field)}>"
        return f"'{value}' has a unit", f"{name}: {units.plain_number(quantity.number)}, as a plain number"

    def _shown(self, path: Keys) -> str:
        """A value as it was written, shortened."""
        value = self._value(path)
        text = self.source.texts.get((*self.at, *path))
        if isinstance(value, dict | list):
            return "a mapping" if isinstance(value, dict) else "a list"
        return f"'{_short(value)}'" if isinstance(value, str) else _short(text or str(value))


def suggestion(word: str, known: Sequence[str]) -> str | None:
    """The known word that is closest, if any is close."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return close[0] if close else None


def _quantity(value: Any, unit: str) -> units.Quantity | None:
    """The number under a key that ends in `unit`; a unit in the value itself counts more."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if not isinstance(value, str):
        return units.Quantity(float(value), unit)
    parsed = units.parse_quantity(value)
    if parsed is None:
        return None
    return parsed if parsed.unit else units.Quantity(parsed.number, unit)


def _inside(here: Any, part: str | int) -> tuple[Any] | None:
    """What is under this key or index, boxed, since it may be None; None where nothing is."""
    if isinstance(here, dict) and part in here:
        return (here[part],)
    if isinstance(here, list) and isinstance(part, int) and part < len(here):
        return (here[part],)
    return None


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:56] + " ..."


def _sentence(text: str) -> str:
    """The first sentence, begun small, without its full stop, to stand inside a message."""
    first = text.split(". ", maxsplit=1)[0].rstrip(".")
    return first[:1].lower() + first[1:]
