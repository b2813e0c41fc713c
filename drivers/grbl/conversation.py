"""Talking with a Grbl: one line at a time, each answered by `ok` or an error; reports on request; a reader thread.

Send-response, not character counting: a rail needs one short line for each move, so nothing is gained by keeping the
controller's 128-byte buffer full, and an answer always belongs to the line before it.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from drivers.base import AlarmResponse, DriverError, NoResponse, NotOpen, Unplugged
from drivers.clock import Clock
from drivers.grbl import codes, protocol
from drivers.grbl.port import Port
from drivers.grbl.protocol import Banner, Failure, Feedback, LineSplitter, Message, Noise, Ok, Parser, Report

log = logging.getLogger(__name__)

ASK_AGAIN_S = 0.1
"""A `?` that is not answered by then is lost, or the controller is busy: it may be asked again."""
ANSWER_LIMIT_S = 0.9
"""A controller that does not report within this is not there."""
RESET_LIMIT_S = 1.0
"""From a soft reset to the banner. After `ALARM:3` Grbl waits half a second before it goes on."""
BOOT_LIMIT_S = 6.0
"""From opening a port to the banner: the boot loader of an Arduino takes up to two seconds of it. Also from one word of a
controller that tells how it starts to the next."""
START_LIMIT_S = 30.0
"""How long such a controller may talk: FluidNC looks for its wireless network first."""
KNOCK_S = 1.0
"""How often a reset is tried while a board may still be in its boot loader."""
CLOSE_LIMIT_S = 1.0


class Overtaken(DriverError):
    """A reset came before the answer."""


@dataclass
class Pending:
    """A line on its way."""

    line: str
    on_end: Callable[[DriverError | None], None] | None = None
    said: list[Message] = field(default_factory=list)
    """What came before the answer: settings, feedback."""
    over: bool = False
    error: DriverError | None = None


class Listener(Protocol):
    """Who hears everything, on the reader's thread, under `Conversation.changed`."""

    def heard(self, message: Message, now_s: float) -> None:
        """A message has come."""

    def tick(self, now_s: float) -> None:
        """Some milliseconds have passed."""


class Conversation:
    """An open line to a controller.

    Args:
        port: not yet open.
        clock: for the times of reports.
        listener: hears what comes.
    """

    def __init__(self, port: Port, clock: Clock, listener: Listener) -> None:
        self.port = port
        self.changed = threading.Condition()
        """Guards all state here and in the listener; notified after every message."""
        self.report: Report | None = None
        self.banner: Banner | None = None
        self.lost: DriverError | None = None
        """Why the port cannot be used any more."""
        self._clock = clock
        self._listener = listener
        self._pending: Pending | None = None
        self._reports = 0
        self._asked_s: float | None = None
        self._last_noise = ""
        self._spoke_s = -math.inf
        """When it last told something in brackets."""
        self._last_line = ""
        self._leaving = threading.Event()
        self._reader = threading.Thread(target=self._read, name=f"grbl {port.name}", daemon=True)

    # ------------------------------------------------------------------------------------------------ opening, closing

    def open(self) -> None:
        """Open the port, stop whatever the controller does, and hear its banner.

        Raises:
            DriverError: no port; what answers is no Grbl 1.1.
            NoResponse: nothing answers.
        """
        self.port.open()
        self._reader.start()
        began_s = self._clock.now()
        while self.banner is None:
            self.realtime(protocol.SOFT_RESET, "reset")
            if self._wait(lambda: self.banner is not None, KNOCK_S):
                break
            now_s = self._clock.now()
            if now_s > max(began_s, self._spoke_s) + BOOT_LIMIT_S or now_s > began_s + START_LIMIT_S:
                raise self._nobody()
        # A board that was reset by the opening of its port too says its banner twice.
        self._wait(lambda: self.lost is not None, 0.05)
        self._check_banner()

    def close(self) -> None:
        """End the reader and let go of the port."""
        self._leaving.set()
        if self._reader.is_alive() and threading.current_thread() is not self._reader:
            self._reader.join(CLOSE_LIMIT_S)
        self.port.close()
        with self.changed:
            self._lose(NotOpen(self.port.name))

    def _nobody(self) -> DriverError:
        if self._last_noise:
            return DriverError(self.port.name, f"what answers is not Grbl 1.1: {self._last_noise[:60]!r}")
        return NoResponse(self.port.name, "reset")

    def _check_banner(self) -> None:
        banner = self.banner
        if banner is None or banner.version is None:
            return
        if banner.version < (1, 1):
            raise DriverError(
                self.port.name, f"too old: {banner.text!r}; Grbl 1.1 or later is needed, for its jogs"
            )

    # ---------------------------------------------------------------------------------------------------------- talking

    def realtime(self, byte: bytes, what: str) -> None:
        """Send a realtime command, which waits for nothing. Any thread. Raises `Unplugged`."""
        try:
            self.port.write(byte, what)
        except DriverError as error:
            with self.changed:
                raise self._lose(error) from None

    def begin(self, line: str, on_end: Callable[[DriverError | None], None] | None = None) -> Pending:
        """Send a line and return. `on_end` is called on the reader's thread. Raises `Unplugged`, or when one is on its way."""
        with self.changed:
            self._require()
            if self._pending is not None:
                raise AlarmResponse(self.port.name, "busy", f"{self._pending.line} is not answered yet")
            pending = self._pending = Pending(line, on_end)
            self._last_line = line
            try:
                self.port.write(line.encode("ascii") + b"\n", line)
            except DriverError as error:
                raise self._lose(error) from None
        return pending

    def finish(self, pending: Pending, limit_s: float) -> list[Message]:
        """Wait for the answer; what was said before it.

        Raises:
            AlarmResponse: the line was refused.
            Overtaken: a reset came in between.
            NoResponse: no answer in `limit_s`; a later one would be taken for the next line's, so reset before going on.
        """
        with self.changed:
            if not self._wait(lambda: pending.over, limit_s):
                self.drop(NoResponse(self.port.name, pending.line))
            if pending.error is not None:
                raise pending.error
        return pending.said

    def command(self, line: str, limit_s: float) -> list[Message]:
        """Send a line and wait for its answer. Raises as `begin` and `finish`."""
        return self.finish(self.begin(line), limit_s)

    def drop(self, error: DriverError) -> None:
        """Wait no longer for the line that is on its way."""
        if self._pending is not None:
            self._end(error)

    def ask(self, now_s: float) -> None:
        """Ask for a report unless one is on its way. Under `changed`."""
        if self._asked_s is None or now_s - self._asked_s > ASK_AGAIN_S:
            self._asked_s = now_s
            self.port.write(protocol.STATUS, "?")

    def fresh_report(self, unless: Callable[[], bool] = lambda: False) -> Report | None:
        """A report made after this was called; None when `unless` becomes true. Raises `NoResponse` or `Unplugged`."""
        with self.changed:
            self._require()
            # The answer to an earlier question may have been made before this call.
            if self._asked_s is not None:
                self._wait(lambda: self._asked_s is None or unless(), ASK_AGAIN_S)
            seen, ends_s = self._reports, self._clock.now() + ANSWER_LIMIT_S
            while not (self._reports > seen or unless()):
                now_s = self._clock.now()
                if now_s > ends_s:
                    raise NoResponse(self.port.name, "?")
                try:
                    self.ask(now_s)
                except DriverError as error:
                    raise self._lose(error) from None
                self._wait(lambda: self._reports > seen or unless(), ASK_AGAIN_S)
            return self.report

    def wait_for(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Wait until something that messages change is so; False when it is not in time. Raises when the port is lost."""
        with self.changed:
            return self._wait(condition, limit_s)

    def _wait(self, condition: Callable[[], bool], limit_s: float) -> bool:
        with self.changed:
            done = self.changed.wait_for(lambda: self.lost is not None or condition(), limit_s)
            if not condition():
                self._require()
            return done

    def _require(self) -> None:
        if self.lost is not None:
            raise self.lost

    # ---------------------------------------------------------------------------------------------------------- reading

    def _read(self) -> None:
        splitter, parser = LineSplitter(), Parser()
        while not self._leaving.is_set():
            try:
                lines = splitter.feed(self.port.read())
                with self.changed:
                    now_s = self._clock.now()
                    for line in lines:
                        self._take(parser.parse(line), now_s)
                    self._listener.tick(now_s)
                    if lines:
                        self.changed.notify_all()
            except DriverError as error:
                with self.changed:
                    self._lose(error)
                return

    def _take(self, message: Message, now_s: float) -> None:
        match message:
            case Report():
                self.report, self._asked_s = message, None
                self._reports += 1
            case Banner():
                self.banner, self.report, self._asked_s = message, None, None
                self.drop(Overtaken(self.port.name, "the controller was reset"))
            case Ok():
                self._end(None)
            case Failure():
                words = codes.error_words(message.code)
                self._end(AlarmResponse(self.port.name, f"error:{message.code}", words))
            case Feedback() if self.banner is None:
                self._spoke_s = now_s
            case Noise():
                self._last_noise = message.text
                log.debug("%s: not understood: %r", self.port.name, message.text)
            case _ if self._pending is not None:
                self._pending.said.append(message)
        self._listener.heard(message, now_s)

    def _end(self, error: DriverError | None) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            if error is not None:
                log.info("%s: %s, without a question", self.port.name, error)
            return
        if error is not None and isinstance(error, AlarmResponse):
            error = AlarmResponse(error.port, f"{error.code} to {pending.line}", error.meaning)
        pending.over, pending.error = True, error
        if pending.on_end is not None:
            pending.on_end(error)
        self.changed.notify_all()

    def _lose(self, error: DriverError) -> DriverError:
        """The port cannot be used any more; why, as everybody is told from now on."""
        if isinstance(error, Unplugged) and error.command in {"?", "reading"} and self._last_line:
            error = Unplugged(error.port, self._last_line)
        if self.lost is None:
            self.lost = error
        self.drop(error)
        self.changed.notify_all()
        return self.lost
