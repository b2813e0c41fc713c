"""Messages between a driver and its process: one request, one answer.

On the wire a message is eight bytes, the lengths of the two parts that follow (big endian): JSON with the message's type and
fields, and raw bytes, which only pictures have.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from typing import Any

HEAD = struct.Struct(">II")
JSON_LIMIT = 16_000_000
"""Nothing that is told is longer."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer."""

    @classmethod
    def revived(cls, fields: dict[str, Any]) -> Message:
        """One from its fields, as they came over the wire. For messages that hold more than plain values."""
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Leave(Message):
    """Let go of everything and end. Answer: `Done`."""


@dataclass(frozen=True, slots=True)
class Done(Message):
    """It was done."""


@dataclass(frozen=True, slots=True)
class Refused(Message):
    """The library said no: which kind of no, and its words."""

    code: int
    words: str


class Codec:
    """Messages to bytes and back.

    Args:
        kinds: the messages there are, beside `Leave`, `Done` and `Refused`. Lists in them arrive as tuples.
    """

    def __init__(self, *kinds: type[Message]) -> None:
        self._kinds: dict[str, type[Message]] = {
            kind.__name__: kind for kind in (Leave, Done, Refused, *kinds)
        }

    def packed(self, message: Message, raw: bytes | memoryview = b"") -> tuple[bytes, bytes | memoryview]:
        """What goes on the wire: head with JSON, and the raw bytes."""
        text = json.dumps({"type": type(message).__name__} | asdict(message)).encode()
        return HEAD.pack(len(text), len(raw)) + text, raw

    def unpacked(self, text: bytes) -> Message:
        """A message from its JSON. Raises `ValueError` when it is none."""
        try:
            fields: dict[str, Any] = json.loads(text)
            kind = self._kinds[fields.pop("type")]
            message = kind.revived({name: _frozen(value) for name, value in fields.items()})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a message: {text[:80]!r}") from error
        return message


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(each) for each in value)
    return {name: _frozen(each) for name, each in value.items()} if isinstance(value, dict) else value
