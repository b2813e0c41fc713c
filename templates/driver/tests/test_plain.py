"""The driver keeps rigd's contracts, on its emulator: the suites are rigd's own, a driver brings a fixture for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rigd_plain.emulator import Faults, PlainEmulator
from rigd_plain.options import PlainOptions
from rigd_plain.protocol import Report, line_of, report_of, text_of
from rigd_plain.rail import PlainRail

from drivers.registry import Context
from tests.contract.bench import RealBench
from tests.contract.faults import Line, WireContract, WireRig
from tests.contract.rails import RailContract, RailRig
from tests.contract.stops import RailStopContract, RailStopRig


class Kit:
    """An emulator, the driver on it, and the clock of both."""

    def __init__(self, folder: Path, speed: float = 1.0) -> None:
        self.bench = RealBench(speed)
        self.emulator = PlainEmulator(folder / "plain", self.bench.clock)
        options = PlainOptions(port=str(self.emulator.link), response_timeout_s=1.0 * speed)
        self.rail = PlainRail(options, Context(self.bench.clock))

    def faulty(self, **faults: object) -> None:
        """Begin to misbehave."""
        for name, value in faults.items():
            setattr(self.emulator.faults, name, value)


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Running, the rail closed."""
    found = Kit(tmp_path)
    with found.emulator:
        yield found
        found.rail.close()


class TestRail(RailContract):
    """What every rail must do."""

    @pytest.fixture
    def rig(self, kit: Kit) -> RailRig:
        """The rail on the emulator."""
        return RailRig(
            kit.bench,
            kit.rail,
            span_um=4000.0,
            true_microsteps=kit.emulator.true_microsteps,
            tells_home_error=False,
        )


class TestStops(RailStopContract):
    """A stop is obeyed at once, whatever else goes on."""

    @pytest.fixture
    def rig(self, kit: Kit) -> RailStopRig:
        """The rail on an emulator that can be frozen and silenced."""
        return RailStopRig(
            kit.bench,
            kit.rail,
            kit.emulator.frozen,
            kit.emulator.true_microsteps,
            lambda: kit.faulty(mute=True),
            lambda: kit.faulty(mute=False),
        )


LINES: dict[Line, dict[str, object]] = {
    Line.GARBAGE: {"garbage": b"\xff*00\nok\n"},
    Line.SPLIT: {"split": True},
    Line.LOST: {"lose": 0.01},
    Line.GARBLED: {"garble": 0.01},
    Line.LOST_COMMANDS: {"lose_commands": 0.01},
    Line.DELAY: {"delay_s": 0.03},
    Line.SILENCE: {"mute": True},
}


class TestWire(WireContract):
    """Every fault of a wire."""

    @pytest.fixture
    def rig(self, kit: Kit) -> WireRig:
        """The rail on an emulator that misbehaves."""
        emulator = kit.emulator
        return WireRig(
            kit.bench,
            kit.rail,
            str(emulator.link),
            emulator.true_microsteps,
            emulator.true_microsteps,
            spoil={line: lambda faults=faults: kit.faulty(**faults) for line, faults in LINES.items()},
            mend=lambda: setattr(emulator, "faults", Faults()),
            unplug=emulator.unplug,
            plug=emulator.plug,
            unplug_at={verb: lambda verb=verb: kit.faulty(unplug_at=verb) for verb in ("move", "home", "id")},
            alarm=lambda: emulator.jam("the motor has stalled"),
            alarm_over=lambda: None,
            alarm_words="stalled",
            impostor=lambda: setattr(emulator, "identity", "coffee machine 3"),
            survived={Line.GARBAGE, Line.SPLIT, Line.DELAY},
        )


def test_lines_and_what_they_say() -> None:
    """The protocol by itself."""
    line = line_of(7, "move 1200 5000")
    assert line == b"7 move 1200 5000*D6\n"
    assert text_of(line) == (7, "move 1200 5000")
    assert text_of(line.replace(b"2", b"3")) is None
    assert report_of("alarm 0 -5 - the motor has stalled") == Report(
        "alarm", False, -5, None, "the motor has stalled"
    )
