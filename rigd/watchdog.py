"""The service manager's side of the daemon: readiness, status, and a watchdog that progress feeds.

The protocol is sd_notify(3): one datagram of `NAME=value` lines to the socket named in NOTIFY_SOCKET. The watchdog is
sd_watchdog_enabled(3): WATCHDOG_USEC says how long the manager waits for a sign of life before it ends the process.

The sign of life is given by the control loop's own work, on the thread that works, never by a timer on another thread: such a
timer goes on ticking over a loop that hangs, which is the one thing a watchdog is for.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

from drivers.clock import Clock

logger = logging.getLogger(__name__)

SIGNS_PER_INTERVAL = 3
"""Signs of life in one watchdog interval: two may be late or lost before the manager acts."""


class Notifier:
    """Sends the daemon's state to the service manager; does nothing when there is none.

    Every verb returns whether the manager was told. A manager that cannot be reached is logged and never an error of the rig.

    Args:
        address: the datagram socket: a path, or `@name` for a name in Linux's abstract namespace; None or empty: no manager.
    """

    def __init__(self, address: str | None) -> None:
        if address and address[0] not in "/@":
            logger.warning(
                "service manager's socket %r is of an unknown kind: it is not told about readiness", address
            )
            address = None
        self._address = f"\0{address[1:]}" if address and address[0] == "@" else address

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        """The notifier for the manager that started this process."""
        return cls(environ.get("NOTIFY_SOCKET"))

    @property
    def active(self) -> bool:
        """Whether there is a manager to tell."""
        return bool(self._address)

    def ready(self, text: str = "") -> bool:
        """Start-up is complete. `text` becomes the status in the same message."""
        return self._send("READY=1", *_status_lines(text))

    def status(self, text: str) -> bool:
        """One line for people, shown by `systemctl status`."""
        return self._send(*_status_lines(text))

    def stopping(self) -> bool:
        """The daemon has begun to stop: no sign of life is expected any more."""
        return self._send("STOPPING=1")

    def watchdog(self) -> bool:
        """A sign of life."""
        return self._send("WATCHDOG=1")

    def extend_timeout(self, seconds: float) -> bool:
        """Ask for this much more time, from now, for the start or stop that is under way."""
        return self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def _send(self, *lines: str) -> bool:
        if not self._address or not lines:
            return False
        # Never blocking: with a manager that does not read, the control loop must go on, and a missed sign is sent again.
        try:
            with socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            ) as sender:
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            logger.warning("service manager not told %s: %s", lines[0], error)
            return False
        return True


def _status_lines(text: str) -> tuple[str, ...]:
    """A line break in the text would begin another assignment."""
    flat = " ".join(text.split())
    return (f"STATUS={flat}",) if flat else ()


def watchdog_interval_s(environ: Mapping[str, str] = os.environ, pid: int | None = None) -> float | None:
    """How often the service manager wants a sign of life.

    Args:
        environ: where WATCHDOG_USEC and WATCHDOG_PID are.
        pid: the process that asks; this one by default. A child has inherited the variables but is not watched.

    Returns:
        Seconds, or None when this process is not watched. Values that are no numbers are logged and count as absent.
    """
    usec, watched = environ.get("WATCHDOG_USEC"), environ.get("WATCHDOG_PID")
    if not usec:
        return None
    try:
        interval_us, watched_pid = int(usec), int(watched) if watched else None
    except ValueError:
        logger.warning("WATCHDOG_USEC=%r WATCHDOG_PID=%r are no numbers: no watchdog", usec, watched)
        return None
    if watched_pid not in {None, os.getpid() if pid is None else pid}:
        return None
    return interval_us / 1e6 if interval_us > 0 else None


class ProgressWatchdog:
    """Turns progress of the control loop into signs of life, at most `SIGNS_PER_INTERVAL` in each interval.

    It has no thread and no timer: nothing is sent unless `progress` is called.

    Args:
        notifier: where the signs go.
        clock: monotonic.
        interval_s: the manager's interval; None: not watched, and `progress` does nothing.
    """

    def __init__(self, notifier: Notifier, clock: Clock, interval_s: float | None) -> None:
        self._notifier = notifier
        self._clock = clock
        self._pause_s = None if interval_s is None else interval_s / SIGNS_PER_INTERVAL
        self._last_s: float | None = None

    @property
    def tick_s(self) -> float | None:
        """An idle loop must go round at least this often, so that each sign is less than half an interval after the last."""
        return None if self._pause_s is None else self._pause_s / 3

    def progress(self) -> None:
        """The loop has gone round: an event was handled, or an idle tick came up in its turn."""
        if self._pause_s is None:
            return
        now_s = self._clock.now()
        if self._last_s is not None and now_s - self._last_s < self._pause_s:
            return
        if self._notifier.watchdog():
            self._last_s = now_s
