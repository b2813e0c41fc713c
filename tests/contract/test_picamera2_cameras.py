"""The picamera2 driver keeps the contract, and so does its lens as a rail: over picamera2 on a made-up libcamera."""

import pytest

from drivers.picamera2.camera import Picamera2Camera
from drivers.picamera2.lens import LensRail
from drivers.picamera2.options import LensOptions, Picamera2Options
from drivers.registry import Context
from tests.contract.bench import RealBench, VirtualBench
from tests.contract.cameras import CameraContract, CameraRig
from tests.contract.rails import RailContract, RailRig
from tests.emulators.picamera2_fake import FPS, LENS, FakePi, needs_genuine, playing

KEEPERS = {
    "as it comes": ("stand-in", {}, {}),
    "one in memory, long exposures": ("stand-in", {"buffers": 1, "exposure_s": 0.06}, {}),
    "genuine": ("genuine", {}, {}),
    "genuine, raw, slow to take controls": ("genuine", {"format": "dng"}, {"delay": 11, "latency_s": 0.03}),
}


class TestPicamera2Cameras(CameraContract):
    @pytest.fixture(
        params=[
            pytest.param(keeper, id=name, marks=[needs_genuine] if keeper[0] == "genuine" else [])
            for name, keeper in KEEPERS.items()
        ]
    )
    def rig(self, tmp_path, request):
        library, options, script = request.param
        with playing(FakePi(tmp_path / "pi", kind=library, **script)) as pi:
            bench = RealBench()
            camera = Picamera2Camera(Picamera2Options(**(pi.options | options)), Context(bench.clock))
            yield CameraRig(bench, camera, encloses=True)
            camera.close()


class TestOnVirtualTime(CameraContract):
    """Exposures take no time there but what the driver says they took."""

    @pytest.fixture
    def rig(self, tmp_path):
        with playing(FakePi(tmp_path / "pi")) as pi:
            bench = VirtualBench()
            camera = Picamera2Camera(Picamera2Options(**pi.options), Context(bench.clock))
            yield CameraRig(bench, camera, encloses=True)
            camera.close()


class TestLensAsRail(RailContract):
    @pytest.fixture
    def rig(self, tmp_path):
        with playing(FakePi(tmp_path / "pi", lens=LENS)) as pi:
            bench = RealBench()
            context = Context(bench.clock)
            options = LensOptions(
                max_speed_um_per_s=20_000, far_dioptres=8.0, park_dioptres_per_s=5.0, arrival_s=8 / FPS
            )
            rail = LensRail(options, context)
            camera = Picamera2Camera(Picamera2Options(**pi.options), context)
            camera.open()
            yield RailRig(bench, rail, span_um=5000.0, tells_home_error=False)
            rail.close()
            camera.close()
