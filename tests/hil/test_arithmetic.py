"""What is worked out from pulses and flashes, on made-up ones whose truth is known."""

import numpy as np
import pytest

from hil.flashes import Flash, FlashError, linear, shares, shutter
from hil.pins import Edge
from hil.pulses import judge, last_after, rising, uneven
from hil.simulated import step_times

START, END = 0.0031, 0.0221


def train(rate_hz=1000.0, count=400):
    return 17.0 + np.arange(count) / rate_hz


def test_an_even_train_has_no_jitter():
    seen = judge(train())
    assert seen.count == 400
    assert seen.rate_hz == pytest.approx(1000)
    assert np.abs(seen.jitter_s).max() < 1e-9
    assert seen.shortest_s == pytest.approx(1e-3)


def test_a_late_pulse_is_seen_as_late_as_it_is():
    times = train()
    times[200] += 150e-6
    late = judge(times).jitter_s
    assert late.max() == pytest.approx(150e-6, rel=0.01)
    assert late.min() > -80e-6  # its neighbours are held against it, and seem early


def test_an_acceleration_is_no_jitter():
    places = np.arange(2000)
    times = np.sqrt(1.0 + places / 1000.0)
    assert np.abs(uneven(times)).max() < 1e-9


def test_a_wave_that_catches_up_is_seen():
    times = train()
    times[100:120] = times[119] - 1e-5 * np.arange(20)[::-1]
    seen = judge(times)
    assert seen.shortest_s * seen.rate_hz < 0.5 or seen.rate_hz > 5000


def test_few_pulses_are_no_error():
    assert judge([]).count == 0
    assert judge([1.0]).count == 1
    assert np.isnan(judge([1.0, 1.1]).rate_hz)
    assert judge([1.0, 1.1]).shortest_s == pytest.approx(0.1)


def test_the_last_pulse_after_a_press():
    times = rising([Edge(1.0, 1), Edge(1.1, 0), Edge(2.0, 1), Edge(2.1, 0)])
    assert last_after(times, 1.5) == pytest.approx(0.5)
    assert last_after(times, 2.5) == 0.0
    assert rising([Edge(1.0, 1), Edge(1.1, 0)], "falling").tolist() == [1.1]


def test_steps_of_a_path_are_where_it_passes_the_middles():
    times = np.linspace(0, 1, 11)
    assert step_times(times, 10 * times) == pytest.approx([0.05 + 0.1 * number for number in range(10)])
    assert step_times(times, 3 - 3 * times) == pytest.approx([1 / 6, 0.5, 5 / 6])
    assert len(step_times(times, np.full(11, 2.3))) == 0


def flash(after_s, *, on, power=1.0, noise=0.0):
    open_s = END - START
    light = (END - after_s) / open_s if on else (after_s - START) / open_s
    return Flash(after_s, on, float(np.clip(light, 0, 1)) ** (1 / power) + noise)


@pytest.mark.parametrize("power", [1.0, 0.8, 1.6])
def test_a_shutter_is_found_from_flashes(power):
    random = np.random.default_rng(2)
    flashes = [
        flash(random.uniform(-0.01, 0.03), on=number % 2 == 0, power=power, noise=random.normal(0, 0.003))
        for number in range(80)
    ]
    found = shutter(flashes)
    assert found.start_s == pytest.approx(START, abs=3e-4)
    assert found.end_s == pytest.approx(END, abs=3e-4)
    assert found.power == pytest.approx(power, abs=0.1)
    assert abs(found.start_s - START) < 5 * found.error_s


def test_flashes_beside_the_exposure_are_refused():
    with pytest.raises(FlashError, match="fell into an exposure"):
        shutter([flash(0.5, on=True) for _ in range(40)])
    with pytest.raises(FlashError, match="20 and 0"):
        shutter([flash(0.01, on=True) for _ in range(20)])


def test_shares_of_light_by_rows():
    dark, full = np.full((50, 8), 20, np.uint8), np.full((50, 8), 200, np.uint8)
    half = np.full((50, 8), 150, np.uint8)
    expected = (linear(np.array(150)) - linear(np.array(20))) / (linear(np.array(200)) - linear(np.array(20)))
    assert shares(half, dark, full, 5) == pytest.approx([float(expected)] * 5)
    with pytest.raises(FlashError, match="hardly"):
        shares(half, dark, dark)
    with pytest.raises(FlashError, match="white"):
        shares(half, dark, np.full((50, 8), 255, np.uint8))
