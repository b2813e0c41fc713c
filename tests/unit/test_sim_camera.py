"""What a simulated camera shows, and when. Optics are replaced by a picture whose brightness tells the position."""

from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from drivers.base import CameraTimeout, NotOpen, TransferFailed
from drivers.registry import Context
from drivers.sim import camera as camera_module
from drivers.sim.camera import SimCamera
from drivers.sim.options import SimCameraOptions, SimLightOptions, SimRailOptions
from drivers.sim.parts import SimLight
from drivers.sim.rail import SimRail
from tests.contract.bench import VirtualBench, home, rest

UM_PER_LEVEL = 50.0


@dataclass
class Flat:
    """Optics that show a flat grey of the carriage's position, and remember what they were asked."""

    calls: list = field(default_factory=list)

    def render(self, position_um, path_px, path_um):
        assert path_um.mean() == pytest.approx(0.0, abs=1e-6)
        self.calls.append((position_um, path_px, path_um))
        return np.full((32, 48, 3), position_um / UM_PER_LEVEL, np.float32)

    def develop(self, linear, *, gain, seed):
        noise = np.random.default_rng(seed).normal(0, 0.3, linear.shape)
        return np.clip(linear * gain + noise, 0, 255).round().astype(np.uint8)

    def truth(self, reference_um=None):
        return "truth", reference_um


@dataclass
class Rig:
    bench: VirtualBench
    camera: SimCamera
    rail: SimRail | None
    optics: Flat
    context: Context

    def expose(self, not_before_s=None):
        when_s = self.bench.clock.now() if not_before_s is None else not_before_s
        return self.bench.run(lambda: self.camera.expose(when_s, 2000.0))

    def fetch(self, exposure):
        return self.bench.run(lambda: self.camera.fetch(exposure)).payload

    def picture(self, exposure):
        return cv2.imdecode(np.frombuffer(self.fetch(exposure), np.uint8), cv2.IMREAD_COLOR)

    def seen_um(self, exposure):
        return float(self.picture(exposure).mean()) * UM_PER_LEVEL

    def go(self, target_um):
        self.rail.start_move(round(target_um / self.rail.capabilities.microstep_um))
        rest(self.bench, self.rail)


@pytest.fixture
def make(monkeypatch):
    def build(*, rail=None, **options):
        bench, optics = VirtualBench(), Flat()
        context = Context(bench.clock, seed=3)
        monkeypatch.setattr(camera_module, "make_optics", lambda _options, _seed: optics)
        moved = None
        if rail is not None:
            moved = SimRail(SimRailOptions(**rail), context)
            moved.open()
            home(bench, moved)
        chosen = {"width": 48, "height": 32, "format": "png", **options}
        camera = SimCamera(SimCameraOptions(**chosen), context)
        camera.open()
        return Rig(bench, camera, moved, optics, context)

    return build


def faults(**kinds):
    return {"faults": {kind: {"at": at} for kind, at in kinds.items()}}


def test_a_fresh_camera_shows_the_new_position(make):
    rig = make(rail={}, frame_period_s=0.5, exposure_s=0.1)
    for target_um in (3000.0, 5000.0, 4000.0):
        rig.go(target_um)
        exposure = rig.expose()
        assert rig.seen_um(exposure) == pytest.approx(target_um, abs=UM_PER_LEVEL)
        assert not rig.camera.world.exposures[exposure.sequence].moving


def test_a_naive_camera_shows_the_previous_position_after_a_move(make):
    rig = make(rail={}, mode="naive", frame_period_s=1.0, exposure_s=0.1)
    rig.go(3000.0)
    rig.bench.pass_time(2.5)
    rig.go(5000.0)
    ended_s = rig.rail.poll().ended_s
    asked_s = rig.bench.clock.now()
    exposure = rig.expose(asked_s)
    assert rig.bench.clock.now() == asked_s
    assert exposure.start_s < ended_s
    assert rig.seen_um(exposure) == pytest.approx(3000.0, abs=UM_PER_LEVEL)
    rig.bench.pass_time(2.0)
    assert rig.seen_um(rig.expose()) == pytest.approx(5000.0, abs=UM_PER_LEVEL)


def test_a_frame_exposed_during_a_move_shows_the_move(make):
    rig = make(rail={"max_speed_um_per_s": 5000.0}, exposure_s=0.2, frame_period_s=0.2)
    rig.rail.start_move(16_000)
    rig.bench.pass_time(1.0)
    exposure = rig.expose()
    true = rig.camera.world.exposures[exposure.sequence]
    assert true.moving
    assert true.span_um > 100.0
    rig.fetch(exposure)
    position_um, _, path_um = rig.optics.calls[-1]
    assert position_um == pytest.approx(true.position_um)
    assert np.ptp(path_um) == pytest.approx(true.span_um)


def test_ringing_shakes_the_picture_and_settles(make):
    rig = make(rail={"profile": "trapezoid", "ring_coupling": 1.0}, exposure_s=0.05, frame_period_s=0.05)
    rig.go(100.0)
    shaken, later = rig.expose(), rig.expose(rig.bench.clock.now() + 6.0)
    log = rig.camera.world.exposures
    assert log[shaken.sequence].ring_um_max > 20 * log[later.sequence].ring_um_max
    rig.fetch(shaken)
    path = rig.optics.calls[-1][1]
    assert path.shape[1] == 2
    # Sideways shift is coupling times magnification over pitch, along one direction.
    assert np.hypot(*path.T).max() <= log[shaken.sequence].ring_um_max / 6.2 + 1e-9
    np.testing.assert_allclose(path[:, 0] * 0.8, path[:, 1] * 0.6, atol=1e-12)
    rig.fetch(later)
    assert rig.optics.calls[-1][1] is None


def test_without_a_simulated_rail_the_asked_position_is_shown(make):
    rig = make()
    assert rig.seen_um(rig.expose()) == pytest.approx(2000.0, abs=UM_PER_LEVEL)
    assert rig.camera.world.exposures[0].position_um == 2000.0


def test_frames_keep_to_the_sensors_beat(make):
    rig = make(frame_period_s=0.1, exposure_s=0.03)
    first = rig.expose()
    rig.bench.pass_time(1.234)
    second = rig.expose()
    beats = (second.start_s - first.start_s) / 0.1
    assert beats == pytest.approx(round(beats), abs=1e-6)
    assert second.sequence - first.sequence == round(beats)


def test_an_exposure_longer_than_the_period_slows_the_sensor(make):
    rig = make(frame_period_s=0.1, exposure_s=0.5)
    first, second = rig.expose(), rig.expose()
    assert second.start_s - first.start_s == pytest.approx(0.5)


def test_data_arrive_after_the_transfer(make):
    rig = make(transfer_s=0.7)
    exposure = rig.expose()
    rig.fetch(exposure)
    assert rig.bench.clock.now() == pytest.approx(exposure.end_s + 0.7)


def test_data_can_be_fetched_in_any_order_and_old_ones_are_dropped(make):
    rig = make()
    exposures = [rig.expose() for _ in range(20)]
    assert rig.fetch(exposures[19])
    assert rig.fetch(exposures[10])
    with pytest.raises(TransferFailed):
        rig.fetch(exposures[0])


def test_a_hanging_exposure_ends_by_cancel_only(make):
    rig = make(**faults(hang=(2,)))
    rig.expose()
    running = rig.bench.start(lambda: rig.camera.expose(0.0, 0.0))
    rig.bench.pass_time(500.0)
    assert not running.done
    rig.camera.cancel()
    with pytest.raises(CameraTimeout):
        running.result()
    assert rig.fetch(rig.expose())


def test_a_hanging_transfer_ends_by_cancel_only(make):
    rig = make(**faults(hang_transfer=(1,)))
    exposure = rig.expose()
    running = rig.bench.start(lambda: rig.camera.fetch(exposure))
    rig.bench.pass_time(500.0)
    assert not running.done
    rig.camera.cancel()
    with pytest.raises(CameraTimeout):
        running.result()
    assert rig.fetch(rig.expose())


def test_captures_are_counted_across_a_new_start(make):
    rig = make(**faults(black=(3,)))
    rig.expose()
    rig.expose()
    rig.camera.close()
    rig.camera.open()
    assert rig.picture(rig.expose()).mean() < 2
    assert rig.picture(rig.expose()).mean() > 30


def test_close_ends_a_hanging_exposure(make):
    rig = make(**faults(hang=(1,)))
    running = rig.bench.start(lambda: rig.camera.expose(0.0, 0.0))
    rig.bench.pass_time(1.0)
    rig.camera.close()
    with pytest.raises(CameraTimeout):
        running.result()
    with pytest.raises(NotOpen):
        rig.expose()


def test_black_truncated_and_lost_frames(make):
    rig = make(**faults(black=(2,), truncated=(3,), lost=(4,)), format="jpeg")
    good, black, cut, lost, after = (rig.expose() for _ in range(5))
    whole = rig.fetch(good)
    assert rig.picture(black).max() <= 1
    torn = rig.fetch(cut)
    assert len(torn) < 0.7 * len(whole)
    assert whole.endswith(b"\xff\xd9")
    assert not torn.endswith(b"\xff\xd9")
    with pytest.raises(TransferFailed):
        rig.fetch(lost)
    assert rig.picture(after).mean() == pytest.approx(40.0, abs=1.0)


def test_a_stale_frame_has_its_true_times(make):
    rig = make(rail={}, frame_period_s=0.4, exposure_s=0.1, **faults(stale=(2,)))
    rig.go(3000.0)
    rig.expose()
    rig.bench.pass_time(3.0)
    rig.go(5000.0)
    not_before_s = rig.bench.clock.now()
    stale = rig.expose(not_before_s)
    assert stale.end_s < not_before_s
    assert rig.seen_um(stale) == pytest.approx(3000.0, abs=UM_PER_LEVEL)
    assert rig.expose(not_before_s).start_s >= not_before_s


def test_a_duplicate_is_the_same_picture_again(make):
    rig = make(**faults(duplicate=(2,)))
    first, second, third = rig.expose(), rig.expose(), rig.expose()
    assert (second.sequence, second.start_s) == (first.sequence, first.start_s)
    assert rig.fetch(second) == rig.fetch(first) != rig.fetch(third)
    assert third.sequence > first.sequence


def test_drifted_settings_are_read_back_and_seen(make):
    rig = make(**faults(drift=(2,)))
    first, second = rig.expose(), rig.expose()
    assert second.settings.exposure_s > 1.1 * first.settings.exposure_s
    assert second.settings.gain > 1.1
    assert rig.picture(second).mean() > 1.3 * rig.picture(first).mean()


def test_faults_by_probability_are_the_same_for_the_same_seed(make):
    def blacks():
        rig = make(faults={"black": {"probability": 0.3}})
        return [rig.picture(rig.expose()).mean() < 2 for _ in range(40)]

    first = blacks()
    assert 4 < sum(first) < 24
    assert first == blacks()


def test_flicker_changes_brightness_by_its_share(make):
    rig = make(flicker=0.1)
    levels = [rig.picture(rig.expose()).mean() for _ in range(60)]
    assert np.std(levels) / np.mean(levels) == pytest.approx(0.1, rel=0.3)


def test_where_there_is_a_lamp_it_must_be_on(make):
    rig = make()
    light = SimLight(SimLightOptions(), rig.context)
    light.open()
    dark = rig.expose()
    light.on()
    lit = rig.expose()
    light.off()
    assert rig.picture(dark).mean() < 2
    assert rig.picture(lit).mean() > 30
    light.close()


def test_naive_frames_are_not_served_twice(make):
    rig = make(mode="naive")
    numbers = [rig.expose().sequence for _ in range(5)]
    assert numbers == sorted(set(numbers))


def test_truth_comes_from_the_optics(make):
    assert make().camera.truth(1200.0) == ("truth", 1200.0)


def test_the_subject_must_lie_the_right_way_round():
    with pytest.raises(ValueError, match="far_um"):
        SimCameraOptions(near_um=5000.0, far_um=4000.0)


def test_declared_size_of_a_picture_is_of_the_right_order():
    small, large = SimCameraOptions(jpeg_quality=60), SimCameraOptions(jpeg_quality=98)
    assert small.declared().frame_bytes < large.declared().frame_bytes < 1014 * 760
