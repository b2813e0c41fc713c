"""Plans from the optics: steps, ends and changes of step; what they warn of, and why they are as they are."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rigd.optics import Setup
from rigd.plan import (
    Facts,
    Plan,
    PlanError,
    PlanRequest,
    Prediction,
    RailModel,
    Wish,
    Zone,
    advise,
    exactly,
    explain,
    following,
    make_plan,
    overlap,
)

RAIL = RailModel(microstep_um=0.5, min_um=0, max_um=50_000, backlash_um=20)
MACRO = Setup(1, f_number=8, blur_circle_um=30)


def plan_of(request: PlanRequest, rail: RailModel = RAIL) -> Plan:
    return make_plan(request, rail)


# ------------------------------------------------------------------------------------------------------ changes of step


def test_the_step_changes_on_the_way_and_each_stretch_is_reached_exactly():
    plan = plan_of(PlanRequest(1000, 2000, step_um=300, zones=(Zone(1400, 100), Zone(1700, 500))))
    assert [plan.um(position) for position in plan.positions] == [1000, 1200, 1400, 1500, 1600, 1700, 2000]
    assert (plan.step_um, plan.shortest_step_um, plan.even) == (300, 100, False)
    assert Plan.from_dict(plan.to_dict()) == plan


def test_margins_go_on_at_the_step_of_the_end_they_continue():
    request = PlanRequest(
        1000, 2000, step_um=250, zones=(Zone(1500, 100),), margin_frames=1, near_first=False
    )
    plan = plan_of(request)
    assert plan.um(plan.positions[0]) == 2100
    assert plan.um(plan.positions[-1]) == 750
    assert all(b < a for a, b in itertools.pairwise(plan.positions))
    assert plan.um(plan.approach) == 2100 + 100, "backs off by the step that it begins with"


def test_an_even_plan_is_one_stretch():
    request = PlanRequest(1000, 2000, step_um=70, margin_frames=2)
    plain = plan_of(request)
    assert plain.even
    assert plan_of(replace(request, zones=(Zone(1000, 70),))) == plain


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"zones": (Zone(900, 10),)}, "not between near"),
        ({"zones": (Zone(2000, 10),)}, "not between near"),
        ({"zones": (Zone(1500, 0),)}, "must be above 0"),
        ({"zones": (Zone(1500, float("nan")),)}, "finite"),
        ({"zones": (Zone(1500, 10), Zone(1200, 20))}, "in order"),
        ({"zones": (Zone(1500, 10), Zone(1500, 20))}, "in order"),
        ({"zones": (Zone(1500, 0.1),)}, "below one microstep"),
        ({"zones": (Zone(1500, 1e-9),)}, "below one microstep"),
        ({"zones": (Zone(1500, 10),), "step_um": None, "frames": 9}, "no number of frames"),
    ],
)
def test_changes_of_step_that_cannot_be(change, words):
    with pytest.raises(PlanError, match=words):
        plan_of(replace(PlanRequest(1000, 2000, step_um=300), **change))


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(st.integers(10_001, 29_999), st.integers(20, 4000)), max_size=4, unique_by=lambda z: z[0]
    ),
    st.integers(20, 4000),
    st.integers(0, 2),
    st.booleans(),
)
def test_every_plan_with_changes_of_step(zones, step, margin, near_first):
    zones = sorted(zones)
    made = tuple(Zone(at / 10, length / 10) for at, length in zones)
    request = PlanRequest(
        1000.0, 3000.0, step_um=step / 10, margin_frames=margin, near_first=near_first, zones=made
    )
    try:
        plan = plan_of(request)
    except PlanError:  # two changes of step within a microstep
        assume(False)
        raise
    upward = plan.asked_um if near_first else plan.asked_um[::-1]
    core = upward[margin : len(upward) - margin]
    assert (core[0], core[-1]) == (1000.0, 3000.0)
    for zone in made:
        assert zone.from_um in core
    for low, high in itertools.pairwise(core):
        allowed = [zone.step_um for zone in made if zone.from_um <= low] or [request.step_um]
        assert high - low <= allowed[-1] + 1e-9
    for asked, position in zip(plan.asked_um, plan.positions, strict=True):
        assert abs(position - exactly(asked) / exactly(0.5)) <= Fraction(501, 1000)
    assert max(b - a for a, b in itertools.pairwise(core)) == pytest.approx(plan.step_um)


# -------------------------------------------------------------------------------------------------------------- advice

QUIET = Prediction(100.0, 30.0, 40.0, 10.0, 20.0, 10**6)


def codes(setup: Setup | None = None, request: PlanRequest | None = None, **facts) -> list[str]:
    plan = plan_of(request or PlanRequest(10_000, 20_000, step_um=700))
    depth_um = None if (seen := facts.get("setup", setup)) is None else seen.depth_of_field_um
    given_ = {
        "depth_um": depth_um,
        "prediction": QUIET,
        "setup": setup,
        "pause_s": 1.0,
        "free_bytes": 10**9,
        **facts,
    }
    return [advice.code for advice in advise(Facts(plan=plan, **given_))]


def test_nothing_to_say_of_a_good_plan():
    assert codes(MACRO) == []
    assert codes(None) == []


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"setup": Setup(1, f_number=8, pitch_um=4, blur_circle_um=30)}, ["diffraction_pixel"]),
        ({"setup": Setup(1, f_number=8, pitch_um=11, blur_circle_um=30)}, []),
        ({"setup": Setup(1, f_number=32, blur_circle_um=30)}, ["diffraction_blur_circle"]),
        ({"setup": Setup(1, f_number=5, blur_circle_um=30)}, ["step_beyond_depth"]),
        ({"microstep_error_um": 200}, ["microstep_error"]),
        ({"microstep_error_um": 2}, []),
        ({"backlash_um": 800}, ["backlash"]),
        ({"backlash_um": 200}, []),
        ({"recycle_s": 3.0}, ["flash_recycle"]),
        ({"recycle_s": 0.9}, []),
        ({"recycle_s": 1.4, "overhead_s": 0.5}, []),
        ({"recycle_s": 1.6, "overhead_s": 0.5}, ["flash_recycle"]),
        ({"transfer_s": 1.1}, ["card_speed"]),
        ({"free_bytes": 1_100_000}, ["disk"]),
        ({"setup": replace(MACRO, pupil_to_focus_um=20_000)}, ["perspective_step", "perspective_stack"]),
        ({"setup": replace(MACRO, pupil_to_focus_um=100_000)}, []),
        ({"setup": replace(MACRO, pupil_to_focus_um=9_000)}, ["perspective"]),
        (
            {"setup": replace(MACRO, pupil_to_focus_um=100_000, width_px=4000), "registered": False},
            ["perspective_unaligned"],
        ),
        (
            {
                "setup": replace(MACRO, pupil_to_focus_um=100_000, width_px=4000),
                "registered": False,
                "by_rail": True,
            },
            [],
        ),
    ],
)
def test_what_a_plan_warns_of(facts, expected):
    assert codes(**facts) == expected


def test_rounding_that_makes_steps_uneven():
    rail = RailModel(microstep_um=10, min_um=0, max_um=50_000, backlash_um=0)
    plan = make_plan(PlanRequest(100, 200, step_um=12.5), rail)
    facts = Facts(plan=plan, prediction=QUIET)
    assert [advice.code for advice in advise(facts)] == ["rounding"]
    (advice,) = advise(facts)
    assert "5 um" in str(advice)


# ------------------------------------------------------------------------------------------------------------- reasons


def test_reasons_say_everything_that_was_decided():
    plan = plan_of(PlanRequest(10_000, 20_000, step_um=768, margin_frames=1))
    taken = Prediction(100.0, 30.0, 40.0, 10.0, 20.0, 10**6, 9 * 10**5, 10**5)
    reasons = explain(
        plan, taken, MACRO, Wish(0.8, step_from_optics=True, step_um=768, backlash_um=20, depth_um=960)
    )
    said = {reason.about: reason.text for reason in reasons}
    assert list(said) == ["optics", "depth_of_field", "step", "ends", "rounding", "approach", "time", "disk"]
    assert "2.0 stops less light" in said["optics"]
    assert "960 um (classic" in said["depth_of_field"]
    assert "wave 563" in said["depth_of_field"]
    assert "768 um, was wanted" in said["step"]
    assert "15 frames; 1 more frame beyond each end" in said["step"]
    assert "make 17 in all" in said["step"]
    assert "overlap by 26 %" in said["step"]
    assert "30.0 s motion" in said["time"]
    assert "0.1 MB of preview" in said["disk"]


def test_a_gap_is_said_to_be_one():
    plan = plan_of(PlanRequest(10_000, 20_000, step_um=2000))
    assert overlap(plan, MACRO.depth_of_field_um) == pytest.approx(1 - 2000 / 960)
    said = explain(plan, QUIET, MACRO, Wish(0.8, step_from_optics=False, step_um=2000, depth_um=960))
    assert any("gaps of 1040 um, sharp in none" in reason.text for reason in said)


def test_without_optics_there_are_reasons_too():
    plan = plan_of(PlanRequest(10_000, 20_000, frames=11))
    said = explain(plan, QUIET, None, Wish(0.8, step_from_optics=False, frames=11, backlash_um=20))
    assert said[0].about == "step"
    assert "11 frames from near to far were asked for" in said[0].text


def test_reasons_say_where_the_entrance_pupil_is_and_who_says_so():
    plan = plan_of(PlanRequest(10_000, 20_000, step_um=1000))

    def said(distance_um: float | None, source: str) -> list[str]:
        setup = replace(MACRO, pupil_to_focus_um=distance_um)
        wish = Wish(0.8, step_from_optics=False, step_um=1000, pupil_source=source)
        return [one.text for one in explain(plan, QUIET, setup, wish) if one.about == "perspective"]

    (text,) = said(101_000, "measured 2026-11-22")
    for words in ("101 mm", "measured 2026-11-22", "by 1 % from frame to frame", "by 11 % over the stack"):
        assert words in text
    assert "keeps its size" in said(None, "measured 2026-11-22")[0]
    assert said(None, "") == []
    assert said(9_000, "as the config says") == [], "a pupil within the stack is warned of instead"


# ------------------------------------------------------------------------------------- steps that follow the depth of field


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.floats(0, 50_000),
    st.floats(1, 100_000),
    st.floats(5, 5000),
    st.floats(1_000, 200_000),
    st.sampled_from([0, 1, 2]),
)
def test_steps_follow_what_is_allowed_and_reach_both_ends(near_um, depth_um, first_um, from_lens_um, power):
    def longest_um(position_um: float) -> float:
        return first_um * (1 + (position_um - near_um) / from_lens_um) ** power

    far_um = near_um + depth_um
    assume(depth_um / first_um < 3000)
    zones = following(near_um, far_um, longest_um)
    plan = make_plan(
        PlanRequest(near_um, far_um, step_um=zones[0].step_um, zones=zones),
        RailModel(0.001, -1e6, 1e6, 0),
    )
    assert plan.asked_um[0] == near_um
    assert plan.asked_um[-1] == far_um
    assert plan.frames == len(zones) + 1
    shares = [(b - a) / longest_um(a) for a, b in itertools.pairwise(plan.asked_um)]
    assert max(shares) <= 1 + 1e-4 / first_um
    assert max(shares) - min(shares) < 1e-4, "all steps are the same share of what is allowed"
    fewer, reached = len(zones) - 1, near_um
    for _ in range(fewer):
        reached += longest_um(reached)
    assert reached < far_um, "fewer steps would not be enough"


def test_stacks_that_no_steps_can_follow():
    with pytest.raises(PlanError, match="must be beyond near"):
        following(10, 10, lambda _: 1.0)
    with pytest.raises(PlanError, match="more than 20000 steps"):
        following(0, 10_000, lambda _: 0.1)
