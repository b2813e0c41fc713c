"""One chip on its wire: registers read and written through pyserial, each checked, tried again where the line is bad.

Everything that is sent comes back first, since one wire carries both directions. A write is believed when the chip's counter
of good writes (IFCNT) has gone up by one. What pyserial, the tty layer or the system throw when a plug is pulled becomes
`Unplugged`, with the register in it.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from drivers import serialport
from drivers.base import NoResponse, NotOpen, Unplugged
from drivers.tmc2209 import protocol
from drivers.tmc2209.protocol import BadReply
from drivers.tmc2209.registers import Register

TRIES = 4
ANSWER_S = 0.03
"""Beyond the time of the bytes themselves: a USB adapter hands over what it has every 16 ms."""
QUIET_S = 0.005
"""Silence after which the chip takes the next byte for the beginning of a datagram, at any speed. Four times as long after each try
that went wrong: what a USB adapter or a busy machine hands over late must not be taken for the next answer."""
QUIET_LIMIT = 20
"""A line that is noisy for so many of these is not waited for any longer."""
BITS_PER_BYTE = 10
WRITE_WAIT_S = 0.5
NO_ECHO = "not even the echo: RX must be joined to TX through 1 kOhm"


class Wire:
    """The UART of one chip. Any thread; datagrams do not mix.

    Args:
        name: of the port, as in the config.
        baud: serial speed.
        node: the chip's address, 0 to 3.
    """

    def __init__(self, name: str, baud: int, node: int) -> None:
        self.name = name
        self._baud = baud
        self._node = node
        self._serial: Any = None
        self._failures: tuple[type[Exception], ...] = ()
        self._lock = threading.Lock()
        self.retries = 0
        """How often something was tried again, since it was made: a line that is worth looking at."""

    def open(self) -> None:
        """Take the port. Raises `DriverError`: not there, not allowed, in use; `DriverNotAvailable` without pyserial."""
        self._serial, self._failures = serialport.opened(
            "motor", "tmc2209", self.name, self._baud, read_wait_s=ANSWER_S, write_wait_s=WRITE_WAIT_S
        )

    @property
    def is_open(self) -> bool:
        """Whether the port is taken."""
        return self._serial is not None

    def close(self) -> None:
        """Let go of the port. Idempotent."""
        serial, self._serial = self._serial, None
        if serial is not None:
            serialport.close(serial, self._failures)

    def read(self, register: Register) -> int:
        """A register's 32 bits. Raises `NoResponse`, which says what was wrong with what came, `Unplugged` or `NotOpen`."""
        with self._lock:
            return self._read(register)

    def write(self, register: Register, value: int) -> None:
        """Write 32 bits, and see the chip's counter go up. Raises as `read` does."""
        what = f"writing {register.name}"
        request = protocol.write_request(self._node, register, value)
        with self._lock:
            for attempt in range(TRIES):
                self.retries += attempt > 0
                before = self._read(Register.IFCNT)
                with contextlib.suppress(BadReply):  # whether it was heard, the counter says
                    self._exchange(request, 0, what, QUIET_S * 4**attempt)
                if self._read(Register.IFCNT) & 0xFF == (before + 1) & 0xFF:
                    return
        raise NoResponse(self.name, f"{what}: the chip did not count it, {TRIES} times")

    def _read(self, register: Register) -> int:
        what = f"reading {register.name}"
        request = protocol.read_request(self._node, register)
        why = ""
        for attempt in range(TRIES):
            self.retries += attempt > 0
            try:
                reply = self._exchange(request, protocol.REPLY_BYTES, what, QUIET_S * 4**attempt)
                return protocol.read_reply(reply, register)
            except BadReply as error:
                why = str(error)
        raise NoResponse(self.name, f"{what} of node {self._node} ({why}, {TRIES} times)")

    def _exchange(self, request: bytes, reply_bytes: int, what: str, quiet_s: float) -> bytes:
        """Send, hear it come back, and take the reply. Raises `BadReply`, `Unplugged` or `NotOpen`."""
        serial = self._serial
        if serial is None:
            raise NotOpen(self.name)
        expected = len(request) + reply_bytes
        try:
            serial.reset_input_buffer()
            serial.timeout = ANSWER_S + BITS_PER_BYTE * expected / self._baud
            serial.write(request)
            data = bytes(serial.read(expected))
            if data[: len(request)] == request and len(data) == expected:
                return data[len(request) :]
            self._wait_for_silence(serial, quiet_s)
        except self._failures as error:
            raise Unplugged(self.name, what) from error
        raise BadReply(_what_came(data, request))

    def _wait_for_silence(self, serial: Any, quiet_s: float) -> None:
        """Half a datagram, in the chip or on its way here, must not run into the next one."""
        serial.timeout = quiet_s
        for _ in range(QUIET_LIMIT):
            if not serial.read(256):
                return


def _what_came(data: bytes, request: bytes) -> str:
    if not data:
        return NO_ECHO
    if data[: len(request)] != request:
        return f"an echo of {data[: len(request)].hex(' ')} for {request.hex(' ')}"
    if len(data) == len(request):
        return "nothing but the echo: is the motor supply on, and this its address?"
    return f"{len(data) - len(request)} bytes after the echo"
