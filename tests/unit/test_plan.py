"""Plans: a table of requests and the positions they give, and what holds for every plan."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rigd.plan import (
    Costs,
    Plan,
    PlanError,
    PlanRequest,
    RailModel,
    check_resources,
    exactly,
    make_plan,
    predict,
)

RAIL = RailModel(microstep_um=2.0, min_um=0.0, max_um=1000.0, backlash_um=10.0)
FINE = RailModel(microstep_um=1.0, min_um=0.0, max_um=1000.0, backlash_um=0.0)
THIRDS = RailModel(microstep_um=0.3, min_um=0.0, max_um=100.0, backlash_um=0.6)


# ------------------------------------------------------------------------------------------------------- the edge rules

TABLE = [
    pytest.param(PlanRequest(100, 160, step_um=20), RAIL, [50, 60, 70, 80], id="far and step"),
    pytest.param(PlanRequest(100, 160, frames=4), RAIL, [50, 60, 70, 80], id="far and frames"),
    pytest.param(PlanRequest(100, step_um=20, frames=4), RAIL, [50, 60, 70, 80], id="step and frames"),
    pytest.param(
        PlanRequest(100, 160, step_um=25), RAIL, [50, 60, 70, 80], id="the step is the longest allowed"
    ),
    pytest.param(
        PlanRequest(100, 160, step_um=59), RAIL, [50, 65, 80], id="one more frame rather than a longer step"
    ),
    pytest.param(PlanRequest(100, 160, step_um=60), RAIL, [50, 80], id="the step fits exactly"),
    pytest.param(PlanRequest(100, 160, step_um=500), RAIL, [50, 80], id="both ends at least"),
    pytest.param(PlanRequest(100, 120, frames=5), RAIL, [50, 53, 55, 58, 60], id="each rounded by itself"),
    pytest.param(
        PlanRequest(0.5, 3.5, step_um=1, overshoot_um=1), FINE, [1, 2, 3, 4], id="halves stay even steps"
    ),
    pytest.param(PlanRequest(101, 161, frames=3), RAIL, [51, 66, 81], id="ends to their nearest microstep"),
    pytest.param(PlanRequest(100, 160, frames=4, near_first=False), RAIL, [80, 70, 60, 50], id="far first"),
    pytest.param(
        PlanRequest(100, 160, frames=4, margin_frames=2),
        RAIL,
        [30, 40, 50, 60, 70, 80, 90, 100],
        id="margins",
    ),
    pytest.param(
        PlanRequest(100, 160, step_um=25, margin_frames=1),
        RAIL,
        [40, 50, 60, 70, 80, 90],
        id="margins at the even step",
    ),
    pytest.param(
        PlanRequest(100, 160, frames=3, margin_frames=1, near_first=False),
        RAIL,
        [95, 80, 65, 50, 35],
        id="far first, margins",
    ),
    pytest.param(PlanRequest(3, 6, step_um=0.3), THIRDS, list(range(10, 21)), id="decimal lengths are exact"),
    pytest.param(
        PlanRequest(10.2, 11.1, step_um=0.3), THIRDS, [34, 35, 36, 37], id="no frame from float noise"
    ),
]


@pytest.mark.parametrize(("request_", "rail", "positions"), TABLE)
def test_positions(request_, rail, positions):
    assert list(make_plan(request_, rail).positions) == positions


@pytest.mark.parametrize(
    ("request_", "approach", "overshoot"),
    [
        pytest.param(PlanRequest(100, 160, frames=7), 42, 8, id="1.5 backlashes, rounded up"),
        pytest.param(PlanRequest(100, 160, frames=3), 35, 15, id="at least a step"),
        pytest.param(PlanRequest(100, 160, frames=7, overshoot_um=40), 30, 20, id="as asked"),
        pytest.param(PlanRequest(100, 160, frames=7, near_first=False), 88, 8, id="from beyond far"),
        pytest.param(
            PlanRequest(100, 160, frames=7, margin_frames=2), 32, 8, id="before the first margin frame"
        ),
    ],
)
def test_approach(request_, approach, overshoot):
    plan = make_plan(request_, RAIL)
    assert (plan.approach, plan.overshoot) == (approach, overshoot)
    assert plan.backlash == 5


def test_a_rail_without_backlash_is_still_approached_from_one_side():
    plan = make_plan(PlanRequest(100, 103, frames=4), FINE)
    assert plan.overshoot == 1 > plan.backlash == 0


def test_what_a_plan_says_of_itself():
    plan = make_plan(PlanRequest(100, 120, frames=5, margin_frames=1), RAIL)
    assert (plan.near, plan.far, plan.step_um, plan.frames, plan.margin_frames) == (50, 60, 5.0, 7, 1)
    assert plan.asked_um == (95, 100, 105, 110, 115, 120, 125)
    assert plan.rounding_um == 1.0
    assert plan.um(plan.far) == 120.0
    assert (plan.near_first, plan.direction) == (True, 1)


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        pytest.param(PlanRequest(100), ["leave out or add one"], id="too little"),
        pytest.param(PlanRequest(100, 200, 10, 11), ["leave out or add one"], id="too much"),
        pytest.param(PlanRequest(100, 100, frames=3), ["beyond near"], id="no depth"),
        pytest.param(PlanRequest(200, 100, frames=3), ["swap them?"], id="the wrong way round"),
        pytest.param(PlanRequest(100, 200, step_um=0), ["above 0"], id="no step"),
        pytest.param(PlanRequest(100, 200, step_um=-5), ["above 0"], id="a step backward"),
        pytest.param(PlanRequest(100, 200, frames=1), ["at least 2"], id="one frame"),
        pytest.param(PlanRequest(100, 200, frames=3, margin_frames=-1), ["0 or more"], id="negative margin"),
        pytest.param(PlanRequest(float("nan"), 200, frames=3), ["finite"], id="not a number"),
        pytest.param(PlanRequest(100, float("inf"), frames=3), ["finite"], id="infinitely far"),
        pytest.param(PlanRequest(100, 200, step_um=1), ["at most 51 frames"], id="below one microstep"),
        pytest.param(PlanRequest(100, 200, frames=52), ["at most 51 frames"], id="too many frames"),
        pytest.param(
            PlanRequest(100, step_um=1, frames=5), ["at least 2.0 um"], id="below one microstep, no far"
        ),
        pytest.param(PlanRequest(100, 101, frames=2), ["one microstep apart"], id="ends within a microstep"),
        pytest.param(
            PlanRequest(100, 200, step_um=1e-9), ["below one microstep"], id="10^11 frames are not made"
        ),
        pytest.param(
            PlanRequest(100, step_um=10, frames=10**12), ["above the limit"], id="nor so many in a row"
        ),
        pytest.param(
            PlanRequest(100, 200, frames=3, margin_frames=10**12), ["below", "above"], id="nor margins"
        ),
        pytest.param(
            PlanRequest(100, 200, frames=11, overshoot_um=10), ["set it to 16"], id="overshoot too short"
        ),
        pytest.param(PlanRequest(10, 200, frames=20), ["move near up by 6.0"], id="no room to approach"),
        pytest.param(PlanRequest(100, 1001, frames=20), ["move far down by 2.0"], id="beyond the rail"),
        pytest.param(
            PlanRequest(100, 990, frames=90, near_first=False), ["move far down by 6.0"], id="from beyond it"
        ),
    ],
)
def test_refused_with_the_fix(request_, words):
    with pytest.raises(PlanError) as refused:
        make_plan(request_, RAIL)
    assert len(refused.value.reasons) == len(words)
    for reason, word in zip(refused.value.reasons, words, strict=True):
        assert word in reason
        assert reason in str(refused.value)


def test_every_reason_of_a_request_is_said_at_once():
    with pytest.raises(PlanError) as refused:
        make_plan(PlanRequest(200, 100, step_um=-1, frames=0, margin_frames=-1), RAIL)
    assert len(refused.value.reasons) == 5


def test_every_reason_of_a_rail_is_said_at_once():
    with pytest.raises(PlanError) as refused:
        make_plan(PlanRequest(0, 1100, frames=10_000, overshoot_um=2), RAIL)
    assert all(
        word in reason
        for word, reason in zip(("microstep", "overshoot", "down", "up"), refused.value.reasons, strict=True)
    )
    assert len(refused.value.reasons) == 4


def test_the_advice_on_overshoot_is_good():
    rail = RailModel(microstep_um=1.0, min_um=0.0, max_um=1000.0, backlash_um=0.1)
    with pytest.raises(PlanError, match="set it to 2 or") as refused:
        make_plan(PlanRequest(100, 110, step_um=1, overshoot_um=1), rail)
    assert refused.value.reasons
    assert make_plan(PlanRequest(100, 110, step_um=1, overshoot_um=2), rail).overshoot == 2


def test_a_plan_may_touch_the_limits_and_not_pass_them():
    rail = RailModel(microstep_um=0.6, min_um=0.0, max_um=1000.0, backlash_um=0.0)
    assert make_plan(PlanRequest(99.6, 999.6, frames=2, overshoot_um=99.6), rail).positions[-1] == 1666
    with pytest.raises(PlanError, match=r"goes up to 1000\.2 um"):
        make_plan(PlanRequest(99.6, 1000, frames=2, overshoot_um=99.6), rail)


# ------------------------------------------------------------------------------------------------- what holds for all

lengths = st.integers(0, 60_000).map(lambda tenths: tenths / 10)


@st.composite
def cases(draw):
    rail = RailModel(
        microstep_um=draw(st.sampled_from([0.1, 0.3, 0.625, 1.25, 2.5, 3.125, 1 / 3])),
        min_um=-20_000.0,
        max_um=40_000.0,
        backlash_um=draw(st.sampled_from([0.0, 0.1, 7.0, 200.0])),
    )
    near, depth = draw(lengths), draw(st.integers(1, 20_000)) / 10
    frames = draw(st.integers(2, 60))
    step = draw(st.sampled_from([depth / (frames - 1), round(depth / frames, 1) or 0.1, depth * 2]))
    how = draw(st.sampled_from(["far and step", "far and frames", "step and frames"]))
    request = PlanRequest(
        near_um=near,
        far_um=near + depth if "far" in how else None,
        step_um=step if "step" in how else None,
        frames=frames if "frames" in how else None,
        margin_frames=draw(st.integers(0, 3)),
        near_first=draw(st.booleans()),
        overshoot_um=draw(st.none() | st.integers(201, 900).map(float)),
    )
    return request, rail


def planned(case) -> tuple[PlanRequest, RailModel, Plan]:
    request, rail = case
    try:
        return request, rail, make_plan(request, rail)
    except PlanError:
        assume(False)
        raise


@settings(derandomize=True, deadline=None, max_examples=300)
@given(cases())
def test_every_plan(case):
    request, rail, plan = planned(case)
    microstep, half = exactly(rail.microstep_um), Fraction(1, 2)
    near = exactly(request.near_um)
    upward = plan.positions if request.near_first else plan.positions[::-1]
    core = upward[request.margin_frames : len(upward) - request.margin_frames]

    # Both ends to their nearest microstep.
    assert core[0] == plan.near
    assert core[-1] == plan.far
    assert abs(plan.near * microstep - near) <= half * microstep
    if request.far_um is not None:
        assert abs(plan.far * microstep - exactly(request.far_um)) <= half * microstep
        far = exactly(request.far_um)
    else:
        far = near + exactly(request.step_um) * (request.frames - 1)

    # As many frames as asked, or as few as the step allows; the same number beyond both ends.
    intervals = len(core) - 1
    assert len(upward) == len(core) + 2 * request.margin_frames
    if request.frames is not None:
        assert len(core) == request.frames
    if request.step_um is not None:
        step = exactly(request.step_um)
        assert (far - near) / intervals <= step
        assert intervals == 1 or (far - near) / (intervals - 1) > step

    # Each frame within half a microstep of its exact place, so all steps are even to one microstep.
    for index, position in enumerate(upward):
        exact = near + (far - near) / intervals * (index - request.margin_frames)
        assert abs(position * microstep - exact) <= half * microstep
    steps = [b - a for a, b in itertools.pairwise(upward)]
    assert min(steps) >= 1
    assert max(steps) - min(steps) <= 1
    assert plan.rounding_um <= rail.microstep_um * 0.5001

    # One direction, and an approach from outside by more than the backlash.
    assert plan.direction == (1 if request.near_first else -1)
    assert all((b - a) * plan.direction > 0 for a, b in itertools.pairwise((plan.approach, *plan.positions)))
    assert abs(plan.positions[0] - plan.approach) == plan.overshoot > plan.backlash
    assert plan.overshoot * microstep > exactly(rail.backlash_um)
    if request.overshoot_um is None:
        assert plan.overshoot * microstep >= exactly(rail.backlash_um) * Fraction(3, 2)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(cases())
def test_a_plan_goes_through_json_unchanged(case):
    _, _, plan = planned(case)
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


@pytest.mark.parametrize("damage", [{"positions": None}, {"surprise": 1}])
def test_what_is_no_plan_is_refused(damage):
    data = {**make_plan(PlanRequest(100, 160, frames=4), RAIL).to_dict(), **damage}
    with pytest.raises(TypeError):
        Plan.from_dict(data)


@pytest.mark.parametrize("missing", ["positions", "asked_um"])
def test_a_plan_without_its_positions_is_refused(missing):
    data = make_plan(PlanRequest(100, 160, frames=4), RAIL).to_dict()
    del data[missing]
    with pytest.raises(KeyError):
        Plan.from_dict(data)


# ----------------------------------------------------------------------------------------------------------- prediction


def costs(**changes) -> Costs:
    return Costs(
        **{
            "move_time_s": lambda distance: abs(distance) / 10,
            "settle_s": lambda _: 0.5,
            "exposure_s": 0.25,
            **changes,
        }
    )


def test_prediction_by_hand():
    plan = make_plan(PlanRequest(100, 160, frames=4), RAIL)
    found = predict(plan, costs(camera_overhead_s=0.125, transfer_s=2.0, frame_bytes=1000, fixed_bytes=77))
    assert found.motion_s == pytest.approx(1.0 + 3 * 1.0)
    assert found.settle_s == 4 * 0.5
    assert found.exposure_s == 4 * 0.25
    # Three transfers of 2 s hide behind 1 s of motion and 0.5 s of settle; the last has nothing to hide behind.
    assert found.waiting_s == pytest.approx(4 * 0.125 + 3 * 0.5 + 2.0)
    assert found.bytes == 4 * 1000 + 77
    assert found.seconds == pytest.approx(
        found.motion_s + found.settle_s + found.exposure_s + found.waiting_s
    )


def test_a_transfer_shorter_than_the_next_move_costs_nothing_but_at_the_end():
    plan = make_plan(PlanRequest(100, 160, frames=4), RAIL)
    assert predict(plan, costs(transfer_s=1.4)).waiting_s == pytest.approx(1.4)


def test_a_flash_charges_while_the_rail_moves_and_settles():
    plan = make_plan(PlanRequest(100, 160, frames=4), RAIL)
    assert predict(plan, costs(recycle_s=1.5)).waiting_s == 0
    # 1 s of motion, 0.5 s of settle and 0.25 s of the camera's own hide most of 2 s, three times.
    found = predict(plan, costs(recycle_s=2.0, camera_overhead_s=0.25))
    assert found.waiting_s == pytest.approx(4 * 0.25 + 3 * 0.25)


def test_the_way_to_the_approach_counts():
    plan = make_plan(PlanRequest(100, 160, frames=4), RAIL)
    at_approach, from_home = predict(plan, costs(), start=plan.approach), predict(plan, costs(), start=0)
    assert at_approach == predict(plan, costs())
    assert from_home.motion_s - at_approach.motion_s == pytest.approx(plan.approach / 10)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(cases(), *5 * [st.floats(0, 3)])
def test_a_prediction_is_the_sum_of_what_happens_one_after_the_other(
    case, settle_s, exposure_s, overhead_s, transfer_s, recycle_s
):
    _, _, plan = planned(case)
    given_costs = costs(
        settle_s=lambda _: settle_s,
        exposure_s=exposure_s,
        camera_overhead_s=overhead_s,
        transfer_s=transfer_s,
        recycle_s=recycle_s,
    )
    now_s = transferred_s = charged_s = 0.0
    for before, after in itertools.pairwise((plan.approach, *plan.positions)):
        # The camera takes the next picture when it has handed over the last one.
        ready_s = max(now_s + abs(after - before) / 10 + settle_s, transferred_s) + overhead_s
        now_s = max(ready_s, charged_s) + exposure_s
        transferred_s, charged_s = now_s + transfer_s, now_s + recycle_s
    assert predict(plan, given_costs).seconds == pytest.approx(transferred_s)


def test_disk_and_camera_refuse_together():
    plan = make_plan(PlanRequest(100, 160, frames=4), RAIL)
    prediction = predict(plan, costs(frame_bytes=10**6))
    check_resources(plan, prediction, free_bytes=4 * 10**6, max_frames=4)
    check_resources(plan, prediction, free_bytes=None, max_frames=None)
    with pytest.raises(PlanError) as refused:
        check_resources(plan, prediction, free_bytes=4 * 10**6 - 1, max_frames=3)
    assert all(
        word in reason
        for word, reason in zip(("camera has 3", "stores about 4.0 MB"), refused.value.reasons, strict=True)
    )
