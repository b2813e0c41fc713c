"""The whole suite for a bench runs on emulators too: the stepdir driver, and the camera on what its pulses move."""

import pytest

from tests.hil.figures import ALL
from tests.hil.suites import ROOT, run

FEW = {
    "span_um": 1500,
    "homings": 3,
    "random_moves": 12,
    "pulse_moves": 1,
    "presses": 2,
    "led_frames": 48,
    "stale_tries": 8,
    "triggers": 6,
    "lag_frames": 2,
    "preview_frames": 4,
    "ring_repeats": 2,
    "backlash_ways": 3,
    "soak_frames": 12,
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    return run(tmp_path_factory.mktemp("bench"), ROOT / "hil" / "emulated.yaml", numbers=FEW)


def test_every_test_is_run_and_passes(ran):
    assert ran.code == 0, ran.output
    not_passed = {test for test, result in ran.results.items() if result != "passed"}
    # Its rail is too slow to shake an accelerometer.
    assert not_passed == {"test_ringing.py::test_ring_down_by_accelerometer"}


def test_every_figure_is_in_the_report(ran):
    assert set(ran.figures) == ALL


def test_the_driver_s_own_pulses_are_measured(ran):
    value = {name: figure["value"] for name, figure in ran.figures.items()}
    assert value["step_count_error"] == 0
    assert value["step_rate"] == pytest.approx(1500, rel=0.01)
    assert 0 < value["estop_latency"] < 100


def test_the_camera_sees_what_the_pulses_move(ran):
    value = {name: figure["value"] for name, figure in ran.figures.items()}
    assert value["ring_frequency"] == pytest.approx(15, abs=0.3)
    assert value["backlash"] == pytest.approx(25, abs=2)
    assert value["ring_damping"] == pytest.approx(0.03, abs=0.01)
