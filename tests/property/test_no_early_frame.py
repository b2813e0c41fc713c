"""No accepted frame was exposed early: held against the simulator's own truth, not against what the camera says.

The rail rings for more than a second after each move (a trapezoid excites it), and the camera does what a Pi camera does: asked
right after a move it hands out a frame of the position before, and now and then an older one still.
"""

from __future__ import annotations

from rigd.session.journal import read
from tests.rigs import capture, small_rig

SETTLE_S = 1.6
STILL_UM = 1.0
"""The settle is chosen for this residual: after 100 um moves 15 Hz at damping 0.03 ring for 1.5 s."""
FRAMES = 250

RIG = """
rig: {id: proof}
rail: {driver: sim, travel_um: 40000, start_um: 600, backlash_um: 20, profile: trapezoid, quintic_min_periods: 0}
camera:
  driver: sim
  scene: tilt
  width: 48
  height: 32
  near_um: 5000
  far_um: 29900
  pixel_pitch_um: 100
  mode: naive
  frame_period_s: 0.5
  buffers: 4
  transfer_s: 0.01
  threads: 1
  faults: {stale: {probability: 0.1}}
limits: {max_um: 40000}
plan: {near_um: 5000, far_um: 29900, step_um: 100}
capture: {checks: {max_retries: 20, sharpness_ratio: 0}}
preview: {threads: 1}
"""


def early_frames(folder, seed, *overrides):
    """How many of one stack's accepted frames were really exposed while the rig moved or rang, and how many there were."""
    config = small_rig(folder, f"rig.seed={seed}", f"settle.fixed_s={SETTLE_S}", *overrides, text=RIG)
    ran = capture(config)
    frames = [entry for entry in read(ran.path / "journal.jsonl").entries if entry["event"] == "frame"]
    early = 0
    for entry in frames:
        truth = ran.world.exposures[entry["sequence"]]
        away = abs(truth.position_um - entry["position_um"]) > 25
        early += truth.moving or truth.ring_um_max > STILL_UM or away
    return early, len(frames), len(ran.seen.rejected)


def test_without_the_check_many_are(tmp_path):
    early, frames, _ = early_frames(tmp_path, 1, "capture.checks.evidence=false")
    assert early > frames / 10


def test_none_of_ten_thousand_is_early(tmp_path):
    total = found = refused = 0
    for seed in range(10_000 // FRAMES):
        folder = tmp_path / str(seed)
        folder.mkdir()
        early, frames, rejected = early_frames(folder, seed)
        total += frames
        found += early
        refused += rejected
    assert total == 10_000
    assert found == 0
    assert refused > total / 10, "the camera served no stale frames: this test proves nothing"
