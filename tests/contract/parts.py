"""What every shutter, light and switch must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from drivers.base import CameraTimeout, DriverError, Light, Shutter, Switch
from tests.contract.bench import Bench, check_lasted


@dataclass
class PartRig:
    """A closed part to be tried. What its outside looks like is told by functions, where it can be told."""

    bench: Bench
    part: Any
    active: Callable[[], bool] | None = None
    """Whether the light shines or the release is pressed."""
    press: Callable[[], None] | None = None
    let_go: Callable[[], None] | None = None

    def check(self, expected: bool) -> None:
        if self.active is not None:
            assert self.active() is expected


class _PartContract:
    @pytest.fixture
    def opened(self, rig: PartRig):
        rig.part.open()
        yield rig
        rig.part.close()


class ShutterContract(_PartContract):
    """The suite of a wired release."""

    def test_is_a_shutter(self, rig):
        assert isinstance(rig.part, Shutter)

    def test_opens_and_closes_any_number_of_times(self, rig):
        rig.part.close()
        rig.part.open()
        rig.part.open()
        rig.part.close()
        rig.part.close()
        rig.check(False)
        with pytest.raises(DriverError):
            rig.part.fire(0.1)

    def test_presses_for_as_long_as_asked(self, opened):
        began_s = opened.bench.clock.now()
        running = opened.bench.start(lambda: opened.part.fire(0.5))
        opened.bench.pass_time(opened.part.capabilities.lead_s + 0.2)
        opened.check(True)
        firing = opened.bench.finish(running)
        assert opened.bench.clock.now() - began_s >= 0.5
        assert began_s <= firing.start_s
        assert firing.end_s - firing.start_s >= 0.5 - 1e-6
        assert firing.end_s <= opened.bench.clock.now() + 1e-6
        opened.check(False)

    @pytest.mark.parametrize("ahead_s", [0.0, 0.013, 0.7])
    def test_exposes_when_asked_or_later(self, opened, ahead_s):
        not_before_s = opened.bench.clock.now() + ahead_s
        firing = opened.bench.run(lambda: opened.part.fire(0.2, not_before_s))
        assert firing.start_s >= not_before_s
        late_s = opened.part.capabilities.lead_s
        assert firing.start_s <= not_before_s + late_s + 1e-6
        assert firing.proven is opened.part.capabilities.proves

    def test_can_be_cancelled_and_lets_go(self, opened):
        running = opened.bench.start(lambda: opened.part.fire(30.0))
        opened.bench.pass_time(2.0)
        opened.check(True)
        opened.part.cancel()
        with pytest.raises(CameraTimeout) as caught:
            running.result()
        check_lasted(opened.bench.clock, caught.value.waited_s, 2.0, 0.5)
        opened.check(False)
        assert opened.bench.run(lambda: opened.part.fire(0.1)).end_s

    def test_closed_while_it_exposes_it_lets_go(self, opened):
        running = opened.bench.start(lambda: opened.part.fire(30.0))
        opened.bench.pass_time(2.0)
        opened.part.close()
        opened.check(False)
        with pytest.raises(DriverError):
            running.result()
        opened.check(False)

    def test_an_exposure_takes_time(self, opened):
        for wrong in (0.0, -1.0):
            with pytest.raises(DriverError):
                opened.part.fire(wrong)
        opened.check(False)


class LightContract(_PartContract):
    """The suite of a lamp."""

    def test_is_a_light(self, rig):
        assert isinstance(rig.part, Light)

    def test_is_off_after_open_and_after_close(self, rig):
        rig.part.close()
        rig.part.open()
        rig.check(False)
        rig.part.on()
        rig.check(True)
        rig.part.close()
        rig.check(False)
        rig.part.close()
        with pytest.raises(DriverError):
            rig.part.on()

    def test_switches(self, opened):
        for _ in range(2):
            opened.part.on()
            opened.check(True)
            opened.part.off()
            opened.part.off()
            opened.check(False)


class SwitchContract(_PartContract):
    """The suite of a contact."""

    def test_is_a_switch(self, rig):
        assert isinstance(rig.part, Switch)

    def test_opens_and_closes_any_number_of_times(self, rig):
        rig.part.close()
        rig.part.open()
        rig.part.open()
        assert isinstance(rig.part.pressed(), bool)
        rig.part.close()
        rig.part.close()
        with pytest.raises(DriverError):
            rig.part.pressed()

    def test_shows_when_it_is_pressed(self, opened):
        if opened.press is None or opened.let_go is None:
            pytest.skip("nobody here can press it")
        assert not opened.part.pressed()
        opened.press()
        assert opened.part.pressed()
        opened.let_go()
        assert not opened.part.pressed()
