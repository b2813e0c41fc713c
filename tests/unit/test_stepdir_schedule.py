"""When pulses are due: the kernel against its slow twin, and motions that are stopped early."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.base import Shaping
from drivers.motion.shaping import profile_for
from drivers.stepdir.schedule import planned, stopped
from drivers.stepdir.timeline import AHEAD_US, LEAD_US, Timeline

SHAPES = [
    Shaping("trapezoid"),
    Shaping("quintic"),
    Shaping("quintic", 20.0),
    Shaping("zv", 15.0, 0.02),
    Shaping("zvd", 40.0, 0.1),
    Shaping("mzv", 25.0, 0.05),
    Shaping("ei", 12.0, 0.0),
]
GAP_US = 666
ACCELERATION = 32_000.0


def naive_times_us(profile, pulses):
    """The slow obvious version: bisection on the profile itself."""
    times = []
    for pulse in range(pulses):
        low, high = 0.0, profile.duration_s
        for _ in range(60):
            middle = (low + high) / 2
            if profile.position_um(middle) < pulse + 0.5:
                low = middle
            else:
                high = middle
        times.append(high * 1e6)
    return np.array(times)


def move(shape, pulses, rate=1500.0):
    return profile_for(shape, float(pulses), rate, ACCELERATION)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.kind}-{shape.frequency_hz}")
@pytest.mark.parametrize("pulses", [1, 2, 7, 80, 900])
def test_pulses_are_due_where_the_profile_passes_the_middle_between_microsteps(shape, pulses):
    profile = move(shape, pulses)
    schedule = planned(1, profile, 1)
    assert np.abs(schedule.times_us - naive_times_us(profile, pulses)).max() <= 1.0
    assert schedule.times_us[-1] <= profile.duration_s * 1e6 + 1


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.kind}-{shape.frequency_hz}")
def test_no_two_pulses_are_closer_than_the_gap(shape):
    schedule = planned(-1, move(shape, 3000), GAP_US)
    assert np.diff(schedule.times_us).min() >= GAP_US
    assert len(schedule.times_us) == 3000


def test_a_trapezoid_is_the_same_from_both_ends():
    times = planned(1, move(Shaping("trapezoid"), 400), 1).times_us
    gaps = np.diff(times)
    assert np.abs(gaps - gaps[::-1]).max() <= 2


@settings(max_examples=200, deadline=None)
@given(
    shape=st.sampled_from(SHAPES),
    pulses=st.integers(1, 400),
    share=st.floats(0.0, 1.1),
    rate=st.floats(100.0, 1500.0),
)
def test_a_motion_can_be_stopped_at_any_time(shape, pulses, share, rate):
    """What is out stays, it slows down no harder than it may, and it ends on the way."""
    profile = profile_for(shape, float(pulses), rate, ACCELERATION)
    whole = planned(1, profile, GAP_US)
    from_us = int(share * profile.duration_s * 1e6)
    ended = stopped(whole, from_us, ACCELERATION, GAP_US)
    sent = whole.pulses_before(from_us)
    assert np.array_equal(ended.times_us[:sent], whole.times_us[:sent])
    assert sent <= len(ended.times_us) <= pulses
    speed = whole.speed_at(from_us)
    assert len(ended.times_us) - sent <= speed**2 / (2 * ACCELERATION) + 2
    if len(ended.times_us) > 1:
        assert np.diff(ended.times_us).min() >= GAP_US
        assert ended.times_us[-1] <= max(whole.times_us[sent - 1], from_us) + (
            2e6 * max(1.5, len(ended.times_us) - sent + 1) / max(speed, 1.0)
        )
    again = stopped(ended, from_us, ACCELERATION, GAP_US)
    assert len(again.times_us) <= len(ended.times_us)


class TestTimeline:
    def line(self, pulses=300, jump=24):
        return Timeline(planned(1, move(Shaping("trapezoid"), pulses), GAP_US), 20, jump)

    def sent(self, line):
        """Every wave that it wants to send, with the library one wave behind."""
        line.note(2, 0.0, 0.0)
        line.note(1, 0.01, 0.01)
        waves, done_s = [], 0.01
        while not line.exhausted:
            while line.wants_more():
                waves.append(line.next_wave())
            done_s += sum(micros for _, micros in waves[-1]) * 1e-6
            line.note(1, done_s, done_s)
        return waves

    def test_waves_say_what_the_schedule_says(self):
        line = self.line()
        now, rises = 0, []
        for wave in self.sent(line):
            for level, micros in wave:
                assert micros > 0
                if level:
                    rises.append(now)
                    assert micros == 20
                now += micros
            assert level == 0
        assert rises == line.schedule.times_us.tolist()

    def test_never_more_is_queued_than_a_stop_can_wait_for_or_the_motor_can_jump(self):
        for jump in (2, 5, 24):
            line = self.line(3000, jump)
            line.note(2, 0.0, 0.0)
            line.note(1, 0.01, 0.01)
            while line.wants_more():
                line.next_wave()
            assert line.committed <= jump
            assert line.committed_us <= AHEAD_US

    def test_nothing_is_queued_before_it_is_known_to_have_begun(self):
        line = self.line()
        line.note(2, 1.0, 1.0)
        assert not line.begun
        assert not line.wants_more()
        line.note(1, 1.001, 1.001)
        assert line.begun
        lead_s = LEAD_US[1] * 1e-6
        assert (line.earliest_s, line.latest_s) == pytest.approx((1.0 + lead_s, 1.001 + lead_s))

    def test_counts_no_pulse_that_may_not_be_out_and_every_one_that_must(self):
        line = self.line()
        line.note(2, 1.0, 1.0)
        line.note(1, 1.001, 1.001)
        while line.wants_more():
            line.next_wave()
        queued = line.committed
        assert line.count_at(1.0) == 0
        assert line.count_at(99.0) == 0, "the library has not even begun with the first wave"
        line.note(0, 2.0, 2.0)
        assert line.count_at(1.0) == queued
        assert line.count_at(99.0) == queued

    def test_sees_that_the_library_is_late(self):
        line = self.line()
        line.note(2, 1.0, 1.0)
        line.note(1, 1.001, 1.001)
        while line.wants_more():
            line.next_wave()
        assert line.late_s(1.002) < 0
        line.note(8, 1.020, 1.020)
        assert line.late_s(1.020) == pytest.approx(1.020 - 1.007, abs=1e-9)
