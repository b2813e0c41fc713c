"""What every driver's stop must do: be obeyed at once, in each of its states.

`stop`, `halt` and `cancel` are called while the world stands still: no time passes on the driver's clock, and whoever is at the other end
of its wire does nothing. A verb that comes back then waits for nobody, and takes as long as a few lines of Python do; the daemon calls it
on its loop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytest

from drivers.base import CameraTimeout, DriverError, Rail
from tests.contract.bench import Bench, Running, VirtualBench, home, rest


@contextlib.contextmanager
def no_time_passes(bench: VirtualBench) -> Iterator[None]:
    """On a clock that jumps, time stands still as long as nobody lets it pass."""
    before_s = bench.clock.now()
    yield
    assert bench.clock.now() == before_s


def at_once(call: Callable[[], Any]) -> Any:
    """Call a verb from a thread of its own; fails when it does not come back."""
    return Running(call, lambda: None).result()


# -------------------------------------------------------------------------------------------------------------- rails


@dataclass
class RailStopRig:
    """A closed rail, and a world that can stand still."""

    bench: Bench
    rail: Rail
    frozen: Callable[[], AbstractContextManager[None]]
    motion: Callable[[], float]
    """A number that changes whenever the rail really moves."""
    hang: Callable[[], None] | None = None
    """From now on nobody answers; None: there is nobody who could."""
    answer: Callable[[], None] = lambda: None
    """The end of that."""
    reach: int = 6000


RAIL_STATES = ("closed", "unhomed", "homing", "at rest", "moving", "jogging", "braking", "halted")


class RailStopContract:
    """The suite. A subclass's module gives the fixture `rig`, a `RailStopRig` with its rail closed."""

    @pytest.fixture
    def opened(self, rig: RailStopRig):
        yield rig
        rig.answer()
        rig.rail.close()

    @pytest.mark.parametrize("verb", ["stop", "halt"])
    @pytest.mark.parametrize("state", RAIL_STATES)
    def test_it_is_obeyed_in_each_state(self, opened, state, verb):
        enter(opened, state)
        known = state in {"at rest", "moving", "jogging", "braking"}
        with opened.frozen():
            at_once(getattr(opened.rail, verb))
        if state == "closed":
            return
        status = rest(opened.bench, opened.rail)
        assert status.homed is (known and verb == "stop")
        if state in {"moving", "jogging", "homing"}:
            assert status.position != opened.reach
        stands(opened)

    @pytest.mark.parametrize("verb", ["stop", "halt"])
    @pytest.mark.parametrize("busy", ["start_move", "start_home", "poll"])
    def test_it_does_not_wait_for_a_verb_that_hangs(self, opened, busy, verb):
        if opened.hang is None:
            pytest.skip("nobody answers this rail: none of its verbs can hang")
        enter(opened, "at rest")
        opened.hang()
        calls = {
            "start_move": lambda: opened.rail.start_move(opened.reach),
            "start_home": opened.rail.start_home,
            "poll": lambda: rest(opened.bench, opened.rail),
        }
        hanging = Running(calls[busy], lambda: None)
        with opened.frozen():
            at_once(getattr(opened.rail, verb))
        opened.answer()
        with contextlib.suppress(DriverError):
            hanging.result()
        with contextlib.suppress(DriverError):
            opened.rail.halt()
        stands(opened)


def enter(rig: RailStopRig, state: str) -> None:
    """Bring the rail into a state."""
    if state == "closed":
        return
    rig.rail.open()
    if state == "unhomed":
        return
    home(rig.bench, rig.rail)
    if state == "homing":
        rig.rail.start_move(rig.reach // 2)
        rest(rig.bench, rig.rail)
        rig.rail.start_home()
        rig.bench.pass_time(0.01)
    elif state in {"moving", "braking"}:
        rig.rail.start_move(rig.reach)
        rig.bench.pass_time(0.02)
    elif state == "jogging":
        rig.rail.start_jog(rig.reach // 4, 500.0)
        rig.bench.pass_time(0.02)
    if state == "braking":
        rig.rail.stop()
    if state == "halted":
        rig.rail.halt()


def stands(rig: RailStopRig) -> None:
    """Nothing moves any more."""
    with contextlib.suppress(DriverError):
        rest(rig.bench, rig.rail)
    before = rig.motion()
    rig.bench.pass_time(0.1)
    assert rig.motion() == before


# ------------------------------------------------------------------------------------- what exposes: cameras, releases


@dataclass
class CancelRig:
    """A closed camera or release, and the verbs of it that take their time."""

    bench: Bench
    part: Any
    frozen: Callable[[], AbstractContextManager[None]]
    verbs: Mapping[str, Callable[[], Any]]
    """Each begins something that takes long, and returns or raises when it is over."""


class CancelContract:
    """The suite. A subclass's module gives the fixture `rig`, a `CancelRig` with its part closed."""

    @pytest.mark.parametrize("state", ["closed", "at rest"])
    def test_it_is_harmless_where_nothing_goes_on(self, rig, state):
        if state == "at rest":
            rig.bench.run(rig.part.open)
        with rig.frozen():
            at_once(rig.part.cancel)
        rig.bench.run(rig.part.open)
        rig.part.close()

    @pytest.mark.parametrize("number", range(2))
    def test_it_ends_whatever_takes_long(self, rig, number):
        if number >= len(rig.verbs):
            pytest.skip("it has one such verb")
        verb = list(rig.verbs.values())[number]
        rig.bench.run(rig.part.open)
        running = rig.bench.start(verb)
        rig.bench.pass_time(0.3)
        assert not running.done
        with rig.frozen():
            at_once(rig.part.cancel)
        with pytest.raises(CameraTimeout):
            running.result()
        rig.part.close()
