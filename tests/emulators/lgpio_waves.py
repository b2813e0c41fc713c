"""A stand-in for the module lgpio: the part of it that sends waves, as its C source (0.2.2) does it.

One thread serves all lines. It is not run here but computed, up to the present, whenever somebody calls: each pass of its loop
happens at the time that the loop asks for, or later where the thread was kept from running (`stalls`), and what is due then goes
out at once. What the real one does oddly is done oddly here: a new wave is seen when the thread wakes next, up to 20 ms later;
a record that is removed from the head of the list ends the pass, and the others wait for 20 ms.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from drivers.clock import Clock

QUEUE = 10
WAKE_US = 20_000
PASS_S = 2e-6
"""A pass of the loop with one write takes so long: what is late goes out at this pace."""


class error(Exception):  # noqa: N801  (its name in lgpio)
    def __init__(self, value):
        super().__init__(value)
        self.value = value

    def __str__(self):
        return repr(self.value)


class pulse:  # noqa: N801  (its name in lgpio)
    def __init__(self, group_bits, group_mask, pulse_delay):
        self.group_bits = group_bits
        self.group_mask = group_mask
        self.pulse_delay = pulse_delay


@dataclass(eq=False)
class Record:
    """What the library keeps of a line that sends."""

    line: int
    next_us: int
    waves: list[list[pulse]]
    at: int = 0
    active: bool = True


@dataclass
class Faults:
    """What the library and its machine are made to do."""

    stalls: list[tuple[float, float]] = field(default_factory=list)
    """When the thread does not run, in seconds of the clock: from, to; in order."""
    late_s: Callable[[], float] = lambda: 0.0
    """By how much each pass is late."""
    fails: set[str] = field(default_factory=set)
    """Functions that report an error."""
    busy: set[int] = field(default_factory=set)
    """Lines that somebody else has."""


class Lgpio:
    """The module, on one chip.

    Args:
        clock: of the test.
        on_level: told of each level written: line, level, time.
        chip: the number that exists.
        label: its label.
    """

    TX_PWM, TX_WAVE = 0, 1
    error = error
    pulse = pulse

    def __init__(
        self, clock: Clock, on_level=lambda line, level, at: None, *, chip=0, label="pinctrl-bcm2711"
    ):
        self.faults = Faults()
        self.sent = 0
        """Waves handed over."""
        self.deepest = 0
        self.writes: list[tuple[float, int, int]] | None = None
        """(seconds, line, level) of every write, where it is a list."""
        self._clock = clock
        self._on_level = on_level
        self._chip, self._label = chip, label
        self._lock = threading.RLock()
        self._handles = 0
        self._open: set[int] = set()
        self._claimed: dict[int, int] = {}
        self._levels: dict[int, int] = {}
        self._records: list[Record] = []
        self._due_s = clock.now()
        self._delay_us = 0
        self._free_s = 0.0

    # --------------------------------------------------------------------------------------------------------- module

    def gpiochip_open(self, number):
        self._may("gpiochip_open")
        if number != self._chip:
            raise error("can not open gpiochip")
        self._handles += 1
        self._open.add(self._handles)
        return self._handles

    def gpiochip_close(self, handle):
        with self._lock:
            self._known(handle)
            for line in [line for line, owner in self._claimed.items() if owner == handle]:
                self.group_free(handle, line)
            self._open.discard(handle)
        return 0

    def gpio_get_chip_info(self, handle):
        self._known(handle)
        return [0, 54, f"gpiochip{self._chip}", self._label]

    def group_claim_output(self, handle, gpio, levels=(0,), lFlags=0):
        with self._lock:
            self._known(handle)
            self._may("group_claim_output")
            (line,) = gpio
            if line in self.faults.busy or self._claimed.get(line, handle) != handle:
                raise error("GPIO busy")
            self.catch_up()
            self._claimed[line] = handle
            self._write(line, int(bool(levels[0])), self._clock.now())
        return 0

    def group_free(self, handle, gpio):
        with self._lock:
            self._known(handle)
            self.catch_up()
            if gpio not in self._claimed:
                raise error("GPIO not allocated")
            for record in self._records:
                record.active = record.active and record.line != gpio
            del self._claimed[gpio]
        return 0

    def tx_wave(self, handle, gpio, pulses):
        with self._lock:
            self._known(handle)
            self._may("tx_wave")
            if gpio not in self._claimed:
                raise error("GPIO not set as an output")
            assert all(each.pulse_delay > 0 for each in pulses), "a delay of 0 is a level that nobody sees"
            self.catch_up()
            self.sent += 1
            record = self._record(gpio)
            if record is None:
                self._records.insert(0, Record(gpio, self._delay_us, [list(pulses)]))
                return QUEUE - 1
            if len(record.waves) >= QUEUE:
                raise error("TX queue full")
            record.waves.append(list(pulses))
            self.deepest = max(self.deepest, len(record.waves))
            return QUEUE - len(record.waves)

    def tx_room(self, handle, gpio, kind):
        with self._lock:
            self._known(handle)
            self._may("tx_room")
            self.catch_up()
            record = self._record(gpio)
            return QUEUE if record is None else QUEUE - len(record.waves)

    def tx_busy(self, handle, gpio, kind):
        with self._lock:
            self._known(handle)
            self.catch_up()
            return int(self._record(gpio) is not None)

    # --------------------------------------------------------------------------------------------------------- thread

    def catch_up(self) -> None:
        """Everything that the thread has done until now."""
        with self._lock:
            now_s = self._clock.now()
            while True:
                at_s = self._runs_at(max(self._due_s, self._free_s))
                if at_s > now_s + 1e-9:
                    return
                if not self._records and self._delay_us == WAKE_US:
                    # Nothing to do: many passes at once.
                    idle = max(1, int((now_s - self._due_s) * 1e6) // WAKE_US)
                    self._due_s += idle * WAKE_US * 1e-6
                    continue
                self._pass(at_s)

    def _runs_at(self, wanted_s: float) -> float:
        stalls = self.faults.stalls
        while stalls and stalls[0][1] <= wanted_s:
            stalls.pop(0)
        return stalls[0][1] if stalls and stalls[0][0] <= wanted_s else wanted_s

    def _pass(self, at_s: float) -> None:
        at_s += self.faults.late_s()
        for record in self._records:
            record.next_us -= self._delay_us
        self._delay_us = WAKE_US
        index = 0
        while index < len(self._records):
            record = self._records[index]
            if not record.active:
                self._records.pop(index)
                if index == 0:
                    break
                continue
            if record.next_us <= 0:
                self._advance(record, at_s)
            self._delay_us = min(self._delay_us, record.next_us)
            index += 1
        self._free_s = at_s + PASS_S
        self._due_s += self._delay_us * 1e-6

    def _advance(self, record: Record, at_s: float) -> None:
        if record.at >= len(record.waves[0]) and len(record.waves) > 1:
            record.waves.pop(0)
            record.at = 0
        if record.at < len(record.waves[0]):
            each = record.waves[0][record.at]
            if each.group_mask & 1:
                self._write(record.line, each.group_bits & 1, at_s)
            record.next_us += each.pulse_delay
            record.at += 1
        else:
            record.active = False

    def _write(self, line: int, level: int, at_s: float) -> None:
        if self.writes is not None:
            self.writes.append((at_s, line, level))
        if self._levels.get(line, 0) != level:
            self._levels[line] = level
            self._on_level(line, level, at_s)

    def _record(self, line: int) -> Record | None:
        for record in self._records:
            if record.line == line:
                return record if record.active else None
        return None

    def _known(self, handle) -> None:
        if handle not in self._open:
            raise error("unknown handle")

    def _may(self, function: str) -> None:
        if function in self.faults.fails:
            raise error("unexpected error")
