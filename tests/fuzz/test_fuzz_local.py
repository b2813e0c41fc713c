"""Whatever is written into the socket: each line has one answer, and whoever comes next is served as ever."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from rigd.local import LocalServer
from rigd.local.server import LINES_AT_ONCE, MAX_CLIENTS
from rigd.local.wire import MAX_LINE_BYTES, BadLine, message_line, read_line
from rigd.messages import topics
from rigd.remote.bus import Incoming, Switchboard
from tests.fuzz import raw
from tests.fuzz.messages import shots

EASY = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
WAIT_S = 60.0
SYNCED = b'{"synced":true}\n'


# --------------------------------------------------------------------------------------------------------------- the lines


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A line that is a message, mostly."""
    shot = draw(shots())
    said: dict[str, Any] = {"topic": shot.topic}
    data = shot.payload.data
    match draw(st.integers(0, 4)):
        case 0:
            said["base64"] = draw(st.sampled_from(["", "!", "YQ", "YQ==", 5, None, [], "é"]))
        case 1:
            said["payload"] = draw(raw.anything)
        case 2:
            said["payload"] = data.decode("utf-8", "surrogateescape")
        case 3:
            said["payload"] = data.decode("utf-8", "replace")[:2000]
    if draw(st.integers(0, 9)) == 0:
        said[draw(st.sampled_from(["topic", "x", "retained", ""]))] = draw(raw.anything)
    try:
        return raw.to_json(said, escaped=draw(st.booleans()))
    except ValueError:
        return b"9" * 5000


lines = st.one_of(
    messages(),
    messages(),
    raw.mutated(messages()),
    raw.raw,
    st.sampled_from(
        [
            b"",
            b"  ",
            b"\r",
            b"estop",
            b" estop \r",
            b"estops",
            b'{"topic":"estop"',
            b"\0" * 100,
            b"{" * 60_000,
            b"[" * 60_000,
        ]
    ),
).map(lambda line: line.replace(b"\n", b" ")[: MAX_LINE_BYTES - 1])
"""Each without its end, and no longer than it may be."""


def one_line(line: bytes) -> None:
    try:
        topic, payload = read_line(line)
    except BadLine as problem:
        str(problem).encode("utf-8", "backslashreplace")
        return
    assert isinstance(topic, str)
    assert isinstance(payload, bytes)


def said_and_heard(topic: str, payload: bytes) -> None:
    """What a server says of any bytes is one line, and says them."""
    line = message_line(topic, payload)
    assert line.count(b"\n") == 1
    if not payload.startswith(b"{"):
        assert read_line(line) == (topic, payload)


CASES = [
    (one_line, (st.one_of(lines, st.binary(max_size=300)),)),
    (
        said_and_heard,
        (
            st.text(st.characters(codec="utf-8"), max_size=20).filter(lambda topic: topic != "estop"),
            raw.raw,
        ),
    ),
]


@pytest.mark.parametrize(("body", "drawn"), CASES, ids=["one line", "said and heard"])
def test_any_line(body, drawn):
    settings(EASY, max_examples=400, derandomize=True)(given(*drawn)(body))()


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("body", "drawn"), CASES, ids=["one line", "said and heard"])
def test_a_great_many_lines(body, drawn):
    settings(EASY, max_examples=30_000)(given(*drawn)(body))()


# -------------------------------------------------------------------------------------------------------------- the socket


class Echo:
    """A desk that answers everything."""

    def __init__(self) -> None:
        self.taken = 0
        self.at_once = self.most_at_once = 0
        """How many between two steps of the loop."""
        self.estops = 0
        self.lost: list[str] = []
        self._news = asyncio.Event()

    def take(self, incoming: Incoming) -> None:
        self.taken += 1
        if not self.at_once:
            asyncio.get_running_loop().call_soon(self._step)
        self.at_once += 1
        self.estops += incoming.topic == topics.ESTOP
        incoming.reply(b'{"status":"ok"}')

    def _step(self) -> None:
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.at_once = 0

    def way_lost(self, source: str) -> None:
        self.lost.append(source)
        self._news.set()

    async def loses(self, count: int) -> None:
        """Wait until so many ways were lost in all."""
        while len(self.lost) < count:
            self._news.clear()
            await self._news.wait()


@asynccontextmanager
async def talking(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client that has heard everything that there was to hear."""
    reader, writer = await asyncio.open_unix_connection(path, limit=1 << 24)
    try:
        while await reader.readline() != SYNCED:
            assert not reader.at_eof()
        yield reader, writer
    finally:
        writer.transport.abort()


def serving(folder: Path, body: Callable[[Path, Echo], Awaitable[None]]) -> None:
    """Run it beside a server; nothing is left of either, and nothing failed that nobody heard of."""
    unheard: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unheard.append(context))
        before = open_files()
        echo = Echo()
        async with asyncio.timeout(WAIT_S):
            server = LocalServer(folder / "s", "fuzz", echo, Switchboard())
            async with server:
                await body(folder / "s", echo)
                await goes_on(folder / "s")
        assert server._clients == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert open_files() == before

    asyncio.run(main())
    assert unheard == []


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


async def goes_on(path: Path) -> None:
    """Somebody new is served."""
    async with talking(path) as (reader, writer):
        writer.write(b'{"topic":"request/ping"}\n')
        assert json.loads(await reader.readline())["topic"] == "response/ping"


def pile(count: int, number: int) -> list[bytes]:
    """So many lines, the same ones for the same number."""
    drawn: list[bytes] = []

    def collect(line: bytes) -> None:
        drawn.append(line)

    seed(number)(settings(EASY, max_examples=count, phases=[Phase.generate])(given(lines)(collect)))()
    return drawn


async def one_answer_each(path: Path, said: list[bytes], dice: random.Random) -> None:
    """The lines, cut into pieces anywhere, and an answer to each that is not blank."""
    wanted = sum(bool(line.strip()) for line in said)
    stream = b"\n".join(said) + b"\n"

    async def write(writer: asyncio.StreamWriter) -> None:
        at = 0
        while at < len(stream):
            upto = at + dice.choice([1, 2, 7, 100, 3000, 70_000])
            writer.write(stream[at:upto])
            await writer.drain()
            at = upto

    async with talking(path) as (reader, writer):
        writing = asyncio.create_task(write(writer))
        for _ in range(wanted):
            answer = json.loads(await reader.readline())
            assert "error" in answer or answer["topic"].startswith("response/")
        await writing
        writer.write(b'{"topic":"request/last"}\n')
        assert json.loads(await reader.readline())["topic"] == "response/last"


def test_each_line_has_one_answer_however_it_is_cut_up(tmp_path):
    said, dice = pile(500, 1), random.Random(1)

    async def body(path: Path, echo: Echo) -> None:
        for _ in range(4):
            dice.shuffle(said)
            await one_answer_each(path, said, dice)
        assert echo.taken > 300
        assert echo.estops > 5

    serving(tmp_path, body)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_each_of_a_great_many_lines_has_one_answer(tmp_path):
    for number in range(40):
        said = pile(500, number)

        async def body(path: Path, _: Echo, number: int = number, said: list[bytes] = said) -> None:
            await one_answer_each(path, said, random.Random(number))

        serving(tmp_path, body)


@pytest.mark.parametrize(
    "raw",
    [
        b"x" * 1_000_000 + b"\n",
        b'{"topic":"request/ping","payload":"' + b"x" * 1_000_000 + b'"}\n',
        b"\n" * 200_000,
        b'{"topic":"request/ping"',
        b'{"topic":"est',
        b"x",
        b"",
        b"\xff" * 70_000,
        b"[" * 100_000,
        b'{"topic":"request/ping"}\n' * 20_000,
    ],
    ids=[
        "1 MB",
        "a payload of 1 MB",
        "nothing but ends",
        "cut",
        "cut",
        "x",
        "nothing",
        "no text",
        "deep",
        "never read",
    ],
)
@pytest.mark.parametrize("reads", [True, False])
def test_who_writes_anything_and_goes(tmp_path, raw, reads):
    """After its last word, and all that comes then; or at once."""

    async def body(path: Path, echo: Echo) -> None:
        for _ in range(3):
            async with talking(path) as (reader, writer):
                writer.write(raw)
                if reads:
                    with contextlib.suppress(ConnectionError):
                        writer.write_eof()
                        await reader.read()
            await goes_on(path)

    serving(tmp_path, body)


def test_thousands_who_come_and_go(tmp_path):
    """Some say something, some hear something, none says goodbye."""
    dice = random.Random(3)

    async def body(path: Path, echo: Echo) -> None:
        for _ in range(2500):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
                one.setblocking(False)
                await asyncio.get_running_loop().sock_connect(one, str(path))
                match dice.randrange(4):
                    case 0:
                        one.send(b'{"topic":"request/ping"}\n')
                    case 1:
                        await asyncio.get_running_loop().sock_recv(one, 20)
                    case 2:
                        one.send(b"estop\n")
                        await asyncio.get_running_loop().sock_recv(one, 4096)
        await goes_on(path)
        assert len(echo.lost) > 2000

    serving(tmp_path, body)


def test_a_flood_leaves_others_their_turn(tmp_path):
    async def body(path: Path, echo: Echo) -> None:
        async with talking(path) as (reader, writer):
            writer.write(b"\n" * 1000 + b'{"topic":"request/ping"}\n' * 5000)
            for _ in range(5000):
                assert await reader.readline()
        assert echo.taken == 5000
        assert echo.most_at_once <= LINES_AT_ONCE

    serving(tmp_path, body)


def test_more_than_it_has_room_for(tmp_path):
    """Those beyond are told so, and there is room again when somebody goes."""

    async def body(path: Path, echo: Echo) -> None:
        for _ in range(5):
            guests = [await asyncio.open_unix_connection(path) for _ in range(2 * MAX_CLIENTS)]
            answers = [json.loads(await reader.readline()) for reader, _ in guests]
            assert sum("hello" in answer for answer in answers) == MAX_CLIENTS
            assert sum(answer.get("error", {}).get("code") == "busy" for answer in answers) == MAX_CLIENTS
            gone = len(echo.lost)
            for _, writer in guests:
                writer.transport.abort()
            await echo.loses(gone + MAX_CLIENTS)

    serving(tmp_path, body)
