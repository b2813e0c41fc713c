"""Serial ports for every driver that has one: found by a name that stays, opened by one program at a time, failing in one way.

A port is named by its path (`/dev/serial/by-id/...`), by its USB ids (`usb:VID:PID` or `usb:VID:PID:SERIAL`), or, for drivers that
take it, as `socket:HOST:PORT`. Whatever pyserial, the tty layer or a socket throws when a plug is pulled is in `failures()`; a
driver makes `Unplugged` of it, with the command that it was about.
"""

from __future__ import annotations

import contextlib
import errno
import termios
from typing import Any

from drivers.base import DriverError, DriverNotAvailable, Unplugged


def library(kind: str, driver: str) -> Any:
    """The module `serial`. Raises `DriverNotAvailable` in the name of the driver that asks."""
    try:
        import serial  # noqa: PLC0415  (a config can be checked where pyserial is not installed)
    except ImportError as error:
        raise DriverNotAvailable(
            kind,
            driver,
            f"{error} (install pyserial: python -m pip install pyserial, or sudo apt install python3-serial)",
        ) from error
    return serial


def failures(serial: Any) -> tuple[type[Exception], ...]:
    """What reading, writing and opening may throw.

    A read whose other end goes away in the middle of it raises `TypeError` or `ValueError` out of pyserial itself.
    """
    return (OSError, serial.SerialException, termios.error, TypeError, ValueError)


def opened(
    kind: str, driver: str, name: str, baud: int, *, read_wait_s: float, write_wait_s: float
) -> tuple[Any, tuple[type[Exception], ...]]:
    """An open port of pyserial's, which no other program gets while it is open, and what its verbs may throw.

    Args:
        kind: of the driver: `rail`, `motor`.
        driver: its name.
        name: of the port, as in the config.
        baud: serial speed.
        read_wait_s: how long a read waits.
        write_wait_s: how long a write may take.

    Raises:
        DriverError: not there (`Unplugged` where it was named by a path), not allowed, in use.
        DriverNotAvailable: without pyserial.
    """
    serial = library(kind, driver)
    throws = failures(serial)
    url = _address(name)
    lock: dict[str, Any] = {} if url.startswith("socket:") else {"exclusive": True}
    try:
        port = serial.serial_for_url(url, baud, timeout=read_wait_s, write_timeout=write_wait_s, **lock)
    except throws as error:
        raise _cannot_open(name, error) from error
    _claim(port, throws)
    return port, throws


def close(port: Any, throws: tuple[type[Exception], ...]) -> None:
    """Let go of a port, also of one whose other end is gone."""
    # pyserial leaves a socket open whose other end has gone.
    inner = getattr(port, "_socket", None)
    with contextlib.suppress(*throws):
        port.close()
    if inner is not None:
        inner.close()


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


def _address(name: str) -> str:
    """What pyserial calls it."""
    kind, _, rest = name.partition(":")
    if kind == "socket":
        return f"socket://{rest}"
    return usb_device(name) if kind == "usb" else name


def _claim(port: Any, throws: tuple[type[Exception], ...]) -> None:
    """Also keep out programs that do not ask for the lock that pyserial takes."""
    import fcntl  # noqa: PLC0415  (not on every system that can check a config)

    with contextlib.suppress(*throws, AttributeError):
        fcntl.ioctl(port.fileno(), termios.TIOCEXCL)


def _cannot_open(name: str, error: Exception) -> DriverError:
    number = getattr(error, "errno", None)
    if number in {errno.EACCES, errno.EPERM}:
        return DriverError(name, "may not be opened: is the user in the group dialout?")
    if number in {errno.EBUSY, errno.EAGAIN} or "lock" in str(error):
        return DriverError(name, "is in use by another program")
    if number in {errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO}:
        return Unplugged(name, "opening")
    return DriverError(name, f"cannot be opened: {error}")
