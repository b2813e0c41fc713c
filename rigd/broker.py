"""A broker on loopback, for a bench that has none: mosquitto where it is installed, the one in the wheel `iotcore` elsewhere.

Both run as a child process that ends with this one, however this one ends. docs/adr/0010-embedded-broker.md says what each can do.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
"""Nobody beyond this machine reaches it; everybody on it may."""
START_S = 15.0
"""A broker that does not listen by then never will. It takes 0.1 s, and some seconds on a card that is busy."""
AGAIN_S = 0.5
"""One that ended by itself is started again after so long; the wait doubles up to `AGAIN_MAX_S`."""
AGAIN_MAX_S = 30.0
END_S = 2.0
"""One that was asked to end gets so long before it is killed: it has nothing to save."""
LARGEST_BYTES = 8 << 20
"""Of a message: twice the largest preview that can be configured."""
QUEUED = 20_000
"""Messages that wait for one client. A new one gets everything retained at once, and fifty rigs retain thousands."""
_LOOK_S = 0.02
_TRIES = 5
_PORTS = range(20_000, 32_000)
"""Below those that the kernel gives to outgoing connections, so that the port is still free when the broker starts again."""
_BESIDE = "/usr/sbin:/usr/local/sbin:/sbin"
"""Debian puts mosquitto there, which is on the path of root only."""
_FIX = "sudo apt-get install mosquitto, or: pip install 'rigd[broker]'"

Kind = Literal["mosquitto", "iotcore"]

# iotcore reads its config from a file, which nobody is to be killed over before it is gone: so it is tied only then. iotcore says
# each packet that it routes as an error; what counts, it prints.
_IOTCORE = """\
import ctypes, logging, os, signal, sys, tempfile
import iotcore
logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with tempfile.NamedTemporaryFile("w", prefix="rigd-broker-", suffix=".toml") as config:
    config.write(sys.stdin.read())
    config.flush()
    broker = iotcore.IotCoreBroker(config_path=config.name)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
if hasattr(ctypes.CDLL(None), "prctl"):
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
broker.run_forever()
"""


class BrokerError(RuntimeError):
    """There is no broker to start, or it did not start. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Program:
    """A broker that can be run."""

    kind: Kind
    command: tuple[str, ...]
    """Takes its config on standard input: what is not on the disk is not left there, and AppArmor may keep mosquitto from files
    outside /etc. It ends with the process that it is started by."""
    config: Callable[[int], str]
    """That config, for a port."""


def find_program(kind: Kind | None = None) -> Program:
    """A broker of this kind; by default the first there is of mosquitto and iotcore.

    Raises:
        BrokerError: there is none.
    """
    if kind != "iotcore":
        found = shutil.which("mosquitto") or shutil.which("mosquitto", path=_BESIDE)
        if found is not None:
            return Program("mosquitto", (*_tied(), found, "-c", "/dev/stdin"), _mosquitto_config)
    if kind != "mosquitto" and importlib.util.find_spec("iotcore") is not None:
        command = (sys.executable, "-I", "-c", _IOTCORE, str(os.getpid()))
        return Program("iotcore", command, _iotcore_config)
    wanted = kind or "mosquitto nor iotcore"
    raise BrokerError(f"no broker to start: {wanted} is not installed\n  to fix: {_FIX}")


def _tied() -> tuple[str, ...]:
    """In front of a program that is to end with this process."""
    return (sys.executable, "-I", "-S", str(Path(__file__).with_name("tied.py")), str(os.getpid()))


class LoopbackBroker:
    """A broker on 127.0.0.1, kept running: one that ends by itself is started again, on the same port.

    What it retained is gone then; rigs say all of it again when they are back.

    Args:
        program: what is run.
        port: where it listens.
    """

    host = HOST

    def __init__(self, program: Program, port: int) -> None:
        self.kind: Kind = program.kind
        self.port = port
        self._program = program
        self._said: deque[str] = deque(maxlen=8)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._ended = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        # One thread from start to end: the kernel ends the child when the thread that started it does.
        self._keeper = threading.Thread(target=self._keep, name="broker", daemon=True)

    @property
    def pid(self) -> int | None:
        """Process of the broker; None between its end and its next start."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    def start(self) -> None:
        """Start it and wait until it listens. Blocks for some tenths of a second.

        Raises:
            BrokerError: it did not start, or the port is somebody else's.
        """
        taken = _taken(self.port)
        if taken is not None:
            raise BrokerError(
                f"no broker can listen on {HOST}, port {self.port}: {taken.strerror}\n"
                f"  to fix: use the broker that is there (mqtt: {{host: {HOST}, port: {self.port}}}), or name another port"
            )
        self._keeper.start()
        until = time.monotonic() + START_S
        while not _answers(self.port):
            if self._ended.wait(_LOOK_S) or time.monotonic() > until:
                self.close()
                said = "\n  ".join(self._said or ["it said nothing"])
                raise BrokerError(f"{self.kind} did not start on {HOST}, port {self.port}:\n  {said}")
        log.info("%s listens on %s, port %d", self.kind, HOST, self.port)

    def close(self) -> None:
        """End it. Safe to call twice."""
        with self._lock:
            self._closing.set()
            process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
            process.kill()
        if self._keeper.ident is not None:
            self._keeper.join()

    def _keep(self) -> None:
        again_s = AGAIN_S
        while True:
            try:
                process = self._run()
            except OSError as error:
                ending, process = str(error), None
                self._hear(ending)
            if process is not None:
                assert process.stderr is not None
                with process.stderr:
                    for line in process.stderr:
                        self._hear(line.rstrip())
                ending = f"exit code {process.wait()}"
            self._ended.set()
            if self._closing.wait(again_s):
                return
            log.warning("the broker ended (%s); it is started again", ending)
            again_s = min(2 * again_s, AGAIN_MAX_S)

    def _run(self) -> subprocess.Popen[str] | None:
        """A new child, unless nobody wants one any more."""
        with self._lock:
            if self._closing.is_set():
                return None
            process = subprocess.Popen(  # noqa: S603 - the two programs above
                self._program.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                cwd="/",
                process_group=0,  # Ctrl-C is for the rig, which still has a word to say to the broker
            )
            self._process = process
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(self._program.config(self.port))
        return process

    def _hear(self, line: str) -> None:
        if line:
            self._said.append(line)
            log.debug("%s: %s", self.kind, line)


@contextmanager
def loopback_broker(port: int = 0, *, kind: Kind | None = None) -> Iterator[LoopbackBroker]:
    """A broker on loopback until the block is left. MQTT 5 works on it; 3.1.1 only where it is mosquitto.

    Starting and ending block, for some tenths of a second. Nothing of it is on the disk, so that nothing is left there, however this
    process ends.

    Args:
        port: where it listens; 0 takes a free one.
        kind: which one; the first there is by default.

    Raises:
        BrokerError: there is no broker to start, it did not start, or the port is taken.
    """
    broker = _started(find_program(kind), port)
    try:
        yield broker
    finally:
        broker.close()


def _started(program: Program, port: int) -> LoopbackBroker:
    for left in reversed(range(_TRIES)):
        broker = LoopbackBroker(program, port or _any_port())
        try:
            broker.start()
        except BrokerError:
            # A free port may be somebody's a moment later.
            if port or not left or _taken(broker.port) is None:
                raise
        else:
            return broker
    raise AssertionError


def _any_port() -> int:
    while True:
        port = secrets.choice(_PORTS)
        if _taken(port) is None:
            return port


def _taken(port: int) -> OSError | None:
    """Why nobody can listen there."""
    with socket.socket() as probe:
        # Connections that have ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error
    return None


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1.0):
            return True
    except OSError:
        return False


def _mosquitto_config(port: int) -> str:
    lines = [
        f"listener {port} {HOST}",
        "allow_anonymous true",
        "persistence false",
        # Without it each answer waits some 40 ms for an acknowledgement (Nagle's algorithm).
        "set_tcp_nodelay true",
        f"max_packet_size {LARGEST_BYTES}",
        f"max_queued_messages {QUEUED}",
        "log_dest stderr",
        "log_timestamp false",
    ]
    if os.geteuid() == 0:
        lines.append("user root")  # it would become a user who may not exist
    return "\n".join(lines) + "\n"


def _iotcore_config(port: int) -> str:
    # No listener for MQTT 3.1.1: a message with MQTT 5 properties on its way to such a client ends it for everybody.
    return f"""\
id = 0
[router]
id = 0
max_connections = 500
max_outgoing_packet_count = {QUEUED}
max_segment_size = 10485760
max_segment_count = 4
[v5.1]
name = "rigd"
listen = "{HOST}:{port}"
next_connection_delay_ms = 1
    [v5.1.connections]
    connection_timeout_ms = 10000
    max_payload_size = {LARGEST_BYTES}
    max_inflight_count = 100
    dynamic_filters = true
"""
