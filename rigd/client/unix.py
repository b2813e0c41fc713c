"""The way to a rig on this machine: its Unix socket, one JSON object a line."""

from __future__ import annotations

import asyncio
import base64
import binascii
import errno
import getpass
import grp
import json
import logging
import os
import pwd
import stat
from pathlib import Path
from typing import Any

from rigd.client.errors import NotReachable
from rigd.client.transport import Listener, Message
from rigd.messages import topics

log = logging.getLogger(__name__)

RETRY_S, RETRY_MAX_S = 0.1, 2.0
MAX_LINE_BYTES = 16 * 1024 * 1024
"""A preview picture is the longest line."""
MAX_PATH_BYTES = 107
"""Linux has 108 bytes for the path of a socket, with the zero at its end (unix(7))."""
MAX_UNSENT_BYTES = 1024 * 1024
"""A daemon that hangs reads nothing; what is asked beyond this is lost, and asked again when it is back."""


class UnixTransport:
    """A rig's socket.

    Args:
        path: of the socket.
        preview: hand pictures on; they are large.
    """

    def __init__(self, path: Path, *, preview: bool = False) -> None:
        self.where = str(path)
        self._path = path
        self._preview = preview
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, listener: Listener) -> None:
        """Open, and open again, until cancelled."""
        wait_s = RETRY_S
        while True:
            try:
                await self._talk(listener)
                why = "the rig closed the connection"
                wait_s = RETRY_S
            except OSError as error:
                why = explain(self._path, error)
            except (ValueError, RecursionError, NotReachable) as error:
                why = f"{self._path}: {error}"
            listener.down(why)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_MAX_S)

    def send(self, topic: str, payload: bytes, *, transaction: str | None, expiry_s: float | None) -> None:
        """Send now; the socket has no use for transaction and expiry, which are in the request."""
        del transaction, expiry_s
        writer = self._writer
        if writer is None or writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() < MAX_UNSENT_BYTES or topic == topics.ESTOP:
            text = payload.decode("utf-8", "surrogateescape")
            writer.write(json.dumps({"topic": topic, "payload": text}).encode() + b"\n")

    async def _talk(self, listener: Listener) -> None:
        if len(os.fsencode(self._path)) > MAX_PATH_BYTES:
            raise NotReachable(
                f"longer than the {MAX_PATH_BYTES} bytes that the path of a socket may have; "
                "go to its folder and give a relative path"
            )
        reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_LINE_BYTES)
        self._writer = writer
        try:
            while line := await reader.readline():
                self._hear(json.loads(line), listener)
        finally:
            self._writer = None
            writer.transport.abort()

    def _hear(self, said: Any, listener: Listener) -> None:
        if not isinstance(said, dict):
            raise NotReachable("this is not the socket of a rig")
        match said:
            case {"topic": str(topic)}:
                if self._preview or topic != topics.PREVIEW_IMAGE:
                    listener.message(Message(topic, _payload(said)))
            case {"synced": True}:
                listener.message(Message(topics.AVAILABILITY, topics.ONLINE.encode()))
                listener.up()
            case {"error": {"message": str(message)}}:
                log.warning("%s: %s", self._path, message)


def _payload(said: dict[str, Any]) -> bytes:
    if "base64" in said:
        try:
            return base64.b64decode(said["base64"])
        except (binascii.Error, TypeError) as error:
            raise NotReachable(f"this is not the socket of a rig: {error}") from None
    payload = said.get("payload", "")
    return (payload if isinstance(payload, str) else json.dumps(payload)).encode()


def explain(path: Path, error: OSError) -> str:
    """Why a socket cannot be opened, with what to do about it."""
    match error.errno:
        case errno.ENOENT:
            return f"{path} is not there: does rigd run, and is remote.local on in its config?"
        case errno.ECONNREFUSED:
            return f"nobody listens at {path}: rigd has ended without taking it away; start it again"
        case errno.EACCES | errno.EPERM:
            return _who_may(path)
        case _:
            return f"{path}: {error.strerror or error}"


def _who_may(path: Path) -> str:
    """Permission was denied: whose is it?"""
    blocked = path
    for folder in reversed(path.absolute().parents):
        if not os.access(folder, os.X_OK):
            blocked = folder
            break
    try:
        found = blocked.stat()
    except OSError:
        return f"{path}: permission denied"
    user, group = _user_name(found.st_uid), _group_name(found.st_gid)
    me = getpass.getuser()
    if found.st_gid != 0 and found.st_mode & (stat.S_IXGRP if stat.S_ISDIR(found.st_mode) else stat.S_IWGRP):
        return (
            f"{blocked} is for the user {user} and the group {group}: "
            f"sudo usermod -aG {group} {me}, and log in again"
        )
    return f"{blocked} is for the user {user} only: sudo -u {user} rigctl ..."


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
