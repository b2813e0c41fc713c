"""A stack whose controller is unplugged and plugged in again and again in the middle of moves: it is told, and goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from drivers.clock import SystemClock
from rigd.app import open_rig
from rigd.config import from_dict
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.rig import Refused, Rig
from rigd.session import survey, verify
from tests.emulators.grbl import GrblEmulator
from tests.emulators.grbl_rails import GRBL, OPTIONS, Kit, emulated

TIMES = 50
FRAMES = 60
NEAR_UM, STEP_UM = 500.0, 50.0
STEPS_PER_UM = 1.6
RESTING = (Mode.IDLE, Mode.UNHOMED, Mode.FAULT)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    chance = np.random.default_rng(7)
    for number in range(FRAMES):
        picture = chance.integers(0, 255, (32, 48, 3), dtype=np.uint8)
        (folder / f"{number}.jpg").write_bytes(simplejpeg.encode_jpeg(picture, quality=90))
    return folder


@pytest.fixture(params=[False, True], ids=["fed by USB", "with a supply of its own"])
def emulator(request, tmp_path) -> Iterator[GrblEmulator]:
    kit = Kit({**GRBL["grbl"].settings, 25: 30_000.0, 24: 3000.0}, wire={"survives_unplug": request.param})
    with ExitStack() as stack:
        made, _ = emulated(kit, tmp_path / "grbl", SystemClock(), stack, speed=10.0)
        yield made


def rig_of(folder: Path, photographs: Path, emulator: GrblEmulator):
    return from_dict(
        {
            "rig": {"id": "bench"},
            "rail": {"driver": "grbl", "port": emulator.port, **OPTIONS, "backlash_um": 20},
            "camera": {
                "driver": "replay",
                "folder": str(photographs),
                "first_um": NEAR_UM,
                "step_um": STEP_UM,
                "exposure_s": 0.001,
                "transfer_s": 0,
            },
            "limits": {"max_um": 50_000},
            "plan": {"near_um": NEAR_UM, "step_um": STEP_UM, "frames": FRAMES},
            "settle": {"fixed_s": 0.0},
            "capture": {"checks": {"sharpness_ratio": 0}},
            "preview": {"threads": 1},
            "finish": {"enabled": False},
            "storage": {"sessions": str(folder / "sessions")},
            "service": {"state": str(folder / "state")},
        }
    )


async def pulled(rig: Rig, emulator: GrblEmulator) -> None:
    """The plug is out: the fault has a name, and nothing moves until somebody has homed again."""
    state = await rig.controller.reached(Mode.FAULT)
    assert emulator.faults.unplug_at_pulse is None
    assert state.fault is not None
    assert "unplugged" in state.fault.message
    assert emulator.port in state.fault.message
    assert (state.homed, state.position, state.stack) == (False, None, None)
    with pytest.raises(Refused):
        await rig.command(ev.Home())
    # Still out: clearing finds that.
    await rig.command(ev.ClearFault())
    assert (await rig.controller.reached(*RESTING)).mode is Mode.FAULT
    emulator.plug()
    await rig.command(ev.ClearFault())
    assert (await rig.controller.reached(*RESTING)).mode is Mode.UNHOMED
    pulses = emulator.pulses()
    with pytest.raises(Refused):
        await rig.command(ev.Goto(0))
    with pytest.raises(Refused):
        await rig.resume(survey(rig.config.storage.sessions)[0].path)
    assert emulator.pulses() == pulses
    await rig.home()


def test_a_stack_goes_on_after_every_one_of_them(tmp_path, photographs, emulator):
    config, chance = rig_of(tmp_path, photographs, emulator), random.Random(9)
    ways: list[int] = []

    def pull_later(rig: Rig, frames: int) -> None:
        """On the way to where the stack goes on, or in a step of it."""
        way = round((NEAR_UM + STEP_UM * max(0, frames - 1)) * STEPS_PER_UM)
        step = round(STEP_UM * STEPS_PER_UM)
        ways.append(chance.choice([chance.randrange(1, way), way + step + chance.randrange(step // 2)]))
        emulator.faults.unplug_at_pulse = emulator.pulses() + ways[-1]

    async def body(rig: Rig) -> None:
        await rig.home()
        pull_later(rig, 0)
        session = await rig.start("test", rig.plan().plan)
        for time in range(TIMES):
            await asyncio.wait_for(pulled(rig, emulator), 30.0)
            frames = len(session.frames)
            if time < TIMES - 1:
                pull_later(rig, frames)
            session = await rig.resume(session.path)
            assert len(session.frames) == frames, "nothing is lost that was stored"
        await rig.ended()

    async def main() -> None:
        async with open_rig(config, SystemClock()) as rig:
            await body(rig)
            assert rig.state.position is not None
            assert rig.state.position == emulator.true_steps()

    asyncio.run(main())
    assert len(ways) == TIMES
    (session,) = survey(tmp_path / "sessions")
    assert (session.outcome, session.frames) == ("complete", FRAMES)
    assert verify(session.path).whole
    stored = sorted((session.path / "frames").iterdir())
    assert [path.read_bytes() for path in stored] == [
        (photographs / f"{number}.jpg").read_bytes() for number in range(FRAMES)
    ]
