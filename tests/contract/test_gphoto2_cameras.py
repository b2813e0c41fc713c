"""The gphoto2 driver keeps the contract: on libgphoto2's virtual camera, and on a scripted one that takes its time."""

import pytest

from drivers.gphoto2.camera import Gphoto2Camera
from drivers.gphoto2.options import Gphoto2Options
from drivers.registry import Context
from tests.contract.bench import RealBench, VirtualBench
from tests.contract.cameras import CameraContract, CameraRig
from tests.emulators import gphoto2_fake, ptp_virtual

SCRIPTED = {
    "complete, then stored": {},
    "stored, then complete": {"complete": "stored"},
    "never complete, slow to store": {"complete": "never", "store_s": 0.1},
    "no trigger, only captures": {"triggers": False},
}


def made(bench, options):
    return Gphoto2Camera(Gphoto2Options(**options), Context(bench.clock))


@ptp_virtual.needs_wheel
class TestVirtual(CameraContract):
    """It exposes in no time: the driver still holds it to the exposure time."""

    @pytest.fixture(params=[RealBench, VirtualBench], ids=["real time", "virtual time"])
    def rig(self, tmp_path, request):
        bench = request.param()
        with ptp_virtual.virtual_camera(tmp_path / "camera"):
            camera = made(bench, ptp_virtual.OPTIONS)
            yield CameraRig(bench, camera)
            camera.close()


class TestScripted(CameraContract):
    @pytest.fixture(params=SCRIPTED.values(), ids=SCRIPTED.keys())
    def rig(self, tmp_path, request):
        with gphoto2_fake.playing(gphoto2_fake.FakeCamera(tmp_path / "camera", **request.param)):
            bench = RealBench()
            camera = made(bench, gphoto2_fake.OPTIONS)
            yield CameraRig(bench, camera, encloses=True)
            camera.close()
