"""How close a whole capture of 12-megapixel frames comes to its physics, on the real clock.

40 frames, rendered ahead and replayed as the JPEG files that a camera would give. The reference is the sum of what nobody can save:
motion, settle and exposure, some 0.5 s a frame.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from drivers.clock import SystemClock
from rigd.app import open_rig, warm_up
from rigd.config import load
from rigd.control.notices import Merged
from rigd.session import verify
from rigd.session.journal import read

FRAMES = 40
WIDTH, HEIGHT = 4056, 3040
NEAR_UM, STEP_UM = 10_000.0, 100.0
RESULTS = Path("bench-results")

RIG = """
rail: {{driver: sim, travel_um: 30000, start_um: 9000}}
camera: {{driver: replay, folder: {folder}, first_um: 10000, step_um: 100, exposure_s: 0.05, transfer_s: 0.05}}
limits: {{max_um: 30000}}
plan: {{near_um: 10000, step_um: 100, frames: all}}
settle: {{fixed_s: 0.25}}
storage: {{sessions: {sessions}}}
"""


def render(folder: Path) -> None:
    """Photographs of the ring, one a position."""
    import simplejpeg

    from drivers.sim.lens import ThinLens
    from drivers.sim.render import Renderer, develop
    from drivers.sim.scenes import make_scene

    far_um = NEAR_UM + (FRAMES - 1) * STEP_UM
    scene = make_scene("ring", width=WIDTH, height=HEIGHT, near_um=NEAR_UM, far_um=far_um, seed=1)
    renderer = Renderer(scene, ThinLens(1.0, 5.6, 1.55, 100_000.0))
    for index in range(FRAMES):
        linear = renderer.render(NEAR_UM + index * STEP_UM)
        picture = develop(linear, read_noise=0.5, photons_full_scale=40_000.0, seed=index, threads=2)
        (folder / f"{index:03d}.jpg").write_bytes(simplejpeg.encode_jpeg(picture, quality=95))


async def timed_capture(config):
    clock = SystemClock()
    merged_s = {}
    async with open_rig(config, clock) as rig:

        def note(notice):
            if isinstance(notice, Merged):
                merged_s[notice.frames] = clock.now()

        rig.controller.listen(note)
        await rig.home()
        planned = rig.plan()
        await rig.goto(planned.plan.um(planned.plan.approach))
        begun_s = clock.now()
        session = await rig.start("cycle", planned.plan)
        await rig.ended()
        moves_s = [
            rig.parts.rail.move_time_s(b - a)
            for a, b in zip(
                (planned.plan.approach, *planned.plan.positions), planned.plan.positions, strict=False
            )
        ]
    return session.path, begun_s, merged_s, moves_s


@pytest.mark.bench
def test_cycle(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    render(photos)
    path = tmp_path / "rig.yaml"
    path.write_text(RIG.format(folder=photos, sessions=tmp_path / "sessions"))
    config = load(path)
    warm_up()
    cpu = time.process_time()
    session, begun_s, merged_s, moves_s = asyncio.run(timed_capture(config))
    cpu = time.process_time() - cpu
    assert verify(session).whole
    frames = [entry for entry in read(session / "journal.jsonl").entries if entry["event"] == "frame"]
    physics_s = sum(moves_s) + FRAMES * (0.25 + 0.05)
    taken_s = frames[-1]["end_s"] - begun_s
    last_s = merged_s[FRAMES] - frames[-1]["data_s"]
    megabytes = sum(photo.stat().st_size for photo in photos.iterdir()) / 1e6
    figures = {
        "frames": FRAMES,
        "megapixels": WIDTH * HEIGHT / 1e6,
        "jpeg_megabytes": round(megabytes, 1),
        "physics_s": round(physics_s, 3),
        "taken_s": round(taken_s, 3),
        "ratio": round(taken_s / physics_s, 4),
        "last_preview_ms_after_last_data": round(1e3 * last_s, 1),
        "cpu_ms_a_frame": round(1e3 * cpu / FRAMES, 1),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "cycle.json").write_text(json.dumps(figures, indent=2) + "\n")
    print("\n" + json.dumps(figures, indent=2))
    assert figures["ratio"] <= 1.05
