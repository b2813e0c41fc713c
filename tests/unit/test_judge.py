"""Which pictures are refused, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.base import CameraSettings
from rigd.judge import Expected, Measured, verdict

GOOD = Measured("a" * 64, CameraSettings(exposure_s=0.02, gain=1.0), bright=200.0, sharpness=100.0)
USUAL = Expected(
    black_level=4.0,
    sharpness_ratio=0.4,
    tolerance=0.02,
    settings=CameraSettings(exposure_s=0.02, gain=1.0),
    known={"b" * 64: 4},
    neighbours=(110.0, 120.0),
)


def test_a_good_picture_is_accepted():
    assert verdict(GOOD, USUAL) is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"damage": "ends early"}, "damaged: ends early"),
        ({"sha256": "b" * 64}, "the same picture as frame 5"),
        ({"bright": 3.9}, "black"),
        ({"settings": CameraSettings(exposure_s=0.0205)}, "exposure time from 0.02 to 0.0205"),
        ({"settings": CameraSettings(gain=2.0)}, "gain from 1 to 2"),
        ({"sharpness": 40.0}, "36% as sharp"),
    ],
)
def test_a_bad_one_is_refused_with_the_reason(change, why):
    reason = verdict(replace(GOOD, **change), USUAL)
    assert reason is not None
    assert why in reason


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (
            replace(GOOD, sharpness=40.0),
            replace(USUAL, refused_sharpness=42.0),
        ),  # it is as soft again: the subject is so
        (replace(GOOD, sharpness=40.0), replace(USUAL, sharpness_ratio=0.0)),  # switched off
        (replace(GOOD, sharpness=40.0), replace(USUAL, neighbours=())),  # nothing to compare with
        (
            replace(GOOD, sharpness=50.0),
            replace(USUAL, neighbours=(110.0, 900.0)),
        ),  # as sharp as the softer neighbour
        (replace(GOOD, settings=CameraSettings()), USUAL),  # a camera that does not tell
        (replace(GOOD, bright=None, sharpness=None), USUAL),  # a format that is not decoded
    ],
)
def test_what_is_no_reason_to_refuse(measured, expected):
    assert verdict(measured, expected) is None


def test_a_second_picture_that_disagrees_with_the_first_is_refused_too():
    assert verdict(replace(GOOD, sharpness=40.0), replace(USUAL, refused_sharpness=20.0)) is not None
