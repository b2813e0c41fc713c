"""Cameras that do what a script says, behind the part of libcamera's Python bindings that picamera2 uses.

Real picamera2 runs on it: what is not real is the sensor, the pipeline and the kernel's DMA heap. It runs in the camera process.
"""

import contextlib
import os
import sys
import threading
from pathlib import Path

from libcamera import dma_heap, platform, stage
from libcamera.sensor import Sensor
from libcamera.values import (
    BY_NAME,
    CameraConfiguration,
    ColorSpace,
    ControlInfo,
    ControlType,
    FrameBuffer,
    FrameMetadata,
    Orientation,
    PixelFormat,
    Rectangle,
    Request,
    SensorConfiguration,
    Size,
    Stream,
    StreamConfiguration,
    StreamRole,
    Transform,
    controls,
    properties,
)

__all__ = [
    "CameraConfiguration", "CameraManager", "ColorSpace", "ControlType", "FrameBuffer", "FrameMetadata", "Orientation",
    "PixelFormat", "Rectangle", "Request", "SensorConfiguration", "Size", "Stream", "StreamRole", "Transform",
    "controls", "properties",
]  # fmt: skip

sys.modules["picamera2.dma_heap"] = dma_heap
sys.modules["picamera2.platform"] = platform
stage.fit_pidng()
_libcamera = sys.modules[__name__]
PIXEL_BYTES = {"XBGR8888": 4, "XRGB8888": 4, "BGR888": 3, "RGB888": 3, "YUV420": 1}
ALIGNED = 64


class Camera:
    """One module."""

    def __init__(self, manager, about):
        self._manager, self._about = manager, about
        self.id = about["id"]
        self.streams = set()
        self._mode = stage.SCRIPT["modes"][-1]
        self._crop = tuple(self._mode["crop"])
        self._sensor = None
        self.properties = {
            _named("Model"): about["model"],
            _named("PixelArraySize"): Size(*stage.SCRIPT["native"]),
            _named("ColorFilterArrangement"): 0,
            _named("Location"): 2,
        }

    @property
    def controls(self):
        low_us = round(1e6 / self._mode["fps"])
        have = {
            "AeEnable": (False, True, True),
            "ExposureTimeMode": (0, 1, 0),
            "ExposureTime": (LOW_US, 600_000_000, 20_000),
            "AnalogueGainMode": (0, 1, 0),
            "AnalogueGain": (1.0, 22.26, 1.0),
            "AwbEnable": (False, True, None),
            "ColourGains": (0.0, 32.0, None),
            "FrameDurationLimits": (low_us, 694_434_742, 33_333),
            "ScalerCrop": (Rectangle(0, 0, 32, 32), Rectangle(*self._mode["crop"]), Rectangle(*self._crop)),
            "HdrMode": (0, 4, 0),
            "NoiseReductionMode": (0, 4, 0),
            "Sharpness": (0.0, 16.0, 1.0),
        }
        lens = stage.SCRIPT["lens"]
        if lens:
            have |= {"AfMode": (0, 2, 0), "LensPosition": (lens["min"], lens["max"], 1.0)}
        for name in stage.SCRIPT["lacks"]:
            have.pop(name, None)
        return {BY_NAME[name]: ControlInfo(*limits) for name, limits in have.items()}

    def acquire(self):
        stage.called("acquire")
        if stage.SCRIPT["busy"]:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        stage.note(opened=self.id, config=_pipeline_config())

    def release(self):
        stage.called("release")

    def generate_configuration(self, roles):
        raw = [(mode["raw"], tuple(mode["size"])) for mode in stage.SCRIPT["modes"]]
        seen = [(name, tuple(stage.SCRIPT["native"])) for name in PIXEL_BYTES]
        streams = [
            StreamConfiguration(
                *(_flat(raw[-1]) if role is StreamRole.Raw else _flat(seen[0])),
                raw if role is StreamRole.Raw else seen,
            )
            for role in roles
        ]
        return CameraConfiguration(streams, self._validate)

    def _validate(self, configuration):
        wanted = configuration.sensor_config
        fits = [
            mode
            for mode in stage.SCRIPT["modes"]
            if wanted is None or tuple(mode["size"]) == (wanted.output_size.width, wanted.output_size.height)
        ]
        if not fits:
            return CameraConfiguration.Status.Invalid
        self._wanted = fits[-1]
        status = CameraConfiguration.Status.Valid
        for stream in configuration:
            name = str(stream.pixel_format)
            if name in PIXEL_BYTES:
                pixel = PIXEL_BYTES[name]
            else:
                packed = name.endswith("_CSI2P")
                pixel = int("".join(filter(str.isdigit, name.partition("_")[0]))) / 8 if packed else 2
                if (stream.size.width, stream.size.height) != tuple(self._wanted["size"]):
                    stream.size = Size(*self._wanted["size"])
                    status = CameraConfiguration.Status.Adjusted
            line = -(-stream.size.width * pixel // 1)
            stream.stride = int(-(-line // ALIGNED) * ALIGNED)
        return status

    def configure(self, configuration):
        stage.called("configure")
        self._mode = self._wanted
        main = configuration.at(0).size
        self._crop = _cropped(self._mode["crop"], main.width / main.height)
        shown = [(str(s.pixel_format), s.size.width, s.size.height, s.buffer_count) for s in configuration]
        stage.note(configured=shown, mode=self._mode["size"])

    def create_request(self, cookie=0):
        return Request(cookie)

    def start(self, controls=None):
        stage.called("start")
        stage.note(started={control.name: value for control, value in (controls or {}).items()})
        self._sensor = Sensor(self._mode, self._crop, controls or {}, self._manager.completed)
        self._sensor.start()

    def stop(self):
        stage.called("stop")
        sensor, self._sensor = self._sensor, None
        if sensor is not None:
            sensor.stop()

    def queue_request(self, request):
        if request.controls:
            stage.note(controls={control.name: value for control, value in request.controls.items()})
        if self._sensor is not None:
            self._sensor.queue(request)


class CameraManager:
    """All modules."""

    _only = None

    def __init__(self):
        self.cameras = [Camera(self, about) for about in stage.SCRIPT["cameras"]]
        self._lock, self._ready = threading.Lock(), []
        self.event_fd, self._bell = os.pipe2(os.O_NONBLOCK)

    @staticmethod
    def singleton():
        if CameraManager._only is None:
            stage.called("manager")
            CameraManager._only = CameraManager()
        return CameraManager._only

    def get(self, name):
        return next(camera for camera in self.cameras if camera.id == name)

    find = get

    def completed(self, request):
        with self._lock:
            self._ready.append(request)
            os.write(self._bell, b"!")

    def completed_nothing(self):
        """Wake whoever waits for frames."""
        os.write(self._bell, b"!")

    def get_ready_requests(self):
        with self._lock:
            ready, self._ready = self._ready, []
            with contextlib.suppress(BlockingIOError):
                os.read(self.event_fd, 4096)
        return ready


LOW_US = 31


def _named(name):
    return type("ControlId", (), {"name": name, "__repr__": lambda self: name})()


def _flat(choice):
    name, size = choice
    return name, *size


def _cropped(crop, shape):
    """The largest part of a crop that has this shape."""
    x, y, width, height = crop
    if width / height > shape:
        narrow = round(height * shape)
        return (x + (width - narrow) // 2, y, narrow, height)
    low = round(width / shape)
    return (x, y + (height - low) // 2, width, low)


def _pipeline_config():
    path = os.environ.get("LIBCAMERA_RPI_CONFIG_FILE")
    if not path:
        return None
    return Path(path).read_text()
