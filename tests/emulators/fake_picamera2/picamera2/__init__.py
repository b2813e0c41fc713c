"""A small stand-in for picamera2, over the same made-up libcamera that the real one can run on.

It has what the driver uses, with the same names, arguments and defaults (a test compares them with the real one's where that is installed), and behaves
as the real one does where that matters: an event loop of its own takes in completed frames; one of them is kept, and gets old, unless `queue` is off;
controls go out with the next frame that is given back; a held frame's memory is missing to the sensor.
"""

import io
import mmap
import os
import selectors
import threading
from concurrent.futures import Future

import libcamera
import numpy as np
import simplejpeg
from libcamera import ControlType, FrameMetadata, Rectangle, Size

from picamera2 import platform
from picamera2.dma_heap import DmaHeap

STILL = libcamera.StreamRole.StillCapture


def _plain(value):
    if isinstance(value, Rectangle):
        return (value.x, value.y, value.width, value.height)
    return (value.width, value.height) if isinstance(value, Size) else value


class CompletedRequest:
    """A frame, until it is given back."""

    def __init__(self, request, picam2):
        self.request, self.picam2 = request, picam2
        self.config, self.streams = picam2.camera_config, picam2.streams
        self._run = picam2.stop_count

    def get_metadata(self):
        return {control.name: _plain(value) for control, value in self.request.metadata.items()}

    def release(self):
        request, self.request = self.request, None
        assert request is not None, "released twice"
        self.picam2._recycle(request, self._run)

    def make_array(self, name):
        return self._mapped(name).copy()

    def save(self, name, file_output, format=None, exif_data=None):  # noqa: A002
        assert isinstance(file_output, io.BytesIO)
        assert format == "jpeg"
        width, height = self.config[name]["size"]
        data = self._mapped(name)
        luma, rest = data[:height, :width], data[height:].reshape(height, -1)
        blue, red = rest[: height // 2, : width // 2], rest[height // 2 :, : width // 2]
        quality = self.picam2.options.get("quality", 90)
        planes = (np.ascontiguousarray(plane) for plane in (luma, blue, red))
        file_output.write(simplejpeg.encode_jpeg_yuv_planes(*planes, quality))

    def save_dng(self, file_output, name="raw"):
        file_output.write(b"II*\0" + self._mapped(name).tobytes())

    def _mapped(self, name):
        stream = self.streams[name]
        if stream is None:
            raise RuntimeError(f"Stream {name!r} is not defined")
        settings = stream.configuration
        with mmap.mmap(self.request.buffers[stream].planes[0].fd, settings.frame_size) as memory:
            return np.frombuffer(memory[:], np.uint8).reshape(-1, settings.stride)


class Picamera2:
    """One camera."""

    platform = platform.get_platform()

    def __init__(self, camera_num=0, verbose_console=None, tuning=None, allocator=None):
        self._manager = libcamera.CameraManager.singleton()
        cameras = self._manager.cameras
        if camera_num >= len(cameras):
            raise RuntimeError(
                f'No camera number {camera_num} found - use "rpicam-hello --list-cameras" to check connected cameras'
            )
        self.camera = cameras[camera_num]
        try:
            self.camera.acquire()
        except RuntimeError as error:
            raise RuntimeError("Camera __init__ sequence did not complete.") from error
        self.options, self.camera_config, self.streams = {}, {}, {}
        self.pre_callback = None
        self.stop_count, self.started = 0, False
        self._memory, self._completed, self._jobs, self._given_back = [], [], [], {}
        self._lock = threading.RLock()
        self._over = threading.Event()
        raw = self.camera.generate_configuration([libcamera.StreamRole.Raw]).at(0).formats
        self._raw_modes = [
            {"format": str(name), "size": (size.width, size.height)}
            for name in raw.pixel_formats
            for size in raw.sizes(name)
        ]
        native = max(self._raw_modes, key=lambda mode: mode["size"][0] * mode["size"][1])
        self.sensor_format, self.sensor_resolution = native["format"], native["size"]
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    @property
    def camera_properties(self):
        return {control.name: _plain(value) for control, value in self.camera.properties.items()}

    @property
    def camera_controls(self):
        return {
            control.name: (_plain(info.min), _plain(info.max), _plain(info.default))
            for control, info in self.camera.controls.items()
        }

    # ---------------------------------------------------------------------------------------------------- configuration

    def create_still_configuration(
        self,
        main={},  # noqa: B006
        lores=None,
        raw={},  # noqa: B006
        transform=libcamera.Transform(),  # noqa: B008
        colour_space=libcamera.ColorSpace.Sycc(),  # noqa: B008
        buffer_count=1,
        controls={},  # noqa: B006
        display=None,
        encode=None,
        queue=True,
        sensor={},  # noqa: B006
        use_case="still",
    ):
        assert (lores, display, encode) == (None, None, None)
        assert transform == libcamera.Transform()
        assert use_case in {"still", "video"}
        limits = {"NoiseReductionMode": 2, "FrameDurationLimits": (100, 10**9)}
        return {
            "main": {"format": "BGR888", "size": self.sensor_resolution} | main,
            "raw": None
            if raw is None
            else {"format": self.sensor_format, "size": self.sensor_resolution} | raw,
            "colour_space": colour_space,
            "buffer_count": buffer_count,
            "controls": {name: value for name, value in limits.items() if name in self.camera_controls}
            | controls,
            "queue": queue,
            "sensor": sensor,
        }

    def create_video_configuration(
        self,
        main={},  # noqa: B006
        lores=None,
        raw={},  # noqa: B006
        transform=libcamera.Transform(),  # noqa: B008
        colour_space=None,
        buffer_count=6,
        controls={},  # noqa: B006
        display="main",
        encode="main",
        queue=True,
        sensor={},  # noqa: B006
        use_case="video",
    ):
        colour_space = colour_space or libcamera.ColorSpace.Rec709()
        return self.create_still_configuration(
            main,
            lores,
            raw,
            transform,
            colour_space,
            buffer_count,
            controls,
            display,
            encode,
            queue,
            sensor,
            use_case,
        )

    def configure(self, camera_config=None):
        if self.started:
            raise RuntimeError("Camera must be stopped before configuring")
        config = {
            name: value
            for name, value in camera_config.items()
            if name in {"main", "raw", "queue", "buffer_count"}
        }
        roles = [libcamera.StreamRole.Viewfinder] + [libcamera.StreamRole.Raw] * (config["raw"] is not None)
        wanted = self.camera.generate_configuration(roles)
        for number, name in enumerate(["main", "raw"][: len(roles)]):
            stream = wanted.at(number)
            stream.pixel_format = libcamera.PixelFormat(config[name]["format"])
            stream.size = Size(*config[name]["size"])
            stream.buffer_count = config["buffer_count"]
        wanted.sensor_config = libcamera.SensorConfiguration()
        wanted.sensor_config.output_size = Size(*self._mode_for(camera_config))
        if wanted.validate() is libcamera.CameraConfiguration.Status.Invalid:
            raise RuntimeError(f"Invalid camera configuration: {config}")
        self.camera.configure(wanted)
        for number, name in enumerate(["main", "raw"][: len(roles)]):
            size = wanted.at(number).size
            config[name] = {"format": str(wanted.at(number).pixel_format), "size": (size.width, size.height)}
        self._allocate(wanted)
        self.streams = {"main": wanted.at(0).stream, "raw": wanted.at(1).stream if config["raw"] else None}
        self.camera_config = config
        self._keeps = 1 if config["queue"] and config["buffer_count"] > 1 else 0
        self._given_back = {}
        self.set_controls(camera_config["controls"])

    def _mode_for(self, config):
        """The sensor's mode that comes nearest to what is asked for, by size and by depth."""
        asked = (config["sensor"] or {}).get("output_size") or (config["raw"] or config["main"])["size"]
        bits = (config["sensor"] or {}).get("bit_depth", 12)

        def distance(mode):
            depth = int("".join(filter(str.isdigit, mode["format"].partition("_")[0])))
            lacking = sum(
                2 * max(0, want - have) + max(0, have - want) / 4
                for want, have in zip(asked, mode["size"], strict=True)
            )
            return lacking + 500 * abs(depth - bits)

        return min(self._raw_modes, key=distance)["size"]

    def _allocate(self, wanted):
        for fd in self._memory:
            os.close(fd)
        self._memory, self._buffers = [], []
        for stream in wanted:
            buffers = []
            for number in range(stream.buffer_count):
                fd = DmaHeap().alloc(f"fake-{number}", stream.frame_size).get()
                self._memory.append(fd)
                plane = libcamera.FrameBuffer.Plane()
                plane.fd, plane.length = fd, stream.frame_size
                buffers.append(libcamera.FrameBuffer([plane]))
            self._buffers.append((stream.stream, buffers))

    def camera_configuration(self):
        return self.camera_config

    def set_controls(self, controls):
        able = self.camera_controls
        for name in controls:
            if name not in able:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")
        with self._lock:
            self._given_back |= controls

    # ---------------------------------------------------------------------------------------------------------- running

    def start(self, config=None, show_preview=False):
        if self.started:
            return
        self.camera.start(self._controls())
        self.started = True
        for number in range(self.camera_config["buffer_count"]):
            request = self.camera.create_request()
            for stream, buffers in self._buffers:
                request.add_buffer(stream, buffers[number])
            self.camera.queue_request(request)

    def stop(self):
        if not self.started:
            return
        self.camera.stop()
        with self._lock:
            self.started = False
            self.stop_count += 1
            self._manager.get_ready_requests()
            self._completed = []

    def close(self):
        self.stop()
        self._over.set()
        self._manager.completed_nothing()
        self._thread.join()
        self.camera.release()

    def capture_request(self, wait=None, signal_function=None, flush=None):
        assert (wait, signal_function, flush) == (None, None, None)
        future = Future()
        with self._lock:
            if self._completed:
                return self._completed.pop(0)
            self._jobs.append(future)
        return future.result()

    def _controls(self):
        with self._lock:
            given, self._given_back = self._given_back, {}
        ids = {control.name: control for control in self.camera.controls}
        out = {}
        for name, value in given.items():
            out[ids[name]] = Rectangle(*value) if ids[name].type is ControlType.Rectangle else value
            if name in {"ExposureTime", "AnalogueGain"}:
                out[ids[f"{name}Mode"]] = 1
        return out

    def _recycle(self, request, run):
        with self._lock:
            if not self.started or run != self.stop_count:
                return
            request.reuse()
            for control, value in self._controls().items():
                request.set_control(control, value)
            self.camera.queue_request(request)

    def _loop(self):
        selector = selectors.DefaultSelector()
        selector.register(self._manager.event_fd, selectors.EVENT_READ)
        while not self._over.is_set():
            selector.select()
            for request in self._manager.get_ready_requests():
                self._take_in(CompletedRequest(request, self))
        selector.close()

    def _take_in(self, frame):
        buffer = next(iter(frame.request.buffers.values()))
        if buffer.metadata.status is not FrameMetadata.Status.Success:
            frame.release()
            return
        if self.pre_callback:
            self.pre_callback(frame)
        with self._lock:
            self._completed.append(frame)
            while self._jobs and self._completed:
                self._jobs.pop(0).set_result(self._completed.pop(0))
            surplus = self._completed[: len(self._completed) - self._keeps]
            self._completed = self._completed[len(surplus) :]
        for each in surplus:
            each.release()
