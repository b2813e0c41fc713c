"""Records of calibration: kept whole, refused when damaged or newer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rigd.calibration.records import (
    KEPT,
    NAME,
    Amplitude,
    Backlash,
    Calibration,
    CalibrationError,
    HomingRepeat,
    PupilDistance,
    RingDown,
    StepScale,
    calibration_path,
    load,
    store,
)
from rigd.serving import kept_in
from tests.rigs import small_rig

WHEN = "2026-01-01T00:00:00Z"


def ring_down(frequency_hz: float = 15.0, *, objective: str = "lens", shaping: str = "quintic") -> RingDown:
    return RingDown(
        objective=objective,
        measured=WHEN,
        source="camera",
        frequency_hz=frequency_hz,
        frequency_error_hz=0.01,
        damping=0.03,
        damping_error=0.001,
        amplitudes=(Amplitude(move_um=100, amplitude_um=30, error_um=0.5),),
        px_um=6.2,
        shaping=shaping,
    )


BACKLASH = Backlash(
    measured=WHEN, backlash_um=200, error_um=0.5, readings_um=(199.5, 200.5), spread_um=0.7, position_um=9000
)
HOMING = HomingRepeat(
    measured=WHEN, homings=3, spread_um=1, error_um=0.4, worst_um=2, camera_um=(0, 1, 2), counted_um=(0.6, 0)
)
SCALE = StepScale(measured=WHEN, factor=1.001, error=0.0002, known_um=1000, counted_um=999)


def pupil(objective: str, distance_um: float) -> PupilDistance:
    return PupilDistance(
        objective=objective,
        measured=WHEN,
        pupil_to_focus_um=distance_um,
        error_um=100,
        per_um=1 / distance_um,
        per_um_error=1e-9,
        position_um=9000,
    )


def test_what_is_stored_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "state" / "rig" / NAME
    kept = Calibration()
    for record in (ring_down(), BACKLASH, HOMING, SCALE, pupil("lens", 1e5)):
        kept = kept.having(record)
    store(path, kept)
    assert load(path) == kept


def test_nothing_is_known_where_there_is_no_file(tmp_path: Path) -> None:
    assert load(tmp_path / NAME) == Calibration()


def test_the_newest_ring_down_counts_and_the_oldest_are_forgotten() -> None:
    kept = Calibration()
    for number in range(KEPT + 5):
        kept = kept.having(ring_down(10 + number))
    kept = kept.having(ring_down(7, objective="heavy")).having(ring_down(8, shaping="zvd"))
    assert len(kept.ring_downs) == KEPT
    newest, heavy, plain = kept.ring_down("lens"), kept.ring_down("heavy"), kept.ring_down("lens", "quintic")
    assert newest is not None
    assert newest.frequency_hz == 8
    assert heavy is not None
    assert heavy.frequency_hz == 7
    assert plain is not None
    assert plain.frequency_hz == 10 + KEPT + 4
    assert kept.ring_down("other") is None


def test_one_pupil_distance_for_each_objective() -> None:
    kept = Calibration()
    for record in (pupil("a", 1e5), pupil("b", 2e5), pupil("a", 3e5)):
        kept = kept.having(record)
    found = kept.pupil_distance("a")
    assert found is not None
    assert found.pupil_to_focus_um == 3e5
    assert len(kept.pupil_distances) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"ring_downs": []}',
        '{"format": 1, "ring_downs": [{"objective": 3}]}',
        '{"format": 1, "x": 2}',
    ],
)
def test_a_damaged_file_says_so_and_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / NAME
    path.write_text(text)
    with pytest.raises(CalibrationError, match=r"calibration.json: damaged .*calibrate again"):
        load(path)


def test_a_file_of_a_later_rigd_is_refused(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text(json.dumps({"format": 2, "ring_downs": [], "novelty": 1}))
    with pytest.raises(CalibrationError, match="newer rigd"):
        load(path)


def test_it_is_kept_with_what_outlives_a_restart(tmp_path: Path) -> None:
    config = small_rig(tmp_path)
    assert calibration_path(config) == kept_in(config) / NAME


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        BACKLASH.model_copy().model_validate(BACKLASH.model_dump() | {"backlash_um": float("nan")})
