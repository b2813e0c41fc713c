"""A bad line and a controller with a will of its own: the position is right, or it is not known, and homing recovers."""

import contextlib
import random
import threading
import time

import pytest

from drivers.base import AlarmResponse, DriverError, Limit, NoResponse
from drivers.clock import SystemClock
from drivers.grbl import conversation
from drivers.grbl.conversation import Conversation
from drivers.grbl.rail import GrblRail
from drivers.registry import Context
from tests.emulators.grbl_rails import GRBL, Kit
from tests.fault._grbl import Bench

MOVES = 25
QUICK = {25: 30_000.0, 24: 3000.0}


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path, Kit(QUICK), speed=20.0)
    yield bench
    bench.close()


@pytest.fixture
def homed(bench):
    bench.ready()
    return bench


def recover(bench):
    """As the daemon does it: halt, look whether it answers, open it anew where it does not, home."""
    with contextlib.suppress(DriverError):
        bench.rail.halt()
    try:
        bench.rail.poll()
    except DriverError:
        bench.rail.close()
        bench.rail.open()
    bench.home()
    assert bench.rail.poll().position == bench.emulator.true_steps() == 0


LINES = {
    "garbage": {"garbage": b"\xff\x00}{[MSG:"},
    "split": {"split": 1},
    "late": {"delay_s": 0.02},
    "lost bytes": {"lose": 0.01},
    "garbled bytes": {"garble": 0.01},
    "lost commands": {"lose_commands": 0.004},
    "all of it": {"split": 3, "lose": 0.003, "garble": 0.003, "lose_commands": 0.002, "garbage": b"ok?"},
}


@pytest.mark.parametrize("faults", LINES.values(), ids=LINES.keys())
def test_on_a_bad_line_the_position_is_right_or_not_known(tmp_path, faults):
    kit = Kit(
        QUICK | GRBL["grbl, finer than its reports"].settings,
        {"steps_per_mm": 3200, "response_timeout_s": 0.2},
    )
    bench = Bench(tmp_path, kit, speed=20.0)
    chance, known = random.Random(3), 0
    try:
        bench.ready()
        for _ in range(MOVES):
            for name, value in faults.items():
                setattr(bench.emulator.faults, name, value)
            try:
                bench.rail.start_move(chance.randrange(6000))
                if chance.random() < 0.3:
                    bench.rail.stop()
                position = bench.rest().position
            except DriverError:
                position = None
            for name in faults:
                setattr(bench.emulator.faults, name, type(faults[name])())
            if position is None:
                recover(bench)
            else:
                known += 1
                assert position == bench.emulator.true_steps()
    finally:
        bench.close()
    if set(faults) <= {"garbage", "split", "delay_s"}:
        assert known == MOVES


@pytest.mark.parametrize("moving", [True, False])
def test_a_reset_that_nobody_asked_for(homed, moving):
    homed.rail.start_move(20_000)
    if not moving:
        homed.rest()
    assert "reset" in homed.trouble(homed.emulator.reset_by_itself)
    with pytest.raises(DriverError):
        homed.rail.start_move(0)
    recover(homed)


@pytest.mark.parametrize("half", [b"Grbl", b"for help", b"Grbl 1.1h ['$' for help]"])
def test_a_reset_whose_banner_is_lost(homed, half):
    """What is at rest is held against the count as long as it is at rest."""
    homed.rail.start_move(8000)
    homed.rest()
    homed.emulator.faults.swallow.append(half)
    homed.trouble(homed.emulator.reset_by_itself)
    recover(homed)


def test_a_hard_limit(tmp_path):
    bench = Bench(
        tmp_path, Kit(QUICK | {21: 1, 130: 80.0}, {"travel_um": 80_000}, {"rail_um": 40_000.0}), speed=20.0
    )
    try:
        bench.ready()
        error = bench.trouble(lambda: bench.rail.start_move(70_000))
        assert "ALARM:1" in error
        assert "limit switch" in error
        assert not bench.rail.poll().moving
        pulses = bench.emulator.pulses()
        with pytest.raises(DriverError):
            bench.rail.start_move(0)
        assert bench.emulator.pulses() == pulses
        recover(bench)
        assert bench.rail.poll().limit is Limit.NONE
    finally:
        bench.close()


def test_soft_limits_of_the_controller(homed):
    homed.emulator.with_firmware(lambda firmware: firmware.settings.update({130: 10.0}))
    before = homed.rail.poll()
    with pytest.raises(AlarmResponse, match="error:15") as caught:
        homed.rail.start_move(32_000)
    assert "$J=" in str(caught.value)
    assert "travel" in caught.value.meaning
    after = homed.rail.poll()
    assert (after.position, after.homed, after.moving) == (before.position, True, False)
    homed.rail.start_move(100)
    assert homed.rest().position == homed.emulator.true_steps() == 100


def test_a_hold_that_nobody_here_asked_for(homed):
    """A button on the controller ends the jog: the rail stands where it should not."""
    homed.rail.start_move(60_000)
    assert "stopped" in homed.trouble(lambda: homed.emulator.with_firmware(lambda it: it.receive(b"!")))
    recover(homed)


def test_a_hold_at_rest_is_left_by_the_next_move(homed):
    homed.emulator.with_firmware(lambda firmware: firmware.receive(b"!"))
    assert homed.rail.poll().position == 0
    homed.rail.start_move(300)
    assert homed.rest().position == homed.emulator.true_steps() == 300


def test_a_door_that_is_open(homed):
    """An open input of many shields, or its noise. The controller hears no line meanwhile, and nothing is lost by it."""
    homed.emulator.with_firmware(lambda firmware: setattr(firmware, "door_open", True))
    while homed.rail.poll().alarm is None and homed.emulator.firmware.state != "Door":
        pass
    with pytest.raises(AlarmResponse, match="door input is open"):
        homed.rail.start_move(300)
    assert homed.rail.poll().position == 0
    homed.emulator.with_firmware(lambda firmware: setattr(firmware, "door_open", False))
    homed.rail.start_move(300)
    assert homed.rest().position == homed.emulator.true_steps() == 300


def test_a_hand_on_the_counter(homed):
    """Somebody else's program moved the rail, or a byte was lost in a way that nothing else shows."""

    def shift(firmware):
        firmware.mover.count += 5

    assert "count" in homed.trouble(lambda: homed.emulator.with_firmware(shift))
    recover(homed)


def test_a_motion_that_nobody_asked_for(homed):
    homed.trouble(lambda: homed.emulator.with_firmware(lambda it: it.receive(b"$J=G91X-20F600\n")))
    homed.rail.halt()
    recover(homed)


def test_an_ok_that_is_lost(tmp_path):
    """The controller may be doing anything: it is stopped at once."""
    bench = Bench(tmp_path, Kit(QUICK, {"response_timeout_s": 0.2}), speed=5.0)
    try:
        bench.ready()
        bench.emulator.faults.swallow.append(b"ok")
        with pytest.raises(NoResponse) as caught:
            bench.rail.start_move(60_000)
        assert "$J=" in caught.value.command
        assert bench.rail.poll().position is None
        pulses = bench.emulator.pulses()
        bench.rail.poll()
        assert bench.emulator.pulses() == pulses
        recover(bench)
    finally:
        bench.close()


def test_a_controller_that_falls_silent(homed):
    homed.rail.start_move(60_000)
    homed.emulator.faults.mute = True
    error = homed.trouble(homed.rail.poll)
    assert isinstance(error, NoResponse)
    assert error.port == homed.emulator.port
    homed.emulator.faults.mute = False
    homed.rail.close()
    homed.rail.open()
    recover(homed)


@pytest.mark.parametrize(
    ("settings", "start_um", "words"),
    [({130: 4.0, 27: 0.5}, 20_000.0, "no switch"), ({27: 0.0}, 3000.0, "stays pressed")],
    ids=["ALARM:9", "ALARM:8"],
)
def test_homing_that_fails(tmp_path, settings, start_um, words):
    bench = Bench(tmp_path, Kit(QUICK | settings, {}, {"start_um": start_um}), speed=20.0)
    try:
        bench.rail.open()
        assert words in bench.trouble(bench.rail.start_home)
        assert not bench.rail.poll().moving
    finally:
        bench.close()


def test_homing_that_takes_too_long(tmp_path):
    bench = Bench(tmp_path, Kit({25: 60.0}, {"homing_timeout_s": 0.3}))
    try:
        bench.rail.open()
        assert "longer" in bench.trouble(bench.rail.start_home)
        assert not bench.rail.poll().moving
        pulses = bench.emulator.pulses()
        bench.rail.poll()
        assert bench.emulator.pulses() == pulses
    finally:
        bench.close()


@pytest.mark.parametrize(
    ("says", "opens"),
    [(b"[MSG:INFO: Connecting to STA SSID:workshop]\r\n", True), (b"\xd5\x1a~\r\n", False), (b"", False)],
    ids=["telling", "in another speed", "silent"],
)
def test_a_controller_that_takes_its_time_to_start(tmp_path, monkeypatch, says, opens):
    """FluidNC looks for its network before it greets: as long as it says so, it is waited for."""
    monkeypatch.setattr(conversation, "BOOT_LIMIT_S", 0.4)
    monkeypatch.setattr(conversation, "KNOCK_S", 0.1)
    wire = {"resets_on_open": True, "boot_s": 1.5, "boot_says": says}
    bench = Bench(tmp_path, Kit(QUICK, firmware=GRBL["FluidNC"].firmware, wire=wire))
    try:
        if opens:
            bench.rail.open()
            assert "3.7" in bench.rail.capabilities.name
        else:
            with pytest.raises(DriverError):
                bench.rail.open()
    finally:
        bench.close()


def test_a_controller_that_starts_twice(tmp_path, monkeypatch):
    """The second start, of a knock that it had kept, comes upon the first question: what it can do is known all the same."""
    bench = Bench(tmp_path, Kit(QUICK, firmware={"options": "VH"}))
    emulator, command, asked = bench.emulator, Conversation.command, []

    def overtaken(talk, line, limit_s):
        asked.append(line)
        if asked != ["$I"]:
            return command(talk, line, limit_s)
        emulator.faults.mute = True
        pending = talk.begin(line)
        ends_s = time.monotonic() + 20.0
        while "$I" not in emulator.firmware.lines:
            assert time.monotonic() < ends_s
        with emulator.frozen():
            emulator.faults.mute = False
            emulator.with_firmware(lambda firmware: (firmware.out.clear(), firmware.power_on()))
        return talk.finish(pending, limit_s)

    monkeypatch.setattr(Conversation, "command", overtaken)
    try:
        bench.ready()
        assert asked[:2] == ["$I", "$I"]
        assert "$HX" in emulator.firmware.lines
    finally:
        bench.close()


@pytest.mark.parametrize(("dialect", "words"), [("marlin", "not Grbl"), ("old", "too old")])
def test_another_firmware(tmp_path, monkeypatch, dialect, words):
    monkeypatch.setattr("drivers.grbl.conversation.BOOT_LIMIT_S", 0.5)
    monkeypatch.setattr("drivers.grbl.conversation.KNOCK_S", 0.2)
    bench = Bench(tmp_path, Kit(firmware={"dialect": dialect}, wire={"resets_on_open": True, "boot_s": 0.1}))
    try:
        with pytest.raises(DriverError, match=words):
            bench.rail.open()
        with pytest.raises(DriverError):
            bench.rail.poll()
    finally:
        bench.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [({100: 400.0}, r"\$100 .* is 400, the config says 1600"), ({22: 0, 20: 0}, r"\$22 \(homing\) is 0")],
)
def test_settings_that_make_every_position_wrong(tmp_path, settings, words):
    bench = Bench(tmp_path, Kit(settings))
    try:
        with pytest.raises(DriverError, match=words):
            bench.rail.open()
    finally:
        bench.close()


def test_one_program_at_a_time(homed, tmp_path):
    other = GrblRail(homed.rail._options, Context(SystemClock()))
    with pytest.raises(DriverError, match="in use"):
        other.open()
    homed.rail.start_move(200)
    assert homed.rest().position == 200


@pytest.mark.parametrize(("verb", "byte"), [("stop", b"\x85"), ("halt", b"\x18")])
def test_a_stop_does_not_wait_for_an_answer_that_does_not_come(homed, verb, byte):
    """The verb under way waits on its own thread; stop and halt are on the wire before it gives up."""
    homed.emulator.faults.mute = True

    def move():
        with contextlib.suppress(DriverError):
            homed.rail.start_move(60_000)

    moving = threading.Thread(target=move, daemon=True)
    moving.start()
    while b"$J=" not in homed.emulator.received:
        homed.rail._clock.wait_until(homed.rail._clock.now() + 0.001)
    getattr(homed.rail, verb)()
    while byte not in homed.emulator.received.split(b"$J=")[-1]:
        assert moving.is_alive()
    assert moving.is_alive()
    homed.emulator.faults.mute = False
    moving.join(20)
    assert not moving.is_alive()


@pytest.mark.parametrize("verb", ["start_move", "start_jog", "start_home"])
def test_a_halt_that_comes_before_the_motion_is_sent(homed, monkeypatch, verb):
    """Once halted, nothing starts that was wanted before."""
    pilot = homed.rail._pilot
    wake = pilot.wake

    def wake_and_halt(talk):
        wake(talk)
        homed.rail.halt()
        homed.rail.poll()

    monkeypatch.setattr(pilot, "wake", wake_and_halt)
    if verb != "start_move":
        homed.rail.halt()
    before, pulses = len(homed.emulator.received), homed.emulator.pulses()
    arguments = {"start_move": (9000,), "start_jog": (900, 500.0), "start_home": ()}[verb]
    with contextlib.suppress(DriverError):
        getattr(homed.rail, verb)(*arguments)
    status = homed.rail.poll()
    assert (status.moving, status.position, status.alarm) == (False, None, None)
    assert b"$J" not in homed.emulator.received[before:]
    assert b"$H" not in homed.emulator.received[before:]
    assert homed.emulator.pulses() == pulses


def test_settling_whose_answer_is_lost(tmp_path):
    fine = GRBL["grbl, finer than its reports"]
    bench = Bench(tmp_path, Kit(QUICK | fine.settings, fine.options | {"response_timeout_s": 0.2}), speed=5.0)
    try:
        bench.ready()
        bench.rail.start_move(60_000)
        bench.emulator.faults.swallow.append(b"ok")
        bench.rail.stop()
        assert "settling" in bench.trouble(bench.rest)
        recover(bench)
    finally:
        bench.close()
