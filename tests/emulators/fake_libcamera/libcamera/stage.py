"""What the test has written for this camera, what it remembers from one process to the next, and what was done to it.

The folder `FAKE_LIBCAMERA` holds `script.json`, `state.json` and `log.jsonl`.
"""

import ctypes
import inspect
import json
import os
import threading
import time
from pathlib import Path

HOME = Path(os.environ["FAKE_LIBCAMERA"])
SCRIPT = json.loads((HOME / "script.json").read_text())
_lock = threading.Lock()
_offset_s = SCRIPT["suspended_s"]
_gettime = time.clock_gettime


def _clock_gettime(which):
    """CLOCK_BOOTTIME of a machine that has slept."""
    return _gettime(which) + (_offset_s if which == time.CLOCK_BOOTTIME else 0.0)


def _clock_gettime_ns(which):
    return int(_clock_gettime(which) * 1e9)


time.clock_gettime, time.clock_gettime_ns = _clock_gettime, _clock_gettime_ns


def state():
    try:
        return json.loads((HOME / "state.json").read_text())
    except FileNotFoundError:
        return {"calls": {}}


def note(**what):
    with _lock, (HOME / "log.jsonl").open("a") as file:
        file.write(json.dumps({"at_s": time.monotonic(), "pid": os.getpid(), **what}) + "\n")


def called(name):
    """Count a call over all processes, and suffer what the script has for it; the fault, for the caller to carry out.

    A camera that runs freely does not wait for a script: what came too late for its frame is suffered at the next.
    """
    with _lock:
        faults = json.loads((HOME / "script.json").read_text())["faults"]
        now = state()
        count = now["calls"][name] = now["calls"].get(name, 0) + 1
        suffered = now.setdefault("suffered", {})
        fault = None
        for each in faults:
            due = sum(number <= count for number in each["at"])
            if each["call"] == name and due > suffered.get(json.dumps(each), 0):
                fault = each
                suffered[json.dumps(each)] = suffered.get(json.dumps(each), 0) + 1
                break
        fresh = HOME / f"state.{os.getpid()}"
        fresh.write_text(json.dumps(now))
        fresh.replace(HOME / "state.json")
    if name != "frame":
        note(call=name, count=count)
    if fault is None:
        return None
    if fault["do"] == "hang":
        note(hangs=name)
        if fault.get("holding"):
            # Inside a C call that never lets another thread of Python's run.
            ctypes.PyDLL(None).sleep(1000)
        time.sleep(1000)
    elif fault["do"] == "crash":
        os.write(2, b"ERROR RPI: assertion failed\n")
        os.abort()
    elif fault["do"] == "fail":
        raise RuntimeError(fault["words"])
    return fault


def fit_pidng():
    """picamera2 gives PiDNG the model and a file to write to. The PiDNG of Raspberry Pi OS takes both, the last one on PyPI neither."""
    try:
        from pidng import camdefs, core
    except ImportError:
        return
    camera, convert = camdefs.Picamera2Camera, core.DNGBASE.convert
    if "model" in inspect.signature(camera).parameters:
        return

    def convert_to_file(self, image, filename="", file=None):
        if file is None:
            return convert(self, image, filename)
        self.path = ""
        return file.write(convert(self, image))

    core.DNGBASE.convert = convert_to_file
    camdefs.Picamera2Camera = lambda fmt, metadata, _model="": camera(fmt, metadata)
