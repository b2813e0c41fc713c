"""The table is the truth: what it does not list is refused, and every place it says an event may lead to is reached."""

from __future__ import annotations

from collections import defaultdict

import pytest

from rigd.machine import TABLE, refusal, step
from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine.kinds import Answer, Event
from rigd.machine.state import Mode, State
from tests.property.machine_acts import Dice, life, random_stack
from tests.property.machine_rig import RAIL

KINDS = {kind for kind in vars(ev).values() if isinstance(kind, type) and issubclass(kind, Event)}
EVENTS = KINDS - {Event, Answer}
STACK = next(filter(None, (random_stack(Dice(seed)) for seed in range(100))))


def samples(state: State) -> list[Event]:
    """At least one event of each kind; answers are to the effect that is waited for, with good news and bad."""
    serial = state.awaiting or 0
    in_flight = [entry.serial for entry in state.stack.in_flight] if state.stack else []
    return [
        *(
            kind()
            for kind in (ev.Connect, ev.Home, ev.Pause, ev.Resume, ev.Abort, ev.Suspend, ev.Stop, ev.EStop)
        ),
        *(ev.ClearFault(), ev.Release(), ev.Goto(RAIL.min), ev.Jog(1), ev.Jog(-1), ev.StartStack(STACK)),
        *(ev.LimitHit("far switch"), ev.RailLost("no answer")),
        *(ev.TestShot(), ev.TestTaken(serial), ev.EStop(held=True), ev.EStopReleased()),
        *(ev.Connected(serial), ev.Connected(serial, 5), ev.Homed(serial, 0), ev.Released(serial)),
        *(ev.MotionEnded(serial, state.target, 0.0), ev.MotionEnded(serial, -1, 0.0)),
        *(ev.Stopped(serial, state.position), ev.Stopped(serial, None), ev.Settled(serial, 1e9)),
        *(ev.ShutterClosed(serial, 2e9, 2e9, 10**6), ev.ShutterClosed(serial, 0.0, 2e9, 10**6)),
        *(ev.SessionReady(serial), ev.SessionClosed(serial), ev.Verdict(serial, accepted=True)),
        *(ev.Failed(serial, "it broke", frame_only=only) for only in (True, False)),
        *(ev.Verdict(one, accepted=False, reason="blurred") for one in in_flight),
        *(ev.Failed(one, "lost") for one in in_flight),
    ]


@pytest.fixture(scope="module")
def reached() -> dict[Mode, list[State]]:
    """Many different states, by their mode."""
    states: dict[Mode, dict[State, None]] = defaultdict(dict)
    for seed in range(300):
        for world in life(seed, acts=60):
            states[world.state.mode][world.state] = None
    return {mode: list(found) for mode, found in states.items()}


def test_there_is_a_sample_of_every_event():
    assert {type(event) for event in samples(State(rail=RAIL))} == EVENTS


def test_every_mode_is_reached(reached):
    assert set(reached) == set(Mode)


@pytest.mark.parametrize("mode", Mode)
def test_what_is_not_in_the_table_changes_nothing(reached, mode):
    for state in reached[mode]:
        for event in samples(state):
            if (mode, type(event)) in TABLE:
                continue
            after, effects = step(state, event)
            assert after is state
            if isinstance(event, Answer) and event.serial != state.awaiting:
                assert effects == ()
            else:
                assert [type(effect) for effect in effects] == [fx.Refuse]
                assert refusal(effects)


def test_every_arrow_of_the_table_is_walked_and_no_other(reached):
    walked = set()
    for mode, states in reached.items():
        for state in states:
            for event in samples(state):
                after, effects = step(state, event)
                if after is not state and refusal(effects) is None:
                    walked.add((mode, type(event), after.mode))
    listed = {(mode, event, goes) for (mode, event), rule in TABLE.items() for goes in rule.goes}
    assert walked == listed


@pytest.mark.parametrize("mode", Mode)
def test_the_same_state_and_event_always_give_the_same(reached, mode):
    for state in reached[mode][:50]:
        for event in samples(state):
            assert step(state, event) == step(state, event)


@pytest.mark.parametrize(
    ("mode", "event", "words"),
    [
        (
            Mode.OFFLINE,
            ev.Home(),
            ["home is possible while unhomed or idle", "not while offline", "connect first"],
        ),
        (Mode.UNHOMED, ev.Goto(5), ["not while unhomed", "home first"]),
        (Mode.UNHOMED, ev.StartStack(STACK), ["start stack", "home first"]),
        (Mode.FAULT, ev.Jog(1), ["not while fault", "clear the fault"]),
        (Mode.ESTOPPED, ev.Goto(5), ["release the e-stop"]),
        (Mode.PAUSED, ev.Goto(5), ["resume or abort the stack first"]),
        (Mode.CAPTURING, ev.Goto(5), ["wait for the stack or abort it"]),
        (Mode.MOVING, ev.Goto(5), ["wait or stop it"]),
        (Mode.STOPPING, ev.Home(), ["wait until it stands"]),
        (Mode.TESTING, ev.Goto(5), ["wait for the picture or stop it"]),
        (Mode.MOVING, ev.TestShot(), ["test shot is possible while unhomed or idle, not while moving"]),
        (Mode.CAPTURING, ev.TestShot(), ["wait for the stack or abort it"]),
        (Mode.IDLE, ev.EStopReleased(), ["possible while estopped, not while idle"]),
        (Mode.CAPTURING, ev.Resume(), ["resume is possible while paused, not while capturing"]),
        (Mode.IDLE, ev.ClearFault(), ["clear fault is possible while fault or estopped, not while idle"]),
        (Mode.IDLE, ev.Connect(), ["connect is possible while offline, not while idle"]),
    ],
)
def test_a_refusal_says_where_it_is_possible_and_how_to_get_there(reached, mode, event, words):
    _, effects = step(reached[mode][0], event)
    for part in words:
        assert part in refusal(effects)
