"""The rig's time: forward with the clock, and never back by a little."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from drivers.clock import VirtualClock
from rigd.remote.rigtime import MOST, SLOWER, RigTime


class Calendar(VirtualClock):
    """A clock whose wall time can be set."""

    ahead = timedelta()

    def utc(self):
        return super().utc() + self.ahead


@pytest.fixture
def clock():
    return Calendar()


def passes(clock: Calendar, seconds: float) -> None:
    assert clock.advance(clock.now() + seconds)


def seconds(delta: timedelta) -> float:
    return delta.total_seconds()


def test_it_is_the_clock_s(clock):
    time = RigTime(clock)
    for _ in range(3):
        passes(clock, 1000)
        assert (time.utc(), time.now(), time.ahead_s) == (clock.utc(), clock.now(), 0)


@pytest.mark.parametrize("step", [timedelta(seconds=3), timedelta(hours=1), timedelta(days=20_000)])
def test_set_forward_it_is_right_at_once(clock, step):
    """As on a board that has no battery, when the network has told it the time."""
    time = RigTime(clock)
    clock.ahead += step
    assert time.utc() == clock.utc()
    passes(clock, 60)
    assert (time.utc(), time.ahead_s) == (clock.utc(), 0)


@pytest.mark.parametrize("step", [timedelta(seconds=2), timedelta(minutes=59), MOST - timedelta(seconds=11)])
def test_set_back_what_was_over_stays_over(clock, step, caplog):
    caplog.set_level(logging.WARNING)
    time = RigTime(clock)
    passes(clock, 10)
    over = time.utc()
    clock.ahead -= step
    assert time.utc() == over
    assert time.ahead_s == pytest.approx(seconds(step))
    passes(clock, 10)
    assert seconds(time.utc() - over) == pytest.approx(10 * SLOWER)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        f"the clock was set back by {seconds(step):.0f} s"
    ]


def test_it_comes_down_to_the_clock_and_never_goes_back(clock):
    time = RigTime(clock)
    clock.ahead -= timedelta(seconds=60)
    before, ahead = time.utc(), []
    for _ in range(70):
        passes(clock, 10)
        assert time.utc() > before
        before = time.utc()
        ahead.append(time.ahead_s)
    assert ahead == sorted(ahead, reverse=True)
    assert (ahead[-1], time.utc()) == (0, clock.utc())


def test_several_small_steps_back_add_up(clock):
    time = RigTime(clock)
    latest = time.utc()
    for _ in range(5):
        clock.ahead -= timedelta(minutes=3)
        assert time.utc() == latest
    assert time.ahead_s == pytest.approx(15 * 60)


def test_a_clock_that_was_wrong_altogether_is_believed_when_it_is_put_right(clock, caplog):
    time = RigTime(clock)
    clock.ahead -= timedelta(days=300)
    assert (time.utc(), time.ahead_s) == (clock.utc(), 0)
    assert "300 days" in caplog.text


def test_put_right_after_a_mistake_it_is_where_it_was(clock):
    time = RigTime(clock)
    clock.ahead -= timedelta(minutes=30)
    passes(clock, 100)
    time.utc()
    clock.ahead += timedelta(minutes=30)
    assert (time.utc(), time.ahead_s) == (clock.utc(), 0)
