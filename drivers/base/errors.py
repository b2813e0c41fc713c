"""The errors of all drivers. Each carries data (port, command, code), so that the daemon can say what to do next."""

from __future__ import annotations


class DriverError(Exception):
    """Something that a driver could not do. `port` names the part: a device path, `sim`, a pin."""

    def __init__(self, port: str, message: str) -> None:
        super().__init__(f"{port}: {message}")
        self.port = port


class NoResponse(DriverError, TimeoutError):
    """The part did not answer a command in time."""

    def __init__(self, port: str, command: str) -> None:
        super().__init__(port, f"no answer to {command}")
        self.command = command


class AlarmResponse(DriverError):
    """The part answered with an alarm or error code; `meaning` says it in words."""

    def __init__(self, port: str, code: str, meaning: str = "") -> None:
        super().__init__(port, f"alarm {code}" + (f" ({meaning})" if meaning else ""))
        self.code = code
        self.meaning = meaning


class Unplugged(DriverError, ConnectionError):
    """The port went away; `command` is what was being done, where it is known."""

    def __init__(self, port: str, command: str = "") -> None:
        super().__init__(port, "unplugged or powered off" + (f" ({command})" if command else ""))
        self.command = command


class NotOpen(DriverError):
    """A verb was used before `open()` or after `close()`."""

    def __init__(self, port: str) -> None:
        super().__init__(port, "not open")


class CameraTimeout(DriverError, TimeoutError):
    """An exposure or a transfer was cancelled or took too long."""

    def __init__(self, port: str, waited_s: float) -> None:
        super().__init__(port, f"no picture after {waited_s:.2f} s")
        self.waited_s = waited_s


class TransferFailed(DriverError, OSError):
    """The picture was taken and its data could not be had: a file that is gone, a card that is full."""


class UnknownDriver(DriverError, LookupError):
    """No driver of this name; `known` lists those there are."""

    def __init__(self, kind: str, name: str, known: tuple[str, ...]) -> None:
        super().__init__(kind, f"no driver named {name!r}; there are: {', '.join(known) or 'none'}")
        self.kind = kind
        self.name = name
        self.known = known


class DriverNotAvailable(DriverError):
    """The driver's options are declared, but this machine or this release cannot drive it; `reason` says why."""

    def __init__(self, kind: str, name: str, reason: str) -> None:
        super().__init__(kind, f"driver {name!r} cannot be opened: {reason}")
        self.kind = kind
        self.name = name
        self.reason = reason
