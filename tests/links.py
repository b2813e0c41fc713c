"""Links under test: what they hear is waited for, and a broker by script for what no real one does on demand."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from rigd.link import Endpoint, Link, Packet, Received
from tests.brokers import HOST

LIMIT_S = 30.0
"""What has not happened by then never will."""


def going(test: Coroutine[Any, Any, None]) -> None:
    """Run an asynchronous test on a real loop, for a bounded time."""

    async def bounded() -> None:
        async with asyncio.timeout(2 * LIMIT_S):
            await test

    asyncio.run(bounded())


def endpoint(port: int, client_id: str = "rig", **more: Any) -> Endpoint:
    """A broker on loopback, looked for again without much delay."""
    quick = {"reconnect_min_s": 0.02, "reconnect_max_s": 0.1}
    return Endpoint(HOST, port, client_id, **(quick | more))


class Party:
    """A link and everything that has happened to it."""

    def __init__(
        self, where: Endpoint, *topics: str, on_up: Callable[[Link], None] | None = None, **more: Any
    ) -> None:
        self.received: list[Received] = []
        self.ups = 0
        self.downs: list[str] = []
        self.failures: list[str] = []
        self.denied: list[tuple[str, str]] = []
        self._news = asyncio.Condition()
        self._telling: set[asyncio.Task[None]] = set()
        self._greet = on_up
        self.link = Link(
            where,
            subscriptions=topics,
            on_message=lambda message: self._note(self.received.append(message)),
            on_up=self._up,
            on_down=lambda why: self._note(self.downs.append(why)),
            on_failed=lambda why: self._note(self.failures.append(why)),
            on_denied=lambda packet, why: self._note(self.denied.append((packet.topic, why))),
            **more,
        )
        self.running: asyncio.Task[None] | None = None

    async def until(self, true: Callable[[], Any]) -> Any:
        """Wait for something about this party, looked at whenever anything happens to it."""
        async with asyncio.timeout(LIMIT_S), self._news:
            return await self._news.wait_for(true)

    async def up(self, times: int = 1) -> None:
        """Wait until it has been connected so often, and is."""
        await self.until(lambda: self.ups >= times and self.link.connected)

    async def hears(self, topic: str, payload: bytes | None = None) -> Received:
        """Wait for a message."""

        def there() -> Received | None:
            fits = (m for m in self.received if m.topic == topic and payload in (None, m.payload))
            return next(fits, None)

        found: Received = await self.until(there)
        return found

    def payloads(self, topic: str) -> list[bytes]:
        """What has been heard on a topic."""
        return [message.payload for message in self.received if message.topic == topic]

    def _up(self) -> None:
        self.ups += 1
        if self._greet is not None:
            self._greet(self.link)
        self._note(None)

    def _note(self, _: None) -> None:
        async def tell() -> None:
            async with self._news:
                self._news.notify_all()

        task = asyncio.ensure_future(tell())
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)


@asynccontextmanager
async def party(where: Endpoint, *topics: str, **more: Any) -> AsyncIterator[Party]:
    """A link that runs until the block ends; it is not waited for."""
    one = Party(where, *topics, **more)
    one.running = asyncio.create_task(one.link.run())
    try:
        yield one
    finally:
        await one.link.close()
        await one.running
        assert not one.link.connected


def text(topic: str, payload: str, **more: Any) -> Packet:
    """A message."""
    return Packet(topic, payload.encode(), **more)


# ------------------------------------------------------------------------------------------------------- a broker by script


class Scripted:
    """What a scripted broker has been told."""

    def __init__(self) -> None:
        self.port = 0
        self.packets: list[bytes] = []
        self.accepted = 0


@asynccontextmanager
async def scripted(
    answers: dict[int, bytes], *, hang_up_after: int | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Scripted]:
    """A broker that gives fixed answers.

    Args:
        answers: bytes by the type of the packet that they answer (1 CONNECT, 3 PUBLISH, 8 SUBSCRIBE, 12 PINGREQ, 14 DISCONNECT). Of
            bytes 2 and 3 of an answer, `II` is replaced by the packet's identifier.
        hang_up_after: end the connection after the answer to this type.
        tls: encrypt; an answer is one record.
    """
    seen = Scripted()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        seen.accepted += 1
        try:
            while True:
                head = await reader.readexactly(1)
                length, shift = 0, 0
                while True:
                    (byte,) = await reader.readexactly(1)
                    length |= (byte & 0x7F) << shift
                    shift += 7
                    if not byte & 0x80:
                        break
                body = await reader.readexactly(length)
                seen.packets.append(head + body)
                kind = head[0] >> 4
                at = 2 + int.from_bytes(body[:2], "big") if kind == 3 else 0
                writer.write(answers.get(kind, b"").replace(b"II", body[at : at + 2]))
                await writer.drain()
                if kind == hang_up_after:
                    return
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            writer.transport.abort()
            tasks.discard(task)

    server = await asyncio.start_server(serve, HOST, 0, ssl=tls)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
