"""A bench that breaks, that lacks something, or that is not as good as it should be, says so."""

import pytest

from hil.locking import LOCKS, alone
from tests.hil.suites import ROOT, bench_file, run

RIG = """
rig: {id: tried, seed: 2}
rail: {driver: sim, travel_um: 20000, start_um: 2500, backlash_um: 20, profile: trapezoid%(rail)s}
camera: {driver: sim, scene: tilt, width: 96, height: 64, near_um: 2800, far_um: 3200, f_number: 4, pixel_pitch_um: 60, threads: 1%(camera)s}
limits: {max_um: 20000}
settle: {fixed_s: 0.3}
"""
FEATURES = "features: {rail: true, home_switch: true, camera: true, pins: true, led: {pin: 24}, subject: true%s}\nnumbers: {homings: 3, random_moves: 12, stale_tries: 12, triggers: 4, subject_um: 3000, hang_timeout_s: 3}\n"


def bench(folder, *, rail="", camera="", features=""):
    return bench_file(folder, FEATURES % features, RIG % {"rail": rail, "camera": camera})


def test_a_broken_rail_is_told_once(tmp_path):
    ran = run(
        tmp_path,
        bench(tmp_path, rail=", faults: {home_switch_broken: true}"),
        "hil/test_rail.py",
        "hil/test_exposure.py",
    )
    assert ran.code == 1
    first = "test_rail.py::test_homing_repeats_by_switch"
    assert ran.results[first] == "failed"
    assert "home switch not found" in ran.report["broken"]["rail"]
    assert ran.report["broken"]["rail"].startswith(first)
    later = "test_rail.py::test_no_step_is_lost_in_random_moves"
    assert ran.results[later] == "skipped"
    assert ran.reasons[later].startswith("bench broken (rail) since " + first)
    # What needs no rail is measured all the same.
    assert ran.results["test_exposure.py::test_trigger_latency"] == "passed"
    assert "The bench broke" in ran.page.read_text()


def test_a_dead_camera_is_told_once(tmp_path):
    ran = run(
        tmp_path,
        bench(tmp_path, camera=", faults: {hang: {probability: 1}}"),
        "hil/test_rail.py",
        "hil/test_exposure.py",
    )
    assert set(ran.report["broken"]) == {"camera"}
    failed = [test for test, result in ran.results.items() if result == "failed"]
    assert len(failed) == 1
    assert ran.results["test_rail.py::test_homing_repeats_by_switch"] == "passed"


def test_lost_steps_are_found(tmp_path):
    ran = run(
        tmp_path,
        bench(tmp_path, rail=", faults: {lose_steps: 40, lose_steps_at_move: 12}"),
        "hil/test_rail.py",
    )
    figure = ran.figures["lost_steps"]
    assert ran.code == 1
    assert figure["value"] == pytest.approx(40, abs=2)
    assert figure["kept"] is False
    assert ran.report["broken"] == {}  # it homes again, and is good for other tests


def test_a_camera_that_hands_out_old_frames_is_found(tmp_path):
    ran = run(tmp_path, bench(tmp_path, camera=", mode: naive"), "hil/test_exposure.py")
    assert ran.figures["stale_frames"]["value"] > 0
    assert ran.results["test_exposure.py::test_no_frame_is_stale"] == "failed"


def test_what_is_not_there_is_skipped_with_what_to_wire(tmp_path):
    ran = run(tmp_path, bench(tmp_path), "hil/test_pulses.py", "hil/test_hang.py")
    assert set(ran.results.values()) == {"skipped"}
    assert "wire 1 kOhm from STEP" in ran.reasons["test_pulses.py::test_step_pulses"]
    assert "switched supply" in ran.reasons["test_hang.py::test_camera_hang_and_power_cycle"]
    assert {"loopback", "power_switch"} <= set(ran.report["missing"])


def test_a_bench_in_use_and_a_bench_that_cannot_be_read_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(LOCKS, str(tmp_path))
    path = bench(tmp_path)
    with alone("tried", None):
        ran = run(tmp_path, path, "hil/test_rail.py")
    assert (ran.code, ran.page) == (4, None)
    assert "another run (process" in ran.output
    path.write_text("bench: tried\nrig: none.yaml\n")
    assert "none.yaml" in run(tmp_path, path, "hil/test_rail.py").output


def test_reports_are_compared(tmp_path):
    first = run(tmp_path, bench(tmp_path), "hil/test_rail.py")
    second = run(
        tmp_path / "again",
        bench(tmp_path),
        "hil/test_rail.py",
        RIGD_BENCH_COMPARE=str(first.page.parent),
        RIGD_BENCH_LOCKS=str(tmp_path),
    )
    assert "Compared with the report of" in second.page.read_text()
    assert run(tmp_path, bench(tmp_path), "hil/test_rail.py", RIGD_BENCH_COMPARE=str(ROOT / "none")).code == 4
