"""Emulated TMC2209 chips on one wire behind a pseudo-terminal, that misbehave on request.

Written from the datasheet and not from the driver: sync nibble, CRC, addresses, counter of writes, echo of everything that is
sent, registers after power-on, bits that are cleared by writing 1.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import threading
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

IDLE_S = 0.003
"""Silence after which half a datagram is forgotten."""
POWER_ON = {0x00: 0x101, 0x03: 0, 0x10: 0x1_1F10, 0x11: 20, 0x6C: 0x1001_0053, 0x70: 0xC10D_0024}
READABLE = {0x00, 0x01, 0x02, 0x05, 0x06, 0x07, 0x12, 0x41, 0x6A, 0x6B, 0x6C, 0x6F, 0x70, 0x71, 0x72}
WRITABLE = {0x00, 0x01, 0x03, 0x04, 0x07, 0x10, 0x11, 0x13, 0x14, 0x22, 0x40, 0x42, 0x6C, 0x70}
RESET, DRV_ERR, UV_CP = 1, 2, 4


def mirrored(byte: int) -> int:
    return int(f"{byte:08b}"[::-1], 2)


def check(data: bytes) -> int:
    """CRC-8 with polynomial 0x07, by long division of the bits in the order of the wire."""
    bits = int.from_bytes(bytes(mirrored(byte) for byte in data), "big") << 8
    for place in range(len(data) * 8 - 1, -1, -1):
        if bits >> (place + 8) & 1:
            bits ^= 0x107 << place
    return bits


class Chip:
    """One chip: its registers and its pins.

    Args:
        node: address by MS1 and MS2.
        version: what IOIN says.
    """

    def __init__(self, node: int = 0, version: int = 0x21) -> None:
        self.node = node
        self.version = version
        self.flags = 0
        """Bits of DRV_STATUS that its sensors set."""
        self.enn = False
        """Level of the enable pin: high is off."""
        self.moving = False
        self.load = 500
        """SG_RESULT."""
        self.written: list[tuple[int, int]] = []
        """Every write that was taken, in order."""
        self.power_on()

    def power_on(self) -> None:
        """The supply was away: registers as after power-on, and GSTAT says so."""
        self.registers = dict(POWER_ON)
        self.count = 0
        self.gstat = RESET

    def shut_down(self, flags: int) -> None:
        """It switches the motor off, for these bits of DRV_STATUS."""
        self.flags |= flags
        self.gstat |= DRV_ERR

    def read(self, register: int) -> int:
        if register == 0x01:
            return self.gstat
        if register == 0x02:
            return self.count
        if register == 0x06:
            return self.version << 24 | int(self.enn) | 1 << 6 | (self.node & 1) << 2 | (self.node >> 1) << 3
        if register == 0x12:
            return 1000 if self.moving else (1 << 20) - 1
        if register == 0x41:
            return self.load
        if register == 0x6F:
            return self._status()
        return self.registers.get(register, 0) if register in READABLE else 0

    def write(self, register: int, value: int) -> None:
        self.count = (self.count + 1) % 256
        self.written.append((register, value))
        if register == 0x01:
            self.gstat &= ~value
        elif register in WRITABLE:
            self.registers[register] = value

    def _status(self) -> int:
        currents = self.registers[0x10]
        scale = (currents >> 8 if self.moving else currents) & 31
        stealth = not self.registers[0x00] & 4
        return self.flags | scale << 16 | stealth << 30 | (not self.moving) << 31

    # -------------------------------------------------------------------------------- what an observer would measure

    def field(self, register: int, shift: int, width: int = 1) -> int:
        return self.registers.get(register, 0) >> shift & (1 << width) - 1

    def coil_ma(self, *, moving: bool, sense_ohm: float = 0.11) -> float:
        """RMS current, by the formula of the datasheet."""
        volts = 0.18 if self.field(0x6C, 17) else 0.325
        scale = self.field(0x10, 8 if moving else 0, 5)
        return 1000 * (scale + 1) / 32 * volts / (sense_ohm + 0.02) / 2**0.5

    def stall_reported(self, tstep: int) -> bool:
        """Whether DIAG is high at this TSTEP and the present load (sections 5.3 and 11)."""
        watched = self.registers.get(0x14, 0) >= tstep > self.registers.get(0x13, 0)
        return watched and not self.field(0x00, 2) and self.load <= 2 * self.registers.get(0x40, 0)


@dataclass
class Faults:
    """What goes wrong on the wire. Shares are of all bytes that the computer hears; `seed` makes them come again."""

    lose: float = 0.0
    garble: float = 0.0
    lose_commands: float = 0.0
    """Share of bytes that no chip hears; their echo comes all the same."""
    garbage: bytes = b""
    """Between echo and reply."""
    garbage_before: bytes = b""
    """Before every echo."""
    split: int = 0
    """At most so many bytes at once, a millisecond apart."""
    delay_s: float = 0.0
    """Until anything is heard, echo and reply each."""
    echo: bool = True
    wrong_crc: int = 0
    """So many replies have a wrong CRC."""
    mute: int = 0
    """So many requests are not answered; negative: none ever is."""
    unplug_at: int | None = None
    """The plug is pulled when this register is asked for or written, and before anything is answered."""
    power_loss_at: int | None = None
    """The chips lose their power for a moment when this register is asked for or written, and hear nothing of it."""
    seed: int = 1


@dataclass
class Wire:
    """A pseudo-terminal with chips behind it.

    Args:
        link: where its port shows, as a by-id path does: the same name after every replug.
        chips: on the wire.
    """

    link: Path
    chips: list[Chip] = field(default_factory=lambda: [Chip()])
    faults: Faults = field(default_factory=Faults)
    requests: int = 0
    """Datagrams that came whole."""
    sent: bytearray = field(default_factory=bytearray)
    """Every byte that came from the computer."""

    @property
    def chip(self) -> Chip:
        return self.chips[0]

    def __enter__(self) -> Self:
        pytest.importorskip("serial", reason="pyserial, by which the driver speaks, is not installed")
        self._random = random.Random(self.faults.seed)
        self._thread: threading.Thread | None = None
        self.plug_in()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    def plug_in(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._master)
        tty.setraw(self._slave)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(self._slave))
        self._stop, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        os.write(self._wake, b"x")
        thread.join()

    def _serve(self) -> None:
        pending = bytearray()
        try:
            while True:
                ready, _, _ = select.select([self._master, self._stop], [], [], IDLE_S)
                if self._stop in ready:
                    return
                if not ready:
                    pending.clear()
                    continue
                data = os.read(self._master, 256)
                self.sent += data
                if self.faults.echo:
                    self._say(self.faults.garbage_before + data)
                pending += bytes(b for b in data if self._random.random() >= self.faults.lose_commands)
                if not self._obey(pending):
                    return
        except OSError:
            return
        finally:
            self._pull()

    def _pull(self) -> None:
        self.link.unlink(missing_ok=True)
        for handle in (self._master, self._slave, self._stop, self._wake):
            with contextlib.suppress(OSError):
                os.close(handle)

    def _obey(self, pending: bytearray) -> bool:
        """Every whole datagram; False when the plug is pulled."""
        while pending:
            if pending[0] & 0x0F != 0x05:
                del pending[0]
                continue
            length = 8 if len(pending) > 2 and pending[2] & 0x80 else 4
            if len(pending) < length:
                break
            datagram = bytes(pending[:length])
            del pending[:length]
            if check(datagram[:-1]) != datagram[-1]:
                continue
            self.requests += 1
            register = datagram[2] & 0x7F
            if register == self.faults.unplug_at:
                self.faults.unplug_at = None
                self._thread = None
                return False
            if register == self.faults.power_loss_at:
                self.faults.power_loss_at = None
                for chip in self.chips:
                    chip.power_on()
                continue
            self._act(datagram, register)
        return True

    def _act(self, datagram: bytes, register: int) -> None:
        for chip in self.chips:
            if chip.node != datagram[1]:
                continue
            if datagram[2] & 0x80:
                chip.write(register, int.from_bytes(datagram[3:7], "big"))
            elif self.faults.mute:
                self.faults.mute -= 1
            else:
                self._reply(register, chip.read(register))

    def _reply(self, register: int, value: int) -> None:
        body = bytes((0x05, 0xFF, register)) + value.to_bytes(4, "big")
        crc = check(body)
        if self.faults.wrong_crc:
            self.faults.wrong_crc -= 1
            crc ^= 0x10
        self._say(self.faults.garbage + body + bytes((crc,)))

    def _say(self, data: bytes) -> None:
        draw = self._random.random
        heard = bytes(
            byte ^ 1 << self._random.randrange(8) if draw() < self.faults.garble else byte
            for byte in data
            if draw() >= self.faults.lose
        )
        if self.faults.delay_s:
            time.sleep(self.faults.delay_s)
        size = self.faults.split or len(heard) or 1
        for start in range(0, len(heard), size):
            if start:
                time.sleep(0.001)
            os.write(self._master, heard[start : start + size])


def until(condition: Callable[[], bool], limit_s: float = 5.0) -> bool:
    """Wait for something that another thread does."""
    ends_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > ends_s:
            return False
        time.sleep(0.001)
    return True
