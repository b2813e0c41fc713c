"""The controller's arithmetic, against that of 32-bit floats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.grbl.counting import Scale, nearest_step, number_text, read_number, single

SCALES = st.sampled_from([80.0, 250.0, 400.0, 640.0, 1600.0, 2000 / 3, 3200.0, 6400.0, 12_800.0])


def test_single_precision():
    for value in (0.1, -12.345678, 1e6 / 3, 0.0):
        assert single(value) == float(np.float32(value))


@pytest.mark.parametrize(
    ("text", "digits", "exponent"),
    [
        ("12.345", 12345, -3),
        ("-0.0003125", -3125, -7),
        ("123.456789", 12345678, -5),
        ("7", 7, 0),
        ("+1.5", 15, -1),
    ],
)
def test_eight_digits_are_read(text, digits, exponent):
    assert read_number(text) == pytest.approx(digits * 10.0**exponent, rel=3e-7)


@given(SCALES, st.integers(-250_000, 250_000))
def test_every_step_has_a_name(steps_per_mm, step):
    scale = Scale(steps_per_mm, 1)
    text = scale.target_text(step)
    assert len(text) <= 11
    assert nearest_step(read_number(text), steps_per_mm) == step


def test_a_step_that_eight_digits_cannot_name_is_refused():
    with pytest.raises(ValueError, match="cannot be named"):
        Scale(100_000.0, 1).target_text(100_000 * 900 + 1)


@given(SCALES, st.integers(-250_000, 250_000), st.booleans())
def test_the_step_is_among_those_that_its_report_can_mean(steps_per_mm, step, inches):
    mm = single(step / single(steps_per_mm))
    value, scale, places = (single(mm * single(1 / 25.4)), 10_000, 4) if inches else (mm, 1000, 3)
    printed = round(single(abs(value) * scale)) / scale * (-1 if value < 0 else 1)
    steps = Scale(steps_per_mm, 1).candidates(printed, places, inches=inches)
    assert step in steps


def test_how_many_steps_look_the_same():
    assert list(Scale(250.0, 1).candidates(-1.0, 3)) == [-250]
    assert list(Scale(1600.0, 1).candidates(1.0, 3)) == [1600]
    assert list(Scale(3200.0, 1).candidates(1.0, 3)) == [3199, 3200, 3201]
    assert len(Scale(3200.0, 1).candidates(1.0, 3, summed=True)) == 7


def test_numbers_on_the_wire():
    assert number_text(12.3453131) == "12.345313"
    assert number_text(-123.456789) == "-123.45679"
    assert number_text(600) == "600.00000"
