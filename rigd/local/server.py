"""The Unix socket: the rig's messages, one JSON object a line, for whoever may open the file.

A client hears `{"hello": {"rig": ..., "contract": ...}}`, then everything that is retained, then `{"synced": true}`, then what happens.
It says `{"topic": "request/home", "payload": {...}}`; the answer goes to it alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from rigd.local import place
from rigd.local.outbox import Outbox
from rigd.local.wire import MAX_LINE_BYTES, BadLine, is_estop, message_line, note_line, read_line
from rigd.messages import topics
from rigd.messages.base import CONTRACT, ErrorCode
from rigd.remote.bus import Incoming, Outgoing, Switchboard

log = logging.getLogger(__name__)

MAX_CLIENTS = 32
LINES_AT_ONCE = 20
"""Of one client, before others have their turn: a rig that is flooded with commands must still hear a stop."""
ACCEPT_STEPS = 5
"""A connection that was just accepted has a task of its own after so many steps of the loop."""
CLOSE_S = 2.0
"""A client that reads nothing more is not waited for longer than this."""


class Taker(Protocol):
    """Who obeys: the desk."""

    def take(self, incoming: Incoming) -> None:
        """One message, whatever it is."""

    def way_lost(self, source: str) -> None:
        """Nobody is there any more who came this way."""


class LocalServer:
    """Serves one rig on one socket: `async with LocalServer(...)`.

    Each connection is a way of its own (`local:1`, `local:2`, ...): a jog stops with the connection that asked for it.

    Args:
        path: of the socket.
        rig_id: the rig's id, said to every client.
        desk: who obeys.
        switchboard: what the rig says.
        max_clients: further ones are turned away.
    """

    def __init__(
        self,
        path: Path,
        rig_id: str,
        desk: Taker,
        switchboard: Switchboard,
        *,
        max_clients: int = MAX_CLIENTS,
    ) -> None:
        self.path = path
        self.rig_id = rig_id
        self.desk = desk
        self.switchboard = switchboard
        self._max_clients = max_clients
        self._numbers = itertools.count(1)
        self._clients: dict[asyncio.Task[None], _Client] = {}
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Listen. Raises OSError, with what to do where rigd knows it."""
        made = place.bind(self.path)
        self._inode = self.path.lstat().st_ino
        try:
            self._server = await asyncio.start_unix_server(self._meet, sock=made, limit=MAX_LINE_BYTES)
        except OSError:
            made.close()
            place.remove(self.path, self._inode)
            raise
        self.switchboard.attach(self)
        log.info("rigctl can command this rig at %s", self.path)

    async def close(self) -> None:
        """Say goodbye to every client and take the socket away."""
        self.switchboard.detach(self)
        if self._server is None:
            return
        self._server.close()
        place.remove(self.path, self._inode)
        for _ in range(ACCEPT_STEPS):
            await asyncio.sleep(0)
        leaving = tuple(self._clients)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    def send(self, message: Outgoing) -> None:
        """To every client; what is outside of the rig's own topics is for a broker only."""
        if message.absolute or not self._clients:
            return
        line = message_line(message.topic, message.payload, retained=message.retain)
        for client in self._clients.values():
            client.say(message, line)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._clients) >= self._max_clients:
            writer.write(_complaint(ErrorCode.BUSY, f"{self._max_clients} clients are connected already"))
            await _hang_up(writer)
            return
        client = _Client(self, reader, writer, f"local:{next(self._numbers)}")
        self._clients[task] = client
        try:
            await client.serve()
        except asyncio.CancelledError:
            pass  # by `close` only; nobody awaits this task for its result
        finally:
            del self._clients[task]
            self.desk.way_lost(client.source)


class _Client:
    """One connection."""

    def __init__(
        self,
        server: LocalServer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        source: str,
    ) -> None:
        self.source = source
        self._server = server
        self._reader = reader
        self._writer = writer
        self._outbox = Outbox()
        self._outbox.put_retained("$hello", note_line(hello={"rig": server.rig_id, "contract": CONTRACT}))
        for message in server.switchboard.retained.values():
            if not message.absolute:
                self._outbox.put_retained(
                    message.topic, message_line(message.topic, message.payload, retained=True)
                )
        self._outbox.put_retained("$synced", note_line(synced=True))
        self._outbox.greeted()

    def say(self, message: Outgoing, line: bytes) -> None:
        """Take one message; nobody waits for a slow reader."""
        if message.retain:
            self._outbox.put_retained(message.topic, line)
        else:
            self._outbox.put(line)

    async def serve(self) -> None:
        """Until the client goes, or the server does. What waits for it by then is still sent."""
        writing = asyncio.create_task(self._write())
        try:
            await self._read()
        finally:
            try:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
                if not self._writer.is_closing():
                    # Not `writelines`: with nothing to write it fails from Python 3.12 on.
                    self._writer.write(b"".join(self._outbox.rest()))
            finally:
                await _hang_up(self._writer)
        if self._outbox.dropped:
            log.info("%s read too slowly: %d messages dropped", self.source, self._outbox.dropped)

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                self._writer.write(await self._outbox.get())
                await self._writer.drain()

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionError):
            for number in itertools.count(1):
                line = await self._line()
                if not line:
                    return
                if line.strip():
                    self._take(line)
                if number % LINES_AT_ONCE == 0:
                    await asyncio.sleep(0)

    async def _line(self) -> bytes:
        """The next line; empty at the end. A line that is too long ends the connection, but an e-stop is heard even there."""
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as end:
            return end.partial
        except asyncio.LimitOverrunError:
            beginning = await self._reader.read(MAX_LINE_BYTES)
            if is_estop(beginning):
                self._obey(topics.ESTOP, b"")
            problem = f"a line may have {MAX_LINE_BYTES} bytes; goodbye"
            self._outbox.put(_complaint(ErrorCode.OVERSIZED, problem))
            return b""

    def _take(self, line: bytes) -> None:
        try:
            topic, payload = read_line(line)
            if not topic.startswith((topics.REQUEST, topics.SET)) and topic != topics.ESTOP:
                raise BadLine(f"nothing is heard on {topic!r}; {', '.join(topics.INBOUND)} are")
        except BadLine as problem:
            self._outbox.put(_complaint(ErrorCode.MALFORMED, str(problem)))
            return
        self._obey(topic, payload)

    def _obey(self, topic: str, payload: bytes) -> None:
        answered = topics.answer_to(topic)

        def reply(answer: bytes) -> None:
            self._outbox.put(message_line(answered, answer))

        self._server.desk.take(Incoming(topic, payload, self.source, reply))


def _complaint(code: ErrorCode, message: str) -> bytes:
    return note_line(error={"code": code.value, "message": message, "field": None})


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    """Close; what a client does not read within moments is given up."""
    writer.close()
    try:
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(CLOSE_S):
                await writer.wait_closed()
    finally:
        writer.transport.abort()
