"""The process's end: requests in, answers out, and an end when the driver is gone."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import sys

from drivers.apart.wire import HEAD, Codec, Message


class Link:
    """The process's end of the socket.

    Args:
        descriptor: of the socket.
        codec: of what passes.
    """

    def __init__(self, descriptor: int, codec: Codec) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._codec = codec

    def receive(self) -> Message | None:
        """The next request; None when the driver is gone."""
        head = self._exactly(HEAD.size)
        text = head and self._exactly(HEAD.unpack(head)[0])
        return self._codec.unpacked(text) if text else None

    def send(self, message: Message, raw: bytes | memoryview = b"") -> None:
        """Answer."""
        head, raw = self._codec.packed(message, raw)
        self._socket.sendall(head)
        if len(raw):
            self._socket.sendall(raw)

    def _exactly(self, count: int) -> bytes | None:
        got = b""
        while len(got) < count:
            part = self._socket.recv(count - len(got))
            if not part:
                return None
            got += part
        return got


def die_with_driver(lifeline: int) -> None:
    """End when the other end of a pipe is closed, also while hanging inside a library.

    The kernel then sends SIGIO, which ends a process that does not handle it; no thread of Python's has to run for that.
    """
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    watched = select.poll()
    watched.register(lifeline, 0)
    if watched.poll(0):
        sys.exit(1)
