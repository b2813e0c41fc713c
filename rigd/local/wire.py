"""Lines on the socket: one JSON object each, either way.

A message is `{"topic": ..., "payload": ...}`. A payload that is an object, a number, a truth value or null is JSON; a text is the payload
itself, as it would be published on a broker (`"PRESS"`, `"12000"`); anything else comes as `{"base64": ...}` beside the topic.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from rigd.messages import topics

MAX_LINE_BYTES = 64 * 1024
"""A longer line is not read: the longest request, escaped to the utmost, is shorter."""
_ESTOP = re.compile(rb'^\s*(?:estop\s*$|\{.{0,256}?"topic"\s*:\s*"estop"\s*[,}])', re.DOTALL)


class BadLine(ValueError):
    """A line that is no message; the text says why."""


def message_line(topic: str, payload: bytes, *, retained: bool = False) -> bytes:
    """A message as a line, with its newline."""
    head = b'{"topic":' + json.dumps(topic).encode()
    tail = b',"retained":true}\n' if retained else b"}\n"
    if payload.startswith(b"{"):
        # rigd's own models. A raw newline in JSON stands between tokens only, so a blank does as well.
        return head + b',"payload":' + payload.replace(b"\n", b" ") + tail
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return head + b',"base64":"' + base64.b64encode(payload) + b'"' + tail
    return head + b',"payload":' + json.dumps(text).encode() + tail


def note_line(**fields: Any) -> bytes:
    """A line about the connection itself: `hello`, `synced`, `error`."""
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def read_line(line: bytes) -> tuple[str, bytes]:
    """Topic and payload of a client's line. Raises `BadLine`."""
    try:
        said = json.loads(line)
    except (ValueError, RecursionError) as error:
        if is_estop(line):
            return topics.ESTOP, b""
        raise BadLine(f"not JSON: {error}") from None
    if isinstance(said, dict) and said.get("topic") == topics.ESTOP:
        return topics.ESTOP, _payload_or_nothing(said)
    if not isinstance(said, dict) or not isinstance(said.get("topic"), str):
        raise BadLine('a line is an object with a "topic", and mostly a "payload"')
    return said["topic"], _payload(said)


def is_estop(line: bytes) -> bool:
    """Whether a line that cannot be read as a whole is an emergency stop, by its beginning. The bare word will do."""
    return _ESTOP.match(line) is not None


def _payload(said: dict[str, Any]) -> bytes:
    if "base64" in said:
        try:
            return base64.b64decode(said["base64"], validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise BadLine(f"base64: {error}") from None
    if "payload" not in said:
        return b""
    payload = said["payload"]
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return text.encode("utf-8", "surrogatepass")


def _payload_or_nothing(said: dict[str, Any]) -> bytes:
    """An e-stop is obeyed whatever it carries."""
    try:
        return _payload(said)
    except BadLine:
        return b""
