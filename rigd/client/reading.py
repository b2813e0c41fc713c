"""What a rig says, read: a newer rig may say more, and with codes that are not known here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from rigd.messages import topics
from rigd.messages.base import ErrorCode, Outward
from rigd.messages.events import EVENTS, Event
from rigd.messages.reports import Birth, Frame, Health, Info, PreviewMeta, Reply, Settings, State, Summary

M = TypeVar("M", bound=Outward)

RETAINED: dict[str, type[Outward]] = {
    topics.BIRTH: Birth,
    topics.STATE: State,
    topics.INFO: Info,
    topics.SETTINGS: Settings,
    topics.HEALTH: Health,
    topics.PREVIEW_META: PreviewMeta,
}


class Unreadable(ValueError):
    """Not what belongs on its topic."""


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether the rig is there."""

    online: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, with the code as the rig wrote it."""

    reply: Reply
    code: str | None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class SummaryCleared:
    """A session is gone on with, or gone: its summary does not hold any more."""

    session: str


@dataclass(frozen=True, slots=True)
class Picture:
    """`preview/image`: a JPEG."""

    data: bytes


def read(topic: str, payload: bytes, correlation: bytes | None = None) -> object | None:
    """What a message is: a model of `rigd.messages`, or one of this module's. None: nothing that a client knows.

    Raises `Unreadable`.
    """
    if not payload:
        return _cleared(topic)
    if topic == topics.AVAILABILITY:
        return Availability(payload == topics.ONLINE.encode())
    if topic == topics.PREVIEW_IMAGE:
        return Picture(payload)
    if topic in RETAINED:
        return model(RETAINED[topic], payload)
    if topic.startswith(topics.EVENT):
        return model(EVENTS.get(topic.removeprefix(topics.EVENT), Event), payload)
    if topic.startswith(topics.RESPONSE):
        return answer(payload, correlation)
    match topic.split("/"):
        case ["session", _, "frame"]:
            return model(Frame, payload)
        case ["session", _, "summary"]:
            return model(Summary, payload)
    return None


def _cleared(topic: str) -> object | None:
    match topic.split("/"):
        case ["session", session, "summary"]:
            return SummaryCleared(session)
    return None


def model(kind: type[M], payload: bytes) -> M:
    """One message of that kind. Raises `Unreadable`."""
    try:
        return kind.model_validate_json(payload)
    except ValidationError as error:
        try:
            return kind.model_validate(_mended(_object(payload))[0])
        except ValidationError:
            raise Unreadable(_shortly(error)) from None


def contract_of(payload: bytes) -> str | None:
    """The contract that a birth names which is not readable otherwise."""
    try:
        contract = _object(payload).get("contract")
    except Unreadable:
        return None
    return contract if isinstance(contract, str) else None


def answer(payload: bytes, correlation: bytes | None = None) -> Answer:
    """A reply. Raises `Unreadable`."""
    said, code = _mended(_object(payload))
    try:
        return Answer(Reply.model_validate(said), code, correlation)
    except ValidationError as error:
        raise Unreadable(_shortly(error)) from None


def _object(payload: bytes) -> dict[str, Any]:
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {error}") from None
    if not isinstance(said, dict):
        raise Unreadable("not a JSON object")
    return said


def _mended(said: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The same with a code that this version knows, and the code it came with."""
    error = said.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if not isinstance(error, dict) or not isinstance(code, str):
        return said, None
    if code in set(ErrorCode):
        return said, code
    return {**said, "error": {**error, "code": ErrorCode.INTERNAL.value}}, code


def _shortly(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
