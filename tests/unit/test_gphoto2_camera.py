"""The driver on a scripted camera that does what it should: settings, mirror, RAW with JPEG, a wired release, which camera."""

import logging
import threading

import pytest

from drivers.base import CameraTimeout, DriverError, FireableCamera, Firing
from drivers.clock import SystemClock
from drivers.fired import FiredCamera
from drivers.gphoto2.camera import Gphoto2Camera
from drivers.gphoto2.options import Gphoto2Options
from drivers.registry import Context
from tests.emulators.gphoto2_fake import MODEL, OPTIONS, PORT, FakeCamera, playing

CLOCK = SystemClock()
WITH_MIRROR = {"capturemode": {"value": "Single Shot", "choices": ["Single Shot", "Mirror Up"]}}


@pytest.fixture
def made(tmp_path):
    """A closed driver on a scripted camera, made as the test says."""
    cleared = []

    def make(options=None, faults=(), **script):
        fake = FakeCamera(tmp_path / "camera", *faults, **script)
        around = playing(fake)
        around.__enter__()
        camera = Gphoto2Camera(Gphoto2Options(**(OPTIONS | (options or {}))), Context(CLOCK))
        cleared.extend([lambda: around.__exit__(None, None, None), camera.close])
        return fake, camera

    yield make
    for clear in reversed(cleared):
        clear()


def expose(camera, ahead_s=0.0):
    return camera.expose(CLOCK.now() + ahead_s, 0.0)


def test_settings_are_locked_when_it_is_opened(made):
    fake, camera = made({"aperture": 8, "white_balance": "cloudy", "image_format": "l", "iso": 200})
    camera.open()
    able = camera.capabilities
    assert able.name == MODEL
    assert able.exposure_s == pytest.approx(1 / 50)
    assert (able.settings.gain, able.settings.exposure_s) == (2.0, pytest.approx(1 / 50))
    values = {
        name: fake.value(name) for name in ("aperture", "whitebalance", "imageformat", "iso", "capturetarget")
    }
    assert values == {
        "aperture": "8",
        "whitebalance": "Cloudy",
        "imageformat": "L",
        "iso": "200",
        "capturetarget": "Internal RAM",
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"exposure_s": 3.0}, "no exposure time of 3: it has 4, 1"),
        ({"iso": 6400}, "no ISO of 6400: it has 400"),
        ({"white_balance": "Moonlight"}, "no white balance Moonlight: it has Auto, Daylight"),
        ({"aperture": 32}, "no aperture of 32: it has 11"),
    ],
)
def test_a_setting_that_the_camera_has_not_is_refused_with_those_it_has(made, options, words):
    _, camera = made(options)
    with pytest.raises(DriverError, match=words) as caught:
        camera.open()
    assert caught.value.port == f"{MODEL} on {PORT}"


def test_a_setting_that_cannot_be_set_must_be_right_already(made):
    fixed = {"shutterspeed": {"value": "1/50", "readonly": True}}
    _, camera = made(widgets=fixed)
    camera.open()
    camera.close()


def test_a_dial_that_stands_elsewhere_is_named(made):
    _, camera = made(widgets={"shutterspeed": {"value": "1/10", "readonly": True}})
    with pytest.raises(DriverError, match=r"exposure time is 1/10.*set it on the camera"):
        camera.open()


def test_what_a_camera_does_not_tell_is_left_to_its_owner(made, caplog):
    gone = dict.fromkeys(["iso", "aperture", "whitebalance", "batterylevel", "capturetarget"])
    _, camera = made(widgets=gone)
    camera.open()
    assert "does not tell its ISO" in caplog.text
    assert expose(camera).settings.gain is None


def test_a_camera_without_settings_takes_pictures(made):
    _, camera = made(faults=[{"call": "get_config", "at": [1], "do": "error", "code": -6}])
    camera.open()
    exposure = expose(camera)
    assert (exposure.settings.exposure_s, exposure.settings.gain) == (None, None)
    assert camera.fetch(exposure).payload


def test_a_lens_that_focuses_by_itself_is_reported(made, caplog):
    _, camera = made(widgets={"focusmode": {"value": "One Shot", "readonly": True}})
    camera.open()
    assert "switch the lens to MF" in caplog.text


def test_room_on_the_card_bounds_the_plan(made):
    _, camera = made(
        {"capture_target": "card"}, widgets={"availableshots": {"value": "123", "readonly": True}}
    )
    camera.open()
    assert camera.capabilities.max_frames == 123


def test_a_low_battery_is_reported(made, caplog):
    caplog.set_level(logging.WARNING)
    _, camera = made(widgets={"batterylevel": {"value": "20%", "readonly": True}})
    camera.open()
    assert "battery is at 20 %" in caplog.text


def test_the_mirror_goes_up_first(made):
    fake, camera = made({"mirror_up_s": 0.2}, widgets=WITH_MIRROR)
    camera.open()
    assert fake.value("capturemode") == "Mirror Up"
    for number in range(1, 4):
        not_before_s = CLOCK.now() + 0.1
        exposure = camera.expose(not_before_s, 0.0)
        up_s = [entry["at_s"] for entry in fake.log if entry.get("mirror") == "up"][-1]
        open_s, close_s = fake.exposures[-1]
        assert not_before_s <= exposure.start_s <= open_s
        assert close_s <= exposure.end_s
        assert exposure.start_s - up_s >= 0.199
        assert f"#{number:06d}".encode() in camera.fetch(exposure).payload


def test_the_mirror_uses_the_time_of_the_settle(made):
    fake, camera = made({"mirror_up_s": 0.2}, widgets=WITH_MIRROR)
    camera.open()
    not_before_s = CLOCK.now() + 0.6
    camera.expose(not_before_s, 0.0)
    (up_s,) = (entry["at_s"] for entry in fake.log if entry.get("mirror") == "up")
    assert not_before_s - 0.25 < up_s < not_before_s


def test_a_camera_that_has_no_mirror_lock_up_says_so(made):
    _, camera = made({"mirror_up_s": 0.3})
    camera.open()
    with pytest.raises(DriverError, match=r"mirror_up_s: 0"):
        expose(camera)


def test_cancelled_while_the_mirror_is_up(made):
    """The next picture begins with the mirror down: in a new process."""
    fake, camera = made({"mirror_up_s": 1.0}, widgets=WITH_MIRROR)
    camera.open()
    caught = []

    def work():
        try:
            expose(camera)
        except CameraTimeout as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not any("mirror" in entry for entry in fake.log):
        thread.join(0.005)
    camera.cancel()
    thread.join(20.0)
    assert caught
    assert b"#000001" in camera.fetch(expose(camera)).payload
    assert (len(fake.exposures), len(fake.processes)) == (1, 2)


def test_raw_with_jpeg(made):
    """The RAW file is the frame; the JPEG stays on the card."""
    options = {"suffix": ".nef", "companion": ".jpg", "capture_target": "card"}
    fake, camera = made(options, files=["JPG", "NEF"])
    camera.open()
    assert camera.capabilities.suffix == ".nef"
    for number in range(1, 4):
        data = camera.fetch(expose(camera))
        assert data.suffix == ".nef"
        assert data.payload.endswith(f"IMG_{number:04d}.NEF".encode())
    assert not [entry for entry in fake.log if "deleted" in entry]


def test_memory_is_cleared_and_a_card_is_not(made):
    fake, camera = made()
    camera.open()
    camera.fetch(expose(camera))
    assert [entry["deleted"] for entry in fake.log if "deleted" in entry] == ["IMG_0001.JPG"]


def test_the_camera_of_a_serial_number(made):
    cameras = [
        {"model": MODEL, "port": "usb:900,007", "serial": "000123"},
        {"model": MODEL, "port": "usb:900,008", "serial": "000456"},
    ]
    fake, camera = made({"serial": "456"}, cameras=cameras)
    camera.open()
    assert [entry["port"] for entry in fake.log if "opened" in entry][-1] == "usb:900,008"


def test_no_camera_of_that_serial_number(made):
    _, camera = made({"serial": "789"})
    with pytest.raises(DriverError, match=r"no camera has the serial number 789.*has 000123"):
        camera.open()


def test_another_program_holds_it(made):
    """No reset, no power cycle: it is not the camera's fault."""
    fake, camera = made(faults=[{"call": "init", "at": [1], "do": "error", "code": -53}])
    with pytest.raises(DriverError, match=r"-53.*(cannot be claimed|another program holds)"):
        camera.open()
    assert not fake.calls("reset")


class Release:
    """A wired release on the scripted camera: it leaves the times at which it opened the shutter."""

    capabilities = None

    def __init__(self, fake):
        self.fake = fake

    def open(self):
        pass

    def close(self):
        pass

    def cancel(self):
        pass

    def fire(self, exposure_s, not_before_s=0.0):
        CLOCK.wait_until(not_before_s)
        start_s = CLOCK.now()
        end_s = start_s + exposure_s
        self.fake.press(start_s, end_s)
        CLOCK.wait_until(end_s)
        return Firing(start_s, end_s)


def test_fired_by_a_wired_release(made):
    fake, camera = made()
    assert isinstance(camera, FireableCamera)
    fired = FiredCamera(camera, Release(fake))
    fired.open()
    for number in range(1, 4):
        not_before_s = CLOCK.now() + 0.05
        exposure = fired.expose(not_before_s, 0.0)
        assert exposure.start_s >= not_before_s
        assert f"#{number:06d}".encode() in fired.fetch(exposure).payload
    assert not fake.calls("trigger_capture")


def test_without_a_sync_contact_the_camera_is_the_proof(made):
    """A shutter that opens later than the release was told to think: the rail waits until the camera has said that it is over."""
    fake, camera = made({"exposure_s": 0.02}, complete="never")
    camera.open()
    late_s = 0.2

    def fire():
        now_s = CLOCK.now()
        fake.press(now_s + late_s, now_s + late_s + 0.02)
        return Firing(now_s, now_s + 0.02)

    exposure = camera.expose_by(fire, 0.0)
    ((open_s, close_s),) = fake.exposures
    assert exposure.start_s <= open_s
    assert exposure.end_s >= close_s


def test_a_release_that_is_not_plugged_in(made):
    fake, camera = made({"response_timeout_s": 0.3})
    camera.open()
    with pytest.raises(DriverError, match=r"release.*told of no picture.*plug"):
        camera.expose_by(lambda: Firing(CLOCK.now(), CLOCK.now()), 0.0)
    fired = FiredCamera(camera, Release(fake))
    assert b"#000001" in fired.fetch(fired.expose(0.0, 0.0)).payload


def test_a_release_that_proves_that_nothing_was_exposed(made):
    fake, camera = made()
    camera.open()

    def fire():
        raise DriverError("release", "no sync")

    with pytest.raises(DriverError, match="no sync"):
        camera.expose_by(fire, 0.0)
    assert b"#000001" in camera.fetch(expose(camera)).payload
    assert len(fake.processes) == 1


def test_english_is_asked_for_whatever_the_machine_speaks(made, monkeypatch):
    """libgphoto2 translates the choices of settings."""
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    fake, camera = made()
    camera.open()
    assert (fake.folder / "language").read_text() == "C.UTF-8 C"
