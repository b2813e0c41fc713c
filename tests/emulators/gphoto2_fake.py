"""A scripted camera for the gphoto2 driver: what the virtual one cannot do, hang, die, vanish, lie, it does on command.

`fake_gphoto2/gphoto2.py` plays it inside the driver's camera process; this is the test's side.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

MODULE = Path(__file__).parent / "fake_gphoto2"
WIDTH, HEIGHT = 96, 64
LAG_S = 0.03
PATIENCE_S = 30.0
MODEL, PORT = "Fake EOS", "usb:900,007"
WIDGETS: dict[str, dict[str, Any]] = {
    "manufacturer": {"value": "Fake", "readonly": True},
    "shutterspeed": {
        "value": "1/60",
        "choices": ["bulb", "4", "1", "1/2", "1/10", "1/25", "1/50", "1/60", "1/100"],
    },
    "iso": {"value": "Auto", "choices": ["Auto", "100", "200", "400"]},
    "aperture": {"value": "5.6", "choices": ["4", "5.6", "8", "11"]},
    "whitebalance": {"value": "Daylight", "choices": ["Auto", "Daylight", "Cloudy"]},
    "focusmode": {"value": "Manual", "readonly": True},
    "imageformat": {"value": "L", "choices": ["L", "RAW", "RAW + L"]},
    "capturetarget": {"value": "Memory card", "choices": ["Internal RAM", "Memory card"]},
    "batterylevel": {"value": "80%", "readonly": True},
}
OPTIONS: dict[str, Any] = {
    "width": WIDTH,
    "height": HEIGHT,
    "exposure_s": 0.02,
    "frame_mb": 0.02,
    "transfer_s": 0.05,
}


class FakeCamera:
    """A scripted camera.

    Args:
        folder: for script, memory and log.
        faults: `call`, `at` (which calls of that name, counted from 1 over all processes), `do`.
        widgets: settings beside or instead of the usual ones; None takes one away.
        script: other entries of the script: `files`, `complete`, `triggers`, `cameras`, `lag_s`, `store_s`.
    """

    def __init__(
        self,
        folder: Path,
        *faults: dict[str, Any],
        widgets: dict[str, dict[str, Any] | None] | None = None,
        **script: Any,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        picture = np.random.default_rng(2).integers(30, 220, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        (folder / "picture.jpg").write_bytes(simplejpeg.encode_jpeg(picture, quality=85))
        have = {name: widget for name, widget in (WIDGETS | (widgets or {})).items() if widget is not None}
        self.script = {
            "cameras": [{"model": MODEL, "port": PORT, "serial": "000123"}],
            "widgets": have,
            "faults": list(faults),
            "files": ["JPG"],
            "complete": "closed",
            "triggers": True,
            "lag_s": LAG_S,
            "store_s": 0.02,
        } | script
        self.write()

    def write(self) -> None:
        """The script. Faults count at once, the rest for the next camera process."""
        fresh = self.folder / "script"
        fresh.write_text(json.dumps(self.script))
        fresh.replace(self.folder / "script.json")

    def suffers(self, *faults: dict[str, Any]) -> None:
        """Other faults from now on."""
        self.script["faults"] = list(faults)
        self.write()

    def unplug(self) -> None:
        (self.folder / "unplugged").touch()

    def plug(self) -> None:
        (self.folder / "unplugged").unlink()

    def turn(self, **dials: str) -> None:
        """Somebody turns a dial."""
        path = self.folder / "state.json"
        state = json.loads(path.read_text())
        state["set"].update(dials)
        path.write_text(json.dumps(state))

    def press(self, open_s: float, close_s: float) -> None:
        """A wired release opens the shutter: then and so long, on CLOCK_MONOTONIC."""
        fresh = self.folder / "pressing"
        fresh.write_text(json.dumps([open_s, close_s]))
        fresh.replace(self.folder / "pressed")

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        tick, over_s = threading.Event(), time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < over_s, "it does not happen"
            tick.wait(0.005)

    @property
    def memory(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return state

    @property
    def log(self) -> list[dict[str, Any]]:
        path = self.folder / "log.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def calls(self, name: str) -> list[dict[str, Any]]:
        return [entry for entry in self.log if entry.get("call") == name]

    @property
    def exposures(self) -> list[tuple[float, float]]:
        """When the shutter really was open, on CLOCK_MONOTONIC."""
        return [(entry["open_s"], entry["close_s"]) for entry in self.log if "open_s" in entry]

    @property
    def processes(self) -> list[int]:
        """Camera processes that have opened the camera, in order."""
        return [entry["pid"] for entry in self.log if "opened" in entry]

    def value(self, name: str) -> str:
        """A setting as the camera has it now."""
        value: str = self.memory["set"].get(name, self.script["widgets"][name]["value"])
        return value


@contextmanager
def playing(camera: FakeCamera) -> Iterator[FakeCamera]:
    """Every camera process started inside finds this camera, and no other."""
    before = {name: os.environ.get(name) for name in ("FAKE_GPHOTO2", "PYTHONPATH")}
    os.environ["FAKE_GPHOTO2"] = str(camera.folder)
    os.environ["PYTHONPATH"] = str(MODULE)
    try:
        yield camera
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
