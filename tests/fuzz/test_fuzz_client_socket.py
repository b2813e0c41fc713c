"""A server of any kind behind the socket's name: the client comes back until it is a rig."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rigd.client.hub import Hub
from rigd.client.transport import Listener, Message
from rigd.client.unix import UnixTransport
from rigd.client.view import View
from tests.fuzz import raw
from tests.fuzz.sayings import hostile

EASY = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))


server_lines = st.one_of(
    raw.raw,
    st.tuples(hostile, st.booleans()).map(lambda drawn: _as_line(*drawn[0], escaped=drawn[1])),
    st.sampled_from(
        [
            b"[" * 100_000,
            b'{"topic":"state","payload":' + b"[" * 990 + b"]" * 990 + b"}",
            b'{"synced":true}',
            b"{}",
        ]
    ),
    st.sampled_from(
        [b'{"topic":"state","base64":5}', b'{"topic":"state","base64":"!"}', b'{"error":{"message":"\x1b"}}']
    ),
)


def _as_line(topic: str, payload: bytes, *, escaped: bool) -> bytes:
    text = payload.decode("utf-8", "surrogateescape")
    return raw.to_json({"topic": topic, "payload": text}, escaped=escaped)


class Ear(Listener):
    """Who hears what comes over the socket."""

    def __init__(self) -> None:
        self.view = View(Hub())
        self.last = asyncio.Event()
        self.downs = 0

    def message(self, message: Message) -> None:
        self.view.message(message)
        if message == Message("availability", b"last"):
            self.last.set()

    def up(self) -> None:
        self.view.up()

    def down(self, why: str) -> None:
        self.downs += 1
        self.view.down(why)

    def denied(self, transaction: str, why: str) -> None:
        self.view.denied(transaction, why)


def until_the_last(folder: Path, lines: list[bytes]) -> None:
    """A server of any kind, a line each time; the client comes back until it is served."""
    waiting = [*lines]

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((waiting.pop() if waiting else b'{"topic":"availability","payload":"last"}') + b"\n")
        await writer.drain()
        writer.close()

    async def main() -> None:
        ear = Ear()
        async with asyncio.timeout(60), await asyncio.start_unix_server(serve, folder / "s"):
            running = asyncio.create_task(UnixTransport(folder / "s").run(ear))
            await asyncio.wait(
                {running, asyncio.create_task(ear.last.wait())}, return_when=asyncio.FIRST_COMPLETED
            )
            assert not running.done(), running.exception()
            assert ear.downs >= len(lines)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(main())


@pytest.mark.parametrize("count", [200, pytest.param(5000, marks=pytest.mark.soak)])
def test_a_server_of_any_kind(tmp_path, monkeypatch, count):
    monkeypatch.setattr("rigd.client.unix.RETRY_S", 0.0)
    drawn: list[bytes] = []

    def collect(line: bytes) -> None:
        drawn.append(line)

    settings(EASY, max_examples=count, phases=[Phase.generate], derandomize=True)(
        given(server_lines)(collect)
    )()
    until_the_last(tmp_path, drawn)
