"""One camera process with one camera open: what is asked of it, and with which limits."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drivers.apart.child import Child, Died, GivenUp, Hangs, Reply
from drivers.apart.wire import Done, Message, Refused
from drivers.clock import Interrupt
from drivers.picamera2 import failures
from drivers.picamera2 import messages as m
from drivers.picamera2.options import Picamera2Options

__all__ = ["Died", "GivenUp", "Hangs", "Session"]

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 40.0
"""Importing picamera2 takes seconds on a Pi with other things to do."""
RUN_LIMIT_S = 15.0
"""Another mode of the sensor, and memory for it."""
FETCH_LIMIT_S = 60.0
"""A raw picture of 12 megapixels takes about a second; a backstop behind the rig's own time-out."""
FRAMES_LIMIT = 4
"""A sensor that runs gives a frame in two of its periods."""
FIRST_FRAMES = 16
"""The first frames after a start are not shown by libcamera."""


class Session:
    """A camera process.

    Args:
        options: of the camera.
        interrupt: gives up whatever is waited for; the methods then raise `GivenUp`.
        python: the interpreter that has picamera2.
        port: for errors.

    All methods raise `failures.Said`, `GivenUp`, `Hangs` and `Died`.
    """

    def __init__(self, options: Picamera2Options, interrupt: Interrupt, python: str, port: str) -> None:
        self._options = options
        self._interrupt = interrupt
        self.port = port
        self.line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        """To the lens."""
        try:
            self.child = Child(
                lambda talk, life: _command(python, talk, life, theirs.fileno()),
                m.CODEC,
                _environment(python),
                (theirs.fileno(),),
            )
        except OSError as error:
            self.line.close()
            raise Died(str(error)) from error
        finally:
            theirs.close()
        self.running: m.Running | None = None
        self.use = ""
        """What the streams are for, as far as is known."""
        self.frame_s = options.frame_period_s
        """From one frame to the next."""
        self._started = 0
        """Frames since the streams were started."""
        self._loose: list[int] = []

    def ask(
        self, request: Message, kind: type[Reply], doing: str, limit_s: float
    ) -> tuple[Reply, memoryview]:
        """Ask the process, and turn a refusal into `Said`."""
        answer, raw = self.child.ask(request, kind, limit_s, self._interrupt)
        if isinstance(answer, Refused):
            buffers = request.buffers if isinstance(request, m.Run) else 0
            raise failures.said(self.port, doing, answer, self._options, buffers)
        return answer, raw

    @property
    def frame_limit_s(self) -> float:
        """How long a frame may take."""
        frames = FRAMES_LIMIT if self._started else FIRST_FRAMES
        return frames * max(self.frame_s, self._options.exposure_s) + self._options.response_timeout_s

    def settle(self) -> bool:
        """Wait for an answer that was given up; False when it does not come."""
        try:
            owed = self.child.settle(self.frame_limit_s, self._interrupt)
        except (Hangs, Died):
            return False
        if isinstance(owed, m.Seen):
            self._loose.append(owed.handle)
        return True

    def open(self) -> m.Opened:
        """Take the camera into use."""
        request = m.Open(self._options.camera, plain=True)
        opened, _ = self.ask(request, m.Opened, "opening the camera", START_LIMIT_S)
        self.port = f"{opened.model} (camera {self._options.camera})"
        return opened

    def run(self, request: m.Run) -> m.Running:
        """Configure the streams and start them."""
        self.use, self._loose, self._started = "", [], 0
        limit_s = RUN_LIMIT_S + 2 * self._options.exposure_s
        running, _ = self.ask(request, m.Running, f"configuring it for {request.use} pictures", limit_s)
        if request.start:
            self.running, self.use = running, request.use
        return running

    def next(self) -> m.Seen:
        """The sensor's next frame, held."""
        request = m.Next(tuple(self._loose))
        seen, _ = self.ask(request, m.Seen, "waiting for a frame", self.frame_limit_s)
        self._loose = []
        self._started += 1
        self.frame_s = seen.told.get("FrameDuration", self.frame_s * 1e6) / 1e6
        return seen

    def let_go(self, handle: int) -> None:
        """A frame is of no use; its memory goes back with the next request."""
        self._loose.append(handle)

    def change(self, controls: dict[str, Any]) -> None:
        """Set controls again."""
        self.ask(m.Change(controls), Done, "setting it again", self._options.response_timeout_s)

    def fetch(self, handle: int) -> bytes:
        """A held frame as a file."""
        request = m.Fetch(handle, raw=self._options.format == "dng")
        return bytes(self.ask(request, m.Data, "reading the picture", FETCH_LIMIT_S)[1])

    def collect(self, frames: int, after_ns: int, limit_s: float) -> tuple[m.Collected, memoryview]:
        """Many small frames."""
        limit_s += self.frame_limit_s
        return self.ask(m.Collect(frames, after_ns), m.Collected, "taking a burst", limit_s)

    def leave(self, limit_s: float) -> bool:
        """End the process; False when it had to be killed."""
        try:
            return self.child.leave(limit_s)
        finally:
            self.line.close()


def _command(python: str, talk: int, life: int, lens: int) -> Sequence[str]:
    # Ours comes last on its path: what the other Python has of its own fits together, and what lies beside rigd may not fit it.
    code = f"import sys; sys.path.append({str(ROOT)!r}); from drivers.picamera2.worker import main; main(*map(int, sys.argv[1:]))"
    return [python, "-P", "-c", code, str(talk), str(life), str(lens)]


def _environment(python: str) -> dict[str, str]:
    """Our own interpreter finds there what it finds here."""
    paths = [path for path in (os.environ.get("PYTHONPATH"),) if path]
    if python == sys.executable:
        paths += [path for path in sys.path if path and Path(path).exists()]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | ({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})
