"""libgphoto2's own virtual camera, which the `gphoto2` wheel carries: a folder of pictures that speaks PTP.

`VCAMERADIR` names the folder before libgphoto2 is loaded; there must be a JPEG under `DCIM/`. Every capture gives that JPEG as it is
at that moment, and its length must stay as it was.
"""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

MODEL, PORT = "Nikon DSC D750", "usb:001,001"
WIDTH, HEIGHT = 96, 64
FILE_BYTES = 30_000
TIMES = ("1.0000s", "0.1000s", "0.0500s", "0.0200s", "0.0100s", "0.0050s", "0.0025s", "0.0012s", "0.0001s")
"""The exposure times it knows."""
PER_PROCESS = 26
"""Captures, after which a process gets no more."""

OPTIONS = {"width": WIDTH, "height": HEIGHT, "exposure_s": 0.02, "frame_mb": 0.03, "transfer_s": 0.05}

needs_wheel = pytest.mark.skipif(
    importlib.util.find_spec("gphoto2") is None,
    reason="the gphoto2 wheel, which carries the virtual camera, is not installed",
)


class VirtualCamera:
    """The folder behind a virtual camera.

    Args:
        folder: empty or new.
        seed: of its pictures.
    """

    def __init__(self, folder: Path, seed: int = 1) -> None:
        self.folder = folder
        self._chance = np.random.default_rng(seed)
        # The detail is the same in all pictures, so that none looks shaken beside its neighbours; what differs is a little noise.
        self._subject = self._chance.integers(40, 215, (HEIGHT, WIDTH, 3))
        self._path = folder / "DCIM" / "100RIGDT" / "RIG_0001.JPG"
        self._path.parent.mkdir(parents=True)
        self.show()

    def show(self, payload: bytes | None = None) -> bytes:
        """Put another picture before the lens: a new one, or these bytes. What the next capture gives."""
        if payload is None:
            noise = self._chance.integers(-15, 16, self._subject.shape)
            picture = np.clip(self._subject + noise, 0, 255).astype(np.uint8)
            payload = simplejpeg.encode_jpeg(picture, quality=90, colorspace="RGB")
        spare = FILE_BYTES - len(payload) - 4
        assert 0 <= spare < 65_534
        # A comment right after the start marker brings every picture to the same length.
        payload = payload[:2] + b"\xff\xfe" + (spare + 2).to_bytes(2, "big") + bytes(spare) + payload[2:]
        fresh = self.folder / "next"
        fresh.write_bytes(payload)
        fresh.replace(self._path)
        return payload

    @contextmanager
    def changing(self, every_s: float = 0.004) -> Iterator[None]:
        """A subject that looks a little different every few milliseconds, as every real one does to a sensor."""
        over = threading.Event()

        def change() -> None:
            while not over.wait(every_s):
                self.show()

        thread = threading.Thread(target=change, name="subject", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(10.0)


@contextmanager
def virtual_camera(folder: Path, seed: int = 1) -> Iterator[VirtualCamera]:
    """A virtual camera for every camera process started inside."""
    before = os.environ.get("VCAMERADIR")
    camera = VirtualCamera(folder, seed)
    os.environ["VCAMERADIR"] = str(folder)
    try:
        yield camera
    finally:
        del os.environ["VCAMERADIR"]
        if before is not None:
            os.environ["VCAMERADIR"] = before
