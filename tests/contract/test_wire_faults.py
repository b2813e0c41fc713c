"""Every rail on a wire keeps the contract of faults; a new one adds a fixture here."""

from contextlib import ExitStack

import pytest

from drivers.attended import attended
from drivers.registry import Context
from drivers.sim.options import SimRailOptions
from drivers.sim.rail import SimRail
from drivers.tmc2209.driver import Tmc2209
from drivers.tmc2209.options import Tmc2209Options
from tests.contract.bench import RealBench, VirtualBench
from tests.contract.faults import Line, WireContract, WireRig
from tests.emulators.grbl import Faults as GrblFaults
from tests.emulators.grbl_rails import Kit, emulated
from tests.emulators.tmc2209 import Chip, Wire
from tests.emulators.tmc2209 import Faults as ChipFaults

QUICK = {25: 30_000.0, 24: 3000.0}
GRBL = {
    "grbl": Kit(QUICK, {"response_timeout_s": 1.0}),
    "grbl with a supply of its own": Kit(QUICK, {"response_timeout_s": 1.0}, wire={"survives_unplug": True}),
    "grblHAL": Kit(QUICK, {"response_timeout_s": 1.0}, {"dialect": "grblhal", "options": "VNMHSL2"}),
}
GRBL_LINES = {
    Line.GARBAGE: {"garbage": b"\xff\x00}{[MSG:"},
    Line.SPLIT: {"split": 1},
    Line.LOST: {"lose": 0.01},
    Line.GARBLED: {"garble": 0.01},
    Line.LOST_COMMANDS: {"lose_commands": 0.004},
    Line.DELAY: {"delay_s": 0.02},
    Line.SILENCE: {"mute": True},
}


class TestGrbl(WireContract):
    @pytest.fixture(params=GRBL)
    def rig(self, request, tmp_path, monkeypatch):
        monkeypatch.setattr("drivers.grbl.conversation.BOOT_LIMIT_S", 1.0)
        monkeypatch.setattr("drivers.grbl.conversation.KNOCK_S", 0.2)
        bench = RealBench()
        with ExitStack() as stack:
            emulator, rail = emulated(GRBL[request.param], tmp_path / "grbl", bench.clock, stack, speed=20.0)

            def spoil(faults):
                for name, value in faults.items():
                    setattr(emulator.faults, name, value)

            def become_another():
                emulator.with_firmware(lambda firmware: setattr(firmware, "dialect", "marlin"))
                emulator.with_firmware(lambda firmware: firmware.power_on())

            yield WireRig(
                bench,
                rail,
                emulator.port,
                emulator.true_steps,
                emulator.pulses,
                {line: lambda faults=faults: spoil(faults) for line, faults in GRBL_LINES.items()},
                lambda: setattr(emulator, "faults", GrblFaults()),
                emulator.unplug,
                emulator.plug,
                {
                    line: lambda line=line: setattr(emulator.faults, "unplug_at", line.encode())
                    for line in ("$J=", "$H", "$$")
                },
                alarm=lambda: emulator.with_firmware(lambda firmware: firmware._hard_limit()),
                alarm_over=lambda: None,
                alarm_words="ALARM:1",
                impostor=become_another,
                survived={Line.GARBAGE, Line.SPLIT, Line.DELAY},
            )


CHIP_LINES = {
    Line.GARBAGE: {"garbage_before": b"\xff"},
    Line.SPLIT: {"split": 3},
    Line.LOST: {"lose": 0.004},
    Line.GARBLED: {"garble": 0.004},
    Line.LOST_COMMANDS: {"lose_commands": 0.004},
    Line.DELAY: {"delay_s": 0.008},
    Line.SILENCE: {"mute": -1},
}
TOO_HOT = 1 << 1
GSTAT, IFCNT, CHOPCONF = 0x01, 0x02, 0x6C


class TestAttended(WireContract):
    """The chip of a motor on its UART, by the rail that it belongs to."""

    @pytest.fixture
    def rig(self, tmp_path):
        bench = VirtualBench()
        context = Context(bench.clock, seed=5)
        with Wire(tmp_path / "uart") as wire:
            inner = SimRail(SimRailOptions(), context)
            motor = Tmc2209(Tmc2209Options(port=str(wire.link), run_ma=800), context)

            def spoil(faults):
                for name, value in faults.items():
                    setattr(wire.faults, name, value)

            def become_another():
                wire.chips[:] = [Chip(version=0x20)]

            def cool_down():
                wire.chip.flags = 0

            yield WireRig(
                bench,
                attended(inner, motor, bench.clock),
                str(wire.link),
                inner.true_microsteps,
                inner.true_microsteps,
                {line: lambda faults=faults: spoil(faults) for line, faults in CHIP_LINES.items()},
                lambda: setattr(wire, "faults", ChipFaults()),
                wire.unplug,
                wire.plug_in,
                {
                    name: lambda register=register: setattr(wire.faults, "unplug_at", register)
                    for name, register in {"GSTAT": GSTAT, "IFCNT": IFCNT, "CHOPCONF": CHOPCONF}.items()
                },
                alarm=lambda: wire.chip.shut_down(TOO_HOT),
                alarm_over=cool_down,
                alarm_words="too hot",
                impostor=become_another,
                survived={Line.SPLIT, Line.LOST, Line.GARBLED, Line.LOST_COMMANDS, Line.DELAY},
            )
