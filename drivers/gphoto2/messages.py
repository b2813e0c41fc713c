"""What passes between the driver and its camera process: one request, one answer.

On the wire a message is eight bytes, the lengths of the two parts that follow (big endian): JSON with the message's type and
fields, and raw bytes, which only pictures have.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from typing import Any, Literal

HEAD = struct.Struct(">II")
JSON_LIMIT = 16_000_000
"""A camera's settings with all their choices are some hundred kilobytes."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer."""


# ----------------------------------------------------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class Detect(Message):
    """Which cameras are there? Answer: `Cameras`."""


@dataclass(frozen=True, slots=True)
class Open(Message):
    """Take a camera into use. Answer: `Opened`."""

    model: str
    port: str


@dataclass(frozen=True, slots=True)
class Describe(Message):
    """All settings. Answer: `Tree`."""


@dataclass(frozen=True, slots=True)
class Read(Message):
    """Settings as they are now. Answer: `Values`, without those that the camera will not tell."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Write(Message):
    """Change a setting. Answer: `Values`, as read back."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Trigger(Message):
    """Open the shutter. `wait`: by the call that returns when the picture is there. Answer: `Triggered`."""

    wait: bool


@dataclass(frozen=True, slots=True)
class Listen(Message):
    """Wait for the camera to say something. Answer: `Heard`."""

    limit_s: float


@dataclass(frozen=True, slots=True)
class Download(Message):
    """A file's data. Answer: `Data`."""

    folder: str
    name: str


@dataclass(frozen=True, slots=True)
class Delete(Message):
    """Remove a file from the camera. Answer: `Done`."""

    folder: str
    name: str


@dataclass(frozen=True, slots=True)
class Reset(Message):
    """Reset the USB port of a camera that is not open. Answer: `Done`."""

    port: str


@dataclass(frozen=True, slots=True)
class Leave(Message):
    """Let go of the camera and end. Answer: `Done`."""


# ------------------------------------------------------------------------------------------------------------ answers


@dataclass(frozen=True, slots=True)
class Done(Message):
    """It was done."""


@dataclass(frozen=True, slots=True)
class Refused(Message):
    """libgphoto2 said no: its code, and its words in English."""

    code: int
    words: str


@dataclass(frozen=True, slots=True)
class Cameras(Message):
    """Model and port of each."""

    found: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Opened(Message):
    """`triggers`: whether it knows the call that returns before the picture is there. `library`: its version."""

    triggers: bool
    library: str


@dataclass(frozen=True, slots=True)
class Widget:
    """One setting. `choices` is empty where any value goes."""

    name: str
    label: str
    readonly: bool
    value: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tree(Message):
    """All settings that have a value."""

    widgets: tuple[Widget, ...]


@dataclass(frozen=True, slots=True)
class Values(Message):
    """Settings by name."""

    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Triggered(Message):
    """CLOCK_MONOTONIC before and after the call, and the file where the call told it."""

    before_s: float
    after_s: float
    folder: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Heard(Message):
    """What the camera said, and CLOCK_MONOTONIC when it had."""

    kind: Literal["file", "complete", "other", "nothing"]
    at_s: float
    folder: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Data(Message):
    """A file is in the message's raw bytes; `size` is what the camera says it should be."""

    size: int | None


_REQUESTS = (Detect, Open, Describe, Read, Write, Trigger, Listen, Download, Delete, Reset, Leave)
_ANSWERS = (Done, Refused, Cameras, Opened, Tree, Values, Triggered, Heard, Data)
_TYPES: dict[str, type[Message]] = {kind.__name__: kind for kind in (*_REQUESTS, *_ANSWERS)}


def packed(message: Message, raw: bytes = b"") -> tuple[bytes, bytes]:
    """What goes on the wire: head with JSON, and the raw bytes."""
    text = json.dumps({"type": type(message).__name__} | asdict(message)).encode()
    return HEAD.pack(len(text), len(raw)) + text, raw


def unpacked(text: bytes) -> Message:
    """A message from its JSON. Raises `ValueError` when it is none."""
    try:
        fields: dict[str, Any] = json.loads(text)
        kind = _TYPES[fields.pop("type")]
        if kind is Tree:
            return Tree(tuple(_widget(each) for each in fields["widgets"]))
        return kind(**{name: _frozen(value) for name, value in fields.items()})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a message: {text[:80]!r}") from error


def _widget(fields: dict[str, Any]) -> Widget:
    return Widget(**{name: _frozen(value) for name, value in fields.items()})


def _frozen(value: Any) -> Any:
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value
