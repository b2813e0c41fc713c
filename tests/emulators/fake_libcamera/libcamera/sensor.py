"""A sensor that runs freely, and the pipeline behind it.

Rows are exposed one after another: exposure, then readout from top to bottom. A frame goes into the request that was queued when
its readout began; without one it is lost. Controls take some frames to take effect. The lens moves a little a frame.
"""

import mmap
import threading
import time

import numpy as np

from libcamera import stage
from libcamera.values import BY_NAME, FrameMetadata, Rectangle, Request

STARTUP_FRAMES = 2
BLANKING = 0.05
"""Share of the shortest frame that is not readout."""
LINE_US = 7
"""Exposures are whole numbers of lines."""


class Sensor:
    """One run of the sensor, from start to stop.

    Args:
        mode: size, crop and fps of the sensor.
        controls: from the first frame on.
        done: takes each completed request.
    """

    def __init__(self, mode, crop, controls, done):
        self._mode, self._crop, self._done = mode, crop, done
        self._now = {"ExposureTime": 10_000, "AnalogueGain": 1.0, "ColourGains": (1.5, 1.5)}
        self._now |= {"FrameDurationLimits": (100, 10**9), "LensPosition": 1.0, "ExposureTimeMode": 0}
        self._now |= {control.name: value for control, value in controls.items()}
        self._lens = self._now["LensPosition"]
        self._queue, self._coming = [], []
        self._number = 0
        self._ignored = stage.SCRIPT["ignored_sets"]
        self._drift, self._stubborn = 1.0, False
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()

    def stop(self):
        self._over.set()
        self._thread.join()

    def queue(self, request):
        with self._lock:
            self._queue.append((time.monotonic(), request))
            if not request.controls:
                return
            if self._ignored > 0:
                self._ignored -= 1
                return
            changes = {control.name: value for control, value in request.controls.items()}
            self._coming.append((self._number + stage.SCRIPT["delay"], changes))

    def _run(self):
        readout_s = time.monotonic()
        while not self._over.is_set():
            self._number += 1
            self._take_effect()
            exposure_s = self._now["ExposureTime"] * self._drift // LINE_US * LINE_US / 1e6
            low_s, high_s = (limit / 1e6 for limit in self._now["FrameDurationLimits"])
            period_s = max(min(max(1 / self._mode["fps"], low_s), high_s), exposure_s + 5e-4)
            readout_s += period_s
            end_s = readout_s + (1 - BLANKING) / self._mode["fps"]
            self._over.wait(max(0.0, end_s + stage.SCRIPT["latency_s"] - time.monotonic()))
            if self._over.is_set():
                return
            self._deliver(readout_s - exposure_s, exposure_s, readout_s, end_s, period_s)

    def _take_effect(self):
        with self._lock:
            due = [changes for when, changes in self._coming if when <= self._number]
            self._coming = [each for each in self._coming if each[0] > self._number]
        for changes in due:
            self._now |= changes
            if "ExposureTime" in changes and not self._stubborn:
                self._drift, self._stubborn = 1.0, False
        step = stage.SCRIPT["lens"]["slew"] if stage.SCRIPT["lens"] else 0.0
        self._lens += max(-step, min(step, self._now["LensPosition"] - self._lens))

    def _deliver(self, start_s, exposure_s, readout_s, end_s, period_s):
        with self._lock:
            if not self._queue or self._queue[0][0] > readout_s:
                return
            _, request = self._queue.pop(0)
        fault = stage.called("frame") or {}
        if fault.get("do") == "stall":
            # The ribbon has come loose: nothing comes any more.
            stage.note(stalled=True)
            self._over.set()
            return
        if fault.get("do") == "drift":
            self._drift, self._stubborn = fault["by"], fault.get("stubborn", False)
        status = (
            FrameMetadata.Status.Startup if self._number <= STARTUP_FRAMES else FrameMetadata.Status.Success
        )
        if fault.get("do") == "damaged":
            status = FrameMetadata.Status.Error
        ts_s = start_s if stage.SCRIPT["marks"] == "first_row_start" else readout_s
        ts_s += stage.SCRIPT["suspended_s"] if stage.SCRIPT["clock"] == "boottime" else 0.0
        ts_ns = round(ts_s * 1e9)
        told = {
            "SensorTimestamp": ts_ns,
            "ExposureTime": round(exposure_s * 1e6),
            "AnalogueGain": self._now["AnalogueGain"],
            "DigitalGain": 1.0,
            "ColourGains": tuple(self._now["ColourGains"]),
            "FrameDuration": round(period_s * 1e6),
            "ColourCorrectionMatrix": (1.8, -0.7, -0.1, -0.4, 1.7, -0.3, 0.1, -0.6, 1.5),
            "ScalerCrop": Rectangle(*self._crop),
            "SensorBlackLevels": (4096,) * 4,
        }
        if stage.SCRIPT["lens"]:
            told["LensPosition"] = self._lens
        for name in stage.SCRIPT["untold"]:
            told.pop(name, None)
        request.metadata = {BY_NAME[name]: value for name, value in told.items()}
        request.sequence, request.status = self._number, Request.Status.Complete
        for stream, buffer in request.buffers.items():
            buffer.metadata.status = status
            _fill(buffer, stream.configuration, self._number, exposure_s * self._now["AnalogueGain"])
        true = {"open_s": start_s, "close_s": end_s, "lens": self._lens, "gain": self._now["AnalogueGain"]}
        stage.note(frame=ts_ns, exposure_s=exposure_s, status=status.name, **true)
        self._done(request)


def _fill(buffer, configuration, number, light):
    """Noise of this frame, as bright as its exposure."""
    width, height, stride = configuration.size.width, configuration.size.height, configuration.stride
    random = np.random.default_rng(number)
    level = min(200, round(light * 5000) + 20)
    name = str(configuration.pixel_format)
    with mmap.mmap(buffer.planes[0].fd, configuration.frame_size) as memory:
        rows = configuration.frame_size // stride
        data = np.frombuffer(memory, np.uint8).reshape(rows, stride)
        if name == "YUV420":
            data[:height, :width] = random.integers(level // 2, level, (height, width), dtype=np.uint8)
            data[height:] = 128
        else:
            data[:] = random.integers(level // 2, level, data.shape, dtype=np.uint8)
        del data
