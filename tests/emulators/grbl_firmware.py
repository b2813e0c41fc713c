"""Grbl 1.1h as its source behaves, for one axis that moves: no port, no threads, time handed in.

The main program is a generator that is stepped while time passes; realtime bytes act between its steps, as interrupts do. The
dialects of grblHAL and FluidNC differ in banner, what is answered while homing, and what a jog cancel flushes.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from drivers.grbl.counting import nearest_step, read_number, single
from tests.emulators.grbl_axis import Carriage, Mover

BANNERS = {
    "grbl": "\r\nGrbl 1.1h ['$' for help]\r\n",
    "grblhal": "\r\nGrblHAL 1.1f ['$' or '$HELP' for help]\r\n",
    "fluidnc": "\r\nGrbl 3.7 [FluidNC v3.7.15 (wifi) '$' for help]\r\n",
    "old": "\r\nGrbl 0.9j ['$' for help]\r\n",
    "marlin": "start\r\necho:Marlin 2.1.2\r\n",
}
RX_SIZE = 128
LINE_SIZE = 80
BLOCKS = 15
SUSPENDED = {"Hold", "Door"}
"""In these it hears realtime commands and no lines."""
ALARM_PAUSE_S = 0.5

DEFAULTS: dict[int, float] = {
    0: 10, 1: 25, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0, 10: 1, 11: 0.01, 12: 0.002, 13: 0, 20: 0, 21: 0, 22: 0, 23: 0,
    24: 25.0, 25: 500.0, 26: 250, 27: 1.0, 30: 1000, 31: 0, 32: 0, 100: 250.0, 101: 250.0, 102: 250.0, 110: 500.0,
    111: 500.0, 112: 500.0, 120: 10.0, 121: 10.0, 122: 10.0, 130: 200.0, 131: 200.0, 132: 200.0,
}  # fmt: skip
WHOLE = frozenset({0, 1, 2, 3, 4, 5, 6, 10, 13, 20, 21, 22, 23, 26, 30, 31, 32})


@dataclass
class Block:
    """A queued motion of the axis."""

    target: int
    feed_mm_per_min: float
    jog: bool


class _Abort(Exception):
    """The main program starts again."""


class GrblFirmware:
    """One controller.

    Args:
        settings: what differs from a fresh EEPROM.
        axis: number of the axis that has a motor.
        start_um: where the carriage stands, from the point at which the home switch changes.
        rail_um: from that point to the far switch.
        dialect: `grbl`, `grblhal`, `fluidnc`; `old` and `marlin` only say something else.
        options: letters of `$I`.
    """

    def __init__(
        self,
        settings: dict[int, float] | None = None,
        *,
        axis: int = 0,
        start_um: float = 8000.0,
        rail_um: float = 62_000.0,
        dialect: str = "grbl",
        options: str = "V",
        empty_eeprom: bool = False,
    ) -> None:
        self.settings = DEFAULTS | (settings or {})
        self.axis = axis
        self.dialect = dialect
        self.options = options
        self.empty_eeprom = empty_eeprom
        spm = self.settings[100 + axis]
        toward_home = -1 if int(self.settings[23]) >> axis & 1 else 1
        self.carriage = Carriage(round(start_um * spm / 1000), round(rail_um * spm / 1000), toward_home)
        self.mover = Mover(self.carriage)
        self.zero_place: int | None = None
        """Place of the carriage when the last homing ended."""
        self.now = 0.0
        self.out = bytearray()
        self.lines: list[str] = []
        """Every line that was executed, for tests."""
        self.door_open = False
        self.writes = 0
        """To the EEPROM."""
        self._main: Iterator[None] | None = None
        self._dead = True

    # ------------------------------------------------------------------------------------------------------ the outside

    @property
    def true_steps(self) -> int:
        """Steps from where the last homing ended, growing away from home, counted by the carriage itself."""
        assert self.zero_place is not None
        return self.carriage.place - self.zero_place

    @property
    def busy(self) -> bool:
        """Whether time alone makes something happen."""
        return self.mover.moving or self._waiting or bool(self._rx)

    def power_on(self) -> None:
        """As from the supply, or from the reset line: nothing is remembered but the EEPROM."""
        self.mover.kill(self.now)
        self.mover.count = 0
        self.state = "Alarm" if self.settings[22] else "Idle"
        self._dead = False
        self._waiting = True
        self._coordinate_offset = 0.0
        if self.empty_eeprom:
            self._say("error:7\r\n")
            self.empty_eeprom = False
        self._reset()

    def power_off(self) -> None:
        """No step after this."""
        self.mover.kill(self.now)
        self._dead = True
        self._waiting = False
        self.out.clear()

    def receive(self, data: bytes) -> None:
        """Bytes from the line."""
        if self._dead:
            return
        for byte in data:
            self._byte(byte)

    def advance(self, now: float) -> None:
        """Let time pass until `now`."""
        self.now = now
        if self._dead:
            return
        if self.mover.update(now):
            self._cycle_stop()
        for _ in range(200):
            assert self._main is not None
            before = (len(self._rx), len(self.out), self.state)
            try:
                next(self._main)
            except (_Abort, StopIteration):
                self._reset()
            if before == (len(self._rx), len(self.out), self.state):
                return

    # ------------------------------------------------------------------------------------------------------- interrupts

    def _byte(self, byte: int) -> None:
        if byte == 0x18:
            self._soft_reset()
        elif byte == ord("?"):
            self._want_report = True
        elif byte == ord("!"):
            self._hold = True
        elif byte == ord("~"):
            self._resume = True
        elif byte == 0x85:
            if self.dialect == "grblhal":
                self._rx.clear()
                self._line.clear()
            self._cancel = self.state == "Jog"
        elif byte < 0x80 and len(self._rx) < RX_SIZE:
            self._rx.append(byte)

    def _soft_reset(self) -> None:
        if self.state == "Home":
            self._alarm = self._alarm or 6
        elif self.mover.moving or (self.state == "Hold" and self._hold_going):
            self._alarm = self._alarm or 3
        self.mover.kill(self.now)
        self._abort = True

    def _cycle_stop(self) -> None:
        if self.mover.hit and self.state != "Home":
            self._hard_limit()
        elif self.state == "Hold":
            self._hold_going = False
        elif self.state in {"Jog", "Run"}:
            if self._braking:
                self._blocks.clear()
                self._planned = self.mover.count
                self._braking = False
            self._next_block()

    def _hard_limit(self) -> None:
        self.mover.kill(self.now)
        self._abort = True
        self._alarm = 1

    # ------------------------------------------------------------------------------------------------------ main program

    def _reset(self) -> None:
        """What is done anew after power-up and after every reset."""
        self._rx: deque[int] = deque()
        self._line = bytearray()
        self._blocks: deque[Block] = deque()
        self._want_report = self._hold = self._resume = self._cancel = self._abort = False
        self._braking = self._hold_going = False
        self._alarm = 0
        self._reports = 0
        self._absolute, self._mm, self._feed, self._motion = True, True, 0.0, "G0"
        self._planned = self.mover.count
        self._main = self._program()

    def _program(self) -> Iterator[None]:
        self._waiting = False
        self._say(BANNERS[self.dialect])
        if self.dialect == "marlin":
            while True:
                yield
        if self.settings[21] and (self.carriage.at_home or self.carriage.at_far):
            self.state = "Alarm"
            self._say("[MSG:Check Limits]\r\n")
        if self.state in {"Alarm", "Sleep"}:
            self._say(
                "[MSG:INFO: '$H'|'$X' to unlock]\r\n"
                if self.dialect == "fluidnc"
                else "[MSG:'$H'|'$X' to unlock]\r\n"
            )
            self.state = "Alarm"
        else:
            self.state = "Idle"
            if self.dialect == "grbl":
                self._say(">G54:ok\r\n")
        while True:
            while self._rx and self.state not in SUSPENDED:
                byte = self._rx.popleft()
                if byte in b"\r\n":
                    line = re.sub(r"\s|\(.*?\)|;.*", "", self._line.decode("latin-1")).upper()
                    overflow = len(self._line) >= LINE_SIZE
                    self._line.clear()
                    yield from self._realtime()
                    self.lines.append(line)
                    yield from self._execute(line, overflow=overflow)
                else:
                    self._line.append(byte)
            yield from self._realtime()
            yield

    def _realtime(self) -> Iterator[None]:
        """`protocol_execute_realtime`: alarms, reset, report, holds."""
        if self._alarm:
            yield from self._raise_alarm()
        if self._abort:
            raise _Abort
        if self._want_report:
            self._report()
        if self._cancel or self._hold or (self.door_open and self.state == "Idle"):
            self._brake()
        if self._resume:
            self._resume = False
            if self.state == "Door" and not self.door_open:
                self.state = "Idle"
            if self.state == "Hold" and not self._hold_going:
                self.state = "Idle"
                self._next_block()

    def _raise_alarm(self) -> Iterator[None]:
        code, self._alarm = self._alarm, 0
        self.state = "Alarm"
        self._say(f"ALARM:{code}\r\n")
        yield from self._delay(ALARM_PAUSE_S)
        if code in {1, 2} and self.dialect != "grblhal":
            self._say("[MSG:Reset to continue]\r\n")
            self._abort = False
            while not self._abort:
                yield

    def _brake(self) -> None:
        hold, self._hold, self._cancel = self._hold, False, False
        if self.state in {"Jog", "Run"}:
            self.mover.brake(self.now)
            self._braking = self.state == "Jog"
            if hold and self.state == "Run":
                self.state, self._hold_going = "Hold", True
        elif self.state == "Idle" and self.door_open:
            self.state = "Door"
        elif self.state == "Idle" and hold:
            self.state, self._hold_going = "Hold", False

    def _delay(self, seconds: float) -> Iterator[None]:
        ends, self._waiting = self.now + seconds, True
        while self.now < ends:
            yield
        self._waiting = False

    def _next_block(self) -> None:
        while self._blocks:
            block = self._blocks.popleft()
            steps = block.target - self.mover.count
            if steps:
                spm, top = self.settings[100 + self.axis], self.settings[110 + self.axis]
                speed = max(1.0, min(block.feed_mm_per_min, top)) / 60 * spm
                acceleration = self.settings[120 + self.axis] * spm
                watch = bool(self.settings[21])
                self.mover.start(self.now, steps, speed, acceleration, watch=watch)
                self.state = "Jog" if block.jog else "Run"
                return
        self.state = "Idle"

    # ------------------------------------------------------------------------------------------------------------ lines

    def _execute(self, line: str, *, overflow: bool) -> Iterator[None]:
        if overflow:
            self._answer(11)
        elif not line:
            self._answer(0)
        elif line.startswith("$"):
            yield from self._system(line)
        elif self.state in {"Alarm", "Jog", "Sleep"}:
            self._answer(9)
        else:
            yield from self._gcode(line, jog=False)

    def _system(self, line: str) -> Iterator[None]:
        if line.startswith("$J"):
            if self.state not in {"Idle", "Jog"}:
                self._answer(8)
            elif not line.startswith("$J="):
                self._answer(16)
            else:
                yield from self._gcode(line[3:], jog=True)
        elif line == "$$":
            self._answer(8 if self.state in {"Run", "Hold"} else self._print_settings())
        elif line == "$X":
            if self.state == "Alarm":
                self._say("[MSG:Caution: Unlocked]\r\n")
                self.state = "Idle"
            self._answer(0)
        elif self.state not in {"Idle", "Alarm"}:
            self._answer(8)
        else:
            yield from self._at_rest(line)

    def _at_rest(self, line: str) -> Iterator[None]:
        """Commands for a controller that does nothing."""
        if line == "$I":
            build = "3.7 FluidNC v3.7.15:" if self.dialect == "fluidnc" else "1.1h.20190830:"
            self._say(f"[VER:{build}]\r\n[OPT:{self.options},15,128]\r\n")
            self._answer(0)
        elif line == "$SLP":
            self._answer(0)
            self._say("[MSG:Sleeping]\r\n")
            self.state = "Sleep"
        elif line.startswith("$H"):
            yield from self._home_command(line)
        elif found := re.fullmatch(r"\$(\d+)=(.+)", line):
            self._answer(self._store(int(found[1]), found[2]))
            yield from self._delay(0.01)
        else:
            self._answer(3)

    def _print_settings(self) -> int:
        for number, value in self.settings.items():
            self._say(f"${number}={int(value)}\r\n" if number in WHOLE else f"${number}={value:.3f}\r\n")
        return 0

    def _store(self, number: int, text: str) -> int:
        if self.dialect == "fluidnc" and number >= 20:
            return 160
        if number not in self.settings:
            return 3
        try:
            value = read_number(text)
        except ValueError:
            return 2
        if value < 0:
            return 4
        if number == 20 and value and not self.settings[22]:
            return 10
        self.settings[number] = float(int(value)) if number in WHOLE else value
        if number == 22 and not value:
            self.settings[20] = 0
        self.writes += 1
        return 0

    def _gcode(self, text: str, *, jog: bool) -> Iterator[None]:
        words = re.findall(r"([A-Z])([-+]?[0-9.]+)", text)
        if not words or "".join(letter + number for letter, number in words) != text:
            self._answer(2 if re.search(r"[A-Z]", text) else 1)
            return
        codes = {f"G{number}" for letter, number in words if letter == "G"}
        values = {letter: read_number(number) for letter, number in words if letter != "G"}
        if jog and (codes - {"G20", "G21", "G90", "G91", "G53"} or values.keys() - set("XYZF")):
            self._answer(16)
        elif jog and "F" not in values:
            self._answer(22)
        elif codes - {"G0", "G1", "G20", "G21", "G90", "G91", "G53", "G54", "G94", "G4", "G92"}:
            self._answer(20)
        else:
            yield from self._motion_words(codes, values, jog=jog)

    def _motion_words(self, codes: set[str], values: dict[str, float], *, jog: bool) -> Iterator[None]:
        mm = "G21" in codes or (self._mm and "G20" not in codes)
        absolute = "G90" in codes or (self._absolute and "G91" not in codes)
        feed = values.get("F", self._feed) * (1.0 if mm else 25.4)
        if not jog:
            self._mm, self._absolute, self._feed = mm, absolute, values.get("F", self._feed)
            self._motion = next(iter(codes & {"G0", "G1"}), self._motion)
        letter = "XYZ"[self.axis]
        spm = self.settings[100 + self.axis]
        if letter not in values:
            self._answer(26 if jog else 0)
            return
        place = values[letter] if mm else single(values[letter] * single(25.4))
        here = self._planned / spm
        if "G92" in codes:
            self._coordinate_offset, self._reports = here - place, 0
            self._answer(0)
            return
        target = place + here if not absolute else place
        if absolute and "G53" not in codes:
            target += self._coordinate_offset
        if self.settings[20] and not self._inside(target):
            if jog:
                self._answer(15)
                return
            self._alarm, self._abort = 2, True
            yield from self._realtime()
        if not jog and self._motion == "G1" and feed <= 0:
            self._answer(22)
            return
        while len(self._blocks) >= BLOCKS:
            yield from self._realtime()
            yield
        fast = self.settings[110 + self.axis] if self._motion == "G0" and not jog else feed
        self._planned = nearest_step(single(target), spm)
        self._blocks.append(Block(self._planned, fast, jog))
        if self.state == "Idle":
            self._next_block()
        self._answer(0)

    def _inside(self, target: float) -> bool:
        travel = self.settings[130 + self.axis]
        if "Z" in self.options and int(self.settings[23]) >> self.axis & 1:
            return 0 <= single(target) <= single(travel)
        return -single(travel) <= single(target) <= 0

    # ----------------------------------------------------------------------------------------------------------- homing

    def _home_command(self, line: str) -> Iterator[None]:
        single_axis = line == f"$H{'XYZ'[self.axis]}" and "H" in self.options
        if not int(self.settings[22]) & 1:
            self._answer(5)
        elif line != "$H" and not single_axis:
            self._answer(3)
        else:
            self.state = "Home"
            yield from self._homing()
            self.state = "Idle"
            self._answer(0)

    def _homing(self) -> Iterator[None]:
        pull_off, seek, locate = self.settings[27], self.settings[25], self.settings[24]
        way = self.carriage.home_sign
        reach = 1.5 * self.settings[130 + self.axis]
        for distance, feed, approach in (
            (reach, seek, True),
            (pull_off, seek, False),
            (5 * pull_off, locate, True),
            (pull_off, seek, False),
        ):
            yield from self._homing_leg(way if approach else -way, distance, feed, approach=approach)
            yield from self._homing_pause()
        spm, travel = self.settings[100 + self.axis], self.settings[130 + self.axis]
        if "Z" in self.options:
            self.mover.count = 0
        else:
            self.mover.count = nearest_step(-pull_off if way > 0 else pull_off - travel, spm)
        self._planned = self.mover.count
        self.zero_place = self.carriage.place

    def _homing_leg(self, sign: int, distance: float, feed: float, *, approach: bool) -> Iterator[None]:
        spm = self.settings[100 + self.axis]
        self.mover.count = 0
        if not (approach and self.carriage.at_home):
            steps = sign * round(distance * spm)
            acceleration = self.settings[120 + self.axis] * spm
            self.mover.start(self.now, steps, feed / 60 * spm, acceleration, watch=approach)
            while self.mover.moving:
                yield from self._homing_interrupted()
                yield
        failed = (
            9
            if approach and not self.carriage.at_home
            else 8
            if not approach and self.carriage.at_home
            else 0
        )
        if failed:
            self._alarm, self._abort = failed, True
            yield from self._realtime()

    def _homing_interrupted(self) -> Iterator[None]:
        if self._abort:
            self.mover.kill(self.now)
            yield from self._realtime()
        if self._want_report and self.dialect != "grbl":
            self._report()

    def _homing_pause(self) -> Iterator[None]:
        for _ in self._delay(self.settings[26] / 1000):
            yield from self._homing_interrupted()
            yield

    # ---------------------------------------------------------------------------------------------------------- talking

    def _say(self, text: str) -> None:
        self.out += text.encode("latin-1")

    def _answer(self, code: int) -> None:
        self._say("ok\r\n" if code == 0 else f"error:{code}\r\n")

    def _number(self, mm: float) -> str:
        """`printFloat`: scaled in single precision, a half added, cut off."""
        inches = bool(self.settings[13])
        value = single(single(mm) * single(1 / 25.4)) if inches else single(mm)
        scale, places = (10_000, 4) if inches else (1000, 3)
        digits = math.floor(single(single(abs(value) * scale) + 0.5))
        return f"{'-' if value < 0 else ''}{digits // scale}.{digits % scale:0{places}d}"

    def _report(self) -> None:
        self._want_report = False
        spm = self.settings[100 + self.axis]
        mm = single(self.mover.count / single(spm))
        mask, offset = int(self.settings[10]), single(self._coordinate_offset)
        state = self.state
        if state == "Hold":
            state = "Hold:1" if self._hold_going else "Hold:0"
        if state == "Door":
            state = "Door:1" if self.door_open else "Door:0"
        if state == "Alarm" and self.dialect == "grblhal":
            state = "Alarm:11"
        name, value = ("MPos", mm) if mask & 1 else ("WPos", single(mm - offset))
        places = [self._number(0.0)] * 3
        places[self.axis] = self._number(value)
        fields = [state, f"{name}:{','.join(places)}"]
        if mask & 2:
            fields.append(f"Bf:{BLOCKS - len(self._blocks)},{RX_SIZE - len(self._rx)}")
        fields.append(f"FS:{round(self.mover.speed / spm * 60)},0")
        if self.carriage.at_home or self.carriage.at_far:
            fields.append(f"Pn:{'XYZ'[self.axis]}")
        if self._reports == 0:
            offsets = [self._number(0.0)] * 3
            offsets[self.axis] = self._number(offset)
            fields.append(f"WCO:{','.join(offsets)}")
            self._reports = 10 if self.mover.moving else 30
        else:
            self._reports -= 1
            if self._reports == 29:
                fields.append("Ov:100,100,100")
        self._say(f"<{'|'.join(fields)}>\r\n")
