"""What every shutter, light and switch must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from drivers.base import DriverError, Light, Shutter, Switch
from tests.contract.bench import Bench


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
        opened.bench.pass_time(0.2)
        opened.check(True)
        opened.bench.finish(running)
        assert opened.bench.clock.now() - began_s >= 0.5
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
