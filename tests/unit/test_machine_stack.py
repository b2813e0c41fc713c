"""A stack as a whole, told as examples: pause and resume, an interrupted session, the end, and what is not begun."""

from __future__ import annotations

import pytest

from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine.state import EndAction, Mode, Phase
from rigd.settling import Wait
from tests.unit.machine_bench import Bench, a_plan, a_stack

# -------------------------------------------------------------------------------------------------- pause and resume


def test_pause_while_the_session_is_made():
    bench = Bench().home()
    bench.tell(ev.StartStack(a_stack()))
    assert bench.tell(ev.Pause()) == []
    assert bench.tell(ev.SessionReady(bench.last(fx.BeginSession).serial)) == ["NoteSession"]
    assert bench.mode is Mode.PAUSED


@pytest.mark.parametrize("phase", [Phase.APPROACHING, Phase.MOVING])
def test_pause_under_way_stops_the_rail(phase):
    bench = Bench().start(a_stack(a_plan(near_first=False))).run_to(phase)
    assert bench.tell(ev.Pause()) == ["StopRail"]
    assert bench.mode is Mode.STOPPING
    assert bench.stopped(170) == ["NoteSession"]
    assert (bench.mode, bench.state.position) == (Mode.PAUSED, 170)


def test_the_settle_knows_the_move_and_the_picture_knows_the_settle():
    bench = Bench().start().run_to(Phase.SETTLING)
    before, asked = bench.history[-2], bench.last(fx.WaitSettled)
    assert isinstance(before, fx.MoveRail)
    approach = next(effect for effect in bench.history if isinstance(effect, fx.MoveRail))
    start = approach.target if approach is not before else 0
    assert (asked.travelled, asked.frame) == (before.target - start, 0)
    bench.now_s += 0.7
    wait = Wait(0.7, "measured", "because")
    bench.tell(ev.Settled(asked.serial, bench.now_s, wait))
    bench.close_shutter()
    assert bench.last(fx.ProcessFrame).evidence.wait == wait
    bench.run_to(Phase.SETTLING).settle()
    bench.close_shutter()
    assert bench.last(fx.ProcessFrame).evidence.wait is None


def test_pause_in_the_settle_is_at_once():
    bench = Bench().start().run_to(Phase.SETTLING)
    assert bench.tell(ev.Pause()) == ["NoteSession"]
    assert bench.mode is Mode.PAUSED
    assert bench.settle() == [], "the settle was given up"


def test_pause_with_an_open_shutter_keeps_the_picture():
    bench = Bench().start().run_to(Phase.EXPOSING)
    assert bench.tell(ev.Pause()) == []
    assert bench.close_shutter() == ["ProcessFrame", "NoteSession"]
    assert bench.mode is Mode.PAUSED
    bench.accept(0)
    assert bench.state.stack.accepted == 1
    bench.tell(ev.Resume())
    assert bench.last(fx.MoveRail).target == 120


def test_pause_while_verdicts_are_out_is_at_once():
    bench = Bench().start().take(0, 1, 2)
    bench.expose()
    assert bench.phase is Phase.CHECKING
    assert bench.tell(ev.Pause()) == ["NoteSession"]
    bench.accept(3)
    assert bench.mode is Mode.PAUSED
    assert bench.tell(ev.Resume()) == ["NoteSession", "CloseSession"]


def test_pause_is_refused_when_the_stack_is_complete():
    bench = Bench().start(a_stack(end=EndAction.PARK)).take(0, 1, 2, 3)
    assert bench.phase is Phase.ENDING
    bench.tell(ev.Pause())
    assert "complete" in bench.refusal
    bench.arrive()
    assert bench.phase is Phase.CLOSING
    bench.tell(ev.Pause())
    assert "complete" in bench.refusal


def test_after_a_pause_the_rail_is_set_and_settled_anew():
    bench = Bench().start().run_to(Phase.EXPOSING)
    bench.tell(ev.Stop())
    bench.stopped(100)
    assert bench.tell(ev.Resume()) == ["NoteSession", "MoveRail"]
    assert bench.arrive() == ["WaitSettled"]


def test_stop_drops_the_open_exposure():
    bench = Bench().start().run_to(Phase.EXPOSING)
    assert bench.tell(ev.Stop()) == ["StopRail"]
    assert bench.close_shutter() == [], "a late answer to an exposure that was given up"
    bench.stopped(100)
    assert bench.mode is Mode.PAUSED
    assert bench.state.stack.in_flight == ()


# ------------------------------------------------------------------------------------------- an interrupted session


def test_a_resumed_session_first_compares_its_last_good_frame():
    bench = Bench().start(a_stack(order=(2, 3), compare=1))
    assert bench.last(fx.MoveRail).target == 120
    assert bench.expose() == ["ProcessFrame"], "nothing else moves before the verdict"
    assert bench.last(fx.ProcessFrame).comparison
    assert bench.accept(1) == ["MoveRail"]
    assert bench.state.stack.accepted == 0, "the comparison is no new frame"
    bench.take(2, 3)
    assert bench.last(fx.CloseSession).outcome == "complete"
    assert bench.frames_exposed() == [1, 2, 3]


def test_a_comparison_that_fails_pauses_and_is_made_again():
    bench = Bench().start(a_stack(order=(2, 3), compare=1))
    bench.expose()
    assert bench.refuse(1, "the subject has moved") == ["NoteSession"]
    assert (bench.mode, bench.state.stack.why) == (Mode.PAUSED, "the subject has moved")
    bench.tell(ev.Resume())
    bench.expose()
    assert bench.last(fx.ProcessFrame).comparison
    assert bench.frames_exposed() == [1, 1]


def test_a_session_that_lacks_nothing_is_compared_and_closed():
    bench = Bench().start(a_stack(order=(), compare=3)).take(3)
    assert bench.asked == ["CloseSession"]


def test_only_missing_frames_are_taken_and_each_from_its_side():
    bench = Bench().start(a_stack(order=(0, 3)))
    bench.take(0, 3)
    assert bench.frames_exposed() == [0, 3]
    assert [effect.target for effect in bench.history if isinstance(effect, fx.MoveRail)] == [100, 160]


# ------------------------------------------------------------------------------------------------------------ the end


@pytest.mark.parametrize(("end", "target"), [(EndAction.PARK, 500), (EndAction.RETURN, 100)])
def test_at_the_end_the_rail_goes_where_it_should(end, target):
    bench = Bench().start(a_stack(end=end)).take(0, 1, 2, 3)
    assert bench.asked == ["MoveRail"]
    assert bench.last(fx.MoveRail).target == target
    assert bench.arrive() == ["CloseSession"]


def test_at_the_end_the_motor_is_released_and_home_is_lost():
    bench = Bench().start(a_stack(end=EndAction.RELEASE)).take(0, 1, 2, 3)
    assert bench.asked == ["ReleaseRail"]
    assert bench.tell(ev.Released(bench.last(fx.ReleaseRail).serial)) == ["CloseSession"]
    bench.tell(ev.SessionClosed(bench.last(fx.CloseSession).serial))
    assert bench.mode is Mode.UNHOMED


def test_a_park_position_where_the_rail_stands_needs_no_move():
    bench = Bench().start(a_stack(end=EndAction.PARK, park=160)).take(0, 1, 2, 3)
    assert bench.asked == ["CloseSession"]


def test_home_is_checked_before_the_end_action():
    bench = Bench().start(a_stack(end=EndAction.PARK, rehome=True)).take(0, 1, 2, 3)
    assert bench.asked == ["StartHoming"]
    assert bench.state.position is None
    assert bench.tell(ev.Homed(bench.last(fx.StartHoming).serial, 3)) == ["MoveRail"]
    assert bench.last(fx.MoveRail).target == 500
    assert bench.arrive() == ["CloseSession"]


@pytest.mark.parametrize("rehome", [True, False])
def test_stop_at_the_end_leaves_the_rest_of_it(rehome):
    bench = Bench().start(a_stack(end=EndAction.PARK, rehome=rehome)).take(0, 1, 2, 3)
    assert bench.tell(ev.Stop()) == ["StopRail"]
    assert bench.stopped(250) == ["CloseSession"], "every frame is there: the stack is complete"
    assert bench.last(fx.CloseSession).outcome == "complete"
    bench.tell(ev.SessionClosed(bench.last(fx.CloseSession).serial))
    assert bench.mode is (Mode.UNHOMED if rehome else Mode.IDLE)


@pytest.mark.parametrize("phase", [Phase.MOVING, Phase.SETTLING, Phase.EXPOSING])
def test_abort_stops_and_closes(phase):
    bench = Bench().start().run_to(phase)
    assert bench.tell(ev.Abort()) == ["StopRail"]
    assert bench.stopped(100) == ["CloseSession"]
    assert bench.last(fx.CloseSession).outcome == "aborted"
    bench.tell(ev.SessionClosed(bench.last(fx.CloseSession).serial))
    assert bench.mode is Mode.IDLE


def test_suspend_leaves_the_session_to_be_resumed():
    bench = Bench().start().run_to(Phase.EXPOSING)
    assert bench.tell(ev.Suspend("interrupted from the keyboard")) == ["StopRail"]
    assert bench.stopped(100) == ["SuspendSession"]
    assert bench.last(fx.SuspendSession).why == "interrupted from the keyboard"
    bench.tell(ev.SessionClosed(bench.last(fx.SuspendSession).serial))
    assert bench.mode is Mode.IDLE


def test_abort_while_it_stops_for_a_pause():
    bench = Bench().start().run_to(Phase.MOVING)
    bench.tell(ev.Pause())
    assert bench.tell(ev.Abort()) == []
    assert bench.stopped(50) == ["CloseSession"]
    bench.tell(ev.Abort())
    assert "stopping already" in bench.refusal


# ---------------------------------------------------------------------------------------------------- not even begun


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"order": ()}, "no frame left"),
        ({"order": (0, 1, 4)}, "does not have"),
        ({"order": (0, -1)}, "does not have"),
        ({"order": (0, 0)}, "twice"),
        ({"compare": 4}, "does not have"),
        ({"end": EndAction.PARK, "park": 1001}, "outside the soft limits"),
    ],
)
def test_a_stack_that_cannot_be_done_is_refused(changes, words):
    bench = Bench().home()
    before = bench.state
    assert bench.tell(ev.StartStack(a_stack(**changes))) == ["Refuse"]
    assert words in bench.refusal
    assert bench.state is before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"positions": (100, 120, 140, 1001)}, "position 1001 is outside"),
        ({"positions": (10, 120, 140, 160), "approach": 5}, "position -10 is outside"),
        ({"overshoot": 10}, "does not exceed the backlash"),
    ],
)
def test_a_plan_from_elsewhere_is_not_trusted(changes, words):
    """A plan may come out of a file that somebody has edited."""
    plan = type(a_plan()).from_dict({**a_plan().to_dict(), **changes})
    bench = Bench().home()
    assert bench.tell(ev.StartStack(a_stack(plan))) == ["Refuse"]
    assert words in bench.refusal


def test_a_park_position_that_is_not_used_may_be_anywhere():
    assert Bench().home().tell(ev.StartStack(a_stack(park=5000))) == ["BeginSession"]
