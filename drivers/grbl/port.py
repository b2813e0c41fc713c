"""The serial port of a motion controller: found by a name that stays, opened by one program at a time, read and written.

Everything that pyserial, the tty layer or a socket throws when a plug is pulled becomes `Unplugged`.
"""

from __future__ import annotations

import contextlib
import errno
import termios
from typing import Any

from drivers.base import DriverError, DriverNotAvailable, Unplugged

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

    def open(self) -> None:
        """Take the port. Raises `DriverError`: not there, not allowed, in use; `DriverNotAvailable` without pyserial."""
        try:
            import serial  # noqa: PLC0415  (a config can be checked where pyserial is not installed)
        except ImportError as error:
            raise DriverNotAvailable("rail", "grbl", f"{error} (install pyserial)") from error
        self._failures = (OSError, serial.SerialException, termios.error, TypeError, ValueError)
        url = self._address()
        lock: dict[str, Any] = {} if url.startswith("socket:") else {"exclusive": True}
        try:
            self._serial = serial.serial_for_url(
                url, self._baud, timeout=READ_WAIT_S, write_timeout=WRITE_WAIT_S, **lock
            )
        except self._failures as error:
            raise self._cannot_open(error) from error
        self._claim()

    def close(self) -> None:
        """Let go of the port. Idempotent."""
        if self._serial is not None:
            # pyserial leaves a socket open whose other end has gone.
            inner = getattr(self._serial, "_socket", None)
            with contextlib.suppress(*self._failures):
                self._serial.close()
            if inner is not None:
                inner.close()

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

    def _address(self) -> str:
        """What pyserial calls it."""
        kind, _, rest = self.name.partition(":")
        if kind == "socket":
            return f"socket://{rest}"
        return usb_device(self.name) if kind == "usb" else self.name

    def _claim(self) -> None:
        """Also keep out programs that do not ask for the lock that pyserial takes."""
        import fcntl  # noqa: PLC0415  (not on every system that can check a config)

        with contextlib.suppress(*self._failures, AttributeError):
            fcntl.ioctl(self._serial.fileno(), termios.TIOCEXCL)

    def _cannot_open(self, error: Exception) -> DriverError:
        number = getattr(error, "errno", None)
        if number in {errno.EACCES, errno.EPERM}:
            return DriverError(self.name, "may not be opened: is the user in the group dialout?")
        if number in {errno.EBUSY, errno.EAGAIN} or "lock" in str(error):
            return DriverError(self.name, "is in use by another program")
        if number in {errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO}:
            return Unplugged(self.name, "opening")
        return DriverError(self.name, f"cannot be opened: {error}")


def usb_device(name: str) -> str:
    """The device path of `usb:VID:PID[:SERIAL]`. Raises `DriverError` when there is none, or more than one."""
    from serial.tools import list_ports  # noqa: PLC0415

    _, vendor, product, *serial_number = name.split(":", 3)
    ports = [port for port in list_ports.comports() if port.vid is not None]
    fitting = [
        port
        for port in ports
        if (port.vid, port.pid) == (int(vendor, 16), int(product, 16))
        and (not serial_number or port.serial_number == serial_number[0])
    ]
    if len(fitting) == 1:
        return str(fitting[0].device)
    if fitting:
        several = ", ".join(f"{port.device} ({port.serial_number or 'no serial number'})" for port in fitting)
        raise DriverError(
            name, f"is not one device but several: {several}; name the serial number, or a by-id path"
        )
    there = ", ".join(f"{port.vid:04x}:{port.pid:04x} ({port.device})" for port in ports) or "none"
    raise DriverError(name, f"is not plugged in; USB serial ports that are: {there}")
