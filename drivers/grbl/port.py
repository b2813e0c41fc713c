"""The serial port of a motion controller: opened, read and written.

Everything that pyserial, the tty layer or a socket throws when a plug is pulled becomes `Unplugged`.
"""

from __future__ import annotations

from typing import Any

from drivers import serialport
from drivers.base import Unplugged

READ_WAIT_S = 0.02
"""How long a read waits for a byte: also how soon the reader looks at its clock."""
WRITE_WAIT_S = 0.2
"""A line is far shorter than any port's buffer. One that cannot be written in this time goes nowhere."""


class Port:
    """One open port.

    Args:
        name: as in the config: a path, `usb:VID:PID[:SERIAL]`, `socket:HOST:PORT`.
        baud: serial speed.
    """

    def __init__(self, name: str, baud: int) -> None:
        self.name = name
        self._baud = baud
        self._serial: Any = None
        self._failures: tuple[type[Exception], ...] = ()

    def open(self) -> None:
        """Take the port. Raises `DriverError`: not there, not allowed, in use; `DriverNotAvailable` without pyserial."""
        self._serial, self._failures = serialport.opened(
            "rail", "grbl", self.name, self._baud, read_wait_s=READ_WAIT_S, write_wait_s=WRITE_WAIT_S
        )

    def close(self) -> None:
        """Let go of the port. Idempotent."""
        if self._serial is not None:
            serialport.close(self._serial, self._failures)

    def read(self) -> bytes:
        """What has come, after at most `READ_WAIT_S`. Raises `Unplugged`."""
        try:
            data: bytes = self._serial.read(max(1, self._serial.in_waiting))
        except self._failures as error:
            raise Unplugged(self.name, "reading") from error
        return data

    def write(self, data: bytes, what: str) -> None:
        """Send; `what` names the command if the port is gone. Any thread. Raises `Unplugged`."""
        try:
            self._serial.write(data)
        except self._failures as error:
            raise Unplugged(self.name, what) from error
