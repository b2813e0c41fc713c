"""Whole stacks on the simulated rail, held against its own truth: how long they wait, and how far the image really moved."""

from __future__ import annotations

import pytest

from drivers.base import Shaping
from drivers.motion.oscillator import Oscillator
from rigd.calibration.records import Amplitude, Calibration, RingDown, calibration_path, store
from rigd.control.notices import Warned
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.session.journal import read
from rigd.settling import Allowed, Ring, Swing, settle_s
from rigd.vibration.amplitude import Drive, ringing_um
from tests.rigs import capture, passes, resume, small_rig, stored, with_rig

HZ, ZETA = 15.0, 0.03
DRIVE = Drive(10_000.0, 200_000.0)
COUPLING, PX_UM, BLUR_PX = 0.3, 6.0, 0.5
LENGTHS = (10.0, 20.0, 50.0, 100.0, 200.0, 400.0, 1000.0)

RIG = f"""
rig: {{id: still, seed: 5}}
rail: {{driver: sim, travel_um: 20000, start_um: 2500, backlash_um: 20, profile: trapezoid, ring_hz: {HZ}, ring_damping: {ZETA},
  ring_coupling: {COUPLING}, max_speed_um_per_s: {DRIVE.speed_um_per_s}, acceleration_um_per_s2: {DRIVE.acceleration_um_per_s2}}}
camera: {{driver: sim, scene: tilt, width: 160, height: 120, near_um: 5000, far_um: 10900, f_number: 16, magnification: 1,
  pixel_pitch_um: {PX_UM}, exposure_s: 0.02, frame_period_s: 0.02, transfer_s: 0.01, threads: 1}}
limits: {{max_um: 20000}}
plan: {{near_um: 5000, far_um: 10900, step_um: 100}}
settle: {{mode: measured, blur_px: {BLUR_PX}, fixed_s: 0.3}}
preview: {{threads: 1}}
finish: {{enabled: false, um_per_px: {PX_UM}}}
"""


def ring_down(damping=ZETA, frequency_hz=HZ, objective="", **changes):
    """What `rigd calibrate settle` would have kept of this rail."""
    plain = Shaping("trapezoid")
    table = tuple(
        Amplitude(move_um=um, amplitude_um=COUPLING * ringing_um(HZ, damping, plain, DRIVE, um), error_um=0.1)
        for um in LENGTHS
    )
    return RingDown(
        **{
            "objective": objective,
            "measured": "2026-11-01T10:00:00+00:00",
            "source": "camera",
            "frequency_hz": frequency_hz,
            "frequency_error_hz": 0.02,
            "damping": damping,
            "damping_error": 0.0005,
            "amplitudes": table,
            "px_um": PX_UM,
            "shaping": "trapezoid",
            **changes,
        }
    )


def rig(folder, *overrides, known=()):
    config = small_rig(folder, *overrides, text=RIG)
    if known:
        store(calibration_path(config), Calibration(ring_downs=tuple(known)))
    return config


def frames_of(ran):
    return [entry for entry in read(ran.path / "journal.jsonl").entries if entry["event"] == "frame"]


def blurs_px(ran):
    """True motion of the image during each accepted exposure."""
    return [ran.world.exposures[entry["sequence"]].span_um * COUPLING / PX_UM for entry in frames_of(ran)]


def waited_s(ran):
    """All time between the end of a motion and the exposure after it."""
    return sum(entry["start_s"] - entry["moved_s"] for entry in frames_of(ran))


def noted(ran, kind):
    return [entry for entry in read(ran.path / "journal.jsonl").entries if entry["event"] == kind]


def plain(folder, fixed_s):
    """The same stack with moves as they are and the same wait after each."""
    folder = folder / f"{fixed_s:.4f}"
    folder.mkdir()
    return capture(rig(folder, "settle.mode=fixed", f"settle.fixed_s={fixed_s}", "motion.shaping=rail"))


def test_measured_and_shaped_waits_an_eighth_of_what_fixed_does_for_the_same_blur(tmp_path):
    """The fixed settle is the shortest, to 3 %, with which every frame of the unshaped stack is as still."""
    quick = capture(rig(tmp_path, known=[ring_down()]))
    assert len(frames_of(quick)) == 60
    assert [blur for blur in blurs_px(quick) if blur > BLUR_PX] == []
    assert {entry["settle"]["code"] for entry in frames_of(quick)} == {"measured"}
    (motion,) = noted(quick, "motion")
    assert (motion["shaping"], motion["shaping_hz"]) == ("zvd", HZ)
    assert noted(quick, "warning") == noted(quick, "shaken") == []

    # From a settle with which no phase of the ringing blurs too much, shorter by 3 % each time, until a frame does.
    swing = Swing(Ring(HZ, ZETA), COUPLING * ringing_um(HZ, ZETA, Shaping("trapezoid"), DRIVE, 100.0))
    fixed_s, fixed = settle_s([swing], Allowed(0.02, BLUR_PX * PX_UM, 0.5)), None
    while max(blurs_px(ran := plain(tmp_path, fixed_s))) <= BLUR_PX:
        fixed, fixed_s = ran, 0.97 * fixed_s
    assert fixed is not None
    fixed_s /= 0.97
    assert waited_s(quick) * 8 < waited_s(fixed), f"{waited_s(quick):.2f} s against {waited_s(fixed):.2f} s"


def test_each_frame_says_how_long_it_settled_and_why(tmp_path):
    ran = capture(rig(tmp_path, "motion.shaping=rail", "plan.far_um=5600", known=[ring_down()]))
    frames = frames_of(ran)
    assert frames[0]["settle"]["move_um"] == 5000.0
    for entry in frames[1:]:
        settle = entry["settle"]
        assert entry["settled_s"] == pytest.approx(entry["moved_s"] + settle["settle_s"], abs=1e-5)
        assert settle["move_um"] == pytest.approx(100.0, abs=0.7)
        assert "15 Hz" in settle["why"]
        assert 0.5 < settle["settle_s"] < 1.5
        assert settle["blur_um"] <= BLUR_PX * PX_UM * (1 + 1e-6)
    assert max(blurs_px(ran)) <= BLUR_PX


def test_the_prediction_is_what_it_takes(tmp_path):
    config = rig(tmp_path, known=[ring_down()])

    async def body(opened, seen):
        await opened.home()
        planned = opened.plan()
        await opened.goto(planned.plan.um(planned.plan.approach))
        session = await opened.start("timed", opened.plan().plan)
        await opened.ended()
        return planned, session

    planned, session = with_rig(config, body)
    frames = [entry for entry in read(session.path / "journal.jsonl").entries if entry["event"] == "frame"]
    stack_s = frames[-1]["end_s"] - frames[0]["moved_s"]
    assert planned.prediction.seconds == pytest.approx(stack_s, rel=0.1)
    about = {reason.about: reason.text for reason in planned.reasons}
    assert "15 Hz is measured: ZVD" in about["motion"]
    assert "after each step" in about["settle"]


def test_a_rail_that_rings_longer_than_it_was_measured_is_found_out(tmp_path):
    """Its true damping is a third: frames are shaken until the settle has grown; that is noted and said."""
    ran = capture(
        rig(
            tmp_path,
            "motion.shaping=rail",
            f"rail.ring_damping={ZETA / 3}",
            "settle.max_s=6",
            known=[ring_down()],
        )
    )
    blurs = blurs_px(ran)
    shaken = noted(ran, "shaken")
    assert len(blurs) == 60
    assert shaken
    assert [entry["code"] for entry in noted(ran, "warning")] == ["settle_drift"]
    assert "rigd calibrate settle" in ran.session.manifest["result"]["warnings"][0]
    assert max(blurs[len(shaken) + 2 :]) < 1.0


def test_a_clamp_that_comes_loose_is_noticed_at_the_frame_it_shakes(tmp_path):
    """Frames shaken by several pixels where their neighbours were still are taken again, and the retakes are still."""

    async def loosened(opened, session):
        await stored(opened, 8)
        world = opened.parts.context.shared["sim.world"]
        world._oscillator = Oscillator(11.0, 0.008)
        world.ring_coupling = 2.0

    ran = capture(rig(tmp_path, "settle.max_s=8", known=[ring_down()]), loosened)
    shaken = [entry["frame"] for entry in noted(ran, "shaken")]
    rejected = [entry for entry in noted(ran, "rejected") if "shaken" in entry["reason"]]
    assert rejected
    assert set(shaken) & {entry["frame"] for entry in rejected}
    assert [entry["code"] for entry in noted(ran, "warning")] == ["settle_drift"]
    assert any(isinstance(notice, Warned) and notice.code == "settle_drift" for notice in ran.seen.notices)
    blurs = [blur * 2.0 / COUPLING for blur in blurs_px(ran)]
    assert len(blurs) == 60
    assert max(blurs[20:]) < 2.0


@pytest.mark.parametrize("scene", ["insect", "ring", "tilt"])
def test_still_stacks_are_not_taken_for_shaken(tmp_path, scene):
    """Other depths come into focus from frame to frame, and that is no shake: at most one frame in ten is taken twice, and none is
    believed to have been shaken."""
    ran = capture(
        rig(
            tmp_path,
            f"camera.scene={scene}",
            "camera.width=400",
            "camera.height=300",
            "camera.f_number=5.6",
            "plan.step_um=200",
            known=[ring_down()],
        )
    )
    assert noted(ran, "shaken") == noted(ran, "warning") == []
    assert len(noted(ran, "rejected")) <= 3
    assert len(frames_of(ran)) == 31


@pytest.mark.parametrize("after_s", [0.05, 0.6, 1.5])
def test_a_stop_while_a_frame_is_taken_twice_is_obeyed_and_the_stack_goes_on(tmp_path, after_s):
    async def stopped(opened, session):
        await stored(opened, 2)
        await passes(after_s)
        assert opened.state.stack.frame == 2
        opened.controller.post(ev.Stop())
        await opened.controller.reached(Mode.PAUSED)
        await opened.command(ev.Resume())

    ran = capture(rig(tmp_path, "plan.far_um=5600", known=[ring_down()]), stopped)
    assert ran.seen.closed.outcome == "complete"
    assert len(frames_of(ran)) == 7
    assert max(blurs_px(ran)) <= BLUR_PX


def test_an_interrupted_stack_is_resumed_with_its_moves_shaped(tmp_path):
    async def cut(opened, session):
        await stored(opened, 4)
        await opened.suspend("cut off")

    config = rig(tmp_path, "plan.far_um=5900", known=[ring_down()])
    begun = capture(config, cut)
    ran = resume(config, begun.path)
    assert ran.seen.closed.outcome == "complete"
    assert [entry["shaping"] for entry in noted(ran, "motion")] == ["zvd", "zvd"]
    assert len(frames_of(ran)) == 10


def test_a_damaged_calibration_is_said_and_the_rig_still_takes_its_stacks(tmp_path, caplog):
    config = rig(tmp_path, "plan.far_um=5300")
    path = calibration_path(config)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    ran = capture(config)
    assert len(frames_of(ran)) == 4
    assert {entry["settle"]["code"] for entry in frames_of(ran)} == {"fallback"}
    assert "nothing of the calibration is used" in caplog.text
    assert [entry["code"] for entry in noted(ran, "warning")] == ["settle"]
