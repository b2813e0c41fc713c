"""Whole stacks by `rigd capture` with a Pi camera: on a simulated rail, on an emulated Grbl, and by its own lens."""

import asyncio
import json
from contextlib import ExitStack
from pathlib import Path

import pytest
import simplejpeg

from drivers.clock import SystemClock
from rigd.app import open_rig
from rigd.cli.exits import Exit
from rigd.cli.parser import run_command_line
from rigd.machine.table import RESTING
from rigd.session import survey
from rigd.session.journal import read
from tests.emulators.grbl_rails import GRBL, OPTIONS, emulated
from tests.emulators.picamera2_fake import HEIGHT, KINDS, LENS, WIDTH, FakePi, playing
from tests.rigs import small_rig

CONFIGS = Path(__file__).parents[2] / "config"
SIMULATED = "{driver: sim, travel_um: 20000, start_um: 2500, backlash_um: 0, homing_speed_um_per_s: 20000}"
LENS_RAIL = "{driver: lens, near_dioptres: 10, far_dioptres: 5, park_dioptres_per_s: 50}"
CONFIG = """
rig: {{id: bench}}
rail: {rail}
camera: {{driver: picamera2, {camera}}}
limits: {{max_um: 20000}}
plan: {{near_um: {near_um}, step_um: {step_um}, frames: {frames}}}
settle: {{fixed_s: 0.05}}
capture: {{exposure_timeout_s: 15, transfer_timeout_s: 5, checks: {{sharpness_ratio: 0}}}}
preview: {{threads: 1}}
finish: {{enabled: false}}
storage: {{sessions: {folder}/sessions}}
service: {{state: {folder}/state}}
"""


def config(folder, pi, rail=SIMULATED, frames=6, step_um=20, near_um=1000, **options):
    words = {"burst_rates_hz": [], **pi.options, **options}
    camera = ", ".join(f"{key}: {json.dumps(value, default=str)}" for key, value in words.items())
    return CONFIG.format(
        rail=rail, camera=camera, frames=frames, folder=folder, step_um=step_um, near_um=near_um
    )


def captured(folder, text, capsys):
    path = folder / "rig.yaml"
    path.write_text(text)
    code = run_command_line(["capture", "--config", str(path), "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (code, said["ok"]) == (Exit.DONE, True), said
    (session,) = survey(folder / "sessions")
    assert session.outcome == "complete"
    return session


def frames_of(session):
    return [entry for entry in read(session.path / "journal.jsonl").entries if entry["event"] == "frame"]


def check_truth(pi, records):
    """Each frame was exposed after the rail had settled, and that is what its record says."""
    truth = pi.frames.values()
    for record in records:
        assert record["start_s"] >= record["settled_s"]
        mine = [
            true
            for true in truth
            if true["open_s"] >= record["start_s"] - 1e-4 and true["close_s"] <= record["end_s"] + 1e-4
        ]
        assert mine


@pytest.mark.parametrize("library", KINDS)
def test_a_stack_on_a_simulated_rail(tmp_path, capsys, library):
    with playing(FakePi(tmp_path / "pi", kind=library, delay=5)) as pi:
        session = captured(tmp_path, config(tmp_path, pi), capsys)
        records = frames_of(session)
        assert len(records) == 6
        check_truth(pi, records)
    stored = sorted((session.path / "frames").glob("*.jpg"))
    assert len({path.read_bytes() for path in stored}) == 6
    assert simplejpeg.decode_jpeg_header(stored[0].read_bytes())[:2] == (HEIGHT, WIDTH)
    assert records[0]["settings"]["exposure_s"] == pytest.approx(0.02, abs=1e-5)


def test_a_raw_stack_on_an_emulated_controller(tmp_path, capsys):
    with ExitStack() as stack:
        emulator, _ = emulated(GRBL["grbl"], tmp_path / "grbl", SystemClock(), stack, speed=3.0)
        pi = stack.enter_context(playing(FakePi(tmp_path / "pi")))
        words = {"driver": "grbl", "port": emulator.port, **OPTIONS}
        session = captured(tmp_path, config(tmp_path, pi, json.dumps(words), frames=3, format="dng"), capsys)
        check_truth(pi, frames_of(session))
    assert len(list((session.path / "frames").glob("*.dng"))) == 3


def test_a_stack_by_refocusing(tmp_path, capsys):
    """No rail at all: every record shows the lens where the plan has the plane in focus."""
    with playing(FakePi(tmp_path / "pi", lens=LENS)) as pi:
        session = captured(tmp_path, config(tmp_path, pi, LENS_RAIL, step_um=1500, near_um=5000), capsys)
        records = frames_of(session)
        check_truth(pi, records)
    shown = [record["settings"]["lens_position"] for record in records]
    wanted = [1e6 / (100_000 + 5000 + 1500 * index) for index in range(6)]
    assert shown == pytest.approx(wanted, abs=0.01)


def test_a_camera_in_trouble_does_not_end_a_stack(tmp_path, capsys):
    """The sensor stops, the process dies, the exposure drifts: each costs time, and no frame is wrong."""
    faults = (
        {"call": "frame", "at": [20], "do": "stall"},
        {"call": "frame", "at": [45], "do": "crash"},
        {"call": "frame", "at": [60], "do": "drift", "by": 1.5},
    )
    with playing(FakePi(tmp_path / "pi", *faults)) as pi:
        text = config(tmp_path, pi, frames=14, response_timeout_s=1.5)
        records = frames_of(captured(tmp_path, text, capsys))
        check_truth(pi, records)
        assert len(set(pi.processes)) == 3
    assert {round(record["settings"]["exposure_s"], 4) for record in records} == {0.02}


def test_a_stop_is_obeyed_while_the_camera_hangs(tmp_path):
    """The loop is free, the rail stands, and the next picture is taken by another process."""
    pi = FakePi(tmp_path / "pi")

    async def body(rig):
        await rig.home()
        pi.suffers({"call": "frame", "at": [6], "do": "hang", "holding": True})
        await rig.start("test", rig.plan().plan)
        camera = rig.parts.camera
        await asyncio.to_thread(pi.until, lambda: pi.noted("hangs") and camera._held.session.child.owes)
        await rig.suspend("enough")
        assert rig.state.mode in RESTING
        assert (await rig.test_shot()).width == WIDTH

    async def in_rig(rig_config):
        async with open_rig(rig_config, SystemClock()) as rig:
            await body(rig)

    with playing(pi):
        asyncio.run(
            asyncio.wait_for(
                in_rig(small_rig(tmp_path, text=config(tmp_path, pi, frames=30, response_timeout_s=2.0))), 60
            )
        )
        assert len(set(pi.processes)) == 2


@pytest.mark.parametrize("name", ["pi-hq-stepdir.yaml", "pi-grbl-picamera2.yaml"])
def test_a_laptop_without_picamera2_checks_configs(name, capsys):
    assert run_command_line(["check", str(CONFIGS / name)]) == Exit.DONE
    assert capsys.readouterr()


def test_a_laptop_without_picamera2_is_told_what_to_install(tmp_path, capsys):
    pi = FakePi(tmp_path / "pi")
    path = tmp_path / "rig.yaml"
    path.write_text(config(tmp_path, pi, python="/usr/bin/env"))
    code = run_command_line(["capture", "--config", str(path)])
    said = capsys.readouterr()
    assert code == Exit.HARDWARE
    assert "sudo apt install python3-picamera2" in said.out + said.err
    assert not (tmp_path / "sessions").exists() or not list((tmp_path / "sessions").iterdir())
