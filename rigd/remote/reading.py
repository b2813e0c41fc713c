"""From the bytes of a message to a command that is right in itself, or to what is wrong with it. Pure, and never raises.

A request is an object (`rigd.messages.verbs.Request`) or a plain value: `PRESS`, `12000`, `ring`. A setting is a plain value, or such
an object whose `params` has one key, `value`. Nothing that a command could mean in two ways is taken: a key that is there twice, a
number that is none, a text cut off in the middle.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json

from rigd.messages import reports, topics
from rigd.messages.base import MAX_PAYLOAD_BYTES, Error, ErrorCode, Inward
from rigd.messages.verbs import SETTINGS, VERBS, Request, SettingsParams, Verb

PRESS = "PRESS"
"""What a button sends."""
SETS: dict[str, Verb] = {
    f"{topics.SET}{name}": Verb(
        f"{topics.SET}{name}",
        f"change {name}",
        SettingsParams,
        data=reports.Settings,
        plain=name,
    )
    for name in SETTINGS
}
"""The settings, each as a command of its own."""
LONGEST_NAME = 64
"""Characters of a topic, key or value that an answer repeats."""
_JSON_BEGINS = ("{", "[", '"')
_SHOULD = re.compile(r"^(Input|String|Value|Number|Datetime|Object) should ")


@dataclass(frozen=True, slots=True)
class Command:
    """A command that is right in itself; whether it is right now is the desk's business."""

    name: str
    """As answers call it: `home`, `set/step_um`."""
    verb: Verb
    params: Inward
    request: Request
    fingerprint: str
    """Equal for equal verb and parameters, however they were written."""

    @property
    def transaction(self) -> str | None:
        """What it is known by."""
        return self.request.transaction


@dataclass(frozen=True, slots=True)
class Unreadable:
    """No command."""

    name: str
    error: Error
    transaction: str | None = None
    """As far as it could be read."""


class _Wrong(Exception):
    """Something is wrong with the payload; never leaves this module."""

    def __init__(self, code: ErrorCode, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.error = Error(code=code, message=message, field=field)


class _Text(str):
    """A plain value that is not JSON."""

    __slots__ = ()


def read(topic: str, payload: bytes) -> Command | Unreadable:
    """A message on `request/<verb>` or `set/<setting>`.

    Args:
        topic: relative to the rig's own.
        payload: whatever came.
    """
    name = clean(topic.removeprefix(topics.REQUEST))
    value: Any = None
    try:
        if len(payload) > MAX_PAYLOAD_BYTES:
            message = f"{len(payload)} bytes; a command has at most {MAX_PAYLOAD_BYTES}"
            raise _Wrong(ErrorCode.OVERSIZED, message)
        text = _decoded(payload)
        value = _value(text)
        verb = _verb(topic)
        if topic in SETS:
            request, params = _setting(verb, value, text)
        else:
            request, params = _request(verb, value, text)
        return Command(name, verb, params, request, _fingerprint(name, params))
    except _Wrong as wrong:
        return Unreadable(name, wrong.error, _transaction(value))


def transaction_in(payload: bytes) -> str | None:
    """The transaction of an envelope, whatever else is in it; None where there is none."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        return None
    try:
        return _transaction(_value(_decoded(payload)))
    except _Wrong:
        return None


def clean(text: str) -> str:
    """A text from elsewhere, short enough and sound enough to be repeated in an answer."""
    text = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 4]} ..."


# ------------------------------------------------------------------------------------------------------- bytes to values


def _decoded(payload: bytes) -> str:
    try:
        return payload.decode().strip()
    except UnicodeDecodeError as error:
        raise _Wrong(ErrorCode.MALFORMED, f"not UTF-8: byte {error.start}") from None


def _value(text: str) -> Any:
    """The JSON value, or the text where it does not look like one."""
    try:
        value = from_json(text, allow_inf_nan=False)
        if isinstance(value, dict | list):
            # The parser above bounds the depth; this one sees keys that are there twice.
            json.loads(text, object_pairs_hook=_once)
    except ValueError as error:
        if text.startswith(_JSON_BEGINS):
            raise _Wrong(ErrorCode.MALFORMED, f"not JSON: {clean(str(error))}") from None
        return _Text(text)
    return value


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key '{clean(key)}' is there twice")
        found[key] = value
    return found


def _transaction(value: Any) -> str | None:
    """The transaction of an envelope that may be wrong elsewhere."""
    if not isinstance(value, dict):
        return None
    try:
        return Request.model_validate({"transaction": value.get("transaction")}).transaction
    except ValidationError:
        return None


# ------------------------------------------------------------------------------------------------------ values to commands


def _verb(topic: str) -> Verb:
    verb = SETS.get(topic)
    if verb is None and topic.startswith(topics.REQUEST):
        verb = VERBS.get(topic.removeprefix(topics.REQUEST))
    if verb is not None:
        return verb
    setting = topic.startswith(topics.SET)
    asked = clean(topic.removeprefix(topics.SET if setting else topics.REQUEST))
    known = SETTINGS if setting else tuple(VERBS)
    close = difflib.get_close_matches(asked.lower(), known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}"
    what, code = ("setting", ErrorCode.UNKNOWN_SETTING) if setting else ("command", ErrorCode.UNKNOWN_VERB)
    raise _Wrong(code, f"no {what} '{asked}': {hint}")


def _request(verb: Verb, value: Any, text: str) -> tuple[Request, Inward]:
    if isinstance(value, dict):
        request = _envelope(value, verb.params.model_fields)
        return request, _params(verb, request.params)
    if not text:
        raise _Wrong(ErrorCode.MALFORMED, f"empty; send {PRESS}, or an object such as {{}}")
    if isinstance(value, str) and value.upper() == PRESS:
        return Request(), _params(verb, {})
    if value is None or isinstance(value, list):
        raise _Wrong(ErrorCode.MALFORMED, "neither an object nor a plain value")
    if verb.plain is None:
        raise _Wrong(ErrorCode.MALFORMED, f"{verb.name} takes no plain value; send {PRESS}, or an object")
    return Request(), _params(verb, {verb.plain: _plain(verb, value, text)})


def _setting(verb: Verb, value: Any, text: str) -> tuple[Request, Inward]:
    assert verb.plain is not None
    request = Request()
    if isinstance(value, dict):
        request = _envelope(value, ("value",))
        if set(request.params) != {"value"}:
            message = "params: must have one key, 'value'"
            raise _Wrong(ErrorCode.INVALID_PARAMS, message, "params")
        value = request.params["value"]
    else:
        value = _plain(verb, value, text)
    if isinstance(value, list):
        raise _Wrong(ErrorCode.MALFORMED, "neither an object nor a plain value")
    return request, _params(verb, {verb.plain: None if value == "" else value})


def _plain(verb: Verb, value: Any, text: str) -> Any:
    """A number is meant as text where text is wanted."""
    assert verb.plain is not None
    if isinstance(value, str):
        return str(value)
    wants_text = _takes_text(verb.params.model_fields[verb.plain].annotation)
    return text if wants_text and value is not None and not isinstance(value, list) else value


def _takes_text(annotation: Any) -> bool:
    if get_origin(annotation) is Literal:
        return all(isinstance(choice, str) for choice in get_args(annotation))
    return annotation is str or any(_takes_text(part) for part in get_args(annotation))


def _envelope(value: dict[str, Any], inner: Collection[str]) -> Request:
    """The envelope; a key that belongs among the `inner` ones, its parameters, is told where."""
    for name in value:
        if name in inner and name not in Request.model_fields:
            message = f'{name}: belongs into params: {{"params": {{"{name}": ...}}}}'
            raise _Wrong(ErrorCode.MALFORMED, message, name)
    try:
        return Request.model_validate(value)
    except ValidationError as error:
        message, field = explain(error, Request)
        raise _Wrong(ErrorCode.MALFORMED, message, field) from None


def _params(verb: Verb, params: dict[str, Any]) -> Inward:
    try:
        return verb.params.model_validate(params)
    except ValidationError as error:
        message, field = explain(error, verb.params, "params")
        raise _Wrong(ErrorCode.INVALID_PARAMS, message, field) from None


def _fingerprint(name: str, params: Inward) -> str:
    # What is left away is not what is null: a setting that is null goes back to the config's.
    said = f"{name}\n{params.model_dump_json(exclude_unset=True)}"
    return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()


# ---------------------------------------------------------------------------------------------------------------- words


def explain(error: ValidationError, model: type[Inward], *around: str) -> tuple[str, str | None]:
    """What is wrong with the first value that is, in one line; and its dotted path."""
    errors = error.errors(include_url=False)
    first = errors[0]
    path = ".".join(clean(str(part)) for part in (*around, *first["loc"]))
    message = ": ".join(part for part in (path, _words(first, model)) if part)
    if len(errors) > 1:
        message += f" (and {len(errors) - 1} more)"
    return message, path or None


def _words(error: ErrorDetails, model: type[Inward]) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            known = ", ".join(model.model_fields) if len(error["loc"]) == 1 else ""
            return f"unknown key; there are {known}" if known else "unknown key"
        case "value_error":
            return str(error["ctx"]["error"])
        case "string_pattern_mismatch":
            kind = (
                "printable ASCII without blanks"
                if error["loc"][-1] == "transaction"
                else "free of control characters"
            )
            return f"must be {kind}, not {clean(repr(error['input']))}"
    words = _SHOULD.sub("must ", error["msg"])
    value = error["input"]
    if isinstance(value, dict | list):
        return words
    shown = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return f"{words}, not {clean(shown)}"
