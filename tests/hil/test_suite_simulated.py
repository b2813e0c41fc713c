"""The whole suite for a bench runs on the bench of simulators, so that no line of it is new on the day."""

import pytest

from tests.hil.figures import ALL, SHAKEN
from tests.hil.suites import ROOT, run

FEW = {
    "homings": 4,
    "random_moves": 30,
    "pulse_moves": 1,
    "presses": 3,
    "led_frames": 48,
    "stale_tries": 8,
    "triggers": 6,
    "lag_frames": 2,
    "preview_frames": 4,
    "ring_repeats": 2,
    "backlash_ways": 3,
    "soak_frames": 60,
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    return run(tmp_path_factory.mktemp("bench"), ROOT / "hil" / "simulated.yaml", numbers=FEW)


def test_every_test_is_run_and_passes(ran):
    assert ran.code == 0, ran.output
    not_passed = {test: ran.reasons[test] for test, result in ran.results.items() if result != "passed"}
    assert not_passed == {}
    assert (ran.report["missing"], ran.report["broken"]) == ([], {})


def test_every_figure_is_in_the_report(ran):
    assert set(ran.figures) == ALL | SHAKEN
    assert all(figure["kept"] is not False for figure in ran.figures.values())


def test_what_is_known_of_the_simulator_is_found(ran):
    value = {name: figure["value"] for name, figure in ran.figures.items()}
    assert value["timestamp_meaning"] == "start of the exposure"
    assert value["step_rate"] == pytest.approx(8000, rel=1e-3)
    assert value["sync_open_time"] == pytest.approx(20, abs=1e-3)
    assert abs(value["exposure_start_offset"]) < 0.05
    assert value["ring_frequency"] == pytest.approx(15, abs=0.05)
    assert value["ring_damping"] == pytest.approx(0.03, abs=0.002)
    assert value["shaken_frequency"] == pytest.approx(15, abs=0.05)
    assert value["shaken_damping"] == pytest.approx(0.03, abs=0.003)
    assert value["backlash"] == pytest.approx(25, abs=2)
    assert value["homing_by_camera"] < 2
    assert value["transfer_time"] == pytest.approx(0.05, abs=1e-6)


def test_the_page_shows_every_figure_and_needs_nothing_else(ran):
    page = ran.page.read_text()
    for name in ran.figures:
        assert f'<h3 id="{name}">' in page
    assert page.count("<svg") > 10
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "<script" not in page
