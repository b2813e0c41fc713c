"""An emulated Grbl controller on a pseudo-terminal, that misbehaves on request.

Its clock can run faster than the machine's: a homing of 20 s takes 0.1 s at speed 200.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.emulators.grbl_firmware import GrblFirmware

TICK_S = 0.001
NOBODY_S = 0.005
DRAIN_LIMIT_S = 2.0


@dataclass
class Faults:
    """What goes wrong on the line. Shares are of all bytes; `seed` makes them come again."""

    lose: float = 0.0
    """Share of bytes from the controller that are lost."""
    lose_commands: float = 0.0
    """Share of bytes to the controller that are lost."""
    garble: float = 0.0
    """Share of bytes from the controller that become others."""
    garbage: bytes = b""
    """Said between any two messages."""
    split: int = 0
    """At most so many bytes are given at once; 0: as they come."""
    delay_s: float = 0.0
    """Real time until bytes from the controller arrive."""
    mute: bool = False
    """The controller says nothing."""
    seed: int = 1
    unplug_at: bytes = b""
    """The plug is pulled when this comes, and before it is obeyed."""
    unplug_at_pulse: int | None = None
    """The plug is pulled when there have been so many step pulses, a millisecond more or less: in the middle of a motion."""
    swallow: list[bytes] = field(default_factory=list)
    """Each of these is removed once from what the controller says."""


class GrblEmulator:
    """A controller, its wire and its plug.

    Args:
        firmware: what runs on it.
        link: where its port shows, as a by-id path does: the same name after every replug.
        speed: how much faster than real time its clock runs.
        resets_on_open: opening the port resets the board, as Arduinos do.
        boot_s: of its own time from reset to banner in that case.
        boot_says: what it tells every tenth of a second of it.
        survives_unplug: it has a supply of its own and goes on when USB is pulled.
    """

    def __init__(
        self,
        firmware: GrblFirmware,
        link: Path,
        *,
        speed: float = 1.0,
        resets_on_open: bool = False,
        boot_s: float = 0.0,
        boot_says: bytes = b"",
        survives_unplug: bool = False,
    ) -> None:
        self.firmware = firmware
        self.link = link
        self.faults = Faults()
        self.received = bytearray()
        """Every byte that came, realtime ones too."""
        self._speed = speed
        self._resets_on_open = resets_on_open
        self._boot_s = boot_s
        self._boot_says = boot_says
        self._says_at = 0.0
        self._survives = survives_unplug
        self._lock = threading.RLock()
        self._random = random.Random(1)
        self._began = time.monotonic()
        self._master = -1
        self._held_back: list[tuple[float, bytes]] = []
        self._boots_at: float | None = None
        self._used = False
        self._ended = threading.Event()
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="grbl emulator", daemon=True)

    def __enter__(self) -> Self:
        pytest.importorskip("serial", reason="pyserial, by which the drivers speak, is not installed")
        self.firmware.power_on()
        self.plug()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._wake()
        self._thread.join(5)
        assert not self._thread.is_alive()
        with self._lock:
            self._pull()
        os.close(self._wake_read)
        os.close(self._wake_write)

    # ------------------------------------------------------------------------------------------------------ for tests

    @property
    def port(self) -> str:
        return str(self.link)

    def true_steps(self) -> int:
        """The carriage's own count, from where the last homing ended."""
        with self._lock:
            self._advance()
            return self.firmware.true_steps

    def pulses(self) -> int:
        """How many step pulses there have been."""
        with self._lock:
            self._advance()
            return self.firmware.carriage.pulses

    def with_firmware(self, act: Callable[[GrblFirmware], None]) -> None:
        """Do something to the controller from outside: a hand, a hold button, a broken wire."""
        with self._lock:
            self._advance()
            act(self.firmware)
        self._wake()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Meanwhile it hears nothing, says nothing and does nothing."""
        with self._lock:
            yield

    def reset_by_itself(self) -> None:
        """A brown-out."""
        self.with_firmware(lambda firmware: firmware.power_on())

    def plug(self) -> None:
        """A new port under the old name."""
        with self._lock:
            self._advance()
            self._master, slave = os.openpty()
            tty.setraw(slave, termios.TCSANOW)
            os.set_blocking(self._master, False)
            name = os.ttyname(slave)
            fresh = self.link.with_name(self.link.name + ".new")
            fresh.symlink_to(name)
            fresh.replace(self.link)
            os.close(slave)
            self._used = False
            if not self._survives and self.firmware._dead:
                self.firmware.power_on()
        self._wake()

    def unplug(self) -> None:
        """Pull the plug, in whatever is going on."""
        with self._lock:
            self._advance()
            if not self._survives:
                self.firmware.power_off()
            self._pull()
            self._held_back.clear()
        self._wake()

    # ------------------------------------------------------------------------------------------------------- its thread

    def _pull(self) -> None:
        if self._master >= 0:
            os.close(self._master)
            self._master = -1
        self.link.unlink(missing_ok=True)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"x")

    def _now(self) -> float:
        return (time.monotonic() - self._began) * self._speed

    def _advance(self) -> None:
        self.firmware.advance(self._now())

    def _run(self) -> None:
        while not self._ended.is_set():
            with self._lock:
                self._watch_opening()
                self._advance()
                self._pull_at_pulse()
                self._send()
                busy = self.firmware.busy or bool(self._held_back) or self._boots_at is not None
                master = self._master
                used = self._used
            wait_s = NOBODY_S if not used else TICK_S if busy else 0.05
            watched = [self._wake_read] + ([master] if used and master >= 0 else [])
            try:
                ready, _, _ = select.select(watched, [], [], wait_s)
            except (OSError, ValueError):
                continue
            if self._wake_read in ready:
                os.read(self._wake_read, 100)
            with self._lock:
                if master in ready and master == self._master:
                    self._read()

    def _pull_at_pulse(self) -> None:
        at = self.faults.unplug_at_pulse
        if at is not None and self.firmware.carriage.pulses >= at and self._master >= 0:
            self.faults.unplug_at_pulse = None
            self.unplug()

    def _watch_opening(self) -> None:
        """A pty whose other end nobody has open reports a hang-up."""
        if self._master < 0:
            return
        poller = select.poll()
        poller.register(self._master, select.POLLIN)
        closed = any(event & select.POLLHUP for _, event in poller.poll(0))
        if self._used == (not closed):
            return
        self._used = not closed
        if self._used and self._resets_on_open:
            self.firmware.power_off()
            self._boots_at = self._now() + self._boot_s
        if not self._used:
            self.firmware.out.clear()

    def _read(self) -> None:
        try:
            data = os.read(self._master, 4096)
        except OSError:
            return
        self.received += data
        if self.faults.unplug_at and self.faults.unplug_at in data:
            self.faults.unplug_at = b""
            self.unplug()
            return
        share = self.faults.lose_commands
        kept = bytes(byte for byte in data if not share or self._random.random() >= share)
        self._advance()
        for byte in kept:
            self.firmware.receive(bytes([byte]))
            self._advance()

    def _send(self) -> None:
        if self._boots_at is not None and self._boot_says and self._now() >= self._says_at:
            self._says_at = self._now() + 0.1
            self._held_back.append((time.monotonic(), self._boot_says))
        if self._boots_at is not None and self._now() >= self._boots_at:
            self._boots_at = None
            self.firmware.power_on()
            self._advance()
        if self.firmware.out:
            data = bytes(self.firmware.out)
            self.firmware.out.clear()
            self._held_back.append((time.monotonic() + self.faults.delay_s, self._spoilt(data)))
        while self._held_back and self._held_back[0][0] <= time.monotonic():
            self._give(self._held_back.pop(0)[1])

    def _spoilt(self, data: bytes) -> bytes:
        faults = self.faults
        if faults.mute:
            return b""
        for gone in list(faults.swallow):
            if gone in data:
                data = data.replace(gone, b"", 1)
                faults.swallow.remove(gone)
        if faults.garbage:
            data = data.replace(b"\r\n", b"\r\n" + faults.garbage + b"\r\n")
        if faults.lose or faults.garble:
            data = b"".join(self._spoilt_byte(byte) for byte in data)
        return data

    def _spoilt_byte(self, byte: int) -> bytes:
        if self._random.random() < self.faults.lose:
            return b""
        if self._random.random() < self.faults.garble:
            return bytes([self._random.randrange(256)])
        return bytes([byte])

    def _give(self, data: bytes) -> None:
        if self._master < 0 or not self._used:
            return
        size = self.faults.split or len(data) or 1
        for start in range(0, len(data), size):
            with contextlib.suppress(OSError):
                os.write(self._master, data[start : start + size])
