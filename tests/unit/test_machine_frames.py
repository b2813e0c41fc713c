"""Pictures, told as examples: the pipeline, the side they are approached from, and retakes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine.frames import evidence_problem
from rigd.machine.state import Evidence, Mode, Phase
from tests.unit.machine_bench import Bench, a_plan, a_stack

# ------------------------------------------------------------------------------------------------------- the pipeline


def test_one_frame_from_motion_to_shutter():
    bench = Bench().home()
    assert bench.tell(ev.StartStack(a_stack())) == ["BeginSession"]
    assert bench.tell(ev.SessionReady(bench.last(fx.BeginSession).serial)) == ["MoveRail"]
    assert bench.last(fx.MoveRail).target == 100
    assert bench.arrive() == ["WaitSettled"]
    assert bench.last(fx.WaitSettled).moved_s == bench.now_s
    assert bench.settle() == ["Expose"]
    assert bench.last(fx.Expose).not_before_s == bench.now_s


def test_the_next_move_begins_when_the_shutter_has_closed():
    bench = Bench().start()
    assert bench.expose() == ["ProcessFrame", "MoveRail"]
    assert bench.last(fx.ProcessFrame).frame == 0
    assert bench.last(fx.MoveRail).target == 120


def test_a_third_picture_waits_for_the_first_verdict():
    bench = Bench().start()
    bench.expose()
    bench.expose()
    bench.run_to(Phase.SETTLING)
    assert bench.settle() == []
    assert bench.phase is Phase.CHECKING
    assert bench.accept(0) == ["Expose"]
    assert bench.last(fx.Expose).frame == 2


def test_verdicts_come_in_any_order():
    bench = Bench().start(a_stack(order=(0, 1)))
    bench.expose()
    bench.expose()
    assert bench.accept(1) == []
    assert bench.accept(0) == ["CloseSession"]
    assert bench.state.stack.accepted == 2


def test_a_whole_stack():
    bench = Bench().start().take(0, 1, 2, 3)
    assert bench.asked == ["CloseSession"]
    assert bench.last(fx.CloseSession).outcome == "complete"
    assert bench.tell(ev.SessionClosed(bench.last(fx.CloseSession).serial)) == []
    assert bench.mode is Mode.IDLE
    assert bench.frames_exposed() == [0, 1, 2, 3]


def test_the_evidence_goes_with_the_frame():
    bench = Bench().start()
    bench.expose()
    proof = bench.last(fx.ProcessFrame).evidence
    assert (proof.asked, proof.position, proof.sequence) == (100, 100, 1)
    assert (proof.moved_s, proof.settled_s, proof.start_s, proof.end_s) == (101.0, 102.0, 102.0, 103.0)
    assert proof.settle_s == 1.0


# ------------------------------------------------------------------------------------------------ from the same side


def test_from_the_wrong_side_the_rail_backs_off_first():
    bench = Bench().home()
    bench.tell(ev.Goto(300))
    bench.arrive()
    bench.tell(ev.StartStack(a_stack()))
    bench.tell(ev.SessionReady(bench.last(fx.BeginSession).serial))
    assert bench.last(fx.MoveRail).target == 80
    assert bench.arrive() == ["MoveRail"]
    assert bench.last(fx.MoveRail).target == 100


def test_a_way_within_the_backlash_is_no_approach():
    bench = Bench().home()
    for target in (300, 90):
        bench.tell(ev.Goto(target))
        bench.arrive()
    bench.tell(ev.StartStack(a_stack()))
    bench.tell(ev.SessionReady(bench.last(fx.BeginSession).serial))
    assert bench.last(fx.MoveRail).target == 80, "10 microsteps are the backlash, and not more"


def test_far_first_is_approached_from_beyond_far():
    bench = Bench().start(a_stack(a_plan(near_first=False)))
    assert bench.last(fx.MoveRail).target == 180
    bench.arrive()
    assert bench.last(fx.MoveRail).target == 160


# ------------------------------------------------------------------------------------------------------------ retakes


def test_an_early_picture_is_taken_again_where_the_rail_stands():
    bench = Bench().start().run_to(Phase.EXPOSING)
    assert bench.close_shutter(early_s=0.001) == ["RejectFrame", "Expose"]
    assert (
        bench.last(fx.RejectFrame).reason
        == "exposure began 1.0 ms before the rig had settled: a stale or early frame"
    )
    assert bench.last(fx.Expose).retry == 1
    assert bench.close_shutter() == ["ProcessFrame", "MoveRail"]
    assert bench.last(fx.ProcessFrame).retry == 1


def test_the_same_picture_again_is_no_new_frame():
    bench = Bench().start().take(0).run_to(Phase.EXPOSING)
    assert bench.close_shutter(again=True) == ["RejectFrame", "Expose"]
    assert bench.last(fx.RejectFrame).reason == "the camera gave picture 1 again"


def test_without_the_proof_a_stale_picture_passes():
    """The switch that tests of the check need: with it off, the same picture is accepted."""
    bench = Bench().start(a_stack(prove=False)).run_to(Phase.EXPOSING)
    assert bench.close_shutter(early_s=5.0) == ["ProcessFrame", "MoveRail"]


def test_a_hung_exposure_costs_one_picture():
    bench = Bench().start().run_to(Phase.EXPOSING)
    assert bench.tell(ev.Failed(bench.last(fx.Expose).serial, "no frame in 5 s", frame_only=True)) == [
        "Expose"
    ]
    assert bench.mode is Mode.CAPTURING


def test_a_frame_refused_late_is_taken_again_from_the_same_side():
    bench = Bench().start()
    bench.expose()
    bench.run_to(Phase.SETTLING)
    assert bench.refuse(0) == []
    assert bench.settle() == ["Expose"]
    assert bench.close_shutter() == ["ProcessFrame", "MoveRail"]
    assert bench.last(fx.MoveRail).target == 80, "beyond frame 0, at its overshoot"
    assert bench.arrive() == ["MoveRail"]
    assert bench.last(fx.MoveRail).target == 100
    bench.expose()
    assert bench.frames_exposed() == [0, 1, 0]


def test_a_frame_refused_while_the_next_is_exposed_is_not_lost():
    bench = Bench().start()
    bench.expose()
    bench.run_to(Phase.EXPOSING)
    bench.refuse(0)
    bench.close_shutter()
    bench.accept(1)
    bench.take(0, 2, 3)
    assert bench.last(fx.CloseSession).outcome == "complete"
    assert bench.frames_exposed() == [0, 1, 0, 2, 3]


def test_a_frame_that_is_set_and_settled_is_taken_before_a_retake():
    bench = Bench().start()
    bench.expose()
    bench.expose()
    bench.run_to(Phase.CHECKING)
    assert bench.refuse(0) == ["Expose"]
    assert bench.last(fx.Expose).frame == 2


def test_the_last_frame_refused_is_taken_again_without_moving():
    bench = Bench().start().take(0, 1, 2)
    bench.expose()
    assert bench.refuse(3) == ["Expose"]
    assert bench.last(fx.Expose).frame == 3


def test_too_many_retakes_pause_with_the_reason():
    bench = Bench().start(a_stack(max_retries=1)).run_to(Phase.EXPOSING)
    assert bench.close_shutter(early_s=0.5) == ["RejectFrame", "Expose"]
    assert bench.close_shutter(early_s=0.5) == ["RejectFrame", "NoteSession"]
    assert bench.mode is Mode.PAUSED
    assert bench.state.stack.why.startswith("frame 1 failed 2 times, last: exposure began 500.0 ms before")
    assert bench.last(fx.NoteSession).why == bench.state.stack.why


def test_a_frame_that_failed_too_often_has_new_tries_after_a_pause():
    bench = Bench().start(a_stack(max_retries=0)).run_to(Phase.EXPOSING)
    bench.close_shutter(early_s=0.5)
    assert bench.tell(ev.Resume()) == ["NoteSession", "MoveRail"]
    bench.take(0, 1, 2, 3)
    assert bench.last(fx.CloseSession).outcome == "complete"


def test_the_new_tries_are_as_many_as_before():
    bench = Bench().start(a_stack(max_retries=1)).run_to(Phase.EXPOSING)
    bench.close_shutter(early_s=0.5)
    bench.close_shutter(early_s=0.5)
    bench.tell(ev.Resume())
    bench.run_to(Phase.EXPOSING)
    assert bench.close_shutter(early_s=0.5) == ["RejectFrame", "Expose"]
    assert bench.close_shutter(early_s=0.5) == ["RejectFrame", "NoteSession"]


def test_too_many_refusals_let_the_open_shutter_close_first():
    bench = Bench().start(a_stack(max_retries=0))
    bench.expose()
    bench.run_to(Phase.EXPOSING)
    assert bench.refuse(0, "black") == []
    assert bench.close_shutter() == ["ProcessFrame", "NoteSession"]
    assert (bench.mode, bench.state.stack.why) == (Mode.PAUSED, "frame 1 failed 1 times, last: black")


def test_a_pause_asked_for_comes_before_a_retake():
    bench = Bench().start().run_to(Phase.EXPOSING)
    bench.tell(ev.Pause("lunch"))
    assert bench.close_shutter(early_s=0.5) == ["RejectFrame", "NoteSession"]
    assert (bench.mode, bench.state.stack.why) == (Mode.PAUSED, "lunch")


def test_a_failure_is_the_reason_also_when_a_pause_was_asked_for():
    bench = Bench().start(a_stack(max_retries=0)).run_to(Phase.EXPOSING)
    bench.tell(ev.Pause("lunch"))
    bench.close_shutter(early_s=0.5)
    assert bench.state.stack.why.startswith("frame 1 failed")


@pytest.mark.parametrize("reason", ["the disk is full", ""])
def test_a_refusal_that_a_retake_cannot_help_pauses_at_once(reason):
    bench = Bench().start()
    bench.expose()
    bench.arrive()
    assert bench.refuse(0, reason, retake=False) == ["NoteSession"]
    assert bench.mode is Mode.PAUSED
    assert bench.state.stack.why == reason or not reason
    assert bench.state.stack.why


def test_a_picture_lost_on_its_way_counts_as_refused():
    bench = Bench().start().take(0, 1, 2)
    bench.expose()
    lost = ev.Failed(bench.in_flight(3), "transfer failed", frame_only=True)
    assert bench.tell(lost) == ["Expose"]
    bench.close_shutter()
    assert bench.tell(ev.Failed(bench.in_flight(3), "cannot write")) == ["NoteSession"]
    assert (bench.mode, bench.state.stack.why) == (Mode.PAUSED, "cannot write")


# ----------------------------------------------------------------------------------------------------------- evidence

GOOD = Evidence(position=100, asked=100, moved_s=1.0, settled_s=2.0, start_s=2.0, end_s=2.5, sequence=7)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"position": 101}, "exposed at 101, asked for 100"),
        ({"settled_s": 0.9}, "settle"),
        ({"start_s": 1.999}, "1.0 ms before the rig had settled"),
        ({"end_s": 1.9}, "ended before it began"),
        ({"start_s": float("nan")}, "nan"),
        ({"sequence": 6}, "picture 6 again"),
        ({"sequence": 5}, "picture 5 again"),
    ],
)
def test_what_is_wrong_with_evidence(changes, words):
    assert words in evidence_problem(replace(GOOD, **changes), last_sequence=6)


def test_good_evidence_has_no_problem():
    assert evidence_problem(GOOD, last_sequence=6) is None
