"""Settle and motion in the config: what they must agree on with the rest."""

import pytest

from rigd.config import examine
from tests.rigs import SMALL

OPTICS = "optics: {magnification: 1, sensor_width_mm: 1.0}\n"


def found(tmp_path, text, *overrides):
    path = tmp_path / "rig.yaml"
    path.write_text(text)
    return examine(path, [f"service.state={tmp_path / 'state'}", *overrides])


def calibrated(tmp_path):
    (tmp_path / "state" / "small").mkdir(parents=True)
    (tmp_path / "state" / "small" / "calibration.json").write_text('{"format": 1}')


def test_fixed_is_the_default_and_asks_for_nothing(tmp_path):
    report = found(tmp_path, SMALL)
    assert report.problems == ()
    assert report.config.settle.mode == "fixed"
    assert report.config.motion.shaping == "auto"


def test_a_model_needs_a_frequency_and_the_size_of_a_pixel(tmp_path):
    report = found(tmp_path, SMALL, "settle.mode=model")
    assert [one.path for one in report.problems] == ["settle.mode", "settle.mode"]
    assert any("rigd calibrate settle" in one.fix for one in report.problems)
    assert any("magnification" in one.fix for one in report.problems)
    assert found(tmp_path, SMALL + OPTICS, "settle.mode=model", "settle.frequency_hz=15").problems == ()
    assert (
        found(tmp_path, SMALL, "settle.mode=model", "settle.frequency_hz=15", "finish.um_per_px=6").problems
        == ()
    )
    calibrated(tmp_path)
    assert found(tmp_path, SMALL + OPTICS, "settle.mode=model").problems == ()


def test_measured_before_it_is_measured_is_said_and_allowed(tmp_path):
    """It could not be measured otherwise: the calibration reads this very config."""
    report = found(tmp_path, SMALL, "settle.mode=measured")
    assert report.problems == ()
    assert any("rigd calibrate settle" in one.fix for one in report.warnings)
    calibrated(tmp_path)
    assert found(tmp_path, SMALL, "settle.mode=measured").warnings == ()


def test_a_shaper_needs_a_frequency(tmp_path):
    report = found(tmp_path, SMALL, "motion.shaping=zvd")
    assert [one.path for one in report.warnings] == ["motion.shaping"]
    assert found(tmp_path, SMALL, "motion.shaping=zvd", "settle.frequency_hz=15").warnings == ()
    assert found(tmp_path, SMALL, "motion.shaping=quintic").warnings == ()
    calibrated(tmp_path)
    assert found(tmp_path, SMALL, "motion.shaping=zvd").warnings == ()


def test_the_bounds_are_ordered(tmp_path):
    report = found(tmp_path, SMALL, "settle.min_s=4")
    assert [one.path for one in report.problems] == ["settle.min_s"]


@pytest.mark.parametrize("value", ["blur_px=0", "confidence=1", "damping=0", "frequency_hz=0", "mode=guess"])
def test_values_that_cannot_be_are_refused(tmp_path, value):
    assert len(found(tmp_path, SMALL, f"settle.{value}").problems) == 1
