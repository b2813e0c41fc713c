"""Connecting, homing, moving and stopping, told as examples."""

from __future__ import annotations

import pytest

from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine.state import Mode, Phase
from tests.unit.machine_bench import RAIL, Bench, a_stack

ALARMS = [
    pytest.param(ev.EStop("the red button"), Mode.ESTOPPED, id="e-stop"),
    pytest.param(ev.LimitHit("far limit"), Mode.FAULT, id="limit"),
    pytest.param(ev.RailLost("no answer"), Mode.FAULT, id="lost controller"),
]


def connected(position: int | None) -> Bench:
    bench = Bench()
    bench.tell(ev.Connect())
    bench.tell(ev.Connected(bench.last(fx.OpenDrivers).serial, position))
    return bench


def test_from_power_on_to_idle():
    bench = Bench()
    assert bench.tell(ev.Connect()) == ["OpenDrivers"]
    bench.tell(ev.Connect())
    assert bench.refusal == "already opening the drivers"
    bench.tell(ev.Connected(bench.last(fx.OpenDrivers).serial))
    assert bench.mode is Mode.UNHOMED
    assert bench.tell(ev.Home()) == ["StartHoming"]
    bench.tell(ev.Homed(bench.last(fx.StartHoming).serial, 3))
    assert (bench.mode, bench.state.position) == (Mode.IDLE, 3)


def test_a_position_that_the_controller_kept_safely_is_believed():
    assert connected(250).mode is Mode.IDLE


def test_drivers_that_do_not_open_are_a_fault_with_a_way_on():
    bench = Bench()
    bench.tell(ev.Connect())
    assert bench.tell(ev.Failed(bench.last(fx.OpenDrivers).serial, "no such port", "open")) == ["HaltRail"]
    assert (bench.mode, bench.state.fault.code) == (Mode.FAULT, "open")
    assert bench.tell(ev.ClearFault()) == ["OpenDrivers"]


# --------------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("target", "taken"), [(RAIL.min, True), (RAIL.max, True), (-1, False), (1001, False)]
)
def test_goto_stays_inside_the_soft_limits(target, taken):
    bench = Bench().home()
    before = bench.state
    assert bench.tell(ev.Goto(target)) == (["MoveRail"] if taken else ["Refuse"])
    assert taken or (bench.state is before and "outside the soft limits 0 to 1000" in bench.refusal)


@pytest.mark.parametrize(
    ("position", "distance", "taken"),
    [
        pytest.param(None, 50, True, id="before home"),
        pytest.param(None, -50, True, id="backward before home"),
        pytest.param(None, 51, False, id="too far"),
        pytest.param(None, -51, False, id="too far backward"),
        pytest.param(None, 0, False, id="nowhere"),
        pytest.param(960, 40, True, id="to the limit"),
        pytest.param(960, 41, False, id="beyond the limit"),
        pytest.param(40, -41, False, id="below the limit"),
    ],
)
def test_a_jog_is_short_and_inside_the_limits_where_they_are_known(position, distance, taken):
    assert connected(position).tell(ev.Jog(distance)) == (["JogRail"] if taken else ["Refuse"])


def test_before_home_there_is_no_goto():
    bench = connected(None)
    bench.tell(ev.Goto(5))
    assert bench.refusal == "goto is possible while idle, not while unhomed: home first"


# ----------------------------------------------------------------------------------- what makes a position known, or not


def test_a_jog_before_home_makes_no_position_known():
    bench = connected(None)
    bench.tell(ev.Jog(20))
    bench.tell(ev.MotionEnded(bench.last(fx.JogRail).serial, 20, 5.0))
    assert (bench.mode, bench.state.position) == (Mode.UNHOMED, None)


def test_a_stopped_homing_makes_no_position_known():
    bench = connected(250)
    bench.tell(ev.Home())
    assert bench.tell(ev.Stop()) == ["StopRail"]
    bench.stopped(120)
    assert (bench.mode, bench.state.position) == (Mode.UNHOMED, None)


def test_a_stopped_move_keeps_the_position():
    bench = Bench().home()
    bench.tell(ev.Goto(500))
    bench.tell(ev.Stop())
    bench.stopped(321)
    assert (bench.mode, bench.state.position) == (Mode.IDLE, 321)


def test_a_released_motor_has_lost_its_position():
    bench = Bench().home()
    assert bench.tell(ev.Release()) == ["ReleaseRail"]
    assert (bench.mode, bench.state.position) == (Mode.UNHOMED, None)


def test_a_rail_that_ends_elsewhere_is_a_fault():
    bench = Bench().home()
    bench.tell(ev.Goto(500))
    assert bench.arrive(499) == ["HaltRail"]
    assert bench.state.fault.message == "the rail stopped at 499, not 500"


@pytest.mark.parametrize(("alarm", "mode"), ALARMS)
def test_after_an_alarm_only_homing_finds_the_position_again(alarm, mode):
    bench = Bench().home()
    bench.tell(ev.Goto(500))
    assert bench.tell(alarm) == ["HaltRail"]
    assert (bench.mode, bench.state.position) == (mode, None)
    assert bench.state.fault.message in {"the red button", "far limit", "no answer"}
    assert bench.arrive() == [], "a late answer to a move that was halted"
    assert bench.tell(ev.ClearFault()) == ["OpenDrivers"]
    bench.tell(ev.Connected(bench.last(fx.OpenDrivers).serial, 432))
    assert (bench.mode, bench.state.position, bench.state.must_home) == (Mode.UNHOMED, None, True)
    bench.tell(ev.Home())
    bench.tell(ev.Homed(bench.last(fx.StartHoming).serial, 0))
    assert (bench.mode, bench.state.position, bench.state.must_home) == (Mode.IDLE, 0, False)


@pytest.mark.parametrize(("alarm", "mode"), ALARMS)
def test_an_alarm_during_a_stack_leaves_it_to_be_resumed(alarm, mode):
    bench = Bench().start().run_to(Phase.EXPOSING)
    assert bench.tell(alarm) == ["HaltRail", "SuspendSession"]
    assert bench.mode is mode
    assert bench.state.stack is None
    assert bench.close_shutter() == []


def test_an_estop_stays_until_it_is_cleared():
    bench = Bench().home()
    bench.tell(ev.EStop())
    for alarm in (ev.LimitHit("far limit"), ev.RailLost("no answer"), ev.EStop()):
        assert bench.tell(alarm) == ["HaltRail"]
        assert bench.mode is Mode.ESTOPPED
    for command in (ev.Home(), ev.Goto(5), ev.Jog(5), ev.Connect(), ev.StartStack(a_stack()), ev.Resume()):
        assert bench.tell(command) == ["Refuse"]


def test_an_estop_while_the_drivers_open_is_not_forgotten():
    bench = Bench()
    bench.tell(ev.Connect())
    bench.tell(ev.EStop())
    assert bench.tell(ev.Connected(bench.last(fx.OpenDrivers).serial, 5)) == []
    assert bench.mode is Mode.ESTOPPED


# --------------------------------------------------------------------------------------------------- stop, everywhere


def test_stop_is_told_to_the_rail_even_where_nothing_should_move():
    for bench in (Bench(), connected(None), Bench().home()):
        before = bench.mode
        assert bench.tell(ev.Stop()) == ["StopRail"]
        assert bench.mode is before


def test_stop_while_the_session_is_made_pauses_then():
    bench = Bench().home()
    bench.tell(ev.StartStack(a_stack()))
    assert bench.tell(ev.Stop()) == ["StopRail"]
    assert bench.tell(ev.SessionReady(bench.last(fx.BeginSession).serial)) == ["NoteSession"]
    assert bench.mode is Mode.PAUSED


def test_a_stop_that_fails_halts():
    bench = Bench().home()
    bench.tell(ev.Goto(500))
    bench.tell(ev.Stop())
    assert bench.tell(ev.Failed(bench.last(fx.StopRail).serial, "no answer")) == ["HaltRail"]
    assert bench.mode is Mode.FAULT


# ------------------------------------------------------------------------------------------------------ odd answers


def test_an_answer_of_another_kind_is_refused():
    bench = Bench().start()
    before = bench.state
    assert bench.tell(ev.Settled(bench.last(fx.MoveRail).serial, 5.0)) == ["Refuse"]
    assert bench.refusal == "Settled is not the answer to what was asked"
    assert bench.state is before


def test_serial_numbers_rise_and_are_never_used_twice():
    bench = Bench().start().take(0, 1, 2, 3)
    serials = [effect.serial for effect in bench.history]
    assert serials == sorted(set(serials))
