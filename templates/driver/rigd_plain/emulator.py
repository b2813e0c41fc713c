"""A controller on a pseudo-terminal that speaks the wire, moves a carriage, and misbehaves on request.

Write it from the controller's own document, not from the driver: two sides that share a mistake agree.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import threading
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from drivers.clock import Clock

HOMING_PER_S = 8000.0
TICK_S = 0.002


@dataclass
class Faults:
    """What goes wrong on the line. Shares are of all bytes."""

    lose: float = 0.0
    """Share of bytes from the controller that are lost."""
    garble: float = 0.0
    """Share of them that become others."""
    lose_commands: float = 0.0
    """Share of bytes to the controller that are lost."""
    garbage: bytes = b""
    """Said before every answer."""
    split: bool = False
    """One byte at a time."""
    delay_s: float = 0.0
    """Before every answer."""
    mute: bool = False
    """Nothing is answered."""
    unplug_at: str = ""
    """The plug is pulled when this command comes, and before it is obeyed."""


class PlainEmulator:
    """A controller, its carriage and its plug.

    Args:
        link: where its port shows: the same name after every replug.
        clock: of its motions.
        start: microsteps from the home switch to where the carriage stands.
    """

    def __init__(self, link: Path, clock: Clock, start: int = 3000) -> None:
        self.link = link
        self.faults = Faults()
        self.identity = "plain 1"
        self.place = float(start)
        """Where the carriage is, in microsteps from the home switch. Nobody but a test knows."""
        self._clock = clock
        self._offset = -float(start)
        """From the place to the count."""
        self._state, self._alarm, self._homed = "idle", "", False
        self._error: int | None = None
        self._goal, self._speed, self._then_s = self.place, 0.0, clock.now()
        self._random = random.Random(1)  # noqa: S311  (of what goes wrong, and each time the same)
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._master = self._slave = -1
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self.plug()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self.unplug()

    # ------------------------------------------------------------------------------------------------------- for tests

    def plug(self) -> None:
        """A new port under the old name. The controller is fed by USB: it has just been switched on."""
        with self._lock:
            self._master, self._slave = os.openpty()
            tty.setraw(self._slave)
            os.set_blocking(self._master, False)
            self._stand(homed=False)
            self.link.unlink(missing_ok=True)
            self.link.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        """Pull the plug, in whatever is going on."""
        with self._lock:
            if self._master >= 0:
                self._stand(homed=False)
                self.link.unlink()
                os.close(self._master)
                os.close(self._slave)
                self._master = self._slave = -1

    def jam(self, words: str) -> None:
        """The controller stops by itself."""
        with self._lock:
            self._stand(homed=False)
            self._state, self._alarm = "alarm", words

    def true_microsteps(self) -> float:
        """The carriage's own count, from the home switch."""
        with self._lock:
            self._advance()
            return self.place

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Meanwhile it hears nothing, says nothing and does nothing."""
        with self._lock:
            yield

    # ---------------------------------------------------------------------------------------------------- the carriage

    def _advance(self) -> None:
        now_s = self._clock.now()
        way, passed = self._goal - self.place, self._speed * (now_s - self._then_s)
        self._then_s = now_s
        if self._speed == 0:
            return
        if passed < abs(way):
            self.place += passed if way > 0 else -passed
            return
        self.place, self._speed = self._goal, 0.0
        if self._state == "homing":
            self._error = round(self.place + self._offset) if self._homed_before else None
            self._offset, self._homed = 0.0, True
        self._state = "idle"

    def _stand(self, *, homed: bool) -> None:
        self._advance()
        self.place = float(round(self.place))
        self._speed, self._state, self._homed = 0.0, "idle", homed

    def _go(self, goal: float, speed: float, state: str) -> None:
        self._goal, self._speed, self._state, self._alarm = goal, speed, state, ""

    # -------------------------------------------------------------------------------------------------------- the wire

    def _run(self) -> None:
        heard = bytearray()
        while not self._ended.is_set():
            with self._lock:
                self._advance()
                with contextlib.suppress(OSError):
                    self._hear(heard)
            master = self._master
            with contextlib.suppress(OSError, ValueError):
                select.select([master] if master >= 0 else [], [], [], TICK_S)

    def _hear(self, heard: bytearray) -> None:
        if self._master < 0:
            heard.clear()
            return
        try:
            data = os.read(self._master, 1024)
        except BlockingIOError:
            return
        for byte in data:
            if self._random.random() < self.faults.lose_commands:
                continue
            if byte == ord("!"):
                self._stand(homed=self._homed and self._state != "homing")
            elif byte == 0x18:
                self._stand(homed=False)
            elif byte == ord("\n"):
                line = bytes(heard)
                heard.clear()
                self._obey(line)
            else:
                heard.append(byte)

    def _obey(self, line: bytes) -> None:
        data, _, check = line.rpartition(b"*")
        if check != f"{sum(data) % 256:02X}".encode():
            return
        number, _, text = data.decode().partition(" ")
        verb, *words = text.split()
        if verb == self.faults.unplug_at:
            self.faults.unplug_at = ""
            self.unplug()
            return
        acts: dict[str, Callable[[list[int]], str]] = {
            "id": lambda _: self.identity,
            "?": self._report,
            "home": self._home,
            "move": lambda given: self._motion(given[0] - self._offset, given[1]),
            "jog": lambda given: self._motion(self.place + given[0], given[1]),
            "off": self._off,
        }
        self._say(f"{number} {acts[verb]([int(word) for word in words])}")

    def _report(self, _: list[int]) -> str:
        error = "-" if self._error is None else self._error
        return f"{self._state} {int(self._homed)} {round(self.place + self._offset)} {error} {self._alarm}".strip()

    def _home(self, _: list[int]) -> str:
        self._homed_before, self._homed = self._homed, False
        self._go(0.0, HOMING_PER_S, "homing")
        return "ok"

    def _motion(self, goal: float, speed: float) -> str:
        if self._state != "idle":
            return f"no: {self._state}"
        self._go(goal, speed, "moving")
        return "ok"

    def _off(self, _: list[int]) -> str:
        self._stand(homed=False)
        return "ok"

    def _say(self, text: str) -> None:
        faults, draw = self.faults, self._random.random
        if faults.mute:
            return
        data = text.encode()
        line = faults.garbage + data + f"*{sum(data) % 256:02X}\n".encode()
        kept = (byte for byte in line if draw() >= faults.lose)
        said = bytes(self._random.randrange(256) if draw() < faults.garble else byte for byte in kept)
        self._clock.wait_until(self._clock.now() + faults.delay_s)
        size = 1 if faults.split else len(said) or 1
        for start in range(0, len(said), size):
            os.write(self._master, said[start : start + size])
