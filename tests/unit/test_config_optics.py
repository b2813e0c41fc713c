"""Optics, objectives, rails and the ways to say where a stack is, in a config."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from drivers.clock import VirtualClock
from rigd.config import examine, from_dict, library, load, resolved_yaml, to_dict
from rigd.config.optics import Objective, Optics, RailProfile
from rigd.config.plan import PlanSection
from rigd.parts import dry_plan
from tests.rigs import SMALL

PLAIN = SMALL.replace("plan: {near_um: 5000, far_um: 6100, step_um: 100}\n", "")
LENS = "optics: {magnification: 1, f_number: 8, blur_circle_um: 30, sensor_width_mm: 5.76}\n"


def written(folder, text):
    path = folder / "rig.yaml"
    path.write_text(text)
    return path


def loaded(folder, text, *overrides):
    return load(written(folder, text), [f"storage.sessions={folder / 'sessions'}", *overrides])


def problems(folder, text, *overrides):
    return [(one.path, one.message, one.fix) for one in examine(written(folder, text), overrides).problems]


# --------------------------------------------------------------------------------------------------------------- optics


def test_a_pixel_on_the_subject(tmp_path):
    config = loaded(tmp_path, SMALL + LENS)
    assert config.optics.object_px_um(96) == pytest.approx(60)
    assert config.optics.model_copy(update={"magnification": 2.0}).object_px_um(96) == pytest.approx(30)
    assert config.optics.model_copy(update={"sensor_width_px": 192}).object_px_um(96) == pytest.approx(30)
    assert Optics().object_px_um(96) is None
    assert Optics(magnification=1).object_px_um(96) is None


def test_results_have_the_scale_of_the_optics(tmp_path):
    assert loaded(tmp_path, SMALL + LENS).finish.um_per_px == 60
    assert loaded(tmp_path, SMALL + LENS, "finish.um_per_px=7").finish.um_per_px == 7
    assert loaded(tmp_path, SMALL).finish.um_per_px is None


def test_an_objective_by_name_fills_in_what_is_not_said(tmp_path):
    config = loaded(tmp_path, SMALL, "optics.objective=nikon-cfi-10x", "optics.tube_mm=100")
    assert (config.optics.magnification, config.optics.na) == (5.0, 0.25)
    own = "objectives: {nikon-cfi-10x: {magnification: 9, na: 0.2}}\n"
    config = loaded(tmp_path, SMALL + own, "optics.objective=nikon-cfi-10x", "optics.magnification=8.7")
    assert (config.optics.magnification, config.optics.na) == (8.7, 0.2)
    config = loaded(tmp_path, SMALL + own, "optics.objective=nikon-cfi-10x", "optics.f_number=4")
    assert (config.optics.f_number, config.optics.na) == (4, None)


def test_the_resolved_rig_is_the_same_rig(tmp_path):
    config = loaded(
        tmp_path, SMALL + LENS, "optics.objective=laowa-25", "optics.magnification=2.5", "rail.model=m6"
    )
    assert from_dict(to_dict(config)) == config
    again = tmp_path / "again.yaml"
    again.write_text(resolved_yaml(config))
    assert load(again) == config


def test_magnification_from_lens_data(tmp_path):
    base = SMALL + "optics: {focal_length_mm: 50, f_number: 8}\n"
    assert loaded(tmp_path, base, "optics.extension_mm=100").optics.magnification == 2
    assert loaded(tmp_path, base, "optics.subject_mm=75").optics.magnification == 2
    assert problems(tmp_path, base, "optics.subject_mm=50")[0][0] == "optics.focal_length_mm"


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("optics: {objective: nikon}\n", "optics.objective", "no objective 'nikon'"),
        ("optics: {magnification: 1, f_number: 8, na: 0.1}\n", "optics.na", "both given"),
        ("optics: {magnification: 1, na: 1.2}\n", "optics", "refractive index"),
        ("optics: {magnification: 1, f_number: 8, depth_of_field: classic}\n", "optics", "blur circle"),
        ("optics: {sensor_width_mm: 5760}\n", "optics.sensor_width_mm", "which no sensor has"),
        ("objectives: {ten: {magnificaton: 10}}\n", "objectives.ten.magnificaton", "unknown key"),
        ("objectives: [ten]\n", "objectives", "not a mapping of objectives"),
        ("rails: {mine: {screw_pitch_um: 0}}\n", "rails.mine.screw_pitch_um", "0 is not above 0"),
    ],
)
def test_optics_that_are_wrong(tmp_path, text, path, message):
    found = problems(tmp_path, SMALL + text)
    assert [(at, message in said) for at, said, _ in found] == [(path, True)]


def test_a_lens_beyond_its_range_and_a_camera_that_simulates_another_are_warned_of(tmp_path):
    text = SMALL + "optics: {objective: laowa-25, magnification: 1.0, f_number: 1.4}\n"
    warnings = {one.path for one in examine(written(tmp_path, text)).warnings}
    assert {"optics.magnification", "optics.f_number"} <= warnings


def test_a_sensor_whose_height_does_not_fit_is_warned_of(tmp_path):
    def warned(height_mm):
        text = SMALL + LENS.replace("}", f", sensor_height_mm: {height_mm}}}")
        return [one.path for one in examine(written(tmp_path, text)).warnings if "sensor" in one.path]

    assert warned(3.84) == []
    assert warned(3.24) == ["optics.sensor_height_mm"]


def test_the_library_is_sound():
    assert all(one.about for one in library.objectives().values())
    for name, one in library.objectives().items():
        if one.magnification is not None:
            na = one.na
            assert na is not None, name
            assert Optics(magnification=one.magnification, na=na).setup(6000) is not None
        else:
            assert one.magnification_max is not None, name
            assert one.f_number_min is not None, name
    assert all(one.screw_pitch_um for one in library.rails().values())
    with pytest.raises(ValidationError):
        Objective.model_validate({"nA": 1})
    assert RailProfile().model_dump(exclude_none=True) == {"about": ""}


# ---------------------------------------------------------------------------------------------------------------- rails


def test_a_rail_by_its_model(tmp_path):
    config = loaded(tmp_path, SMALL, "rail.model=m6")
    assert config.rail.options.screw_pitch_um == 1000
    config = loaded(tmp_path, SMALL + "rails: {mine: {screw_pitch_um: 700}}\n", "rail.model=mine")
    assert config.rail.options.screw_pitch_um == 700
    config = loaded(tmp_path, SMALL, "rail.model=m6", "rail.screw_pitch_um=500")
    assert config.rail.options.screw_pitch_um == 500


def test_a_rail_in_a_motion_controllers_words(tmp_path):
    grbl = PLAIN.replace(
        "rail: {driver: sim, travel_um: 20000, start_um: 2500, backlash_um: 20}",
        "rail: {driver: grbl, port: /dev/ttyX, travel_um: 20000, model: mine}",
    ).replace("camera:\n  driver: sim", "camera:\n  driver: sim")
    rails = "rails: {mine: {screw_pitch_um: 2000, full_steps_per_rev: 200, microsteps: 16, max_speed_um_per_s: 5000}}\n"
    report = examine(written(tmp_path, grbl + rails))
    # The simulated camera cannot see it; the rail itself is right.
    assert [one.path for one in report.problems] == ["camera.driver"]


def test_a_rail_that_there_is_not(tmp_path):
    ((path, message, fix),) = problems(tmp_path, SMALL, "rail.model=t8-2m")
    assert (path, message) == ("rail.model", "no rail 't8-2m'")
    assert "t8-2mm" in fix


# ----------------------------------------------------------------------------------------------------------------- plan


@pytest.mark.parametrize(
    ("plan", "ends"),
    [
        ({"near_um": 100, "far_um": 400}, (100, 400)),
        ({"near_um": 100, "depth_um": 300}, (100, 400)),
        ({"far_um": 400, "depth_um": 300.5}, (99.5, 400)),
        ({"centre_um": 0.3, "range_um": 0.1}, (0.25, 0.35)),
        ({"near_um": 100, "step_um": 5, "frames": 3}, (100, None)),
    ],
)
def test_where_a_stack_is(plan, ends):
    assert PlanSection(**plan).ends_um == ends


@pytest.mark.parametrize(
    ("plan", "path", "message"),
    [
        ("{near_um: 1, centre_um: 5}", "plan", "twice"),
        ("{near_um: 1, far_um: 2, depth_um: 1}", "plan", "twice"),
        ("{centre_um: 500}", "plan.centre_um", "alone"),
        ("{range_um: 500, step_um: 10}", "plan.range_um", "alone"),
        ("{depth_um: 500, step_um: 10}", "plan.depth_um", "alone"),
        ("{step_um: 10}", "plan.near_um", "is missing"),
        ("{centre_um: 100, range_um: 400, step_um: 10}", "plan.near_um", "outside the limits"),
        ("{near_um: 5000, far_um: 6100}", "plan", "alone do not make a stack"),
        (
            "{near_um: 5000, far_um: 6100, frames: 9, steps: [{from_um: 5500, step_um: 9}]}",
            "plan.steps",
            "number of frames",
        ),
        (
            "{near_um: 5000, far_um: 6100, step_um: 9, steps: [{from_um: 5500, step_um: 9}, {from_um: 5200, step_um: 9}]}",
            "plan.steps",
            "not from near to far",
        ),
    ],
)
def test_plans_that_say_too_little_or_too_much(tmp_path, plan, path, message):
    found = problems(tmp_path, PLAIN + f"plan: {plan}\n")
    assert [at for at, _, _ in found] == [path]
    assert message in found[0][1]


def made(folder, plan, *overrides):
    config = loaded(
        folder, PLAIN + LENS + f"plan: {plan}\n", "rail.travel_um=60000", "limits.max_um=60000", *overrides
    )
    planned, _ = dry_plan(config, VirtualClock())
    return planned


def test_the_worked_example_as_a_plan(tmp_path):
    planned = made(tmp_path, "{near_um: 5000, depth_um: 10000}")
    assert planned.setup.step_um(0.8) == 768
    assert planned.plan.frames == 15
    assert planned.plan.um(planned.plan.far) == 15_000
    assert planned.plan.step_um == pytest.approx(10_000 / 14)
    assert "768 um, was wanted" in next(one.text for one in planned.reasons if one.about == "step")


def test_a_share_of_the_depth_of_field(tmp_path):
    assert made(tmp_path, "{centre_um: 10000, range_um: 9600, dof_share: 0.5}").plan.frames == 21
    assert made(tmp_path, "{centre_um: 10000, range_um: 9600, dof_share: 1.0}").plan.frames == 11


def test_changes_of_step_outside_the_stack_do_not_count(tmp_path):
    steps = (
        "steps: [{from_um: 1000, step_um: 500}, {from_um: 6000, step_um: 250}, {from_um: 9000, step_um: 1}]"
    )
    planned = made(tmp_path, f"{{near_um: 5000, far_um: 7000, step_um: 10, {steps}}}")
    assert [planned.plan.um(one) for one in planned.plan.positions] == [
        5000,
        5500,
        6000,
        6250,
        6500,
        6750,
        7000,
    ]


def test_a_plan_warns_of_what_it_is_near_to(tmp_path):
    planned = made(tmp_path, "{near_um: 5000, far_um: 7000, step_um: 1}", "rail.backlash_um=40")
    assert {"microstep_error", "backlash"} <= {one.code for one in planned.warnings}
