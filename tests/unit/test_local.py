"""The Unix socket, line by line: what a reader hears, what is obeyed, and what bad clients cannot do."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import stat
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rigd.local import LocalServer, SocketError, socket_path
from rigd.local.outbox import MAX_PASSING, Outbox
from rigd.local.wire import MAX_LINE_BYTES, BadLine, is_estop, message_line, read_line
from rigd.messages.base import CONTRACT
from rigd.remote.bus import Outgoing
from tests.fake_rig import WAIT_S, FakeRig


class Line:
    """A client that speaks lines."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def hear(self):
        line = await self.reader.readline()
        return json.loads(line) if line else None

    async def until(self, wanted):
        while (said := await self.hear()) is not None:
            if wanted(said):
                return said
        raise AssertionError("the server hung up")

    async def synced(self):
        said = []
        while said[-1:] != [{"synced": True}]:
            said.append(await self.hear())
        return said

    def say(self, *, raw=None, **message):
        self.writer.write(raw if raw is not None else json.dumps(message).encode() + b"\n")


@asynccontextmanager
async def talking(path):
    reader, writer = await asyncio.open_unix_connection(path, limit=1 << 24)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


def serve(folder, body, **options):
    async def main():
        fake = FakeRig()
        async with asyncio.timeout(WAIT_S):
            async with LocalServer(folder / "s", "fake", fake, fake.switchboard, **options):
                await body(folder / "s", fake)
            return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(main()) == set()
    assert not (folder / "s").exists()


def test_a_reader_hears_who_then_what_is_known_then_what_happens(tmp_path):
    async def body(path, fake):
        fake.switchboard.publish(Outgoing("homeassistant/x", b"{}", retain=True, absolute=True))
        async with talking(path) as line:
            hello, *known, synced = await line.synced()
            assert hello == {"hello": {"rig": "fake", "contract": CONTRACT}}
            assert synced == {"synced": True}
            assert [message["topic"] for message in known] == ["birth", "info", "settings", "state"]
            assert all(message["retained"] for message in known)
            assert known[-1]["payload"]["mode"] == "idle"
            fake.say_state(mode="homing")
            assert (await line.hear())["payload"]["mode"] == "homing"
            fake.switchboard.publish(Outgoing("preview/image", b"\xff\xd8\x00", retain=True))
            said = await line.hear()
            assert base64.b64decode(said["base64"]) == b"\xff\xd8\x00"
            fake.switchboard.publish(Outgoing("session/x/summary", b"", retain=True))
            assert (await line.hear())["payload"] == ""

    serve(tmp_path, body)


def test_the_answer_goes_to_the_asker_alone(tmp_path):
    async def body(path, fake):
        async with talking(path) as one, talking(path) as other:
            await one.synced()
            await other.synced()
            one.say(topic="request/ping", payload={"transaction": "a"})
            said = await one.hear()
            assert (said["topic"], said["payload"]["transaction"]) == ("response/ping", "a")
            other.say(topic="set/step_um", payload={"params": {"value": 20}})
            assert (await one.hear())["topic"] == "settings"
            assert (await other.hear())["topic"] == "settings"
            assert (await other.hear())["topic"] == "response/set"
        sources = {source for _, _, source in fake.heard}
        assert len(sources) == 2
        await fake.until(lambda fake: set(fake.ways_lost) == sources)

    serve(tmp_path, body)


@pytest.mark.parametrize(
    "raw",
    [
        b"estop\n",
        b'{"topic": "estop"}\n',
        b'{"topic": "estop", "payload": {"why": "fire"}}\n',
        b'{"topic": "estop", "base64": "!!"}\n',
        b'{"topic": "estop", "payload": unreadable\n',
        b'{"topic":"estop","payload":"' + MAX_LINE_BYTES * b"x" + b'"}\n',
    ],
)
def test_an_estop_is_heard_however_it_is_written(tmp_path, raw):
    async def body(path, fake):
        async with talking(path) as line:
            await line.synced()
            line.say(raw=raw)
            assert (await line.until(lambda said: said.get("topic") == "response/estop"))["payload"]["status"]
        assert fake.mode == "estopped"

    serve(tmp_path, body)


@pytest.mark.parametrize(
    "raw",
    [
        b"home\n",
        b"[]\n",
        b"{}\n",
        b'{"topic": 7}\n',
        b'{"topic": "state", "payload": {}}\n',
        b'{"topic": "response/home", "payload": {}}\n',
        b'{"topic": "request/home", "base64": "!"}\n',
        b"\xff\xfe\n",
        b"[" * 50_000 + b"\n",
    ],
)
def test_what_is_no_message_is_said_to_be_none_and_the_next_is_heard(tmp_path, raw):
    async def body(path, fake):
        async with talking(path) as line:
            await line.synced()
            line.say(raw=raw)
            said = await line.hear()
            assert said["error"]["code"] == "malformed"
            line.say(topic="request/ping")
            assert (await line.hear())["topic"] == "response/ping"
        assert [verb for verb, _, _ in fake.heard] == ["ping"]

    serve(tmp_path, body)


def test_a_line_without_an_end_is_refused(tmp_path):
    async def body(path, fake):
        async with talking(path) as line:
            await line.synced()
            line.say(raw=b"x" * (2 * MAX_LINE_BYTES))
            assert (await line.hear())["error"]["code"] == "oversized"
            assert await line.hear() is None
        assert fake.heard == []

    serve(tmp_path, body)


def test_a_last_line_without_its_newline_is_heard(tmp_path):
    async def body(path, fake):
        async with talking(path) as line:
            await line.synced()
            line.say(raw=b'{"topic": "request/ping"}')
            line.writer.write_eof()
            await fake.told("ping")

    serve(tmp_path, body)


def test_plain_values_are_the_payload_itself():
    assert read_line(b'{"topic": "request/home", "payload": "PRESS"}') == ("request/home", b"PRESS")
    assert read_line(b'{"topic": "set/step_um", "payload": 20}') == ("set/step_um", b"20")
    assert read_line(b'{"topic": "set/step_um", "payload": null}') == ("set/step_um", b"null")
    assert read_line(b'{"topic": "set/step_um"}') == ("set/step_um", b"")
    assert read_line(b'{"topic": "set/x", "base64": "gA=="}') == ("set/x", b"\x80")
    with pytest.raises(BadLine):
        read_line(b"null")


def test_an_estop_inside_another_payload_is_none():
    line = b'{"topic": "request/start", "payload": {"params": {"topic": "estop"}}}'
    assert read_line(line)[0] == "request/start"
    assert not is_estop(b'{"topic": "request/start", "payload": "estop"}')


def test_a_line_is_one_line():
    line = message_line("state", b'{\n"a": "b\\n"\n}', retained=True)
    assert line.count(b"\n") == 1
    assert json.loads(line)["payload"] == {"a": "b\n"}
    assert json.loads(message_line("availability", b"on\nline"))["payload"] == "on\nline"


def test_states_collapse_for_a_slow_reader_and_the_rest_is_bounded(tmp_path):
    async def body(path, fake):
        async with talking(path) as line:
            await line.synced()
            line.writer.transport.pause_reading()
            line.reader._transport.pause_reading()
            for index in range(20_000):
                fake.say_state(position_um=float(index))
                fake.switchboard.publish(Outgoing("event/x", b'{"n": %d}' % index, keep=True))
            line.reader._transport.resume_reading()
            states, passed = 0, []
            while True:
                said = await line.hear()
                states += said["topic"] == "state"
                if said["topic"] == "event/x":
                    passed.append(said["payload"]["n"])
                    if passed[-1] == 19_999:
                        break
            assert states < 2000
            assert passed == sorted(passed)
            assert len(passed) < 20_000
            fake.say_state(position_um=5.0)
            last = await line.until(lambda said: said["topic"] == "state")
            while last["payload"]["rail"]["position_um"] != 5.0:
                last = await line.until(lambda said: said["topic"] == "state")

    serve(tmp_path, body)


def test_the_greeting_keeps_its_order_and_comes_first():
    async def main():
        outbox = Outbox()
        for name in ("hello", "state", "synced"):
            outbox.put_retained(name, name.encode())
        outbox.greeted()
        for index in range(MAX_PASSING + 10):
            outbox.put(b"event %d" % index)
        outbox.put_retained("state", b"newer state")
        outbox.put_retained("info", b"info")
        heard = [await outbox.get() for _ in range(6)]
        assert heard[:3] == [b"hello", b"newer state", b"synced"]
        assert heard[3] == b"event 10"
        assert outbox.dropped == 10

    asyncio.run(main())


def test_too_many_clients_are_turned_away(tmp_path):
    async def body(path, fake):
        async with talking(path) as one:
            await one.synced()
            async with talking(path) as two:
                assert (await two.hear())["error"]["code"] == "busy"
                assert await two.hear() is None
        await fake.until(lambda fake: fake.ways_lost)
        async with talking(path) as three:
            await three.synced()

    serve(tmp_path, body, max_clients=1)


# ------------------------------------------------------------------------------------------------------------- the file


def test_only_user_and_group_may_open_it(tmp_path):
    async def body(path, fake):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660

    serve(tmp_path, body)


def test_what_a_killed_daemon_left_is_replaced_and_a_live_one_is_not(tmp_path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))

    async def body(path, fake):
        with pytest.raises(SocketError, match="another rigd serves this rig already"):
            await LocalServer(path, "fake", fake, fake.switchboard).open()
        async with talking(path) as line:
            await line.synced()

    serve(tmp_path, body)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    (tmp_path / "s").write_text("precious")

    async def main():
        fake = FakeRig()
        await LocalServer(tmp_path / "s", "fake", fake, fake.switchboard).open()

    with pytest.raises(SocketError, match="left alone"):
        asyncio.run(main())
    assert (tmp_path / "s").read_text() == "precious"


def test_a_path_that_is_too_long_says_so(tmp_path):
    async def main():
        fake = FakeRig()
        await LocalServer(tmp_path / ("x" * 100), "fake", fake, fake.switchboard).open()

    with pytest.raises(SocketError, match="107 bytes"):
        asyncio.run(main())


def test_a_newer_socket_at_the_same_place_is_not_taken_away(tmp_path):
    async def main():
        fake = FakeRig()
        first = LocalServer(tmp_path / "s", "fake", fake, fake.switchboard)
        await first.open()
        (tmp_path / "s").unlink()
        async with LocalServer(tmp_path / "s", "fake", fake, fake.switchboard):
            await first.close()
            assert (tmp_path / "s").is_socket()

    asyncio.run(main())


def test_where_it_is(tmp_path):
    state = Path("state")
    user = {"XDG_RUNTIME_DIR": str(tmp_path)}
    service = {**user, "RUNTIME_DIRECTORY": "/run/rigd:/run/other"}
    assert socket_path("a", Path("/x.sock"), state, service) == Path("/x.sock")
    assert socket_path("a", None, state, service) == Path("/run/rigd/rigd-a.sock")
    assert socket_path("a", None, state, user) == tmp_path / "rigd-a.sock"
    assert socket_path("a", None, state, {"XDG_RUNTIME_DIR": "/not/there"}) == state / "rigd-a.sock"
    assert socket_path("a", None, state, {}) == state / "rigd-a.sock"
