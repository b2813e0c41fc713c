"""Real brokers for tests: mosquitto on a free loopback port, its command-line clients, and a proxy that can fail like a network."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
START_S = 20.0
"""A broker that is not up by then will never be."""
_PORTS = (20_000, 32_000)
"""Below the ports that the kernel gives to outgoing connections: between kill and restart nobody else takes one of these."""


def tool(name: str) -> str:
    """Path of one of mosquitto's programs. Fails where it is not installed."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    assert found is not None, (
        f"{name} is not installed; `make test` installs it (apt-get install mosquitto mosquitto-clients)"
    )
    return found


def free_port() -> int:
    """A loopback port that nobody listens on."""
    while True:
        port = random.randrange(*_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


class Lines:
    """What a process prints, as it prints it."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._more = threading.Condition()
        self.ended = False

    def follow(self, stream: Any) -> threading.Thread:
        """Read to the end on a thread of its own."""
        self.ended = False
        thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        thread.start()
        return thread

    def wait(self, wanted: Callable[[str], bool], since: int = 0, timeout_s: float = START_S) -> str:
        """The first line from number `since` on that is wanted. Fails when there is none in time."""

        def found() -> str | None:
            return next((line for line in self.all[since:] if wanted(line)), None)

        with self._more:
            self._more.wait_for(lambda: found() is not None or self.ended, timeout_s)
            line = found()
        assert line is not None, f"not among: {self.all[since:]}"
        return line

    def _read(self, stream: Any) -> None:
        with stream:
            for line in stream:
                with self._more:
                    self.all.append(line.rstrip("\n"))
                    self._more.notify_all()
        with self._more:
            self.ended = True
            self._more.notify_all()


class Broker:
    """A mosquitto with a config file of its own."""

    def __init__(self, config: Path, port: int) -> None:
        self.host = HOST
        self.port = port
        self._config = config
        self._lines = Lines()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """Start (again, on the same port) and wait until it listens."""
        assert self._process is None, "it runs"
        since = len(self._lines.all)
        command = [tool("mosquitto"), "-c", str(self._config)]
        self._process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        self._reader = self._lines.follow(self._process.stderr)
        try:
            self._lines.wait(lambda line: line.endswith(" running"), since)
        except AssertionError:
            self.kill()
            raise

    def kill(self) -> None:
        """As if the power were cut: no word to anybody."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In good order."""
        self._end(signal.SIGTERM)

    def reload(self) -> None:
        """Read passwords and access lists again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def log(self) -> str:
        """Everything that it has logged."""
        return "\n".join(self._lines.all)

    def wait_for(self, text: str, since: int = 0) -> str:
        """The first line of the log (from that line on) with this in it, when it comes."""
        return self._lines.wait(lambda line: text in line, since)

    @property
    def logged(self) -> int:
        """How many lines so far, for `wait_for`."""
        return len(self._lines.all)

    def _end(self, by: signal.Signals) -> None:
        if self._process is None:
            return
        until = time.monotonic() + START_S
        while True:
            self._process.send_signal(by)
            try:
                self._process.wait(0.5)
                break
            except subprocess.TimeoutExpired:
                # A SIGTERM between "running" and its main loop is lost.
                assert time.monotonic() < until, "mosquitto does not end"
        self._process = None
        assert self._reader is not None
        self._reader.join(START_S)


@contextmanager
def mosquitto(folder: Path, *lines: str, port: int | None = None) -> Iterator[Broker]:
    """A broker on loopback until the block ends.

    Args:
        folder: for its config file.
        lines: of the config, below its one listener. Without a word about passwords everybody may do everything.
        port: where it listens; a free one otherwise.
    """
    port = port or free_port()
    text = [f"listener {port} {HOST}", *lines, "log_dest stderr", "log_type all"]
    said = {line.split()[0] for line in lines if line.split()}
    if not said & {"allow_anonymous", "password_file", "use_identity_as_username"}:
        text.append("allow_anonymous true")
    if os.getuid() == 0 and "user" not in said:
        text.append("user root")
    config = folder / f"mosquitto-{port}.conf"
    config.write_text("\n".join(text) + "\n")
    with running(config, port) as broker:
        yield broker


@contextmanager
def running(config: Path, port: int) -> Iterator[Broker]:
    """A broker with this config file, which must log to stderr (everything, best) and listen on `port`."""
    broker = Broker(config, port)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def add_password(file: Path, user: str, password: str) -> None:
    """Enter a user into mosquitto's password file."""
    create = [] if file.exists() else ["-c"]
    command = [tool("mosquitto_passwd"), *create, "-b", str(file), user, password]
    subprocess.run(command, check=True, capture_output=True)
    file.chmod(0o600)


def publish(port: int, topic: str, payload: str | bytes | None, *options: str, check: bool = True) -> str:
    """Run `mosquitto_pub`, QoS 1; None is an empty payload. Returns what it wrote to stderr."""
    data = payload.encode() if isinstance(payload, str) else payload
    what = ["-s"] if data else ["-n"]
    command = [tool("mosquitto_pub"), "-h", HOST, "-p", str(port), "-q", "1", "-t", topic, *what, *options]
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=START_S)
    assert not check or done.returncode == 0, done.stderr
    return done.stderr.decode()


class Subscriber:
    """A `mosquitto_sub` that runs until its block ends."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What it has received: `topic`, `payload` (text), `qos`, `retain`, `properties`."""
        return [json.loads(line) for line in self._lines.all if line.startswith("{")]

    def wait(
        self, topic: str, wanted: Callable[[dict[str, Any]], bool] = lambda message: True
    ) -> dict[str, Any]:
        """The first message on that topic that is wanted, when it comes."""

        def right(line: str) -> bool:
            message = json.loads(line) if line.startswith("{") else {}
            return message.get("topic") == topic and wanted(message)

        return dict(json.loads(self._lines.wait(right)))


@contextmanager
def subscribed(port: int, *topics: str, options: tuple[str, ...] = ("-V", "5")) -> Iterator[Subscriber]:
    """Run `mosquitto_sub` beside the block; it is subscribed when the block begins."""
    command = [
        "stdbuf",
        "-oL",
        tool("mosquitto_sub"),
        "-h",
        HOST,
        "-p",
        str(port),
        "-q",
        "1",
        "-d",
        "-F",
        "%j",
    ]
    for topic in topics:
        command += ["-t", topic]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    lines = Lines()
    reader = lines.follow(process.stdout)
    try:
        lines.wait(lambda line: line.startswith("Subscribed"))
        yield Subscriber(lines)
    finally:
        process.terminate()
        process.wait(START_S)
        reader.join(START_S)


class Proxy:
    """A way to a broker that can fail as networks do. On the loop of the test."""

    def __init__(self, target: int, refuse_v5: bytes | None) -> None:
        self.port = 0
        self.accepted = 0
        """Connections so far."""
        self._target = target
        self._refuse_v5 = refuse_v5
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def freeze(self) -> None:
        """Nothing passes in either direction and nobody is told: a link that is half open."""
        self._flowing.clear()

    def thaw(self) -> None:
        """It flows again, with all that waited."""
        self._flowing.set()

    def cut(self) -> None:
        """Reset every connection there is."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._connect_through(reader, writer)
        except (OSError, asyncio.CancelledError):
            return  # a cancelled handler would be reported as an error by the stream's own callback
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _connect_through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(65536)
        if self._refuse_v5 is not None and first[:1] == b"\x10" and _level(first) == 5:
            writer.write(self._refuse_v5)
            await writer.drain()
            return
        there, onward = await asyncio.open_connection(HOST, self._target)
        self._writers.add(onward)
        try:
            await self._flowing.wait()
            onward.write(first)
            pumps = {asyncio.ensure_future(self._pump(*pair)) for pair in ((reader, onward), (there, writer))}
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            onward.transport.abort()
            self._writers.discard(onward)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()

    async def close(self) -> None:
        """End every connection."""
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _level(connect: bytes) -> int:
    """The protocol level in a CONNECT packet (4: MQTT 3.1.1, 5: MQTT 5)."""
    at = 1
    while connect[at] & 0x80:
        at += 1
    return connect[at + 1 + 6]


@asynccontextmanager
async def proxy(target: int, *, refuse_v5: bytes | None = None) -> AsyncIterator[Proxy]:
    """A proxy on a free loopback port to a broker's.

    Args:
        target: port of the broker.
        refuse_v5: answer every MQTT 5 CONNECT with these bytes and hang up, as a broker does that speaks only 3.1.1.
    """
    one = Proxy(target, refuse_v5)
    server = await asyncio.start_server(one.serve, HOST, 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        await one.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 5)
