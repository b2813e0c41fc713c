"""The camera process: `python -m drivers.gphoto2.worker SOCKET LIFELINE`. It does what it is asked, one request at a time.

It is the only one that imports libgphoto2, and it imports nothing of rigd's but the messages: it starts in a tenth of a
second, and may hang, abort or be killed at any moment.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

from drivers.apart.link import Link, die_with_driver
from drivers.gphoto2 import messages as m

NO_LIBRARY = 1
"""Code of a refusal that is no code of libgphoto2: the package cannot be imported."""
QUIET_S = 0.005
"""Between two looks at a camera that says at once that it has nothing to say."""
LISTEN_MS = 100
CHOICES_KEPT = 500

Answer = tuple[m.Message, bytes]


class CameraSide:
    """One camera, by python-gphoto2.

    Args:
        gp: the module `gphoto2`.
    """

    def __init__(self, gp: Any) -> None:
        self._gp = gp
        self._camera: Any = None
        self._acts: dict[type[m.Message], Callable[[Any], Answer]] = {
            m.Detect: self._detect,
            m.Open: self._open,
            m.Describe: self._describe,
            m.Read: self._read,
            m.Write: self._write,
            m.Trigger: self._trigger,
            m.Listen: self._listen,
            m.Download: self._download,
            m.Delete: self._delete,
            m.Reset: self._reset,
            m.Leave: self._leave,
        }

    def answer(self, request: m.Message) -> Answer:
        """Do it."""
        try:
            return self._acts[type(request)](request)
        except self._gp.GPhoto2Error as error:
            return m.Refused(error.code, error.string), b""

    # ------------------------------------------------------------------------------------------------ finding, opening

    def _ports(self) -> Any:
        ports = self._gp.PortInfoList()
        ports.load()
        return ports

    def _abilities(self) -> Any:
        abilities = self._gp.CameraAbilitiesList()
        abilities.load()
        return abilities

    def _detect(self, _request: m.Detect) -> Answer:
        found = self._abilities().detect(self._ports())
        pairs = (tuple(found[index]) for index in range(len(found)))
        return m.Cameras(tuple((str(model), str(port)) for model, port in pairs)), b""

    def _open(self, request: m.Open) -> Answer:
        gp, abilities, ports = self._gp, self._abilities(), self._ports()
        camera = gp.Camera()
        camera.set_abilities(abilities[abilities.lookup_model(request.model)])
        camera.set_port_info(ports[ports.lookup_path(request.port)])
        camera.init()
        self._camera = camera
        triggers = bool(camera.get_abilities().operations & gp.GP_OPERATION_TRIGGER_CAPTURE)
        version = gp.gp_library_version(gp.GP_VERSION_SHORT)[0]
        return m.Opened(triggers, str(version)), b""

    def _reset(self, request: m.Reset) -> Answer:
        ports = self._ports()
        port = self._gp.GPPort()
        port.set_info(ports[ports.lookup_path(request.port)])
        port.open()
        port.reset()
        port.close()
        return m.Done(), b""

    def _leave(self, _request: m.Leave) -> Answer:
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.exit()
        return m.Done(), b""

    # -------------------------------------------------------------------------------------------------------- settings

    def _describe(self, _request: m.Describe) -> Answer:
        return m.Tree(tuple(self._widgets(self._camera.get_config()))), b""

    def _widgets(self, widget: Any) -> list[m.Widget]:
        gp = self._gp
        kind = widget.get_type()
        if kind in {gp.GP_WIDGET_WINDOW, gp.GP_WIDGET_SECTION}:
            inside = (widget.get_child(index) for index in range(widget.count_children()))
            return [found for child in inside for found in self._widgets(child)]
        if kind == gp.GP_WIDGET_BUTTON:
            return []
        choices: tuple[str, ...] = ()
        if kind in {gp.GP_WIDGET_RADIO, gp.GP_WIDGET_MENU}:
            count = min(widget.count_choices(), CHOICES_KEPT)
            choices = tuple(str(widget.get_choice(index)) for index in range(count))
        name, label, readonly = str(widget.get_name()), str(widget.get_label()), bool(widget.get_readonly())
        return [m.Widget(name, label, readonly, _text(widget.get_value()), choices)]

    def _read(self, request: m.Read) -> Answer:
        values = {}
        for name in request.names:
            try:
                values[name] = _text(self._camera.get_single_config(name).get_value())
            except self._gp.GPhoto2Error as error:
                if error.code != self._gp.GP_ERROR_BAD_PARAMETERS:
                    raise
        return m.Values(values), b""

    def _write(self, request: m.Write) -> Answer:
        gp = self._gp
        widget = self._camera.get_single_config(request.name)
        kind = widget.get_type()
        value: str | int | float = request.value
        if kind == gp.GP_WIDGET_TOGGLE:
            value = int(request.value)
        elif kind == gp.GP_WIDGET_RANGE:
            value = float(request.value)
        widget.set_value(value)
        self._camera.set_single_config(request.name, widget)
        return self._read(m.Read((request.name,)))

    # -------------------------------------------------------------------------------------------------------- pictures

    def _trigger(self, request: m.Trigger) -> Answer:
        before_s = time.monotonic()
        if not request.wait:
            self._camera.trigger_capture()
            return m.Triggered(before_s, time.monotonic()), b""
        path = self._camera.capture(self._gp.GP_CAPTURE_IMAGE)
        return m.Triggered(before_s, time.monotonic(), str(path.folder), str(path.name)), b""

    def _listen(self, request: m.Listen) -> Answer:
        gp = self._gp
        until_s = time.monotonic() + request.limit_s
        while True:
            asked_s = time.monotonic()
            left_ms = max(1, min(LISTEN_MS, int((until_s - asked_s) * 1000)))
            kind, what = self._camera.wait_for_event(left_ms)
            now_s = time.monotonic()
            if kind == gp.GP_EVENT_FILE_ADDED:
                return m.Heard("file", now_s, str(what.folder), str(what.name)), b""
            if kind == gp.GP_EVENT_CAPTURE_COMPLETE:
                return m.Heard("complete", now_s), b""
            if kind != gp.GP_EVENT_TIMEOUT:
                return m.Heard("other", now_s), b""
            if now_s >= until_s:
                return m.Heard("nothing", now_s), b""
            # Some cameras do not wait: the virtual one answers in a microsecond.
            time.sleep(max(0.0, min(QUIET_S - (now_s - asked_s), until_s - now_s)))

    def _download(self, request: m.Download) -> Answer:
        gp = self._gp
        size: int | None = None
        try:
            info = self._camera.file_get_info(request.folder, request.name).file
            size = int(info.size) if info.fields & gp.GP_FILE_INFO_SIZE else None
        except gp.GPhoto2Error as error:
            if error.code != gp.GP_ERROR_NOT_SUPPORTED:
                raise
        data = self._camera.file_get(request.folder, request.name, gp.GP_FILE_TYPE_NORMAL)
        # A copy: what libgphoto2 shows is gone with its file object.
        return m.Data(size), bytes(data.get_data_and_size())

    def _delete(self, request: m.Delete) -> Answer:
        self._camera.file_delete(request.folder, request.name)
        return m.Done(), b""


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def main(descriptor: int, lifeline: int) -> None:
    """Serve until told to leave, or until the driver is gone."""
    die_with_driver(lifeline)
    link = Link(descriptor, m.CODEC)
    request = link.receive()
    try:
        side = CameraSide(importlib.import_module("gphoto2"))
    except ImportError as error:
        link.send(m.Refused(NO_LIBRARY, str(error)))
        return
    while request is not None:
        link.send(*side.answer(request))
        if isinstance(request, m.Leave):
            return
        request = link.receive()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
