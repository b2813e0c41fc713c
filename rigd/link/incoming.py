"""Reading the properties of what an MQTT 5 broker passes on.

paho's own way takes time with the square of their number: one message of 1 MiB that is all user properties would hold the loop up for a
minute, and nobody could stop a rig meanwhile. It also ends the connection over a U+FEFF in a text, which MQTT allows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion

MOST_USER_PROPERTIES = 100
"""Further ones are passed over."""
_QOS = 0x06


@dataclass(frozen=True, slots=True)
class Properties:
    """Those of a PUBLISH that anybody here asks for; MQTT 5, section 3.3.2.3."""

    response_topic: str | None = None
    correlation: bytes | None = None
    content_type: str | None = None
    expiry_s: int | None = None
    user: dict[str, str] = field(default_factory=dict)
    """Of two with the same name the last."""


class Reader(Client):
    """A paho client that leaves the properties of incoming messages to `read_properties`."""

    incoming = Properties()
    """Of the message that is handed out now."""

    def _handle_publish(self) -> MQTTErrorCode:
        if self._protocol == MQTTProtocolVersion.MQTTv5:
            packet = bytes(self._in_packet["packet"])
            begin = 2 + int.from_bytes(packet[:2], "big") + (2 if self._in_packet["command"] & _QOS else 0)
            try:
                self.incoming, end = read_properties(packet, begin)
            except ValueError:
                return MQTTErrorCode.MQTT_ERR_PROTOCOL
            self._in_packet["packet"] = bytearray(packet[:begin] + b"\0" + packet[end:])
        return super()._handle_publish()


def read_properties(packet: bytes, begin: int) -> tuple[Properties, int]:
    """The properties of a PUBLISH, and where its payload begins.

    Args:
        packet: without its fixed header.
        begin: where the properties begin, with their length.

    Raises:
        ValueError: they are none.
    """
    try:
        length, at = _varint(packet, begin)
        end = at + length
        if end > len(packet):
            raise ValueError("longer than the packet")
        found: dict[str, Any] = {}
        user: dict[str, str] = {}
        while at < end:
            identifier = packet[at]
            name, reader = _KINDS[identifier]
            value, at = reader(packet, at + 1)
            if name == "user":
                if len(user) < MOST_USER_PROPERTIES:
                    user[value[0]] = value[1]
            elif name in found:
                raise ValueError(f"property {identifier} is there twice")
            elif name:
                found[name] = value
        if at != end:
            raise ValueError("a property is cut off")
    except (IndexError, KeyError, struct.error) as error:
        raise ValueError(f"a property that is none: {error!r}") from error
    return Properties(**found, user=user), end


def _byte(packet: bytes, at: int) -> tuple[int, int]:
    return packet[at], at + 1


def _two(packet: bytes, at: int) -> tuple[int, int]:
    return struct.unpack_from("!H", packet, at)[0], at + 2


def _four(packet: bytes, at: int) -> tuple[int, int]:
    return struct.unpack_from("!L", packet, at)[0], at + 4


def _varint(packet: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in (0, 7, 14, 21):
        byte = packet[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than four bytes")


def _raw(packet: bytes, at: int) -> tuple[bytes, int]:
    length, at = _two(packet, at)
    if at + length > len(packet):
        raise ValueError("a property is cut off")
    return packet[at : at + length], at + length


def _text(packet: bytes, at: int) -> tuple[str, int]:
    raw, at = _raw(packet, at)
    return raw.decode(), at


def _pair(packet: bytes, at: int) -> tuple[tuple[str, str], int]:
    name, at = _text(packet, at)
    value, at = _text(packet, at)
    return (name, value), at


_KINDS: dict[int, tuple[str, Callable[[bytes, int], tuple[Any, int]]]] = {
    0x01: ("", _byte),  # payload format
    0x02: ("expiry_s", _four),
    0x03: ("content_type", _text),
    0x08: ("response_topic", _text),
    0x09: ("correlation", _raw),
    0x0B: ("", _varint),  # subscription identifier
    0x23: ("", _two),  # topic alias
    0x26: ("user", _pair),
}
"""By identifier; MQTT 5, section 2.2.2.2."""
