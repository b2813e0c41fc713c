"""A camera that does what a script says, behind the part of python-gphoto2's interface that the camera process uses.

It runs in that process. The folder `FAKE_GPHOTO2` holds `script.json`, written by the test; `state.json`, what the camera remembers
from one process to the next; and `log.jsonl`, what was done to it and when its shutter really was open.
"""

import ctypes
import json
import os
import time
from pathlib import Path

HOME = Path(os.environ["FAKE_GPHOTO2"])
SCRIPT = json.loads((HOME / "script.json").read_text())

GP_WIDGET_WINDOW, GP_WIDGET_SECTION, GP_WIDGET_TEXT, GP_WIDGET_RANGE, GP_WIDGET_TOGGLE = range(5)
GP_WIDGET_RADIO, GP_WIDGET_MENU, GP_WIDGET_BUTTON, GP_WIDGET_DATE = range(5, 9)
GP_EVENT_UNKNOWN, GP_EVENT_TIMEOUT, GP_EVENT_FILE_ADDED, GP_EVENT_FOLDER_ADDED, GP_EVENT_CAPTURE_COMPLETE = (
    range(5)
)
GP_OPERATION_TRIGGER_CAPTURE = 32
GP_CAPTURE_IMAGE = 0
GP_FILE_TYPE_NORMAL = 1
GP_FILE_INFO_SIZE = 4
GP_ERROR_BAD_PARAMETERS = -2
GP_ERROR_NOT_SUPPORTED = -6
GP_VERSION_SHORT = 0
WORDS = {
    -2: "Bad parameters",
    -7: "I/O problem",
    -52: "Could not find the requested device on the USB port",
    -110: "I/O in progress",
}


class GPhoto2Error(Exception):
    def __init__(self, code):
        self.code = code
        self.string = WORDS.get(code, "Unspecified error")
        super().__init__(f"[{code}] {self.string}")


def gp_library_version(_verbose):
    return ["2.5.0-fake"]


def state():
    try:
        return json.loads((HOME / "state.json").read_text())
    except FileNotFoundError:
        return {"calls": {}, "set": {}, "pictures": 0}


def keep(what):
    fresh = HOME / f"state.{os.getpid()}"
    fresh.write_text(json.dumps(what))
    fresh.replace(HOME / "state.json")


def note(**what):
    with (HOME / "log.jsonl").open("a") as file:
        file.write(json.dumps({"at_s": time.monotonic(), "pid": os.getpid(), **what}) + "\n")


def hang(fault):
    if fault.get("holding"):
        # Inside a C call that never lets another thread of Python's run.
        ctypes.PyDLL(None).sleep(1000)
    time.sleep(1000)


def called(name):
    """Count a call, and suffer what the script has for it. The fault, for those that the caller carries out."""
    now = state()
    if (HOME / "unplugged").exists():
        raise GPhoto2Error(-52 if name == "init" else -7)
    count = now["calls"][name] = now["calls"].get(name, 0) + 1
    faults = json.loads((HOME / "script.json").read_text())["faults"]
    fault = next((f for f in faults if f["call"] == name and count in f["at"]), None)
    if now.get("stuck") and name not in {"detect", "reset"}:
        fault = now["stuck"]
    keep(now)
    note(call=name, count=count)
    if fault is None:
        return None
    do = fault["do"]
    if do == "hang":
        if fault.get("until"):
            keep(state() | {"stuck": fault})
        hang(fault)
    elif do == "error":
        if fault.get("until"):
            keep(state() | {"stuck": fault})
        raise GPhoto2Error(fault["code"])
    elif do == "unplug":
        (HOME / "unplugged").touch()
        raise GPhoto2Error(-7)
    elif do == "crash":
        os.write(2, b"libgphoto2: assertion failed\n")
        os.abort()
    elif do == "dial":
        now["set"].update(fault["set"])
        keep(now)
    return fault


class PortInfoList:
    def load(self):
        pass

    def lookup_path(self, path):
        return path

    def __getitem__(self, path):
        return path


class CameraAbilitiesList:
    def load(self):
        pass

    def lookup_model(self, model):
        return model

    def __getitem__(self, model):
        return model

    def detect(self, _ports):
        if (HOME / "unplugged").exists():
            return []
        called("detect")
        return [(camera["model"], camera["port"]) for camera in SCRIPT["cameras"]]


class GPPort:
    def set_info(self, info):
        self.path = info

    def open(self):
        pass

    def reset(self):
        called("reset")
        now = state()
        if (now.get("stuck") or {}).get("until") == "reset":
            del now["stuck"]
            keep(now)

    def close(self):
        pass


class Widget:
    def __init__(self, name, kind, value, choices=(), readonly=False, children=()):
        self.name, self.kind, self.value = name, kind, value
        self.choices, self.readonly, self.children = choices, readonly, children

    def get_name(self):
        return self.name

    def get_label(self):
        return self.name.capitalize()

    def get_type(self):
        return self.kind

    def get_readonly(self):
        return int(self.readonly)

    def get_value(self):
        return self.value

    def set_value(self, value):
        self.value = value

    def count_choices(self):
        return len(self.choices)

    def get_choice(self, index):
        return self.choices[index]

    def count_children(self):
        return len(self.children)

    def get_child(self, index):
        return self.children[index]


class Thing:
    def __init__(self, **fields):
        self.__dict__.update(fields)

    def get_data_and_size(self):
        return self.data


class Camera:
    def __init__(self):
        self.events = []
        self.files = {}
        self.mirror = False
        self.late = None

    def set_abilities(self, model):
        self.model = model

    def set_port_info(self, port):
        self.port = port

    def init(self):
        called("init")
        note(opened=self.model, port=self.port)
        (HOME / "language").write_text(f"{os.environ.get('LC_ALL')} {os.environ.get('LANGUAGE')}")

    def exit(self):
        called("exit")

    def get_abilities(self):
        return Thing(operations=GP_OPERATION_TRIGGER_CAPTURE if SCRIPT["triggers"] else 1)

    # settings

    def widgets(self):
        now = state()["set"]
        mine = next(camera for camera in SCRIPT["cameras"] if camera["port"] == self.port)
        made = [Widget("serialnumber", GP_WIDGET_TEXT, mine["serial"], readonly=True)]
        for name, what in SCRIPT["widgets"].items():
            kind = GP_WIDGET_RADIO if what.get("choices") else GP_WIDGET_TEXT
            value = now.get(name, what["value"])
            made.append(Widget(name, kind, value, what.get("choices", ()), what.get("readonly", False)))
        return made

    def get_config(self):
        called("get_config")
        return Widget(
            "main",
            GP_WIDGET_WINDOW,
            None,
            children=(Widget("all", GP_WIDGET_SECTION, None, children=self.widgets()),),
        )

    def get_single_config(self, name):
        called("get_single_config")
        for widget in self.widgets():
            if widget.name == name:
                return widget
        raise GPhoto2Error(-2)

    def set_single_config(self, name, widget):
        fault = called("set_single_config")
        note(set=name, to=widget.value)
        if (fault or {}).get("do") == "deaf":
            return
        now = state()
        now["set"][name] = widget.value
        keep(now)

    # pictures

    def exposure_s(self):
        word = next(widget.value for widget in self.widgets() if widget.name == "shutterspeed")
        over, _, under = word.partition("/")
        return float(over) / float(under or 1)

    def trigger_capture(self):
        fault = called("trigger_capture") or {}
        do = fault.get("do")
        began_s = time.monotonic()
        if self.mirror_locks() and not self.mirror:
            self.mirror = True
            note(mirror="up")
            return
        self.mirror = False
        if do == "nothing":
            return
        open_s = began_s + SCRIPT["lag_s"]
        close_s = open_s + self.exposure_s()
        self.expose(open_s, close_s, fault)
        if fault.get("do") == "hang after":
            hang(fault)

    def press(self):
        """A wired release was pressed: the test left the times in a file."""
        pressed = HOME / "pressed"
        if pressed.exists():
            open_s, close_s = json.loads(pressed.read_text())
            pressed.unlink()
            self.expose(open_s, close_s, {})

    def mirror_locks(self):
        return any(widget.name == "capturemode" and widget.value == "Mirror Up" for widget in self.widgets())

    def expose(self, open_s, close_s, fault):
        do = fault.get("do")
        now = state()
        now["pictures"] += 1
        keep(now)
        number = now["pictures"]
        note(open_s=open_s, close_s=close_s, picture=number)
        stored_s = close_s + fault.get("store_s", SCRIPT["store_s"])
        names = [f"IMG_{number:04d}.{kind}" for kind in (["TIF"] if do == "odd" else SCRIPT["files"])]
        if self.late is not None:
            self.events.append((open_s, GP_EVENT_FILE_ADDED, self.late))
            self.late = None
        for name in names:
            data = (HOME / "picture.jpg").read_bytes() + f"#{number:06d}{name}".encode()
            self.files[name] = data
            path = Thing(folder="/store_1/DCIM", name=name)
            if do != "no file":
                self.events.append((stored_s, GP_EVENT_FILE_ADDED, path))
            if do == "twice":
                self.events.append(
                    (stored_s + 0.001, GP_EVENT_FILE_ADDED, Thing(folder="/store_2/DCIM", name=name))
                )
            if do == "twice late":
                self.late = path
        complete = SCRIPT["complete"]
        if complete != "never":
            at_s = {"closed": close_s, "stored": stored_s + 0.002, "late": stored_s + 0.3}[complete]
            self.events.append((at_s, GP_EVENT_CAPTURE_COMPLETE, None))
        self.events.sort(key=lambda event: event[0])

    def capture(self, _kind):
        self.trigger_capture()
        while True:
            kind, what = self.wait_for_event(5000)
            if kind == GP_EVENT_FILE_ADDED:
                return what
            if kind == GP_EVENT_TIMEOUT:
                raise GPhoto2Error(-1)

    def wait_for_event(self, timeout_ms):
        if SCRIPT.get("count_events"):
            called("wait_for_event")
        if (HOME / "unplugged").exists():
            raise GPhoto2Error(-7)
        until_s = time.monotonic() + timeout_ms / 1000
        while True:
            self.press()
            now_s = time.monotonic()
            if self.events and self.events[0][0] <= now_s:
                return self.events.pop(0)[1:]
            if now_s >= until_s:
                return GP_EVENT_TIMEOUT, None
            due_s = self.events[0][0] if self.events else until_s
            time.sleep(max(0.0, min(due_s, until_s, now_s + 0.005) - now_s))

    def file_get_info(self, _folder, name):
        return Thing(file=Thing(size=len(self.found(name)), fields=GP_FILE_INFO_SIZE))

    def file_get(self, _folder, name, _kind):
        fault = called("file_get") or {}
        data = self.found(name)
        if fault.get("do") == "truncated":
            data = data[: len(data) // 2]
        if fault.get("do") == "slow":
            time.sleep(fault["seconds"])
        return Thing(data=data)

    def file_delete(self, _folder, name):
        called("file_delete")
        note(deleted=name)
        self.files.pop(name, None)

    def found(self, name):
        if name not in self.files:
            raise GPhoto2Error(-108)
        return self.files[name]
