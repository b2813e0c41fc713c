"""The lens of a Pi camera as a rail: where the plane in focus is said to be, there the lens is on the frame."""

import os
import signal
from types import SimpleNamespace

import pytest

from drivers.base import DriverError
from drivers.clock import SystemClock
from drivers.picamera2.camera import Picamera2Camera
from drivers.picamera2.lens import LensRail
from drivers.picamera2.options import LensOptions, Picamera2Options
from drivers.registry import Context
from tests.contract.bench import RealBench, home, rest
from tests.emulators.picamera2_fake import KINDS, LENS, FakePi, playing

CLOCK = SystemClock()
AXIS = {"near_dioptres": 10.0, "far_dioptres": 5.0, "park_dioptres_per_s": 50.0, "arrival_timeout_s": 20.0}


@pytest.fixture
def made(tmp_path):
    """An open camera and the open axis of its lens."""
    cleared = []

    def make(options=None, axis=None, opened=True, **script):
        pi = FakePi(tmp_path / "pi", **({"lens": LENS} | script))
        around = playing(pi)
        around.__enter__()
        context = Context(CLOCK)
        rail = LensRail(LensOptions(**(AXIS | (axis or {}))), context)
        camera = Picamera2Camera(
            Picamera2Options(**(pi.options | {"burst_rates_hz": []} | (options or {}))), context
        )
        cleared.extend([lambda: around.__exit__(None, None, None), camera.close, rail.close])
        if opened:
            rail.open()
            camera.open()
        return SimpleNamespace(pi=pi, rail=rail, camera=camera, bench=RealBench(), options=rail._options)

    yield make
    for clear in reversed(cleared):
        clear()


def expose(rig):
    return rig.camera.expose(CLOCK.now(), 0.0)


def moved(rig, um):
    rig.rail.start_move(round(um / rig.options.microstep_um))
    status = rest(rig.bench, rig.rail)
    assert status.alarm is None
    return status


@pytest.mark.parametrize("library", KINDS)
def test_the_frame_shows_the_lens_where_the_axis_is(made, library):
    rig = made(**({"kind": library} if library == "genuine" else {}))
    assert rig.camera.capabilities.settings.lens_position is None
    assert home(rig.bench, rig.rail).position == 0
    for um in (0.0, 25_000.0, 90_000.0, 10_000.0):
        status = moved(rig, um)
        assert status.position == round(um / rig.options.microstep_um)
        exposure = rig.camera.expose(status.ended_s, 0.0)
        wanted = 1e6 / (100_000.0 + um)
        assert rig.pi.frames[exposure.sequence]["lens"] == pytest.approx(wanted, abs=0.01)
        assert exposure.settings.lens_position == pytest.approx(wanted, abs=0.01)
        assert exposure.start_s >= status.ended_s


def test_a_picture_waits_for_a_lens_under_way(made):
    rig = made()
    home(rig.bench, rig.rail)
    rig.rail.start_move(5000)
    rig.bench.pass_time(0.001 + 50_000.0 / rig.options.max_speed_um_per_s)
    rig.rail.poll()  # leads it to its end; no frame has shown it there
    exposure = expose(rig)
    assert rig.pi.frames[exposure.sequence]["lens"] == pytest.approx(1e6 / 150_000.0, abs=0.01)


def test_the_lens_is_held_by_the_camera_that_comes_after(made):
    rig = made()
    home(rig.bench, rig.rail)
    moved(rig, 50_000.0)
    os.kill(rig.pi.processes[0], signal.SIGKILL)
    rig.pi.until(lambda: not rig.camera._held.session.child.alive)
    exposure = expose(rig)
    assert len(rig.pi.processes) == 2
    assert rig.pi.frames[exposure.sequence]["lens"] == pytest.approx(1e6 / 150_000.0, abs=0.01)
    assert rig.rail.poll().position == 5000
    assert moved(rig, 0.0).position == 0


def test_a_lens_under_way_while_the_camera_is_started_again(made):
    rig = made()
    home(rig.bench, rig.rail)
    rig.rail.start_move(5000)
    os.kill(rig.pi.processes[0], signal.SIGKILL)
    rig.pi.until(lambda: not rig.camera._held.session.child.alive)
    assert rig.rail.poll().moving
    rig.camera.open()
    assert rest(rig.bench, rig.rail).position == 5000


def test_a_control_that_gets_lost_is_told_again(made):
    rig = made(ignored_sets=1)
    assert home(rig.bench, rig.rail).position == 0
    assert moved(rig, 60_000.0).position == 6000


def test_one_frame_in_memory_does_not_hold_the_lens_up(made):
    """A picture that is not fetched yet would be all the memory there is."""
    rig = made({"buffers": 1})
    home(rig.bench, rig.rail)
    exposure = expose(rig)
    assert moved(rig, 30_000.0).position == 3000
    assert rig.camera.fetch(exposure).payload


def test_a_lens_that_does_not_move_is_an_alarm(made):
    rig = made(axis={"arrival_timeout_s": 0.4})
    home(rig.bench, rig.rail)
    rig.rail.close()
    rig.camera.close()
    rig.pi.script["lens"] = LENS | {"slew": 0.0}
    rig.pi.write()
    rig.rail.open()
    rig.camera.open()
    rig.rail.start_home()
    status = rest(rig.bench, rig.rail)
    assert (status.homed, status.position) == (False, None)
    assert "was sent to 10.00 dioptres and frames show it at 5.00" in status.alarm
    with pytest.raises(DriverError, match="home first"):
        rig.rail.start_move(10)


def test_a_camera_without_frames_is_an_alarm(made):
    rig = made(axis={"arrival_timeout_s": 0.4})
    home(rig.bench, rig.rail)
    rig.pi.suffers({"call": "frame", "at": [1], "do": "stall"})
    rig.pi.until(lambda: rig.pi.noted("stalled"))
    rig.rail.start_move(5000)
    status = rest(rig.bench, rig.rail)
    assert "no frame shows the lens" in status.alarm
    assert not status.homed


def test_stopping_before_home_and_after(made):
    rig = made(axis={"max_speed_um_per_s": 20_000})
    rig.rail.start_jog(-2000, 10_000.0)
    rig.bench.pass_time(0.05)
    rig.rail.stop()
    rig.rail.stop()
    assert rest(rig.bench, rig.rail).position is None
    home(rig.bench, rig.rail)
    rig.rail.start_move(8000)
    rig.bench.pass_time(0.1)
    rig.rail.stop()
    position = rest(rig.bench, rig.rail).position
    assert 0 < position < 8000
    exposure = expose(rig)
    wanted = 1e6 / (100_000.0 + position * rig.options.microstep_um)
    assert rig.pi.frames[exposure.sequence]["lens"] == pytest.approx(wanted, abs=0.01)


def test_it_needs_a_pi_camera():
    with pytest.raises(DriverError, match="must be picamera2"):
        LensRail(LensOptions(), Context(CLOCK)).open()


@pytest.mark.parametrize(
    ("options", "script", "named"),
    [
        ({}, {"lens": None}, "needs a module with autofocus"),
        ({"lens_position": 3}, {}, r"take camera\.lens_position away"),
        ({}, {"lens": LENS | {"max": 2.0}}, "lens_position 5 is not between 0 and 2"),
    ],
)
def test_a_camera_that_does_not_fit_the_axis(made, options, script, named):
    rig = made(options, opened=False, **script)
    rig.rail.open()
    with pytest.raises(DriverError, match=named):
        rig.camera.open()


def test_without_the_axis_in_use_the_camera_keeps_its_own_focus(made):
    rig = made({"lens_position": 3.0}, opened=False)
    rig.camera.open()
    assert expose(rig).settings.lens_position == pytest.approx(3.0, abs=0.01)
