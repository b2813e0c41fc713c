"""What cameras do when they do not do what they should: each is named, and the next picture is taken."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

from drivers.base import (
    AlarmResponse,
    CameraTimeout,
    DriverError,
    NoResponse,
    TransferFailed,
    Unplugged,
)
from drivers.clock import SystemClock
from drivers.gphoto2.camera import Gphoto2Camera
from drivers.gphoto2.options import Gphoto2Options
from drivers.registry import Context
from tests.emulators.gphoto2_fake import MODEL, OPTIONS, PORT, FakeCamera, playing

CLOCK = SystemClock()
PATIENCE_S = 20.0
HANGS_S = 1.0
"""No answer for so long is a camera that hangs: on a busy machine 0.3 s was one whose new process only began late."""


@contextmanager
def rig(folder, *faults, options=None, opened=True, **script):
    """A scripted camera, and the driver on it."""
    with ExitStack() as stack:
        fake = stack.enter_context(playing(FakeCamera(folder / "camera", *faults, **script)))
        camera = Gphoto2Camera(Gphoto2Options(**(OPTIONS | (options or {}))), Context(CLOCK))
        stack.callback(camera.close)
        if opened:
            camera.open()
        yield fake, camera


def picture(camera):
    return camera.fetch(camera.expose(CLOCK.now(), 0.0)).payload


def pictures(camera, count):
    return [picture(camera) for _ in range(count)]


def at(call, *numbers, do, **more):
    return {"call": call, "at": list(numbers), "do": do, **more}


def runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def given_up(camera, fake, call, verb):
    """Begin a verb, cancel it while the camera is in a call, and see what it raises."""
    caught = []

    def work():
        try:
            verb()
        except DriverError as error:
            caught.append(error)

    before = len(fake.calls(call))
    thread = threading.Thread(target=work)
    thread.start()
    fake.until(lambda: len(fake.calls(call)) > before)
    camera.cancel()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    (error,) = caught
    return error


@pytest.mark.parametrize("holding", [False, True], ids=["waiting", "inside C, with Python's lock"])
@pytest.mark.parametrize(("call", "number"), [("trigger_capture", 2), ("file_get", 2)])
def test_a_hang_is_given_up_and_a_usb_reset_brings_the_camera_back(tmp_path, call, number, holding):
    """What the rig does with a camera that hangs: cancel, close, open."""
    hang = at(call, number, do="hang", holding=holding, until="reset")
    with rig(tmp_path, hang) as (fake, camera):
        first = picture(camera)
        pid = fake.processes[-1]
        assert isinstance(given_up(camera, fake, call, lambda: picture(camera)), CameraTimeout)
        camera.close()
        assert not runs(pid)
        camera.open()
        assert len(fake.calls("reset")) == 1
        assert picture(camera) != first
        assert camera.expose(CLOCK.now(), 0.0).sequence == 4


def test_a_hang_is_noticed_without_anybody_who_cancels(tmp_path):
    hang = at("trigger_capture", 1, do="hang")
    with rig(tmp_path, hang, options={"response_timeout_s": HANGS_S}) as (fake, camera):
        with pytest.raises(CameraTimeout):
            camera.expose(CLOCK.now(), 0.0)
        assert picture(camera)
        assert len(set(fake.processes)) == 2


def test_a_camera_that_no_reset_helps_is_switched_off_and_on(tmp_path):
    stuck = at("trigger_capture", 2, do="error", code=-7, until="power")
    with rig(tmp_path, stuck, options={"power_cycle": power_cycle(tmp_path)}) as (fake, camera):
        picture(camera)
        with pytest.raises(AlarmResponse, match=r"-7.*check cable"):
            picture(camera)
        assert not fake.calls("reset")
        assert picture(camera)
        assert len(fake.calls("reset")) == 1
        assert "stuck" not in fake.memory


def test_a_camera_that_hangs_again_after_a_reset_is_switched_off_and_on_at_once(tmp_path):
    hangs = at("trigger_capture", 2, 3, do="hang", until="reset")
    options = {"response_timeout_s": HANGS_S, "power_cycle": power_cycle(tmp_path)}
    with rig(tmp_path, hangs, options=options) as (fake, camera):
        picture(camera)
        for _ in range(2):
            with pytest.raises(CameraTimeout):
                picture(camera)
        assert picture(camera)
        assert len(fake.calls("reset")) == 1


def power_cycle(tmp_path):
    """A command that makes the camera forget that it hangs."""
    memory = str(tmp_path / "camera" / "state.json")
    forget = f"import json; s = json.load(open({memory!r})); s.pop('stuck', 0); json.dump(s, open({memory!r}, 'w'))"
    return (sys.executable, "-c", forget)


def test_a_power_cycle_that_fails_or_hangs_ends_in_time(tmp_path):
    stuck = at("init", 2, do="error", code=-7, until="power")
    for command in (("/no/such/command",), ("false",), ("sleep", "100")):
        options = {"power_cycle": command, "power_cycle_timeout_s": 0.2}
        with rig(tmp_path / command[0].strip("/"), stuck, options=options) as (fake, camera):
            camera.close()
            began_s = time.monotonic()
            with pytest.raises(AlarmResponse, match="-7"):
                camera.open()
            assert time.monotonic() - began_s < PATIENCE_S
            assert len(fake.calls("reset")) == 1


def test_a_busy_camera_is_asked_again(tmp_path):
    busy = at("trigger_capture", 1, 2, 3, do="error", code=-110)
    with rig(tmp_path, busy) as (fake, camera):
        not_before_s = CLOCK.now() + 0.1
        exposure = camera.expose(not_before_s, 0.0)
        assert not_before_s <= exposure.start_s <= fake.exposures[0][0]
        assert camera.fetch(exposure).payload
        assert len(fake.processes) == 1


def test_a_camera_that_stays_busy_is_named(tmp_path):
    busy = at("trigger_capture", *range(1, 100), do="error", code=-110)
    with (
        rig(tmp_path, busy, options={"response_timeout_s": 0.2}) as (_, camera),
        pytest.raises(AlarmResponse, match=rf"{MODEL} on {PORT}.*-110.*busy"),
    ):
        camera.expose(CLOCK.now(), 0.0)


@pytest.mark.parametrize("call", ["trigger_capture", "wait_for_event", "get_single_config", "file_get"])
def test_unplugged_in_the_middle_and_plugged_in_again(tmp_path, call):
    with rig(tmp_path, count_events=True) as (fake, camera):
        picture(camera)
        fake.suffers(at(call, len(fake.calls(call)) + 2, do="unplug"))
        with pytest.raises(Unplugged, match=MODEL):
            pictures(camera, 5)
        with pytest.raises(DriverError, match="switch it on"):
            picture(camera)
        fake.plug()
        assert picture(camera)


def test_a_library_that_aborts_takes_nothing_with_it(tmp_path):
    crash = at("trigger_capture", 2, do="crash")
    with rig(tmp_path, crash) as (fake, camera):
        picture(camera)
        with pytest.raises(NoResponse, match=r"SIGABRT.*assertion failed"):
            picture(camera)
        assert picture(camera)
        assert len(set(fake.processes)) == 2


def test_a_process_that_is_killed_is_replaced(tmp_path):
    with rig(tmp_path) as (fake, camera):
        before = camera.expose(CLOCK.now(), 0.0)
        os.kill(fake.processes[-1], signal.SIGKILL)
        fake.until(lambda: not camera._held.session.child.alive)
        assert picture(camera)
        with pytest.raises(TransferFailed, match="restarted"):
            camera.fetch(before)


@pytest.mark.parametrize("do", ["twice", "twice late"])
@pytest.mark.parametrize("complete", ["closed", "never", "late"])
def test_a_file_reported_twice_is_one_picture(tmp_path, do, complete):
    """The second report must neither end the next exposure nor be taken for its picture."""
    with rig(tmp_path, at("trigger_capture", 1, 3, do=do), complete=complete) as (fake, camera):
        for number in range(1, 6):
            exposure = camera.expose(CLOCK.now(), 0.0)
            assert exposure.end_s >= fake.exposures[-1][1]
            assert f"#{number:06d}".encode() in camera.fetch(exposure).payload


@pytest.mark.parametrize("complete", ["closed", "stored", "never", "late"])
@pytest.mark.parametrize("early", [False, True], ids=["fetched late", "fetched at once"])
def test_times_enclose_the_exposure_whatever_the_camera_reports(tmp_path, complete, early):
    with rig(tmp_path, complete=complete, store_s=0.15) as (fake, camera):
        exposures = []
        for number in range(1, 7):
            not_before_s = CLOCK.now() + 0.02
            exposure = camera.expose(not_before_s, 0.0)
            open_s, close_s = fake.exposures[-1]
            assert not_before_s <= exposure.start_s <= open_s
            assert close_s <= exposure.end_s <= CLOCK.now()
            exposures.append(exposure)
            if early:
                assert f"#{number:06d}".encode() in camera.fetch(exposure).payload
        if not early:
            for number, exposure in enumerate(exposures, start=1):
                assert f"#{number:06d}".encode() in camera.fetch(exposure).payload


def test_a_picture_that_was_given_up_is_not_taken_for_the_next(tmp_path):
    with rig(tmp_path, store_s=0.3, complete="never") as (fake, camera):
        error = given_up(camera, fake, "trigger_capture", lambda: camera.expose(CLOCK.now(), 0.0))
        assert isinstance(error, CameraTimeout)
        exposure = camera.expose(CLOCK.now(), 0.0)
        assert exposure.end_s >= fake.exposures[1][1]
        assert b"#000002" in camera.fetch(exposure).payload
        assert len(fake.processes) == 1
        assert {entry["deleted"] for entry in fake.log if "deleted" in entry} == {
            "IMG_0001.JPG",
            "IMG_0002.JPG",
        }


def test_a_download_that_was_given_up(tmp_path):
    slow = at("file_get", 1, do="slow", seconds=0.5)
    with rig(tmp_path, slow) as (fake, camera):
        first = camera.expose(CLOCK.now(), 0.0)
        assert isinstance(given_up(camera, fake, "file_get", lambda: camera.fetch(first)), CameraTimeout)
        assert b"#000002" in picture(camera)
        assert len(fake.processes) == 1


def test_a_picture_without_a_file(tmp_path):
    """The shutter closed, and nothing was stored."""
    with rig(tmp_path, at("trigger_capture", 1, do="no file"), count_events=True) as (fake, camera):
        first = camera.expose(CLOCK.now(), 0.0)
        error = given_up(camera, fake, "wait_for_event", lambda: camera.fetch(first))
        assert isinstance(error, CameraTimeout)
        assert b"#000002" in picture(camera)


def test_half_a_file_is_read_again(tmp_path):
    with rig(tmp_path, at("file_get", 1, do="truncated")) as (fake, camera):
        assert b"#000001" in picture(camera)
        assert len(fake.calls("file_get")) == 2


def test_a_file_that_stays_half_is_a_failed_transfer(tmp_path):
    with rig(tmp_path, at("file_get", 1, 2, do="truncated")) as (_, camera):
        exposure = camera.expose(CLOCK.now(), 0.0)
        with pytest.raises(TransferFailed, match=r"IMG_0001.JPG is \d+ bytes long"):
            camera.fetch(exposure)
        assert b"#000002" in picture(camera)


def test_another_kind_of_file_than_the_config_says(tmp_path):
    with (
        rig(tmp_path, at("trigger_capture", 1, do="odd"), complete="never") as (_, camera),
        pytest.raises(DriverError, match=r"IMG_0001\.TIF.*expects \.jpg"),
    ):
        camera.expose(CLOCK.now(), 0.0)


@pytest.mark.parametrize("code", [-3, -1])
def test_a_session_that_is_used_up_is_renewed_within_the_picture(tmp_path, code):
    """And the picture that was not fetched yet is not lost with it."""
    with rig(tmp_path, at("trigger_capture", 3, do="error", code=code)) as (fake, camera):
        picture(camera)
        second = camera.expose(CLOCK.now(), 0.0)
        not_before_s = CLOCK.now()
        third = camera.expose(not_before_s, 0.0)
        assert third.start_s >= not_before_s
        assert len(set(fake.processes)) == 2
        assert b"#000002" in camera.fetch(second).payload
        assert b"#000003" in camera.fetch(third).payload


def test_a_process_is_replaced_after_so_many_pictures(tmp_path):
    with rig(tmp_path, options={"captures_per_session": 3}) as (fake, camera):
        pictures = {picture(camera) for _ in range(8)}
        assert len(pictures) == 8
        assert len(set(fake.processes)) == 3
        assert not fake.calls("reset")


def test_settings_read_back_and_set_again(tmp_path):
    with rig(tmp_path) as (fake, camera):
        locked = camera.capabilities.settings
        assert (locked.exposure_s, locked.gain) == (pytest.approx(1 / 50), 1.0)
        fake.turn(shutterspeed="1/10")
        shown = camera.expose(CLOCK.now(), 0.0)
        assert shown.settings.exposure_s == pytest.approx(0.1)
        fake.turn(iso="400")
        assert camera.expose(CLOCK.now(), 0.0).settings.exposure_s == locked.exposure_s
        assert camera.expose(CLOCK.now(), 0.0).settings == locked


def test_a_change_that_the_proof_does_not_show_is_an_error(tmp_path):
    with rig(tmp_path) as (fake, camera):
        fake.turn(aperture="11")
        with pytest.raises(DriverError, match=r"aperture from 5\.6 to 11"):
            camera.expose(CLOCK.now(), 0.0)
        exposure = camera.expose(CLOCK.now(), 0.0)
        assert fake.value("aperture") == "5.6"
        assert b"#000002" in camera.fetch(exposure).payload


def test_a_camera_that_does_not_take_a_setting(tmp_path):
    deaf = at("set_single_config", *range(1, 20), do="deaf")
    with rig(tmp_path, deaf, opened=False) as (_, camera), pytest.raises(DriverError, match="stays"):
        camera.open()


@pytest.mark.parametrize("level", ["3%", "Empty"])
def test_an_empty_battery_takes_no_picture(tmp_path, level):
    widgets = {"batterylevel": {"value": level, "readonly": True}}
    with (
        rig(tmp_path, widgets=widgets, opened=False) as (_, camera),
        pytest.raises(DriverError, match="battery is at"),
    ):
        camera.open()


def test_a_battery_that_runs_down(tmp_path, caplog):
    with rig(tmp_path) as (fake, camera):
        fake.turn(batterylevel="25%")
        pictures(camera, 21)
        assert "battery is at 25 %" in caplog.text
        fake.turn(batterylevel="4%")
        with pytest.raises(DriverError, match="battery_min_percent"):
            pictures(camera, 21)


@pytest.mark.parametrize("call", ["init", "get_config"])
def test_opening_can_be_cancelled(tmp_path, call):
    with rig(tmp_path, at(call, 1, do="hang"), opened=False) as (fake, camera):
        assert isinstance(given_up(camera, fake, call, camera.open), CameraTimeout)
        with pytest.raises(DriverError):
            picture(camera)
        camera.open()
        assert picture(camera)


@pytest.mark.parametrize("holding", [False, True])
def test_a_hanging_process_ends_with_the_driver_that_started_it(tmp_path, holding):
    """Also when the driver is killed, and also when no thread of Python's can run in the camera process."""
    with playing(
        FakeCamera(tmp_path / "camera", at("trigger_capture", 1, do="hang", holding=holding))
    ) as fake:
        driver = subprocess.Popen([sys.executable, "-c", DRIVER])
        try:
            fake.until(lambda: fake.calls("trigger_capture"))
        finally:
            driver.kill()
            driver.wait()
        fake.until(lambda: not runs(fake.processes[0]))


DRIVER = f"""
from drivers.clock import SystemClock
from drivers.gphoto2.camera import Gphoto2Camera
from drivers.gphoto2.options import Gphoto2Options
from drivers.registry import Context

camera = Gphoto2Camera(Gphoto2Options(**{OPTIONS!r}), Context(SystemClock()))
camera.open()
camera.expose(0.0, 0.0)
"""
