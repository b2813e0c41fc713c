"""What every rail on a wire must do when the wire, or what is at its end, misbehaves.

The same faults for each: garbage, split and lost bytes, delay, silence, a plug that is pulled at any moment, an alarm, another firmware.
After each of them: a `DriverError` that names the port, or an alarm in words; no motion that was not asked for; a position that is exactly
right or not known; and closing, opening and homing make it whole again.
"""

from __future__ import annotations

import contextlib
import enum
import random
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field

import pytest

from drivers.base import DriverError, NoResponse, Rail, Unplugged
from tests.contract.bench import Bench, home, rest

MOVES = 12
POLL_S = 0.01
PATIENCE_S = 20.0
"""On the bench's clock. Some answers are waited for several times."""


class Line(enum.Enum):
    """What a line can do to bytes."""

    GARBAGE = "garbage"
    SPLIT = "split"
    LOST = "lost bytes"
    GARBLED = "garbled bytes"
    LOST_COMMANDS = "lost commands"
    DELAY = "delay"
    SILENCE = "silence"


@dataclass
class WireRig:
    """A closed rail on an emulated wire, and the means to spoil it."""

    bench: Bench
    rail: Rail
    port: str
    """As its errors must name it."""
    true_microsteps: Callable[[], float]
    """Where the rail really is, from where homing set the count to 0."""
    motion: Callable[[], float]
    """A number that changes whenever the rail really moves."""
    spoil: Mapping[Line, Callable[[], None]]
    """Begin one of these."""
    mend: Callable[[], None]
    """End them."""
    unplug: Callable[[], None]
    plug: Callable[[], None]
    unplug_at: Mapping[str, Callable[[], None]]
    """Have the plug pulled in the middle of a command: of its words in the error, how to."""
    alarm: Callable[[], None]
    """The other end stops the motor by itself."""
    alarm_over: Callable[[], None]
    alarm_words: str
    impostor: Callable[[], None]
    """From the next opening on, something else answers."""
    survived: Set[Line] = field(default_factory=frozenset)
    """On such a line everything goes as if there was nothing."""
    reach: int = 6000
    """How far from home the suite goes, in microsteps."""


class WireContract:
    """The suite. A subclass's module gives the fixture `rig`, a `WireRig` with its rail closed."""

    @pytest.fixture
    def homed(self, rig: WireRig):
        rig.rail.open()
        home(rig.bench, rig.rail)
        yield rig
        rig.rail.close()

    # ------------------------------------------------------------------------------------------------------- bad lines

    @pytest.mark.parametrize("line", [line for line in Line if line is not Line.SILENCE])
    def test_on_a_bad_line_the_position_is_right_or_not_known(self, homed, line):
        chance, known = random.Random(5), 0
        for _ in range(MOVES):
            homed.spoil[line]()
            try:
                homed.rail.start_move(chance.randrange(homed.reach))
                homed.bench.pass_time(0.02)
                if chance.random() < 0.3:
                    homed.rail.stop()
                position = rest(homed.bench, homed.rail).position
            except DriverError as error:
                named(homed, error)
                position = None
            homed.mend()
            if position is None:
                recover(homed)
            else:
                known += 1
                assert position == pytest.approx(homed.true_microsteps(), abs=1e-6)
        if line in homed.survived:
            assert known == MOVES

    @pytest.mark.parametrize("moving", [True, False])
    def test_silence_is_named_and_nothing_moves_after_it(self, homed, moving):
        if moving:
            homed.rail.start_move(homed.reach)
        homed.spoil[Line.SILENCE]()
        error = trouble(homed)
        assert error is None or isinstance(error, NoResponse | Unplugged)
        homed.mend()
        stands_still(homed)
        recover(homed)

    # ------------------------------------------------------------------------------------------------------- the plug

    @pytest.mark.parametrize("state", ["at rest", "moving", "braking", "homing"])
    def test_a_pulled_plug(self, homed, state):
        enter(homed, state)
        homed.unplug()
        error = trouble(homed)
        assert error is None or isinstance(error, Unplugged)
        with pytest.raises(DriverError):
            homed.rail.start_move(10)
        homed.rail.close()
        with pytest.raises(DriverError, match=homed.port):
            homed.rail.open()
        homed.plug()
        recover(homed, opened_anew=True)

    @pytest.mark.parametrize("number", range(3))
    def test_a_plug_that_is_pulled_in_mid_command(self, homed, number):
        words = list(homed.unplug_at)
        if number >= len(words):
            pytest.skip("it has fewer commands")
        homed.rail.start_move(homed.reach)
        homed.bench.pass_time(0.02)
        homed.rail.stop()
        rest(homed.bench, homed.rail)
        homed.unplug_at[words[number]]()
        with pytest.raises(DriverError) as caught:
            provoke(homed)
        named(homed, caught.value)
        # The answer to the one before may be lost with the plug, and is then what is missed.
        assert any(word in str(caught.value) for word in words[: number + 1]), str(caught.value)
        homed.plug()
        recover(homed, opened_anew=True)

    # --------------------------------------------------------------------------------------------- alarm, wrong firmware

    @pytest.mark.parametrize("state", ["at rest", "moving", "homing"])
    def test_an_alarm_is_told_in_words(self, homed, state):
        enter(homed, state)
        homed.alarm()
        seen = alarm_of(homed)
        assert homed.alarm_words in seen
        stands_still(homed)
        homed.alarm_over()
        recover(homed)

    def test_another_firmware_is_not_commanded(self, rig):
        rig.impostor()
        before = rig.motion()
        with pytest.raises(DriverError, match=rig.port):
            rig.rail.open()
        for verb in (rig.rail.poll, rig.rail.start_home, lambda: rig.rail.start_move(10)):
            with pytest.raises(DriverError):
                verb()
        rig.rail.stop()
        rig.rail.halt()
        rig.rail.close()
        assert rig.motion() == before


def enter(rig: WireRig, state: str) -> None:
    """Bring the rail into a state."""
    if state == "homing":
        rig.rail.start_move(rig.reach)
        rest(rig.bench, rig.rail)
        rig.rail.start_home()
    elif state != "at rest":
        rig.rail.start_move(rig.reach)
        rig.bench.pass_time(0.02)
    if state == "braking":
        rig.rail.stop()


def trouble(rig: WireRig) -> DriverError | None:
    """Poll until the fault is noticed: the error, or None where it is shown as an alarm."""
    ends_s = rig.bench.clock.now() + PATIENCE_S
    while True:
        try:
            status = rig.rail.poll()
        except DriverError as error:
            return named(rig, error)
        if status.alarm is not None:
            assert (status.homed, status.position) == (False, None)
            return None
        assert rig.bench.clock.now() < ends_s, "the fault is not noticed"
        rig.bench.pass_time(POLL_S)


def named(rig: WireRig, error: DriverError) -> DriverError:
    """An error that says where."""
    assert rig.port in str(error)
    return error


def alarm_of(rig: WireRig) -> str:
    """The alarm in words, whichever way it is told."""
    ends_s = rig.bench.clock.now() + PATIENCE_S
    while (status := rig.rail.poll()).alarm is None:
        assert rig.bench.clock.now() < ends_s, "the alarm is not noticed"
        rig.bench.pass_time(POLL_S)
    assert (status.moving, status.homed, status.position) == (False, False, None)
    return status.alarm


def provoke(rig: WireRig) -> None:
    """One of everything that talks, until the line is gone."""
    rig.bench.pass_time(1.1)
    rig.rail.poll()
    rig.rail.start_move(round(rig.reach / 2))
    rest(rig.bench, rig.rail)
    rig.rail.start_home()
    rest(rig.bench, rig.rail)
    rig.rail.close()
    rig.rail.open()
    home(rig.bench, rig.rail)


def stands_still(rig: WireRig) -> None:
    """Whatever was under way is over, or is now; after that nothing moves by itself."""
    with contextlib.suppress(DriverError):
        rig.rail.halt()
        rig.rail.poll()
    rig.bench.pass_time(0.05)
    before = rig.motion()
    rig.bench.pass_time(0.05)
    with contextlib.suppress(DriverError):
        rig.rail.poll()
    assert rig.motion() == before


def recover(rig: WireRig, *, opened_anew: bool = False) -> None:
    """As the daemon does it: halt, look whether it answers, open it anew where it does not, and home."""
    if not opened_anew:
        with contextlib.suppress(DriverError):
            rig.rail.halt()
        try:
            opened_anew = rig.rail.poll().homed
            assert not opened_anew
        except DriverError:
            opened_anew = True
    if opened_anew:
        rig.rail.close()
        rig.rail.open()
        status = rig.rail.poll()
        assert (status.moving, status.homed, status.position) == (False, False, None)
        before = rig.motion()
        with pytest.raises(DriverError):
            rig.rail.start_move(10)
        rig.bench.pass_time(0.02)
        assert rig.motion() == before, "it moved before it was homed"
    home(rig.bench, rig.rail)
    rig.rail.start_move(rig.reach // 3)
    status = rest(rig.bench, rig.rail)
    assert status.position == rig.reach // 3 == pytest.approx(rig.true_microsteps(), abs=1e-6)
