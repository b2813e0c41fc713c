"""Where the rail is, from reports by hand: no port, no threads."""

import pytest

from drivers.base import Limit
from drivers.grbl.counting import Scale
from drivers.grbl.protocol import Mode, Report
from drivers.grbl.tracking import Kind, Motion, Tracker, Wish


def report(mode, mm=0.0, detail=None, pins=""):
    return Report(mode, detail, (mm, 0.0, 0.0), (3, 3, 3), pins=pins)


def tracker(steps_per_mm=1600.0, direction=-1):
    """Homed by a controller that has its zero at the switch, 1 mm pull-off, travel on the negative side."""
    made = Tracker(Scale(steps_per_mm, direction), travel=80_000, zeros=(-round(steps_per_mm),))
    made.begin(Motion(Kind.HOME, 0.0))
    made.acknowledged()
    for now in (1.0, 1.1):
        assert made.report(report(Mode.IDLE, -1.0), now) is None
    assert (made.status.homed, made.status.position, made.status.ended_s) == (True, 0, 1.0)
    return made


def moving_to(made, target):
    made.begin(Motion(Kind.MOVE, 2.0, target))
    made.acknowledged()
    return made


def test_a_move_ends_on_its_step():
    made = moving_to(tracker(), 1600)
    made.report(report(Mode.JOG, -1.5), 2.1)
    assert (made.status.moving, made.status.position, made.status.target) == (True, 800, 1600)
    made.report(report(Mode.IDLE, -2.0), 2.2)
    assert (made.status.moving, made.status.position, made.status.ended_s) == (False, 1600, 2.2)


def test_reports_before_the_answer_are_of_the_past():
    made = tracker()
    made.begin(Motion(Kind.MOVE, 2.0, 1600))
    for _ in range(5):
        made.report(report(Mode.IDLE, -1.0), 2.0)
    assert (made.status.moving, made.status.homed) == (True, True)


def test_a_position_on_the_way_never_goes_back_nor_beyond():
    made = moving_to(tracker(), 1600)
    places = []
    for mm in (-1.2, -1.1, -1.6, -9.0, -1.7):
        made.report(report(Mode.JOG, mm), 2.1)
        places.append(made.status.position)
    assert places == [320, 320, 960, 1600, 1600]


def test_a_stop_is_believed_when_told_twice():
    made = moving_to(tracker(), 16_000)
    made.stop()
    assert made.report(report(Mode.JOG, -1.3), 2.1) is Wish.CANCEL
    made.motion.cancelled_s = 2.1
    assert made.report(report(Mode.JOG, -1.4), 2.12) is None
    assert made.report(report(Mode.JOG, -1.4), 2.2) is Wish.CANCEL
    made.report(report(Mode.IDLE, -7.0), 2.3)  # a digit was lost and another came
    made.report(report(Mode.IDLE, -1.5), 2.31)
    assert made.status.moving
    made.report(report(Mode.IDLE, -1.5), 2.32)
    assert (made.status.moving, made.status.position, made.status.ended_s) == (False, 800, 2.3)


def test_a_stop_between_steps_that_look_alike_goes_on_to_the_last_of_them():
    made = moving_to(tracker(3200.0), 16_000)
    made.stop()
    made.report(report(Mode.IDLE, -1.5), 2.3)
    assert made.report(report(Mode.IDLE, -1.5), 2.31) is Wish.SETTLE
    assert made.settle_at == -4801
    assert made.status.moving
    made.acknowledged()
    assert made.report(report(Mode.IDLE, -1.5), 2.4) is None
    assert (made.status.moving, made.status.position) == (False, 1601)


def test_settling_goes_no_farther_than_the_target():
    made = moving_to(tracker(3200.0), 1600)
    made.stop()
    made.report(report(Mode.IDLE, -1.5), 2.3)
    assert made.report(report(Mode.IDLE, -1.5), 2.31) is Wish.SETTLE
    assert made.settle_at == made.machine_step(1600)


def test_homing_at_a_place_that_the_settings_name_or_not():
    named = tracker(3200.0)
    assert named.machine_step(0) == -3200
    made = Tracker(Scale(3200.0, -1), travel=80_000, zeros=(0,))
    made.begin(Motion(Kind.HOME, 0.0))
    made.acknowledged()
    made.report(report(Mode.IDLE, -1.0), 1.0)
    assert made.report(report(Mode.IDLE, -1.0), 1.1) is Wish.SETTLE
    made.acknowledged()
    made.report(report(Mode.IDLE, -1.0), 1.2)
    assert (made.status.homed, made.status.position, made.machine_step(0)) == (True, 0, -3201)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (report(Mode.IDLE, -1.5), "before its target"),
        (report(Mode.ALARM, -1.5), "alarm"),
        (report(Mode.DOOR, -1.5, detail=1), "Door"),
        (report(Mode.SLEEP, -1.5), "Sleep"),
    ],
)
def test_what_was_not_asked_for_makes_the_position_unknown(said, words):
    made = moving_to(tracker(), 16_000)
    for number in range(4):
        made.report(said, 2.1 + number)
    status = made.status
    assert (status.moving, status.homed, status.position) == (False, False, None)
    assert words in status.alarm


def test_one_wrong_report_at_rest_is_noise_and_three_are_news():
    made = tracker()
    for mm in (-1.0, -1.5, -1.5, -1.0, -1.5, -1.5):
        made.report(report(Mode.IDLE, mm), 3.0)
    assert made.status.homed
    made.report(report(Mode.IDLE, -1.5), 3.0)
    assert not made.status.homed
    assert "count" in made.status.alarm


def test_waiting_to_be_homed_is_no_alarm():
    made = Tracker(Scale(1600.0, -1), travel=80_000)
    made.report(report(Mode.ALARM), 1.0)
    made.report(report(Mode.ALARM, detail=11), 1.0)
    assert made.status.alarm is None
    made.report(report(Mode.ALARM, detail=10), 1.0)
    assert "emergency" in made.status.alarm


def test_of_several_alarms_the_first_is_kept_and_a_halt_clears_them():
    made = moving_to(tracker(), 16_000)
    made.forget(2.5, "first")
    made.forget(2.6, "second")
    assert made.status.alarm == "first"
    made.forget(2.7)
    assert (made.status.alarm, made.status.ended_s) == (None, 2.5)


def test_limit_switches_are_told_apart_by_the_place():
    made = tracker()
    made.report(report(Mode.IDLE, -1.0, pins="X"), 3.0)
    assert made.status.limit is Limit.HOME
    made.report(report(Mode.IDLE, -1.0, pins="YZ"), 3.0)
    assert made.status.limit is Limit.NONE
    moving_to(made, 79_000)
    made.report(report(Mode.IDLE, -50.375, pins="X"), 4.0)
    assert made.status.position == 79_000
    made.report(report(Mode.IDLE, -50.375, pins="X"), 4.0)
    assert made.status.limit is Limit.FAR


def test_a_stop_that_overtakes_its_jog_is_said_again():
    made = tracker()
    made.begin(Motion(Kind.MOVE, 2.0, 1600))
    made.stop()
    assert made.acknowledged() is Wish.CANCEL
