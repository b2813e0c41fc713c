"""Every driver's stop is obeyed at once, in each of its states; a new driver adds a fixture here."""

import os
import signal
from contextlib import ExitStack, contextmanager, nullcontext

import pytest

from drivers.attended import attended
from drivers.fired import FiredCamera
from drivers.gphoto2.camera import Gphoto2Camera
from drivers.gphoto2.options import Gphoto2Options
from drivers.gpio.options import ReleaseOptions
from drivers.gpio.release import Release
from drivers.picamera2.camera import Picamera2Camera
from drivers.picamera2.lens import LensRail
from drivers.picamera2.options import LensOptions, Picamera2Options
from drivers.picamera2.seat import seat_of
from drivers.registry import Context
from drivers.replay import ReplayCamera, ReplayOptions
from drivers.sim.camera import SimCamera
from drivers.sim.options import SimCameraOptions, SimRailOptions, SimShutterOptions
from drivers.sim.parts import SimShutter
from drivers.sim.rail import SimRail
from drivers.tmc2209.driver import Tmc2209
from drivers.tmc2209.options import Tmc2209Options
from tests.contract.bench import RealBench, VirtualBench
from tests.contract.stops import CancelContract, CancelRig, RailStopContract, RailStopRig, no_time_passes
from tests.emulators import gphoto2_fake
from tests.emulators.grbl_rails import GRBL, Kit, emulated
from tests.emulators.picamera2_fake import FPS, LENS, FakePi, playing
from tests.emulators.stepdir import on_mock_pins
from tests.emulators.tmc2209 import Faults, Wire
from tests.pins import mock_pins

LONG_S = 30.0


class TestSimulatedRails(RailStopContract):
    @pytest.fixture(params=["quintic", "trapezoid", "zvd"])
    def rig(self, request):
        bench = VirtualBench()
        rail = SimRail(SimRailOptions(profile=request.param), Context(bench.clock, seed=5))
        return RailStopRig(bench, rail, lambda: no_time_passes(bench), rail.true_microsteps)


class TestStepDirRails(RailStopContract):
    @pytest.fixture
    def rig(self):
        bench = VirtualBench()
        with on_mock_pins(bench.clock) as (rail, carriage, _):
            yield RailStopRig(bench, rail, lambda: no_time_passes(bench), lambda: carriage.place)


class TestGrblRails(RailStopContract):
    @pytest.fixture(params=["grbl", "grblHAL", "FluidNC"])
    def rig(self, request, tmp_path):
        bench, found = RealBench(), GRBL[request.param]
        kit = Kit(found.settings | {25: 30_000.0, 24: 3000.0}, {"response_timeout_s": 0.5}, found.firmware)
        with ExitStack() as stack:
            emulator, rail = emulated(kit, tmp_path / "grbl", bench.clock, stack, speed=5.0)

            def say(mute):
                emulator.faults.mute = mute

            yield RailStopRig(
                bench, rail, emulator.frozen, emulator.pulses, lambda: say(True), lambda: say(False)
            )


class TestAttendedRails(RailStopContract):
    """The chip is asked by the rail's own thread; a stop asks nothing."""

    @pytest.fixture
    def rig(self, tmp_path):
        bench = VirtualBench()
        context = Context(bench.clock, seed=5)
        with Wire(tmp_path / "uart") as wire:
            inner = SimRail(SimRailOptions(), context)
            motor = Tmc2209(Tmc2209Options(port=str(wire.link), run_ma=800, stall_threshold=50), context)

            def say(mute):
                wire.faults = Faults(mute=-1 if mute else 0)

            yield RailStopRig(
                bench,
                attended(inner, motor, bench.clock),
                lambda: no_time_passes(bench),
                inner.true_microsteps,
                lambda: say(True),
                lambda: say(False),
            )


@contextmanager
def standing_still(pi):
    """The camera's process does nothing; a rail by its lens has nobody else."""
    process = pi.processes[-1]
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


class TestLensRails(RailStopContract):
    @pytest.fixture
    def rig(self, tmp_path):
        with playing(FakePi(tmp_path / "pi", lens=LENS)) as pi:
            bench = RealBench()
            context = Context(bench.clock)
            options = LensOptions(
                max_speed_um_per_s=20_000, far_dioptres=8.0, park_dioptres_per_s=5.0, arrival_s=8 / FPS
            )
            rail = LensRail(options, context)
            camera = Picamera2Camera(Picamera2Options(**(pi.options | {"burst_rates_hz": []})), context)
            camera.open()
            wanted = seat_of(context)
            yield RailStopRig(
                bench, rail, lambda: standing_still(pi), lambda: wanted.wanted or 0.0, reach=2000
            )
            camera.close()


# ------------------------------------------------------------------------------------------------- cameras and releases


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from tests.contract.test_cameras import folder

    return folder.__wrapped__(tmp_path_factory)


def exposing(bench, camera, position_um=0.0):
    """A long exposure, and one that is waited for."""
    return {
        "expose": lambda: camera.expose(bench.clock.now(), position_um),
        "wait": lambda: camera.expose(bench.clock.now() + LONG_S, position_um),
    }


class TestSimulatedCameras(CancelContract):
    @pytest.fixture(params=["fresh", "naive"])
    def rig(self, request):
        bench = VirtualBench()
        options = SimCameraOptions(width=96, height=64, threads=1, exposure_s=5.0, mode=request.param)
        camera = SimCamera(options, Context(bench.clock, seed=5))
        return CancelRig(bench, camera, lambda: no_time_passes(bench), exposing(bench, camera, 12_000.0))


class TestFiredCameras(CancelContract):
    @pytest.fixture
    def rig(self, folder):
        bench = VirtualBench()
        context = Context(bench.clock, seed=5)
        options = ReplayOptions(folder=folder, first_um=100.0, step_um=50.0, exposure_s=5.0)
        camera = FiredCamera(ReplayCamera(options, context), SimShutter(SimShutterOptions(), context))
        return CancelRig(bench, camera, lambda: no_time_passes(bench), exposing(bench, camera, 300.0))


class TestReleases(CancelContract):
    @pytest.fixture(params=[{"bulb": True}, {"mirror_up_s": 20.0}, {"focus_pin": 27, "half_press_s": 9.0}])
    def rig(self, request):
        bench = VirtualBench()
        with mock_pins(bench.clock):
            release = Release(ReleaseOptions(release_pin=17, **request.param), Context(bench.clock))
            verbs = {
                "fire": lambda: release.fire(LONG_S),
                "wait": lambda: release.fire(0.1, bench.clock.now() + LONG_S),
            }
            yield CancelRig(bench, release, lambda: no_time_passes(bench), verbs)
            release.close()


class TestTetheredCameras(CancelContract):
    """The camera's own process hangs, also inside of the library with Python's lock held."""

    @pytest.fixture(params=[False, True], ids=["waiting", "holding the lock"])
    def rig(self, request, tmp_path):
        hang = {"call": "trigger_capture", "at": [1], "do": "hang", "holding": request.param}
        with gphoto2_fake.playing(gphoto2_fake.FakeCamera(tmp_path / "camera", hang)):
            bench = RealBench()
            camera = Gphoto2Camera(Gphoto2Options(**gphoto2_fake.OPTIONS), Context(bench.clock))
            # Its process hangs until it is ended: it is the one who does nothing meanwhile.
            verbs = {"expose": lambda: camera.expose(bench.clock.now(), 0.0)}
            yield CancelRig(bench, camera, nullcontext, verbs)
            camera.close()


class TestPiCameras(CancelContract):
    """The camera's own process hangs, in C with Python's lock held; or a picture is waited for."""

    @pytest.fixture(params=["expose", "wait"])
    def rig(self, request, tmp_path):
        with playing(FakePi(tmp_path / "pi")) as pi:
            bench = RealBench()
            camera = Picamera2Camera(
                Picamera2Options(**(pi.options | {"burst_rates_hz": []})), Context(bench.clock)
            )

            def hanging():
                pi.suffers({"call": "frame", "at": list(range(1, 1000)), "do": "hang"})
                return camera.expose(bench.clock.now(), 0.0)

            verbs = {"expose": hanging, "wait": lambda: camera.expose(bench.clock.now() + LONG_S, 0.0)}
            yield CancelRig(bench, camera, nullcontext, {request.param: verbs[request.param]})
            camera.close()
