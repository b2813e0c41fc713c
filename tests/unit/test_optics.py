"""Optics as formulas: published figures, what must hold between formulas, and the fastest set against brute force."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rigd.optics import (
    FocusTask,
    OpticsError,
    RailTask,
    Setup,
    aperture,
    depth,
    diffraction,
    fastest_by_focus,
    fastest_on_rail,
    perspective,
    scale,
)
from rigd.optics.fastest import frames_at

TABLE = Path(__file__).parents[1] / "data" / "optics.yaml"


def computed(row: dict) -> float:
    if row["what"] == "magnification":
        return scale.magnification_of_field(**row["given"])
    setup = Setup(**row["given"])
    if row["what"] == "depth_um":
        return setup.depths_of_field_um()[row["convention"]]
    if row["what"] == "step_um":
        return setup.step_um(row["share"])
    return getattr(setup, row["what"])


def test_published_figures():
    rows = yaml.safe_load(TABLE.read_text())
    assert len(rows) == 29
    off = [
        (row["source"], row["given"], row["published"], computed(row))
        for row in rows
        # Some round to the nearest, some cut off: a whole unit of the last digit, or 2 %.
        if abs(computed(row) - row["published"]) > max(2 * row["rounding"], 0.02 * row["published"])
    ]
    assert off == []


def test_the_worked_example():
    setup = Setup(1, f_number=8, blur_circle_um=30)
    assert setup.named_convention == "classic"
    assert setup.step_um(0.8) == 768
    assert math.ceil(10_000 / setup.step_um(0.8)) + 1 == 15
    assert setup.light_loss_stops == pytest.approx(2)
    assert setup.exposure_factor == pytest.approx(4)
    assert setup.airy_um == pytest.approx(21.5, abs=0.05)


# ------------------------------------------------------------------------------------------------------- between formulas


@settings(derandomize=True, deadline=None)
@given(st.floats(0.2, 20), st.floats(1.4, 32), st.floats(0.3, 3), st.floats(0.4, 0.7))
def test_wave_depth_of_field_by_aperture_and_by_na_is_the_same(m, f_number, ratio, wavelength):
    setup = Setup(m, f_number=f_number, pupil_ratio=ratio, wavelength_um=wavelength)
    by_aperture = 4 * wavelength * setup.effective_f_number**2 / m**2
    assert setup.depths_of_field_um()["wave"] == pytest.approx(by_aperture)
    assert aperture.effective_of_na(setup.subject_na, m) == pytest.approx(setup.effective_f_number)


@settings(derandomize=True, deadline=None)
@given(st.floats(0.5, 50), st.floats(0.02, 0.9), st.floats(1, 30))
def test_the_microscopes_depth_is_the_sum_of_the_other_two_in_air(m, na, resolved_um):
    setup = Setup(m, na=na, blur_circle_um=resolved_um)
    found = setup.depths_of_field_um()
    assert found["microscope"] == pytest.approx(found["wave"] + found["classic"])


@settings(derandomize=True, deadline=None)
@given(st.floats(5, 60), st.floats(0.3, 10))
def test_at_the_best_aperture_classic_and_wave_are_equal(circle_um, m):
    marked = aperture.marked_f_number(diffraction.best_effective(circle_um), m)
    found = Setup(m, f_number=marked, blur_circle_um=circle_um).depths_of_field_um()
    assert found["classic"] == pytest.approx(found["wave"])


def test_water_between_objective_and_subject():
    assert depth.wave_um(0.5, 0.55, 1.33) == pytest.approx(1.33 * depth.wave_um(0.5, 0.55))
    assert Setup(40, na=1.1, refractive_index=1.33).subject_na == 1.1
    with pytest.raises(OpticsError, match="below 1, the refractive index"):
        Setup(40, na=1.1)


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"magnification": 1}, "an aperture is needed once"),
        ({"magnification": 1, "f_number": 8, "na": 0.1}, "an aperture is needed once"),
        ({"magnification": 0, "f_number": 8}, "magnification is 0"),
        ({"magnification": float("nan"), "f_number": 8}, "magnification is nan"),
        ({"magnification": 1, "f_number": -8}, "f_number is -8"),
        ({"magnification": 1, "f_number": 8, "convention": "classic"}, "needs a blur circle"),
        ({"magnification": 1, "f_number": 8, "convention": "microscope"}, "what the sensor resolves"),
        ({"magnification": 5, "f_number": 1}, None),
    ],
)
def test_optics_that_cannot_be(given_, words):
    if words is None:
        Setup(**given_)
        return
    with pytest.raises(OpticsError, match=words):
        Setup(**given_)


def test_the_sensor_decides_about_pixels():
    pitch_um = scale.pixel_pitch_um(6.287, 4056)
    assert pitch_um == pytest.approx(1.55, abs=0.001)
    assert scale.object_px_um(2, pitch_um) == pytest.approx(0.775, abs=0.001)
    setup = Setup(2, f_number=4, pitch_um=pitch_um)
    assert setup.object_px_um == pytest.approx(0.775, abs=0.001)
    assert setup.airy_px == pytest.approx(2.44 * 0.55 * 12 / 1.55, rel=1e-3)
    assert setup.best_effective == pytest.approx(2 * pitch_um / 1.1)


def test_magnification_from_lens_data():
    assert scale.magnification_of_extension(50, 75) == 1.5
    assert scale.magnification_of_distance(100, 200) == 1
    assert scale.magnification_on_tube(10, 200, 180) == 9
    with pytest.raises(OpticsError, match="beyond the focal length"):
        scale.magnification_of_distance(100, 100)


@settings(derandomize=True, deadline=None)
@given(st.floats(20_000, 400_000), st.floats(10, 500), st.integers(2, 60))
def test_the_inverse_scale_of_a_rail_is_linear(distance_um, step_um, frames):
    inverse = [1 / perspective.scale_after(index * step_um / 4, distance_um) for index in range(frames)]
    slopes = [b - a for a, b in itertools.pairwise(inverse)]
    assert slopes == pytest.approx([-step_um / 4 / distance_um] * len(slopes), rel=1e-6)
    assert perspective.pupil_distance_um(slopes[0] / (step_um / 4)) == pytest.approx(distance_um, rel=1e-6)


def test_the_edge_moves_by_half_the_width_times_the_change_of_size():
    assert perspective.edge_shift_px(4000, 100, 100_000) == pytest.approx(2000 * 100 / 99_900)
    with pytest.raises(OpticsError, match="through the subject"):
        perspective.scale_after(100, 100)
    assert perspective.refocused_scale(1, 0.98) == pytest.approx(2 / 1.98)


# --------------------------------------------------------------------------------------------------------- fastest sets


def brute_rail(task: RailTask) -> float:
    """The least time over a fine grid of apertures."""
    narrowest = task.blur_circle_um / (2 * task.wavelength_um)
    kappa = task.exposure_s / task.metered_effective**2
    widest = task.widest_effective or 0.2
    count = 4000
    grid = (widest * (narrowest / widest) ** (index / count) for index in range(count + 1))
    return min(frames_at(task, n) * (task.overhead_s + kappa * n * n) for n in grid)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.floats(500, 40_000),
    st.sampled_from([0.5, 1.0, 2.0, 5.0]),
    st.floats(5, 40),
    st.floats(0.05, 6),
    st.floats(0.001, 4),
    st.sampled_from([0.0, 2.8, 5.6]),
)
def test_the_fastest_set_on_a_rail_against_brute_force(
    depth_um, m, circle_um, overhead_s, exposure_s, widest
):
    widest = min(widest, circle_um / 1.1)
    task = RailTask(depth_um, m, circle_um, overhead_s, exposure_s, 8.0, widest_effective=widest)
    found = fastest_on_rail(task)
    brute = brute_rail(task)
    assert found.seconds <= brute * 1.0001
    if frames_at(task, widest or 0.2) < 20_000:
        assert found.seconds >= brute * 0.97
    # And it does what it says: the frames cover the depth, within the blur circle.
    assert frames_at(task, found.effective_f_number * (1 + 1e-9)) <= found.frames
    assert found.effective_f_number <= circle_um / 1.1 * (1 + 1e-9)


def test_exposure_equals_overhead_where_nothing_else_limits():
    found = fastest_on_rail(RailTask(200_000, 1, 60, 0.5, 0.02, 4.0))
    assert found.limited_by == "overhead"
    assert found.exposure_s == pytest.approx(0.5, rel=0.05)


def test_diffraction_and_the_lens_limit():
    assert fastest_on_rail(RailTask(10_000, 1, 30, 20.0, 0.01, 16)).limited_by == "diffraction"
    wide = fastest_on_rail(RailTask(10_000, 1, 30, 0.0, 4.0, 16, widest_effective=5.6))
    assert (wide.limited_by, wide.effective_f_number) == ("lens", pytest.approx(5.6, rel=0.01))
    with pytest.raises(OpticsError, match="how wide the lens opens"):
        fastest_on_rail(RailTask(10_000, 1, 30, 0.0, 4.0, 16))
    with pytest.raises(OpticsError, match="grant"):
        fastest_on_rail(RailTask(10_000, 1, 5, 1.0, 4.0, 16, widest_effective=5.6))


def brute_focus(task: FocusTask) -> float:
    """The least time over sets of up to three photos: each aperture from a fine grid, but the last, which just completes the depth."""
    wanted, c = math.log(task.beta / task.alpha), task.blur_circle
    steps = 500
    grid = [c * (task.widest / c) ** ((i + 1) / steps) for i in range(steps)]
    reach = {d: math.log((d + c) / (d - c)) for d in grid}
    best = math.inf
    for others in itertools.chain.from_iterable(
        itertools.combinations_with_replacement(grid, n) for n in (0, 1, 2)
    ):
        left = wanted - sum(reach[d] for d in others)
        last = min(task.widest, c / math.tanh(left / 2)) if left > 0 else task.widest
        if left <= math.log((last + c) / (last - c)) + 1e-12:
            best = min(best, sum(task.overhead_s + task.light / d**2 for d in (*others, last)))
    return best


@pytest.mark.parametrize("overhead_s", [0.0, 0.001, 0.3])
@pytest.mark.parametrize("depth_of_field", [0.35, 0.6, 0.9])
def test_the_fastest_set_by_focus_against_brute_force(overhead_s, depth_of_field):
    # In units of the blur circle, with an aperture that needs three photos at the most.
    task = FocusTask(100.0, 100.0 * math.exp(depth_of_field), 1.0, 2 / (depth_of_field / 3), 5.0, overhead_s)
    found = fastest_by_focus(task)
    brute = brute_focus(task)
    assert found.seconds <= brute * 1.001
    assert found.seconds >= brute * 0.97
    low = [v * found.diameter / (found.diameter + 1) for v in found.sensor]
    high = [v * found.diameter / (found.diameter - 1) for v in found.sensor]
    assert low[0] <= task.alpha * (1 + 1e-9)
    assert high[-1] >= task.beta * (1 - 1e-9)
    assert all(high[i] >= low[i + 1] * (1 - 1e-9) for i in range(len(low) - 1))


def test_equal_apertures_of_light_efficient_photography():
    task = FocusTask(100.0, 110.0, 0.02, 1000.0, 1.0)
    for photos in (1, 2, 5):
        expected = 0.02 / math.tanh(math.log(1.1) / (2 * photos))
        capped = fastest_by_focus(FocusTask(100.0, 110.0, 0.02, expected * 1.000001, 1.0))
        assert (capped.photos, capped.diameter) == (photos, pytest.approx(expected))
    one = fastest_by_focus(FocusTask(100.0, 110.0, 0.02, 1000.0, 1e-9, overhead_s=10.0))
    assert one.photos == 1
    assert fastest_by_focus(task).photos > 1
