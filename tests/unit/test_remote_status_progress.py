"""Time left: by the plan at first, then by the stack's own pace; pauses and retakes as one would expect."""

from __future__ import annotations

import pytest

from rigd.planning import stack_of
from rigd.remote.progress import Forecast, Pace, forecast
from tests.rigs import small_rig, with_rig

EXPECTED = Forecast(lead_in_s=3.0, cycle_s=2.0, ending_s=1.0)


def test_by_the_plan_before_anything_is_measured():
    pace = Pace(EXPECTED, 100.0)
    assert pace.left_s(10, 100.0) == 3 + 10 * 2 + 1
    assert pace.left_s(10, 102.0) == 22


def test_a_first_frame_that_takes_long_holds_it():
    assert Pace(EXPECTED, 100.0).left_s(10, 200.0) == 9 * 2 + 1


def test_by_its_own_pace_from_the_second_frame_on():
    pace = Pace(EXPECTED, 100.0)
    pace.accepted(104.0)
    assert pace.left_s(9, 104.0) == 9 * 2 + 1
    pace.accepted(109.0)
    pace.accepted(112.0)
    assert pace.cycle_s == 4.0
    assert pace.left_s(7, 113.0) == 7 * 4 + 1 - 1


def test_a_pause_is_no_part_of_the_pace_and_time_stands_in_it():
    pace = Pace(EXPECTED, 100.0)
    for now_s in (104.0, 106.0):
        pace.accepted(now_s)
    pace.pause(107.0)
    pace.accepted(107.5)  # taken before the pause
    before = pace.left_s(7, 108.0)
    assert pace.left_s(7, 5000.0) == before == 7 * 2 + 1 - 1
    pace.resume(5000.0)
    assert pace.left_s(7, 5000.0) == 7 * 2 + 1
    pace.accepted(5010.0)
    assert pace.cycle_s == 2.0
    pace.accepted(5012.0)
    assert pace.cycle_s == 2.0


def test_retakes_make_the_pace_slower():
    pace = Pace(EXPECTED, 0.0)
    for now_s in (2.0, 4.0, 6.0, 14.0):
        pace.accepted(now_s)
    assert pace.cycle_s == 4.0


def test_the_end_counts_down_to_nothing():
    pace = Pace(EXPECTED, 0.0)
    pace.accepted(2.0)
    assert pace.left_s(0, 2.0) == 1.0
    assert pace.left_s(0, 50.0) == 0.0


@pytest.mark.parametrize("far_first", [False, True])
def test_the_forecast_is_the_plans(tmp_path, far_first):
    direction = "far_to_near" if far_first else "near_to_far"

    async def body(rig, seen):
        planned = rig.plan()
        stack = stack_of(rig.config, planned.plan)
        return planned, forecast(stack, None, 0.2, rig.parts.rail, rig.parts.camera.capabilities)

    planned, expected = with_rig(small_rig(tmp_path, f"plan.direction={direction}"), body)
    whole = expected.lead_in_s + planned.plan.frames * expected.cycle_s
    assert whole == pytest.approx(planned.prediction.seconds, rel=0.03)
