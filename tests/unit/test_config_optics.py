"""Optics, objectives, rails and the ways to say where a stack is, in a config."""

from __future__ import annotations

import itertools

import pytest
from pydantic import ValidationError

from drivers.clock import VirtualClock
from rigd.app import open_rig
from rigd.calibration.records import Calibration, PupilDistance, calibration_path, store
from rigd.config import examine, from_dict, library, load, resolved_yaml, to_dict
from rigd.config.optics import Objective, Optics, RailProfile
from rigd.config.plan import PlanSection
from rigd.parts import dry_plan
from rigd.remote.settings import LiveSettings
from rigd.virtualtime import run
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


# ----------------------------------------------------------------------------------------------- steps that follow the depth

REFOCUS = """
rig: {id: lens, name: A lens}
rail: {driver: lens, near_dioptres: 10, far_dioptres: 4}
camera: {driver: picamera2, width: 4608, height: 2592}
limits: {max_um: 150000}
optics: {focal_length_mm: 4.74, f_number: 1.8, sensor_width_mm: 6.45, blur_circle_um: 2.8}
"""


def test_a_refocused_lens_takes_longer_steps_where_it_sees_deeper(tmp_path):
    config = loaded(tmp_path, REFOCUS + "plan: {near_um: 10000, far_um: 100000, steps: dof}\n")
    planned, _ = dry_plan(config, VirtualClock())
    plan = planned.plan
    assert (plan.um(plan.positions[0]), plan.um(plan.positions[-1])) == (10_000, 100_000)

    def depth_um(position_um):
        m = 4.74 / ((100_000 + position_um) / 1000 - 4.74)
        return 2 * 2.8 * 1.8 * (1 + m) / m**2

    shares = [(b - a) / depth_um(a) for a, b in itertools.pairwise(plan.asked_um)]
    assert max(shares) <= 0.8
    assert max(shares) - min(shares) < 1e-6
    assert planned.setup.magnification == pytest.approx(4.74 / (110 - 4.74))
    assert planned.depth_um == pytest.approx(depth_um(plan.asked_um[-2]))
    assert "step_beyond_depth" not in {one.code for one in planned.warnings}
    assert "grows from" in next(one.text for one in planned.reasons if one.about == "step")
    even = loaded(
        tmp_path, REFOCUS + f"plan: {{near_um: 10000, far_um: 100000, step_um: {plan.shortest_step_um}}}\n"
    )
    assert dry_plan(even, VirtualClock())[0].plan.frames > plan.frames


def test_a_step_that_is_given_bounds_those_that_follow_the_depth(tmp_path):
    text = REFOCUS + "plan: {near_um: 10000, far_um: 100000, steps: dof, step_um: 5000}\n"
    steps = list(itertools.pairwise(dry_plan(loaded(tmp_path, text), VirtualClock())[0].plan.asked_um))
    assert steps[0][1] - steps[0][0] < 4500
    assert max(b - a for a, b in steps) == pytest.approx(5000, rel=0.1)
    assert max(b - a for a, b in steps) <= 5000.001


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        ("focal_length_mm: 4.74, ", "", "plan.steps", "needs optics.focal_length_mm"),
        ("f_number: 1.8, ", "", "plan.steps", "needs optics.f_number"),
        ("focal_length_mm: 4.74", "focal_length_mm: 120", "plan.steps", "below the nearest focus, 100 mm"),
        ("steps: dof", "steps: dof, frames: 9", "plan.steps", "determine the number of frames"),
        ("far_um: 20000, ", "", "plan.steps", "determine the number of frames"),
        (
            "rail: {driver: lens, near_dioptres: 10, far_dioptres: 4}",
            "rail: {driver: sim}",
            "plan.steps",
            "only a rail that refocuses",
        ),
    ],
)
def test_steps_that_cannot_follow_the_depth(tmp_path, old, new, path, words):
    text = REFOCUS + "plan: {near_um: 10000, far_um: 20000, steps: dof}\n"
    assert old in text
    found = problems(tmp_path, text.replace(old, new))
    assert any(one == path and words in message for one, message, _ in found), found


def test_a_profile_may_ask_for_steps_that_follow_the_depth(tmp_path):
    text = (
        REFOCUS
        + "plan: {near_um: 10000, far_um: 100000, step_um: 3000}\nprofiles: {deep: {steps: dof, step_um: 9000}}\n"
    )
    config = loaded(tmp_path, text)
    settings = LiveSettings(config, tmp_path)
    settings.change({"profile": "deep"})
    planned, _ = dry_plan(settings.config(), VirtualClock())
    assert not planned.plan.even
    assert planned.plan.step_um > 5000
    assert any(
        "needs optics" in message for _, message, _ in problems(tmp_path, text.replace("f_number: 1.8, ", ""))
    )


# ------------------------------------------------------------------------------------------------------- entrance pupil


def test_the_entrance_pupil_as_it_was_measured(tmp_path):
    text = PLAIN + LENS + "plan: {near_um: 5000, far_um: 6100, step_um: 100}\n"
    config = loaded(
        tmp_path,
        text,
        f"service.state={tmp_path / 'state'}",
        "preview.pupil_to_focus_um=",
        "preview.align=track",
    )
    clock = VirtualClock()
    assert dry_plan(config, clock)[0].setup.pupil_to_focus_um is None
    found = PupilDistance(
        objective="",
        measured="2026-11-22T10:00:00Z",
        pupil_to_focus_um=3000,
        error_um=20,
        per_um=1 / 3000,
        per_um_error=1e-6,
        position_um=5000,
    )
    other = found.model_copy(update={"objective": "finite-4x", "pupil_to_focus_um": 9000})
    store(calibration_path(config), Calibration(pupil_distances=(other, found)))
    planned, _ = dry_plan(config, clock)
    assert planned.setup.pupil_to_focus_um == 3000
    assert {"perspective_step", "perspective_stack"} <= {one.code for one in planned.warnings}
    assert "measured 2026-11-22" in next(one.text for one in planned.reasons if one.about == "perspective")

    async def of_the_open_rig():
        async with open_rig(config, clock) as rig:
            return rig.plan().setup

    assert run(of_the_open_rig(), clock).pupil_to_focus_um == 3000
    said = config.model_copy(
        update={"optics": config.optics.model_copy(update={"pupil_to_focus_um": 80_000})}
    )
    assert dry_plan(said, clock)[0].setup.pupil_to_focus_um == 80_000
    telecentric = found.model_copy(update={"pupil_to_focus_um": None})
    store(calibration_path(config), Calibration(pupil_distances=(telecentric,)))
    planned, _ = dry_plan(config, clock)
    assert planned.setup.pupil_to_focus_um is None
    assert "keeps its size" in next(one.text for one in planned.reasons if one.about == "perspective")
