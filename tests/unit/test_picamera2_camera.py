"""The driver on a scripted Pi: new frames, locked settings, bursts, a Pi 5, another Python."""

import io
import logging
import os
import sys

import cv2
import numpy as np
import pytest
import tifffile

from drivers.base import BurstCamera, DriverError, DriverNotAvailable, TransferFailed
from drivers.clock import SystemClock
from drivers.picamera2 import opening
from drivers.picamera2.camera import Picamera2Camera
from drivers.picamera2.options import Picamera2Options
from drivers.registry import Context
from tests.emulators.picamera2_fake import (
    GENUINE_PYTHON,
    HEIGHT,
    KINDS,
    LENS,
    STAND_IN,
    WIDTH,
    FakePi,
    needs_genuine,
    playing,
)

CLOCK = SystemClock()
CLOCKS_AGREE_S = 1e-4
"""Two clocks are read one after the other."""


@pytest.fixture
def made(tmp_path):
    """A closed driver on a scripted Pi, made as the test says."""
    cleared = []

    def make(options=None, faults=(), **script):
        pi = FakePi(tmp_path / "pi", *faults, **script)
        around = playing(pi)
        around.__enter__()
        camera = Picamera2Camera(Picamera2Options(**(pi.options | (options or {}))), Context(CLOCK))
        cleared.extend([lambda: around.__exit__(None, None, None), camera.close])
        return pi, camera

    yield make
    for clear in reversed(cleared):
        clear()


def expose(camera, ahead_s=0.0):
    return camera.expose(CLOCK.now() + ahead_s, 0.0)


# ---------------------------------------------------------------------------------------------------------- new frames


@pytest.mark.parametrize("marks", ["first_row_start", "first_row_end"])
@pytest.mark.parametrize(
    ("clock", "suspended_s"), [("monotonic", 0.0), ("boottime", 700.0), ("monotonic", 0.2)]
)
@pytest.mark.parametrize("settled", [False, True])
def test_every_picture_is_newer_than_the_settle_whatever_the_stamp_means(
    made, marks, clock, suspended_s, settled
):
    told = {"timestamp": marks, "timestamp_clock": clock} if settled else {}
    pi, camera = made(
        told | {"burst_rates_hz": []}, marks=marks, clock=clock, suspended_s=suspended_s, latency_s=0.02
    )
    camera.open()
    for ahead_s in (0.0, 0.007, 0.031):
        not_before_s = CLOCK.now() + ahead_s
        exposure = camera.expose(not_before_s, 0.0)
        true = pi.frames[exposure.sequence]
        assert not_before_s <= exposure.start_s <= true["open_s"] + CLOCKS_AGREE_S
        assert true["close_s"] <= exposure.end_s + CLOCKS_AGREE_S
        assert exposure.end_s <= CLOCK.now()


def test_no_frame_is_kept_to_get_old(made):
    """picamera2 hands out what it has kept, unless it is told to keep nothing."""
    pi, camera = made()
    camera.open()
    (streams,) = (entry["configured"] for entry in pi.noted("configured")[-1:])
    assert [stream[3] for stream in streams] == [2]
    first = expose(camera)
    camera.fetch(first)
    seen = len(pi.frames)
    pi.until(lambda: len(pi.frames) > seen + 4)
    not_before_s = CLOCK.now()
    exposure = camera.expose(not_before_s, 0.0)
    assert pi.frames[exposure.sequence]["open_s"] >= not_before_s


def test_a_clock_that_is_named_wrongly_is_found_when_it_is_opened(made):
    _, camera = made(
        {"timestamp": "first_row_end", "timestamp_clock": "monotonic"}, clock="boottime", suspended_s=900.0
    )
    with pytest.raises(DriverError, match="timestamp_clock"):
        camera.open()


def test_frames_without_a_stamp_prove_nothing(made):
    _, camera = made(untold=["SensorTimestamp"])
    with pytest.raises(DriverError, match="no SensorTimestamp"):
        camera.open()


def test_the_picture_is_of_the_frame_that_is_proved(made):
    """Pixels are noise seeded by the frame: two pictures differ, and one fetched late is still its own."""
    _, camera = made()
    camera.open()
    exposures = [expose(camera) for _ in range(3)]
    pictures = [camera.fetch(exposure).payload for exposure in exposures]
    assert len(set(pictures)) == 3
    for picture in pictures:
        assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR).shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(TransferFailed, match="fetched"):
        camera.fetch(exposures[0])


# ------------------------------------------------------------------------------------------------------------ settings


def test_everything_is_locked_from_the_first_frame_on(made):
    pi, camera = made({"gain": 2.0, "red_gain": 2.2, "lens_position": 5.0}, lens=LENS)
    camera.open()
    started = pi.noted("started")[-1]["started"]
    wanted = {
        "AeEnable": False,
        "AwbEnable": False,
        "ExposureTime": 20_000,
        "AnalogueGain": 2.0,
        "ColourGains": [2.2, 2.0],
        "HdrMode": 0,
        "NoiseReductionMode": 0,
        "AfMode": 0,
        "LensPosition": 5.0,
    }
    assert {name: started.get(name) for name in wanted} == wanted
    able = camera.capabilities
    assert able.name == "imx477"
    assert able.settings.exposure_s == pytest.approx(0.02, abs=1e-5)
    assert (able.settings.gain, able.settings.lens_position) == (2.0, pytest.approx(5.0))
    assert expose(camera).settings == able.settings


def test_controls_that_this_camera_has_not_are_not_asked_for(made):
    pi, camera = made({"burst_rates_hz": []}, lacks=["HdrMode", "NoiseReductionMode", "AwbEnable"])
    camera.open()
    started = pi.noted("started")[-1]["started"]
    assert not {"HdrMode", "NoiseReductionMode", "AwbEnable", "AfMode"} & started.keys()


@pytest.mark.parametrize(
    ("options", "script", "named"),
    [
        ({"exposure_s": 599.0, "gain": 40}, {}, r"gain 40 is not between 1 and 22\.26"),
        ({"lens_position": 3}, {}, "its lens does not move"),
        ({"lens_position": 30}, {"lens": LENS}, "lens_position 30 is not between 0 and 12"),
        ({"format": "dng", "width": 100, "height": 70}, {}, "the whole sensor is 128 x 96"),
        ({}, {"busy": True}, "another program holds the camera"),
        ({"camera": 1}, {}, "no such camera"),
        ({}, {"cma_bytes": 10_000}, r"no memory for 1 frame .*cma-512"),
    ],
)
def test_what_cannot_be_is_said_in_words_that_help(made, options, script, named):
    pi, camera = made({"burst_rates_hz": []} | options, **script)
    with pytest.raises(DriverError, match=named):
        camera.open()
    camera.close()
    for pid in pi.processes:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_less_memory_fewer_frames_in_it(made, caplog):
    """Frames of 18 kB, and memory for two: not for the bursts, not for three."""
    pi, camera = made({"buffers": 3}, cma_bytes=40_000)
    camera.open()
    assert [stream[3] for stream in pi.noted("configured")[-1]["configured"]] == [2]
    assert "trying with 2" in caplog.text
    assert camera.fetch(expose(camera)).payload
    camera.close()
    caplog.clear()
    camera.open()
    assert "trying" not in caplog.text


def test_settings_that_drift_cost_frames_and_not_pictures(made, caplog):
    pi, camera = made()
    camera.open()
    pi.suffers({"call": "frame", "at": [2], "do": "drift", "by": 1.4})
    for _ in range(4):
        exposure = expose(camera)
        assert exposure.settings.exposure_s == pytest.approx(0.02, rel=0.01)
        assert pi.frames[exposure.sequence]["exposure_s"] == pytest.approx(0.02, rel=0.01)
    assert "exposure time is 0.028 s" in caplog.text


def test_settings_that_will_not_be_kept_fail_the_picture(made):
    pi, camera = made()
    camera.open()
    pi.suffers({"call": "frame", "at": [1], "do": "drift", "by": 1.4, "stubborn": True})
    with pytest.raises(DriverError, match=r"does not keep its settings: exposure time is 0\.028 s"):
        expose(camera)
    camera.close()
    camera.open()
    assert camera.fetch(expose(camera)).payload


def test_raw_is_the_sensors_own(made):
    pi, camera = made({"format": "dng"})
    camera.open()
    (main, raw) = pi.noted("configured")[-1]["configured"]
    assert raw == ["SRGGB12_CSI2P", WIDTH, HEIGHT, 2]
    assert main[1] * main[2] < WIDTH * HEIGHT
    assert camera.fetch(expose(camera)).suffix == ".dng"


@needs_genuine
def test_a_raw_picture_that_picamera2_writes(made):
    pi, camera = made({"format": "dng", "python": GENUINE_PYTHON}, kind="genuine")
    camera.open()
    data = camera.fetch(expose(camera))
    with tifffile.TiffFile(io.BytesIO(data.payload)) as file:
        assert file.pages[0].shape == (HEIGHT, WIDTH)
        assert file.pages[0].bitspersample == 12
    assert pi.noted("configured")


# -------------------------------------------------------------------------------------------------------------- bursts


@pytest.mark.parametrize("library", KINDS)
def test_bursts_and_pictures_take_turns(made, library):
    pi, camera = made(kind=library)
    camera.open()
    assert isinstance(camera, BurstCamera)
    able = camera.burst_capabilities
    # The small mode shows half the sensor's width, pixel for pixel.
    assert (able.rates_hz, able.width, able.height, able.still_px) == ((100.0, 81.0), 64, 48, 1.0)
    for rate_hz in able.rates_hz:
        not_before_s = CLOCK.now() + 0.1
        frames = camera.burst(12, rate_hz, not_before_s, 0.0)
        assert len(frames) == 12
        assert frames[0].start_s >= not_before_s
        assert frames[0].image.shape == (48, 64)
        assert frames[0].image.dtype == np.uint8
        assert len({frame.image.tobytes() for frame in frames}) == 12
        gaps = np.diff([frame.start_s for frame in frames])
        # On a busy machine some pictures may not be taken over; those that are lie whole periods apart.
        assert gaps.min() == pytest.approx(1 / rate_hz, rel=0.01)
        np.testing.assert_allclose(gaps * rate_hz, np.rint(gaps * rate_hz), atol=0.05)
        truth = sorted(pi.frames.values(), key=lambda frame: frame["open_s"])
        for frame in frames:
            assert any(
                frame.start_s <= true["open_s"] <= true["close_s"] <= frame.end_s + CLOCKS_AGREE_S
                for true in truth
            )
        assert camera.fetch(expose(camera)).payload
    started = [entry["started"]["ExposureTime"] for entry in pi.noted("started")]
    # Shorter where the rate leaves no time for the picture's own exposure.
    assert started == [20_000, 8_000, 20_000, round(0.8e6 / 81), 20_000]


def test_a_sensor_slower_than_the_rates_that_were_asked_for(made):
    _, camera = made({"burst_rates_hz": [900.0, 700.0]})
    camera.open()
    assert camera.burst_capabilities.rates_hz == pytest.approx((200.0, 162.0))
    with pytest.raises(DriverError, match="its rates are: 200, 162"):
        camera.burst(5, 900.0, 0.0, 0.0)


@pytest.mark.parametrize("why", ["config", "memory"])
def test_no_bursts(made, why, caplog):
    options, script = ({"burst_rates_hz": []}, {}) if why == "config" else ({}, {"cma_bytes": 20_000})
    _, camera = made(options | {"buffers": 1}, **script)
    camera.open()
    assert camera.burst_capabilities.rates_hz == ()
    assert ("no bursts" in caplog.text) == (why == "memory")
    assert expose(camera)


# --------------------------------------------------------------------------------------------------------- the machine


@pytest.mark.parametrize("library", KINDS)
@pytest.mark.parametrize("platform", ["VC4", "PISP"])
def test_a_pi_5_does_not_average(made, platform, library, caplog):
    caplog.set_level(logging.INFO)
    pi, camera = made({"format": "dng"}, platform=platform, kind=library)
    camera.open()
    (entry,) = pi.noted("opened")
    if platform == "VC4":
        assert "disable" not in (entry["config"] or "")
    else:
        assert '"disable_tdn": true' in entry["config"]
        assert '"disable_hdr": true' in entry["config"]
        # Pixels of two bytes: otherwise its raw pictures are compressed, with loss.
        assert pi.noted("configured")[-1]["configured"][1][0] == "SRGGB12"


def test_another_python_has_picamera2(made, tmp_path, monkeypatch):
    """rigd's own environment has not; the system's Python has."""
    pi, camera = made()
    monkeypatch.setenv("PYTHONPATH", os.environ["PYTHONPATH"].split(os.pathsep)[0])
    other = tmp_path / "python3"
    other.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{STAND_IN}" exec {sys.executable} "$@"\n')
    other.chmod(0o755)
    monkeypatch.setattr(opening, "SYSTEM_PYTHON", str(other))
    camera.open()
    assert camera.fetch(expose(camera)).payload
    assert len(pi.processes) == 1


@pytest.mark.parametrize("how", ["absent", "misfit", "no such Python"])
def test_without_picamera2_it_says_how_to_install_it(made, tmp_path, monkeypatch, how):
    pi, camera = made({"python": tmp_path / "nowhere"} if how == "no such Python" else {})
    folder = tmp_path / "site"
    (folder / "picamera2").mkdir(parents=True)
    words = "raise ValueError('numpy.dtype size changed')" if how == "misfit" else "import libcamera_of_apt"
    (folder / "picamera2" / "__init__.py").write_text(words)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr(opening, "SYSTEM_PYTHON", sys.executable)
    with pytest.raises(DriverNotAvailable) as caught:
        camera.open()
    said = str(caught.value)
    for part in (
        "apt install python3-picamera2",
        "--system-site-packages",
        "camera.python: /usr/bin/python3",
    ):
        assert part in said
    assert {"absent": "libcamera_of_apt", "misfit": "numpy.dtype", "no such Python": "nowhere"}[how] in said
    assert not pi.processes
