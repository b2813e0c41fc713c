"""The wired release on mock pins and virtual time: every edge, the proof by sync contact, and that nothing stays pressed."""

from __future__ import annotations

import pytest

from drivers.base import CameraTimeout, DriverError, NotOpen, Shutter
from drivers.gpio.options import ReleaseOptions
from drivers.gpio.release import Release
from drivers.registry import Context
from tests.contract.bench import VirtualBench
from tests.pins import mock_pins

FULL, HALF, SYNC = 17, 27, 22
PROOF = {"sync_pin": SYNC, "lag_s": 0.05, "sync_timeout_s": 0.5, "curtain_s": 0.004}


class Rig:
    """A release on mock pins, and the camera that hangs on it: a person with two wires."""

    def __init__(self, pins, bench, **options):
        self.pins = pins
        self.bench = bench
        self.release = Release(ReleaseOptions(**{"release_pin": FULL, **options}), Context(bench.clock))
        self.release.open()
        self.began_s = bench.clock.now()

    def start(self, exposure_s, ahead_s=0.0):
        self.asked_s = self.bench.clock.now()
        return self.bench.start(lambda: self.release.fire(exposure_s, self.asked_s + ahead_s))

    def fire(self, exposure_s, ahead_s=0.0):
        return self.bench.finish(self.start(exposure_s, ahead_s))

    def edges(self, number, since_s=None):
        """What a pin did, in seconds since the last exposure was asked for."""
        since_s = self.asked_s if since_s is None else since_s
        return [(round(at - since_s, 6), level) for at, level in self.pins[number].levels if at >= since_s]

    def close_contact(self, closed=True):
        (self.pins[SYNC].drive_low if closed else self.pins[SYNC].drive_high)()

    def nothing_pressed(self):
        return all(self.pins[number].levels[-1][1] == 0 for number in (FULL, HALF))


@pytest.fixture
def made():
    bench = VirtualBench()
    rigs = []
    with mock_pins(bench.clock) as pins:

        def make(**options):
            rigs.append(Rig(pins, bench, **options))
            bench.pass_time(1.0)
            return rigs[-1]

        yield make
        for rig in rigs:
            rig.release.close()


def test_the_camera_times_the_exposure(made):
    rig = made(press_s=0.1, lag_s=0.05)
    assert isinstance(rig.release, Shutter)
    firing = rig.fire(0.5)
    assert rig.edges(FULL) == [(0.0, 1.0), (0.1, 0.0)]
    assert (firing.start_s, firing.end_s) == pytest.approx((rig.asked_s, rig.asked_s + 0.55))
    assert not firing.proven
    assert rig.bench.clock.now() == pytest.approx(firing.end_s), "the rail must not move before"


def test_bulb(made):
    rig = made(bulb=True, lag_s=0.05)
    firing = rig.fire(2.0)
    assert rig.edges(FULL) == [(0.0, 1.0), (2.0, 0.0)]
    assert firing.end_s == pytest.approx(rig.asked_s + 2.05)


def test_half_press_comes_ahead_of_the_moment_that_was_asked_for(made):
    rig = made(focus_pin=HALF, half_press_s=0.3, press_s=0.1, lag_s=0.0)
    firing = rig.fire(0.2, ahead_s=1.0)
    assert rig.edges(HALF) == [(0.7, 1.0), (1.1, 0.0)]
    assert rig.edges(FULL) == [(1.0, 1.0), (1.1, 0.0)]
    assert firing.start_s == pytest.approx(rig.asked_s + 1.0)


def test_half_press_without_time_for_it_delays_the_exposure(made):
    rig = made(focus_pin=HALF, half_press_s=0.3, press_s=0.1, lag_s=0.0)
    firing = rig.fire(0.2)
    assert rig.edges(FULL) == [(0.3, 1.0), (0.4, 0.0)]
    assert firing.start_s == pytest.approx(rig.asked_s + rig.release.capabilities.lead_s)


def test_mirror_first(made):
    rig = made(focus_pin=HALF, half_press_s=0.2, mirror_up_s=1.5, press_s=0.1, lag_s=0.05)
    firing = rig.fire(0.3, ahead_s=3.0)
    assert rig.edges(FULL) == [(1.5, 1.0), (1.6, 0.0), (3.0, 1.0), (3.1, 0.0)]
    assert rig.edges(HALF) == [(1.3, 1.0), (3.1, 0.0)]
    assert firing.start_s == pytest.approx(rig.asked_s + 3.0)
    assert rig.release.capabilities.lead_s == pytest.approx(1.75)


def test_a_flash_charges_before_the_next_exposure(made):
    rig = made(recycle_s=2.0, press_s=0.1, lag_s=0.0)
    first = rig.fire(0.2)
    assert rig.bench.clock.now() == pytest.approx(first.end_s), "the rail may move meanwhile"
    rig.bench.pass_time(0.5)
    second = rig.fire(0.2)
    assert second.start_s == pytest.approx(first.end_s + 2.0)


def test_active_low(made):
    rig = made(active_low=True, press_s=0.1)
    assert rig.pins[FULL].levels[-1][1] == 1.0
    rig.fire(0.2)
    assert rig.edges(FULL) == [(0.0, 0.0), (0.1, 1.0)]


def test_cancelled_it_lets_go_at_once(made):
    rig = made(focus_pin=HALF, half_press_s=0.2, bulb=True)
    running = rig.start(30.0)
    rig.bench.pass_time(5.0)
    assert rig.pins[FULL].state
    rig.release.cancel()
    with pytest.raises(CameraTimeout) as caught:
        running.result()
    assert caught.value.waited_s == pytest.approx(5.0)
    assert rig.nothing_pressed()
    assert rig.edges(FULL)[-1] == (5.0, 0.0)
    assert rig.fire(1.0).end_s, "and works again"


def test_closed_in_the_middle_it_lets_go(made):
    rig = made(bulb=True, focus_pin=HALF)
    running = rig.start(30.0)
    rig.bench.pass_time(5.0)
    rig.release.close()
    with pytest.raises(DriverError):
        running.result()
    assert rig.nothing_pressed()
    assert [rig.pins[number].function for number in (FULL, HALF)] == ["input", "input"]
    with pytest.raises(NotOpen):
        rig.release.fire(1.0)


def test_an_exposure_of_no_time(made):
    rig = made()
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(DriverError, match="cannot expose"):
            rig.release.fire(wrong)
    assert rig.nothing_pressed()


# ------------------------------------------------------------------------------------------------------ sync contact


def test_the_contact_proves_start_and_end(made):
    rig = made(press_s=0.1, **PROOF)
    running = rig.start(0.2)
    rig.bench.pass_time(0.04)
    rig.close_contact()
    rig.bench.pass_time(0.2)
    rig.close_contact(False)
    firing = rig.bench.finish(running)
    assert firing.proven
    assert firing.start_s - rig.asked_s == pytest.approx(0.04 - 0.004, abs=0.01)
    assert firing.end_s - rig.asked_s == pytest.approx(0.24 + 0.004, abs=0.01)
    assert rig.bench.clock.now() >= firing.end_s


def test_a_contact_that_only_blinks_does_not_shorten_the_exposure(made):
    rig = made(press_s=0.02, **PROOF)
    running = rig.start(1.0)
    rig.bench.pass_time(0.05)
    rig.close_contact()
    rig.bench.pass_time(0.01)
    rig.close_contact(False)
    firing = rig.bench.finish(running)
    assert firing.end_s - rig.asked_s == pytest.approx(1.05 + 0.004, abs=0.01)


def test_a_contact_that_bounces(made):
    rig = made(press_s=0.02, **PROOF)
    running = rig.start(0.3)
    rig.bench.pass_time(0.05)
    for closed in (True, False, True, False, True):
        rig.close_contact(closed)
        rig.bench.pass_time(0.001)
    rig.bench.pass_time(0.5)
    assert not running.done, "it is closed still"
    rig.close_contact(False)
    firing = rig.bench.finish(running)
    assert firing.start_s - rig.asked_s == pytest.approx(0.046, abs=0.01)
    assert firing.end_s - rig.asked_s == pytest.approx(0.559, abs=0.02)


@pytest.mark.parametrize("bulb", [False, True])
def test_no_edge_is_a_failed_exposure(made, bulb):
    rig = made(bulb=bulb, focus_pin=HALF, half_press_s=0.0, **PROOF)
    with pytest.raises(DriverError, match="did not close") as caught:
        rig.fire(20.0)
    assert caught.value.port == f"GPIO{SYNC}"
    assert rig.bench.clock.now() - rig.asked_s == pytest.approx(0.55)
    assert rig.nothing_pressed(), "nobody holds the release for 20 s for nothing"


def test_an_exposure_that_does_not_end(made):
    rig = made(press_s=0.02, **PROOF)
    running = rig.start(0.3)
    rig.bench.pass_time(0.05)
    rig.close_contact()
    with pytest.raises(DriverError, match="stays closed"):
        rig.bench.finish(running)
    with pytest.raises(DriverError, match="closed before anything was exposed"):
        rig.fire(0.3)
    assert rig.nothing_pressed()
    rig.close_contact(False)
    with pytest.raises(DriverError, match="did not close"):
        rig.fire(0.3)


def test_edges_of_the_mirror_or_of_before_prove_nothing(made):
    rig = made(press_s=0.05, mirror_up_s=0.5, **PROOF)
    rig.close_contact()
    rig.close_contact(False)
    running = rig.start(0.2)
    rig.bench.pass_time(0.1)
    rig.close_contact()
    rig.bench.pass_time(0.01)
    rig.close_contact(False)
    with pytest.raises(DriverError, match="did not close"):
        rig.bench.finish(running)


def test_the_exposure_never_begins_before_the_press(made):
    rig = made(press_s=0.02, **PROOF)
    rig.pins[FULL].wired = lambda level: rig.close_contact(bool(level))
    firing = rig.fire(0.2, ahead_s=0.5)
    assert firing.proven
    assert firing.start_s == pytest.approx(rig.asked_s + 0.5, abs=1e-9)


def test_an_edge_counts_from_when_the_kernel_saw_it(made, monkeypatch):
    """The library's thread may be late; the edge carries its own time."""
    rig = made(press_s=0.02, **PROOF)
    running = rig.start(0.5)
    rig.bench.pass_time(0.3)
    factory = rig.pins.factory
    ticks = factory.ticks
    monkeypatch.setattr(factory, "ticks", lambda: ticks() + 0.25)
    rig.close_contact()
    rig.bench.pass_time(0.1)
    rig.close_contact(False)
    firing = rig.bench.finish(running)
    assert firing.start_s - rig.asked_s == pytest.approx(0.05 - 0.004, abs=0.02)
    assert firing.end_s - rig.asked_s == pytest.approx(0.55 + 0.004, abs=0.02)


def test_a_contact_to_the_supply(made):
    rig = made(press_s=0.02, sync_closes_to="supply", **PROOF)
    rig.pins[FULL].wired = lambda level: (rig.pins[SYNC].drive_high if level else rig.pins[SYNC].drive_low)()
    assert rig.fire(0.2).proven


# -------------------------------------------------------------------------------------------------------------- pins


def test_what_is_left_behind_is_safe(made):
    rig = made(focus_pin=HALF, **PROOF)
    rig.release.close()
    rig.release.close()
    assert rig.pins.driven() == []
    rig.release.open()
    rig.release.open()
    assert rig.pins.driven() == [FULL, HALF]
    assert rig.nothing_pressed()


def test_a_pin_in_use_leaves_the_others_free(made):
    first = made(release_pin=HALF)
    with pytest.raises(DriverError, match="GPIO27: opening"):
        made(focus_pin=HALF)
    first.release.close()
    assert first.pins.driven() == []


def test_a_pin_that_cannot_be_let_go_does_not_keep_the_other_pressed(made, monkeypatch):
    rig = made(focus_pin=HALF, bulb=True)
    running = rig.start(5.0)
    rig.bench.pass_time(1.0)
    half = rig.pins[HALF]
    monkeypatch.setattr(half, "_set_state", lambda _value: (_ for _ in ()).throw(OSError("gone")))
    with pytest.raises(DriverError, match="GPIO27: switching: gone"):
        rig.bench.finish(running)
    assert not rig.pins[FULL].state
    monkeypatch.undo()


def test_a_machine_without_pins(monkeypatch):
    pytest.importorskip("gpiozero")
    from gpiozero import BadPinFactory, Device

    def none(*_args):
        raise BadPinFactory("Unable to load any default pin factory!")

    monkeypatch.setattr(Device, "pin_factory", None)
    monkeypatch.setattr(Device, "_default_pin_factory", none)
    release = Release(ReleaseOptions(release_pin=FULL), Context(VirtualBench().clock))
    with pytest.raises(
        DriverError, match=r"GPIO17: there are no GPIO pins here that gpiozero can use .Unable to load"
    ):
        release.open()
    release.close()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"focus_pin": FULL}, "different pins"),
        ({"focus_pin": HALF, "sync_pin": HALF}, "different pins"),
        ({"mirror_up_s": 0.05}, "longer than press_s"),
        ({"release_pin": 40}, "release_pin"),
    ],
)
def test_options_that_cannot_be(wrong, why):
    with pytest.raises(ValueError, match=why):
        ReleaseOptions(**{"release_pin": FULL, **wrong})
