"""Every camera that comes with rigd keeps the contract."""

import cv2
import numpy as np
import pytest

from drivers.fired import FiredCamera
from drivers.registry import Context
from drivers.replay import ReplayCamera, ReplayOptions
from drivers.sim.camera import SimCamera
from drivers.sim.options import SimCameraOptions, SimShutterOptions
from drivers.sim.parts import SimShutter
from tests.contract.bench import VirtualBench
from tests.contract.cameras import CameraContract, CameraRig

SMALL = {"width": 96, "height": 64, "threads": 1}
SIMULATED = {
    "sim": {},
    "sim naive": {"mode": "naive"},
    "sim png": {"format": "png", "scene": "tilt", "flicker": 0.02},
    "sim long exposure": {"scene": "insect", "exposure_s": 0.7, "transfer_s": 0.0},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("stack")
    random = np.random.default_rng(1)
    for number in range(1, 12):
        picture = random.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(path / f"frame{number}.jpg"), picture)
    return path


@pytest.fixture(params=[*SIMULATED, "replay"])
def rig(request, folder):
    bench = VirtualBench()
    context = Context(bench.clock, seed=5)
    if request.param == "replay":
        options = ReplayOptions(folder=folder, first_um=100.0, step_um=50.0)
        return CameraRig(bench, ReplayCamera(options, context), position_um=300.0)
    options = SimCameraOptions(**SMALL, **SIMULATED[request.param])
    return CameraRig(
        bench, SimCamera(options, context), position_um=12_000.0, proves_freshness=options.mode == "fresh"
    )


class TestCameras(CameraContract):
    pass


class TestFiredCameras(CameraContract):
    """A camera that a wired release fires is a camera like any other."""

    @pytest.fixture
    def rig(self, folder):
        bench = VirtualBench()
        context = Context(bench.clock, seed=5)
        options = ReplayOptions(folder=folder, first_um=100.0, step_um=50.0)
        camera = FiredCamera(ReplayCamera(options, context), SimShutter(SimShutterOptions(), context))
        return CameraRig(bench, camera, position_um=300.0)
