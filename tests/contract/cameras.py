"""What every camera must do."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from drivers.base import Camera, CameraTimeout, DriverError
from tests.contract.bench import Bench, check_lasted

DECODED = (".jpg", ".png", ".tif")


@dataclass
class CameraRig:
    """A closed camera to be tried, and the bench it stands on."""

    bench: Bench
    camera: Camera
    position_um: float = 0.0
    """A rail position that the camera has a picture of."""
    proves_freshness: bool = True
    """Whether it waits for a frame that is new; a naive camera does not, and its frames must say so."""
    encloses: bool = False
    """Whether its times enclose the exposure, as those of a camera that is only told to begin, instead of being it."""

    def expose(self, not_before_s: float | None = None):
        when_s = self.bench.clock.now() if not_before_s is None else not_before_s
        return self.bench.run(lambda: self.camera.expose(when_s, self.position_um))

    def fetch(self, exposure):
        return self.bench.run(lambda: self.camera.fetch(exposure))


class CameraContract:
    """The suite. A subclass's module gives the fixture `rig`, a `CameraRig` with its camera closed."""

    @pytest.fixture
    def opened(self, rig: CameraRig):
        rig.bench.run(rig.camera.open)
        yield rig
        rig.camera.close()

    def test_is_a_camera(self, opened):
        assert isinstance(opened.camera, Camera)

    def test_opens_and_closes_any_number_of_times(self, rig):
        rig.camera.close()
        rig.camera.cancel()
        rig.camera.open()
        rig.camera.open()
        first = rig.expose()
        rig.camera.close()
        rig.camera.close()
        with pytest.raises(DriverError):
            rig.expose()
        with pytest.raises(DriverError):
            rig.fetch(first)
        rig.camera.open()
        again = rig.expose()
        assert again.sequence > first.sequence
        rig.camera.close()

    def test_capabilities_make_sense(self, opened):
        able = opened.camera.capabilities
        assert able.width > 0
        assert able.height > 0
        assert able.frame_bytes > 0
        assert able.exposure_s > 0
        assert able.suffix.startswith(".")
        assert able.suffix == able.suffix.lower()

    @pytest.mark.parametrize("ahead_s", [0.0, 0.013, 0.4])
    def test_exposure_begins_when_asked_or_later(self, opened, ahead_s):
        if not opened.proves_freshness:
            pytest.skip("this camera takes what it has")
        opened.bench.pass_time(0.217)
        not_before_s = opened.bench.clock.now() + ahead_s
        exposure = opened.expose(not_before_s)
        assert exposure.start_s >= not_before_s

    def test_returns_when_the_shutter_has_closed(self, opened):
        able = opened.camera.capabilities
        for _ in range(3):
            exposure = opened.expose()
            assert exposure.end_s <= opened.bench.clock.now()
            lasted_s = exposure.end_s - exposure.start_s
            if opened.encloses:
                assert lasted_s >= able.exposure_s
            else:
                assert lasted_s == pytest.approx(able.exposure_s, rel=0.02, abs=1e-4)

    def test_settings_are_read_back(self, opened):
        wanted, found = opened.camera.capabilities.settings, opened.expose().settings
        for name in ("exposure_s", "gain", "lens_position"):
            if getattr(wanted, name) is not None:
                assert getattr(found, name) == pytest.approx(getattr(wanted, name), rel=0.02)

    def test_running_numbers_increase(self, opened):
        numbers = [opened.expose().sequence for _ in range(4)]
        assert numbers == sorted(set(numbers))

    def test_data_are_a_picture(self, opened):
        able = opened.camera.capabilities
        data = opened.fetch(opened.expose())
        assert data.suffix == able.suffix
        assert len(data.payload) > 100
        if able.suffix not in DECODED:
            pytest.skip(f"no decoder for {able.suffix} here")
        picture = cv2.imdecode(np.frombuffer(data.payload, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (able.height, able.width, 3)

    def test_data_are_fetched_once(self, opened):
        exposure = opened.expose()
        opened.fetch(exposure)
        with pytest.raises(DriverError):
            opened.fetch(exposure)

    def test_a_waiting_exposure_can_be_cancelled(self, opened):
        if not opened.proves_freshness:
            pytest.skip("this camera does not wait")
        asked_s = opened.bench.clock.now()
        running = opened.bench.start(lambda: opened.camera.expose(asked_s + 1e5, opened.position_um))
        opened.bench.pass_time(2.0)
        assert not running.done
        opened.camera.cancel()
        with pytest.raises(CameraTimeout) as caught:
            running.result()
        check_lasted(opened.bench.clock, caught.value.waited_s, 2.0, 0.5)
        assert opened.fetch(opened.expose()).payload

    def test_cancel_without_anything_to_cancel(self, opened):
        opened.camera.cancel()
        assert opened.fetch(opened.expose()).payload
