"""Bursts of the simulated camera, and of a camera that a release fires."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.base import BurstCamera, CameraTimeout, DriverError
from drivers.fired import FiredBurstCamera, FiredCamera, fired
from drivers.registry import Context
from drivers.sim.camera import SimCamera
from drivers.sim.options import SimCameraOptions, SimRailOptions, SimShutterOptions
from drivers.sim.parts import SimShutter
from drivers.sim.rail import SimRail
from tests.contract.bench import VirtualBench, home

TILT = {
    "scene": "tilt",
    "width": 240,
    "height": 180,
    "burst_width": 120,
    "near_um": 4000.0,
    "far_um": 6000.0,
    "threads": 1,
}


class Rig:
    def __init__(self, *, rail: dict | None = None, **options: object) -> None:
        self.bench = VirtualBench()
        context = Context(self.bench.clock, seed=3)
        self.rail = None
        if rail is not None:
            self.rail = SimRail(SimRailOptions(**rail), context)
            self.rail.open()
            home(self.bench, self.rail)
        self.camera = SimCamera(SimCameraOptions(**{**TILT, **options}), context)
        self.camera.open()

    def burst(self, frames: int, rate_hz: float = 40.0, not_before_s: float = 0.0):
        return self.bench.run(lambda: self.camera.burst(frames, rate_hz, not_before_s, 5000.0))


def test_frames_come_at_their_rate_and_say_when_they_were_exposed() -> None:
    rig = Rig()
    start_s = rig.bench.clock.now() + 1
    frames = rig.burst(10, 120.0, start_s)
    starts = np.array([frame.start_s for frame in frames])
    assert starts == pytest.approx(start_s + np.arange(10) / 120)
    assert all(frame.end_s - frame.start_s == pytest.approx(0.004) for frame in frames)
    assert rig.bench.clock.now() >= frames[-1].end_s
    assert isinstance(rig.camera, BurstCamera)
    capabilities = rig.camera.burst_capabilities
    assert {frame.image.shape for frame in frames} == {(capabilities.height, capabilities.width)}
    assert (capabilities.width, capabilities.height, capabilities.still_px) == (120, 90, 2.0)
    assert capabilities.rates_hz == (120.0, 40.0)


def test_an_exposure_is_no_longer_than_its_rate_leaves_time_for() -> None:
    frames = Rig(burst_exposure_s=0.02).burst(3, 120.0)
    assert frames[0].end_s - frames[0].start_s == pytest.approx(0.9 / 120)


def test_frames_show_what_the_rig_does_at_their_own_time() -> None:
    """The same scene as a picture, only smaller: the place that is sharp follows the rail."""
    rig = Rig(rail={"travel_um": 20_000, "start_um": 3000, "profile": "trapezoid"})
    rig.rail.start_move(round(4000 / rig.rail.capabilities.microstep_um))
    moving = rig.burst(60, 40.0)
    rig.rail.start_move(round(6000 / rig.rail.capabilities.microstep_um))
    there = rig.burst(60, 40.0)

    def sharp_row(image) -> float:
        detail = (np.abs(np.diff(image.astype(float), axis=1)) ** 2).sum(axis=1)
        top, low = detail[:30].sum(), detail[-30:].sum()
        return top / low

    assert sharp_row(there[-1].image) > 2 * sharp_row(moving[-1].image)


def test_ringing_shakes_the_frames() -> None:
    rig = Rig(rail={"travel_um": 20_000, "start_um": 3000, "profile": "trapezoid", "ring_coupling": 3.0})
    rig.rail.start_move(round(5000 / rig.rail.capabilities.microstep_um))
    ended_s = rig.bench.clock.now() + rig.rail.move_time_s(round(5000 / rig.rail.capabilities.microstep_um))
    ringing = rig.burst(20, 40.0, ended_s)
    still = rig.burst(20, 40.0, ended_s + 10)

    def unrest(frames) -> float:
        return float(np.std([frame.image.astype(float) for frame in frames], axis=0).mean())

    assert unrest(ringing) > 3 * unrest(still)


def test_a_picture_can_be_taken_after_a_burst() -> None:
    rig = Rig()
    rig.burst(5)
    now = rig.bench.clock.now()
    exposure = rig.bench.run(lambda: rig.camera.expose(now, 5000.0))
    assert exposure.start_s >= now
    assert rig.bench.run(lambda: rig.camera.fetch(exposure)).payload


def test_bursts_are_the_same_for_the_same_seed_and_noisy() -> None:
    one, other = Rig().burst(3), Rig().burst(3)
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a.image, b.image)
    assert not np.array_equal(one[0].image, one[1].image)


def test_what_the_camera_cannot_do_is_refused() -> None:
    with pytest.raises(DriverError, match="only at 120, 40 Hz"):
        Rig().burst(3, 50.0)
    with pytest.raises(DriverError, match="burst of 0 frames"):
        Rig().burst(0)
    with pytest.raises(DriverError, match="no bursts"):
        Rig(burst_rates_hz=()).burst(3)


def test_frames_can_be_lost() -> None:
    frames = Rig(faults={"burst_lost": {"at": [2, 3]}}).burst(5)
    gaps = np.diff([frame.start_s for frame in frames])
    assert gaps == pytest.approx([3 / 40, 1 / 40])


def test_a_burst_can_be_cancelled() -> None:
    rig = Rig()
    asked_s = rig.bench.clock.now()
    running = rig.bench.start(lambda: rig.camera.burst(3, 40.0, asked_s + 1e5, 5000.0))
    rig.bench.pass_time(2.0)
    assert not running.done
    rig.camera.cancel()
    with pytest.raises(CameraTimeout):
        running.result()
    assert len(rig.burst(3)) == 3


def test_a_burst_can_hang() -> None:
    rig = Rig(faults={"hang": {"at": [1]}})
    running = rig.bench.start(lambda: rig.camera.burst(3, 40.0, 0.0, 5000.0))
    rig.bench.pass_time(100.0)
    assert not running.done
    rig.camera.cancel()
    with pytest.raises(CameraTimeout):
        running.result()


class _Fireable(SimCamera):
    """A camera with bursts that a release can fire."""

    def expose_by(self, fire, position_um):
        firing = fire()
        return self.expose(firing.start_s, position_um)


class _Plain:
    """A camera that a release can fire, and no more."""

    def expose_by(self, fire, position_um):
        return None


def test_a_release_hands_on_the_bursts_of_its_camera() -> None:
    bench = VirtualBench()
    context = Context(bench.clock, seed=3)
    shutter = SimShutter(SimShutterOptions(), context)
    camera = fired(_Fireable(SimCameraOptions(**TILT), context), shutter)
    assert isinstance(camera, FiredBurstCamera)
    assert isinstance(camera, BurstCamera)
    camera.open()
    assert camera.burst_capabilities.width == 120
    assert len(bench.run(lambda: camera.burst(3, 40.0, 0.0, 5000.0))) == 3
    assert not shutter.presses
    camera.close()
    plain = fired(_Plain(), shutter)
    assert isinstance(plain, FiredCamera)
    assert not isinstance(plain, BurstCamera)
