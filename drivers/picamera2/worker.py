"""The camera process. It does what it is asked, one request at a time, and holds no opinion.

It is the only one that imports picamera2, and it imports nothing of rigd's but the messages and the standard library: it may be run by the
system's Python, which has picamera2 where rigd's own has not. It may hang, abort or be killed at any moment.
"""

from __future__ import annotations

import errno
import importlib
import inspect
import io
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from drivers.apart.link import Link, die_with_driver
from drivers.apart.wire import Done, Leave, Message, Refused
from drivers.picamera2 import messages as m
from drivers.picamera2 import pipeline
from drivers.picamera2.lens_line import LensLine

Answer = tuple[Message, bytes]
BURST_BUFFERS = 6
FORMAT = "YUV420"
"""Half the memory of RGB, and what a JPEG is made of."""
TOLD = (
    "SensorTimestamp",
    "ExposureTime",
    "AnalogueGain",
    "DigitalGain",
    "ColourGains",
    "LensPosition",
    "FrameDuration",
)
LIMITS = (
    "ExposureTime",
    "AnalogueGain",
    "ColourGains",
    "FrameDurationLimits",
    "LensPosition",
)
NO_MEMORY = re.compile(
    r"cannot allocate memory|failed to allocate|unable to allocate|out of memory|\bENOMEM\b", re.IGNORECASE
)
BUSY = re.compile(r"resource busy|failed to acquire|in use by another|did not acquire", re.IGNORECASE)
ABSENT = re.compile(r"no camera number|cameras?\(?s?\)? not found|list index out of range", re.IGNORECASE)


class CameraSide:
    """One camera, by picamera2.

    Args:
        library: the module `picamera2`.
        lens: where the lens is told to go and what comes of it.
    """

    def __init__(self, library: Any, lens: LensLine) -> None:
        self._library = library
        self._lens = lens
        self._camera: Any = None
        self._use = ""
        self._held: dict[int, Any] = {}
        self._handles = 0
        self._acts: dict[type[Message], Callable[[Any], Answer]] = {
            m.Open: self._open,
            m.Run: self._run,
            m.Next: self._next,
            m.Change: self._change,
            m.Fetch: self._fetch,
            m.Collect: self._collect,
            Leave: self._leave,
        }

    def answer(self, request: Message) -> Answer:
        """Do it."""
        try:
            return self._acts[type(request)](request)
        except Exception as error:  # noqa: BLE001  (whatever the library raises is the driver's to judge)
            return refusal(error), b""

    def _open(self, request: m.Open) -> Answer:
        plain = request.plain and pipeline.has_pisp()
        if plain:
            pipeline.make_plain()
        self._camera = camera = self._library.Picamera2(request.camera)
        properties = camera.camera_properties
        native = properties.get("PixelArraySize") or camera.sensor_resolution
        model, version = str(properties.get("Model", "camera")), _version()
        autofocus = "LensPosition" in camera.camera_controls
        return m.Opened(model, version, (int(native[0]), int(native[1])), plain, autofocus), b""

    def _run(self, request: m.Run) -> Answer:
        camera = self._camera
        self._release(tuple(self._held))
        camera.stop()
        able = camera.camera_controls
        controls = {name: _plain(value) for name, value in request.controls.items() if name in able}
        still = request.use == "still"
        create = camera.create_still_configuration if still else camera.create_video_configuration
        config = create(**_accepted(create, self._streams(request) | {"controls": controls}))
        camera.configure(config)
        camera.options["quality"] = request.quality
        came = camera.camera_configuration()["raw" if request.raw else "main"]["size"]
        if request.start:
            self._lens.watch(camera)
            camera.start()
            self._use = request.use
        able = camera.camera_controls
        limits = {name: able[name][:2] for name in LIMITS if name in able}
        crop = able.get("ScalerCrop", (None, None, None))
        shown = crop[1] if request.raw else crop[2] or crop[1]
        return m.Running(int(came[0]), int(came[1]), limits, shown), b""

    def _streams(self, request: m.Run) -> dict[str, Any]:
        """What to ask picamera2 for. It keeps no frame back (`queue`): a kept one is old, and its buffer is missing."""
        still = request.use == "still"
        size = (request.width, request.height)
        asked: dict[str, Any] = {
            "main": {"format": FORMAT, "size": size},
            "raw": None,
            "buffer_count": request.buffers,
            "queue": False,
            "display": None,
            "encode": None,
        }
        if request.raw:
            # The picture that nobody looks at may be small.
            asked["main"]["size"] = tuple(max(64, edge // 4 // 2 * 2) for edge in size)
            asked["raw"] = {"format": self._uncompressed(), "size": size}
        if request.sensor is not None or not still:
            asked["sensor"] = self._mode(request.sensor)
        return asked

    def _uncompressed(self) -> str:
        """The raw format. A Pi 5 compresses, with loss, unless it is asked for pixels of two bytes."""
        name = str(self._camera.sensor_format)
        return re.sub(r"_CSI2P$", "", name) if pipeline.has_pisp() else name

    def _mode(self, wanted: tuple[int, int] | None) -> dict[str, Any]:
        """The sensor's mode of this size; None: the smallest, which is the fastest."""
        # `sensor_modes` configures the camera once for each mode, full size and four buffers among them: memory that may not be there.
        modes = getattr(self._camera, "_raw_modes", None) or self._camera.sensor_modes
        sizes = [(tuple(mode["size"]), _bits(str(mode["format"]))) for mode in modes if "size" in mode]
        if wanted is not None:
            sizes = [each for each in sizes if each[0] == tuple(wanted)] or [(tuple(wanted), 0)]
        size, bits = min(sizes, key=lambda each: (each[0][0] * each[0][1], -each[1]))
        return {"output_size": size} | ({"bit_depth": bits} if bits else {})

    # ---------------------------------------------------------------------------------------------------------- frames

    def _next(self, request: m.Next) -> Answer:
        self._release(request.release)
        frame = self._camera.capture_request()
        arrived_ns = time.monotonic_ns()
        self._handles += 1
        self._held[self._handles] = frame
        return m.Seen(self._handles, _told(frame), arrived_ns, _boot_ahead_ns()), b""

    def _release(self, handles: tuple[int, ...]) -> None:
        for handle in handles:
            frame = self._held.pop(handle, None)
            if frame is not None:
                frame.release()

    def _change(self, request: m.Change) -> Answer:
        able = self._camera.camera_controls
        controls = {name: _plain(value) for name, value in request.controls.items() if name in able}
        self._camera.set_controls(controls)
        return Done(), b""

    def _fetch(self, request: m.Fetch) -> Answer:
        frame = self._held.get(request.handle)
        if frame is None:
            return Refused(m.FAILED, "it is not held any more"), b""
        file = io.BytesIO()
        try:
            if request.raw:
                frame.save_dng(file)
            else:
                frame.save("main", file, format="jpeg")
        finally:
            self._release((request.handle,))
        return m.Data(), file.getvalue()

    def _collect(self, request: m.Collect) -> Answer:
        told: list[dict[str, Any]] = []
        arrived: list[int] = []
        planes: list[bytes] = []
        width, height = self._camera.camera_configuration()["main"]["size"]
        while len(told) < request.frames:
            frame = self._camera.capture_request()
            try:
                about = _told(frame)
                if about["SensorTimestamp"] < request.after_ns:
                    continue
                arrived.append(time.monotonic_ns())
                planes.append(frame.make_array("main")[:height, :width].tobytes())
                told.append(about)
            finally:
                frame.release()
        answer = m.Collected(int(width), int(height), tuple(told), tuple(arrived), _boot_ahead_ns())
        return answer, b"".join(planes)

    def _leave(self, _request: Leave) -> Answer:
        camera, self._camera = self._camera, None
        if camera is not None:
            self._release(tuple(self._held))
            camera.stop()
            camera.close()
        return Done(), b""


def refusal(error: Exception) -> Refused:
    """What picamera2 said, with what was behind it: it wraps what libcamera says twice."""
    chain = list(_causes(error))
    words = " <- ".join(f"{type(each).__name__}: {each}" for each in chain)
    if any(isinstance(each, MemoryError) or getattr(each, "errno", None) == errno.ENOMEM for each in chain):
        return Refused(m.NO_MEMORY, words)
    for code, pattern in ((m.NO_MEMORY, NO_MEMORY), (m.BUSY, BUSY), (m.NO_CAMERA, ABSENT)):
        if pattern.search(words):
            return Refused(code, words)
    return Refused(m.FAILED, words)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _told(frame: Any) -> dict[str, Any]:
    metadata = frame.get_metadata()
    return {name: metadata[name] for name in TOLD if name in metadata}


def _plain(value: Any) -> Any:
    """As picamera2 has it: pairs are tuples."""
    return tuple(value) if isinstance(value, list) else value


def _accepted(create: Callable[..., Any], asked: dict[str, Any]) -> dict[str, Any]:
    """What this release of picamera2 can be asked for."""
    known = inspect.signature(create).parameters
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values()):
        return asked
    return {name: value for name, value in asked.items() if name in known}


def _bits(name: str) -> int:
    found = re.search(r"\d+", name.partition("_")[0])
    return int(found[0]) if found else 0


def _version() -> str:
    from importlib import metadata  # noqa: PLC0415  (slow, and needed once)

    try:
        return metadata.version("picamera2")
    except metadata.PackageNotFoundError:
        return "unknown"


def _boot_ahead_ns() -> int:
    """Read so that it is rather too much: frames then seem older than they are, by as little as can be had."""
    readings = []
    for _ in range(3):
        before_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        readings.append(time.clock_gettime_ns(time.CLOCK_BOOTTIME) - before_ns)
    return min(readings)


def main(descriptor: int, lifeline: int, lens: int) -> None:
    """Serve until told to leave, or until the driver is gone."""
    die_with_driver(lifeline)
    link = Link(descriptor, m.CODEC)
    request = link.receive()
    try:
        side = CameraSide(importlib.import_module("picamera2"), LensLine(lens))
    except Exception as error:  # noqa: BLE001  (packages that do not fit each other raise anything: ValueError of NumPy)
        link.send(Refused(m.NO_LIBRARY, f"{type(error).__name__}: {error}"))
        return
    while request is not None:
        link.send(*side.answer(request))
        if isinstance(request, Leave):
            return
        request = link.receive()
