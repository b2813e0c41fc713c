"""The driver on a Pi camera in trouble: one that hangs, dies, and is given up."""

import os
import signal
import threading

import pytest

from drivers.apart.child import Hangs
from drivers.apart.wire import Done, Leave
from drivers.base import CameraTimeout, DriverError, NoResponse, TransferFailed
from drivers.clock import SystemClock
from drivers.picamera2.camera import Picamera2Camera
from drivers.picamera2.options import Picamera2Options
from drivers.registry import Context
from tests.contract.bench import Running
from tests.emulators.picamera2_fake import KINDS, FakePi, playing

CLOCK = SystemClock()
QUICK = {"response_timeout_s": 1.0}


@pytest.fixture
def made(tmp_path):
    """A closed driver on a scripted Pi, made as the test says."""
    cleared = []

    def make(options=None, faults=(), **script):
        pi = FakePi(tmp_path / "pi", *faults, **script)
        around = playing(pi)
        around.__enter__()
        camera = Picamera2Camera(
            Picamera2Options(**(pi.options | {"burst_rates_hz": []} | (options or {}))), Context(CLOCK)
        )
        cleared.extend([lambda: around.__exit__(None, None, None), camera.close])
        return pi, camera

    yield make
    for clear in reversed(cleared):
        clear()


def expose(camera):
    return camera.expose(CLOCK.now(), 0.0)


def began(call):
    return Running(call, lambda: None)


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("library", KINDS)
def test_a_sensor_that_gives_no_more_frames_is_replaced(made, library, caplog):
    pi, camera = made(QUICK, kind=library)
    camera.open()
    expose(camera)
    pi.suffers({"call": "frame", "at": [2], "do": "stall"})
    with pytest.raises(CameraTimeout):
        # It cannot be said in which of them the sensor stops.
        _ = [expose(camera) for _ in range(3)]
    assert "hangs" in caplog.text
    assert pi.noted("stalled")
    assert camera.fetch(expose(camera)).payload
    assert len(set(pi.processes)) == 2
    assert is_gone(pi.processes[0])


@pytest.mark.parametrize("call", ["start", "stop", "configure"])
def test_a_pipeline_that_hangs_in_c_is_given_up_at_once(made, call):
    """With Python's lock held: no thread of that process runs any more. Seen from here it only owes an answer."""
    pi, camera = made({"burst_rates_hz": [100.0, 81.0]})
    camera.open()
    pi.suffers({"call": call, "at": [1], "do": "hang", "holding": True})
    running = began(lambda: camera.burst(5, 100.0, 0.0, 0.0))
    pi.until(lambda: pi.noted("hangs"))
    assert not running.done
    camera.cancel()
    with pytest.raises(CameraTimeout):
        running.result()
    assert not is_gone(pi.processes[0])  # nobody has waited for it
    camera.close()
    assert is_gone(pi.processes[0])
    camera.open()
    assert camera.fetch(expose(camera)).payload


@pytest.mark.parametrize("call", ["manager", "acquire", "start"])
def test_opening_a_camera_that_hangs_can_be_given_up(made, call):
    pi, camera = made(faults=[{"call": call, "at": [1], "do": "hang", "holding": True}])
    running = began(camera.open)
    pi.until(lambda: pi.noted("hangs"))
    camera.cancel()
    with pytest.raises(CameraTimeout):
        running.result()
    camera.open()
    assert camera.fetch(expose(camera)).payload


@pytest.mark.parametrize("call", ["stop", "release"])
def test_closing_ends_a_process_that_will_not_leave(made, call, caplog):
    pi, camera = made()
    camera.open()
    pi.suffers({"call": call, "at": [1], "do": "hang", "holding": True})
    camera.close()
    assert "did not end by itself" in caplog.text
    assert is_gone(pi.processes[0])


def test_a_process_that_dies_is_named_with_its_last_words(made):
    pi, camera = made()
    camera.open()
    pi.suffers({"call": "frame", "at": [1], "do": "crash"})
    with pytest.raises(NoResponse, match=r"SIGABRT: .*assertion failed"):
        expose(camera)
    assert camera.fetch(expose(camera)).payload


def test_a_picture_is_lost_with_its_process(made):
    pi, camera = made()
    camera.open()
    first = expose(camera)
    os.kill(pi.processes[0], signal.SIGKILL)
    with pytest.raises((NoResponse, TransferFailed)):
        camera.fetch(first)
    second = expose(camera)
    assert camera.fetch(second).payload
    assert second.sequence > first.sequence


def test_a_picture_of_the_process_before_is_not_looked_for_in_this_one(made):
    pi, camera = made()
    camera.open()
    first = expose(camera)
    pi.suffers({"call": "frame", "at": [1], "do": "crash"})
    # Whatever is not fetched when the next picture is asked for is fetched first: it is in memory here.
    with pytest.raises(NoResponse):
        expose(camera)
    assert camera.fetch(first).payload
    second = expose(camera)
    os.kill(pi.processes[-1], signal.SIGKILL)
    pi.until(lambda: not camera._held.session.child.alive)
    assert camera.fetch(expose(camera)).payload
    with pytest.raises(TransferFailed):
        camera.fetch(second)


def test_damaged_frames_are_not_pictures(made):
    pi, camera = made()
    camera.open()
    pi.suffers({"call": "frame", "at": [1, 2, 3], "do": "damaged"})
    exposure = expose(camera)
    assert pi.frames[exposure.sequence]["status"] == "Success"


def test_an_exposure_that_was_given_up_leaves_no_frame_held(made):
    """One frame in memory: were it held, there would never be another."""
    _, camera = made({"buffers": 1, "exposure_s": 0.1})
    camera.open()
    for _ in range(3):
        waiting = threading.Event()
        running = began(lambda seen=waiting: (seen.set(), expose(camera)))
        assert waiting.wait(10)
        camera.cancel()
        try:
            running.result()
        except CameraTimeout:
            pass
        else:
            continue  # it was quicker
    assert camera.fetch(expose(camera)).payload


def test_libcamera_that_refuses_to_start_is_started_anew(made):
    pi, camera = made(
        faults=[
            {"call": "start", "at": [1], "do": "fail", "words": "Failed to start camera: Input/output error"}
        ]
    )
    with pytest.raises(DriverError, match="Input/output error"):
        camera.open()
    camera.open()
    assert camera.fetch(expose(camera)).payload
    assert len(pi.processes) == 2


def test_the_process_ends_with_the_driver(made):
    """Also while it hangs with Python's lock held."""
    pi, camera = made()
    camera.open()
    pi.suffers({"call": "stop", "at": [1], "do": "hang", "holding": True})
    (pid,) = pi.processes
    session = camera._held.session
    with pytest.raises(Hangs):
        session.child.ask(Leave(), Done, 0.2)
    os.close(session.child._lifeline)
    pi.until(lambda: session.child._process.poll() is not None)
    session.child._lifeline = os.open(os.devnull, os.O_RDONLY)
    camera.close()
    assert is_gone(pid)
