"""A scripted Pi camera for the picamera2 driver: hangs, stale frames, drifting settings, no memory, on command.

`fake_libcamera` plays sensor, pipeline and memory inside the driver's camera process. On it runs picamera2: the genuine one where it is
installed (`requirements/make-picamera2`), otherwise the small stand-in `fake_picamera2`. This is the test's side.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
LIBCAMERA, STAND_IN = HERE / "fake_libcamera", HERE / "fake_picamera2"
GENUINE_PYTHON = Path(
    os.environ.get("RIGD_PICAMERA2_PYTHON", HERE.parents[1] / ".venv-picamera2" / "bin" / "python")
)
WIDTH, HEIGHT = 128, 96
FPS, BURST_FPS = 40, 200
PATIENCE_S = 60.0
OPTIONS: dict[str, Any] = {
    "width": WIDTH,
    "height": HEIGHT,
    "exposure_s": 0.02,
    "frame_period_s": 1 / FPS,
    "burst_width": 64,
    "burst_height": 48,
    "burst_rates_hz": [100.0, 81.0],
    "response_timeout_s": 10.0,
}
LENS = {"min": 0.0, "max": 12.0, "slew": 2.0}
SCRIPT: dict[str, Any] = {
    "cameras": [{"model": "imx477", "id": "/base/soc/i2c0mux/i2c@1/imx477@1a"}],
    "native": [WIDTH, HEIGHT],
    "modes": [
        {"size": [64, 48], "crop": [32, 24, 64, 48], "fps": BURST_FPS, "raw": "SRGGB10_CSI2P"},
        {"size": [WIDTH, HEIGHT], "crop": [0, 0, WIDTH, HEIGHT], "fps": FPS, "raw": "SRGGB12_CSI2P"},
    ],
    "platform": "VC4",
    "cma_bytes": 1_000_000,
    "faults": [],
    "suspended_s": 0.0,
    "marks": "first_row_end",
    "clock": "monotonic",
    "delay": 3,
    "latency_s": 0.004,
    "ignored_sets": 0,
    "lens": None,
    "untold": [],
    "lacks": [],
    "busy": False,
}


@cache
def genuine_version() -> str | None:
    """Of the picamera2 that is installed for the tests; None where there is none."""
    if not GENUINE_PYTHON.exists():
        return None
    words = "import importlib.metadata as m; print(m.version('picamera2'))"
    done = subprocess.run([GENUINE_PYTHON, "-c", words], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


needs_genuine = pytest.mark.skipif(
    genuine_version() is None,
    reason="picamera2 is not installed for the tests: requirements/make-picamera2",
)
KINDS = [
    pytest.param("stand-in"),
    pytest.param("genuine", marks=needs_genuine),
]


class FakePi:
    """A Pi with a camera.

    Args:
        folder: for script, memory and log.
        faults: `call` (`frame`, `start`, `stop`, `configure`, `acquire`, `release`, `alloc`, `manager`), `at` (which calls of that name, counted from 1
            over all processes), `do`: hang, crash, fail, and for frames stall, drift, damaged.
        kind: `stand-in` or `genuine`.
        script: what is otherwise than in `SCRIPT`.
    """

    def __init__(self, folder: Path, *faults: dict[str, Any], kind: str = "stand-in", **script: Any) -> None:
        self.folder, self.kind = folder, kind
        folder.mkdir(parents=True, exist_ok=True)
        self.script = SCRIPT | {"faults": list(faults)} | script
        self.write()

    def write(self) -> None:
        """The script. Faults count at once, the rest for the next camera process."""
        fresh = self.folder / "script"
        fresh.write_text(json.dumps(self.script))
        fresh.replace(self.folder / "script.json")

    def suffers(self, *faults: dict[str, Any]) -> None:
        """Other faults from now on; `at` counts from here."""
        counts = self.calls_so_far
        self.script["faults"] = [
            fault | {"at": [number + counts.get(fault["call"], 0) for number in fault["at"]]}
            for fault in faults
        ]
        self.write()

    @property
    def options(self) -> dict[str, Any]:
        """Of a driver for this camera."""
        return OPTIONS | ({"python": GENUINE_PYTHON} if self.kind == "genuine" else {})

    @property
    def calls_so_far(self) -> dict[str, int]:
        path = self.folder / "state.json"
        calls: dict[str, int] = json.loads(path.read_text())["calls"] if path.exists() else {}
        return calls

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        tick, over_s = threading.Event(), time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < over_s, "it does not happen"
            tick.wait(0.005)

    @property
    def log(self) -> list[dict[str, Any]]:
        path = self.folder / "log.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def noted(self, key: str) -> list[dict[str, Any]]:
        """Entries of the log that have this key."""
        return [entry for entry in self.log if key in entry]

    @property
    def frames(self) -> dict[int, dict[str, Any]]:
        """All frames by the number that the driver gives them, with what is true of them."""
        return {entry["frame"] // 1000: entry for entry in self.noted("frame")}

    @property
    def processes(self) -> list[int]:
        """Camera processes that have opened the camera, in order."""
        return [entry["pid"] for entry in self.noted("opened")]


@contextmanager
def playing(pi: FakePi) -> Iterator[FakePi]:
    """Every camera process started inside finds this camera, and no other."""
    before = {name: os.environ.get(name) for name in ("FAKE_LIBCAMERA", "PYTHONPATH")}
    paths = [LIBCAMERA] if pi.kind == "genuine" else [LIBCAMERA, STAND_IN]
    os.environ["FAKE_LIBCAMERA"] = str(pi.folder)
    os.environ["PYTHONPATH"] = os.pathsep.join(str(path) for path in paths)
    try:
        yield pi
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
