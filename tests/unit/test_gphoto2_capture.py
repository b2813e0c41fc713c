"""Whole stacks by `rigd capture`: simulated rail, libgphoto2's virtual camera or a scripted one."""

import asyncio
import json
import os
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
from tests.emulators import gphoto2_fake, ptp_virtual
from tests.rigs import small_rig

FRAMES = 31
CONFIG = """
rig: {{id: bench}}
rail: {{driver: sim, travel_um: 20000, start_um: 2500, backlash_um: 0, homing_speed_um_per_s: 20000}}
camera: {{driver: gphoto2, {camera}}}
limits: {{max_um: 20000}}
plan: {{near_um: 1000, step_um: 20, frames: {frames}}}
settle: {{fixed_s: 0.01}}
capture: {{exposure_timeout_s: {timeout_s}, transfer_timeout_s: 5, checks: {{sharpness_ratio: 0}}}}
preview: {{threads: 1}}
finish: {{enabled: false}}
storage: {{sessions: {folder}/sessions}}
service: {{state: {folder}/state}}
"""


def written(folder: Path, camera: dict, frames: int, timeout_s: float = 5.0) -> str:
    words = ", ".join(f"{key}: {json.dumps(value)}" for key, value in camera.items())
    path = folder / "rig.yaml"
    path.write_text(CONFIG.format(camera=words, frames=frames, folder=folder, timeout_s=timeout_s))
    return str(path)


def captured(config: str, capsys) -> dict:
    code = run_command_line(["capture", "--config", config, "--json"])
    said = json.loads(capsys.readouterr().out)
    assert (code, said["ok"]) == (Exit.DONE, True), said
    return said


def frames_of(session) -> list[dict]:
    return [entry for entry in read(session.path / "journal.jsonl").entries if entry["event"] == "frame"]


@ptp_virtual.needs_wheel
def test_a_stack_longer_than_the_virtual_camera_lasts(tmp_path, capsys):
    """A process of it gives 26 pictures, and then none."""
    assert FRAMES > ptp_virtual.PER_PROCESS
    with ptp_virtual.virtual_camera(tmp_path / "camera") as camera, camera.changing():
        captured(written(tmp_path, ptp_virtual.OPTIONS, FRAMES), capsys)
    (session,) = survey(tmp_path / "sessions")
    assert (session.outcome, session.frames) == ("complete", FRAMES)
    assert run_command_line(["sessions", str(session.path), "--verify", "--json"]) == Exit.DONE
    stored = sorted((session.path / "frames").glob("*.jpg"))
    assert len({path.read_bytes() for path in stored}) == FRAMES
    for path in stored:
        assert simplejpeg.decode_jpeg_header(path.read_bytes())[:2] == (ptp_virtual.HEIGHT, ptp_virtual.WIDTH)
    records = frames_of(session)
    assert len(records) == FRAMES
    for record in records:
        assert record["start_s"] >= record["settled_s"]
        assert record["end_s"] - record["start_s"] >= ptp_virtual.OPTIONS["exposure_s"] * 0.999
        assert record["settings"]["exposure_s"] == pytest.approx(0.02)
        assert record["retry"] == 0


def test_cameras_that_hang_do_not_end_a_stack(tmp_path, capsys):
    """One hang in an exposure, one in a transfer, one dead process: each costs a retake."""
    faults = (
        {"call": "trigger_capture", "at": [3], "do": "hang", "until": "reset", "holding": True},
        {"call": "trigger_capture", "at": [9], "do": "crash"},
        {"call": "file_get", "at": [6], "do": "hang"},
        {"call": "file_get", "at": [10], "do": "truncated"},
    )
    fake = gphoto2_fake.FakeCamera(tmp_path / "camera", *faults)
    with gphoto2_fake.playing(fake):
        options = gphoto2_fake.OPTIONS | {"response_timeout_s": 0.5}
        captured(written(tmp_path, options, 10, timeout_s=1.0), capsys)
    (session,) = survey(tmp_path / "sessions")
    assert (session.outcome, session.frames) == ("complete", 10)
    assert len(set(fake.processes)) >= 4
    assert fake.calls("reset")
    truth = fake.exposures
    for record in frames_of(session):
        mine = [pair for pair in truth if record["start_s"] <= pair[0] and pair[1] <= record["end_s"]]
        assert len(mine) == 1
        assert record["start_s"] >= record["settled_s"]


def test_a_stop_is_obeyed_while_the_camera_hangs(tmp_path):
    """The loop is free, the rail stands, and the next picture is taken."""
    fake = gphoto2_fake.FakeCamera(
        tmp_path / "camera", {"call": "trigger_capture", "at": [2], "do": "hang", "holding": True}
    )
    words = ", ".join(f"{key}: {json.dumps(value)}" for key, value in gphoto2_fake.OPTIONS.items())
    text = CONFIG.format(camera=words, frames=4, folder=tmp_path, timeout_s=60.0)

    async def body(rig):
        await rig.home()
        await rig.start("test", rig.plan().plan)
        await asyncio.to_thread(fake.until, lambda: len(fake.calls("trigger_capture")) == 2)
        await rig.suspend("enough")
        # Nobody has waited for the camera: its process hangs on.
        os.kill(fake.processes[-1], 0)
        assert rig.state.mode in RESTING
        assert (await rig.test_shot()).width == gphoto2_fake.WIDTH

    with gphoto2_fake.playing(fake):
        asyncio.run(asyncio.wait_for(in_rig(small_rig(tmp_path, text=text), body), 60.0))
    (session,) = survey(tmp_path / "sessions")
    assert session.unfinished
    assert session.frames == 1


async def in_rig(config, body):
    async with open_rig(config, SystemClock()) as rig:
        await body(rig)
