"""One camera process with one camera open: what is asked of it, and with which limits."""

from __future__ import annotations

import logging
import time

from drivers.base import DriverError, TransferFailed
from drivers.clock import Interrupt
from drivers.gphoto2 import failures
from drivers.gphoto2 import messages as m
from drivers.gphoto2.child import Child, Died, GivenUp, Hangs, Reply
from drivers.gphoto2.events import File, Reports, Shot
from drivers.gphoto2.options import Gphoto2Options

log = logging.getLogger(__name__)

START_LIMIT_S = 15.0
"""The first answer includes the start of the process, on a Pi that may be busy."""
OPEN_LIMIT_S = 20.0
"""Some cameras take that long to wake; and a card with thousands of pictures is read when a camera is opened."""
DOWNLOAD_LIMIT_S = 120.0
"""100 MB over USB 2 take three seconds; this is a backstop behind the rig's own transfer time-out."""
LISTEN_S = 0.2
BUSY_WAIT_S = 0.05
DRAIN_REPORTS = 64
DRAIN_S = 0.25
READINGS = 2
"""Times a file is read whose data are not as long as the camera says."""


class Said(Exception):
    """libgphoto2 refused; `error` says it as a driver does."""

    def __init__(self, port: str, refused: m.Refused, doing: str) -> None:
        self.error = failures.failure(port, doing, refused)
        super().__init__(str(self.error))
        self.code = refused.code


class Session:
    """A camera process.

    Args:
        options: of the camera.
        interrupt: gives up whatever is waited for; the methods then raise `GivenUp`.

    All methods raise `Said`, `GivenUp`, `Hangs` and `Died`.
    """

    def __init__(self, options: Gphoto2Options, interrupt: Interrupt, port: str) -> None:
        self._options = options
        self._interrupt = interrupt
        self.port = port
        """For errors: model and port."""
        self.child = Child()
        # A camera may call the raising of its mirror a complete capture.
        self.reports = Reports(options.suffix, options.companion, trusting=options.mirror_up_s == 0)
        self.cap = options.captures_per_session
        """Pictures that this session may take."""
        self._triggers = True

    def ask(
        self, request: m.Message, kind: type[Reply], doing: str, limit_s: float | None = None
    ) -> tuple[Reply, memoryview]:
        """Ask the process, and turn a refusal into `Said`."""
        limit_s = self._options.response_timeout_s if limit_s is None else limit_s
        answer, raw = self.child.ask(request, kind, limit_s, self._interrupt)
        if isinstance(answer, m.Refused):
            raise Said(self.port, answer, doing)
        return answer, raw

    def settle(self, limit_s: float) -> bool:
        """Wait for an answer that was given up, and take in what it says; False when it does not come."""
        try:
            owed = self.child.settle(limit_s, self._interrupt)
        except (Hangs, Died):
            return False
        if isinstance(owed, m.Heard):
            self.reports.heard(owed)
        elif isinstance(owed, m.Triggered) and owed.name:
            self.reports.file(File(owed.folder, owed.name))
        return True

    def detect(self) -> tuple[tuple[str, str], ...]:
        """Model and port of all cameras."""
        limit_s = max(START_LIMIT_S, self._options.response_timeout_s)
        return self.ask(m.Detect(), m.Cameras, "looking for cameras", limit_s)[0].found

    def open(self, model: str, port: str) -> tuple[m.Widget, ...]:
        """Take a camera into use; all its settings."""
        self.port = f"{model} on {port}"
        limit_s = max(OPEN_LIMIT_S, self._options.response_timeout_s)
        opened, _ = self._unless_busy(m.Open(model, port), m.Opened, "opening the camera", limit_s)
        self._triggers = opened.triggers
        log.info("%s is open (libgphoto2 %s)", self.port, opened.library)
        try:
            return self._unless_busy(m.Describe(), m.Tree, "reading its settings", limit_s)[0].widgets
        except Said as said:
            if said.code != failures.NOT_SUPPORTED:
                raise
            return ()

    def read(self, names: tuple[str, ...]) -> dict[str, str]:
        """Settings as they are now."""
        return self._unless_busy(m.Read(names), m.Values, "reading settings")[0].values

    def write(self, name: str, value: str) -> str | None:
        """Change a setting; as the camera tells it afterwards."""
        values, _ = self._unless_busy(m.Write(name, value), m.Values, f"setting {name} to {value}")
        return values.values.get(name)

    # -------------------------------------------------------------------------------------------------------- pictures

    def drain(self) -> None:
        """Take in what the camera still has to say of pictures before."""
        until_s = time.monotonic() + DRAIN_S
        for _ in range(DRAIN_REPORTS):
            heard, _ = self.ask(m.Listen(0.0), m.Heard, "listening")
            self.reports.heard(heard)
            if heard.kind == "nothing" or time.monotonic() > until_s:
                return

    def trigger(self, shot: Shot, exposure_s: float) -> m.Triggered:
        """Open the shutter, as soon as the camera is not busy."""
        self.reports.begin(shot)
        try:
            # Not every camera knows the call that returns before the picture is there.
            request = m.Trigger(wait=not self._triggers)
            limit_s = exposure_s + self._options.response_timeout_s
            triggered, _ = self._unless_busy(request, m.Triggered, "releasing the shutter", limit_s)
        except Said:
            self.reports.taken_back()
            raise
        if triggered.name:
            self.reports.file(File(triggered.folder, triggered.name))
        return triggered

    def until_closed(self, shot: Shot, limit_s: float) -> float:
        """Wait until the camera says that the shutter has closed; CLOCK_MONOTONIC when it had.

        Raises `DriverError` when it gives files that the config does not know of.
        """
        closed_s = self.reported(shot, limit_s)
        if closed_s is None:
            raise Hangs("the picture (does the release only raise the mirror?)", limit_s)
        return closed_s

    def reported(self, shot: Shot, limit_s: float) -> float | None:
        """As `until_closed`; None when the camera answers and says nothing of a picture."""
        until_s = time.monotonic() + limit_s
        while True:
            heard, _ = self.ask(m.Listen(LISTEN_S), m.Heard, "waiting for the picture")
            self.reports.heard(heard)
            self._expected_kind()
            if shot.frame is not None or shot.complete:
                return heard.at_s
            if time.monotonic() > until_s:
                return None

    def until_stored(self, shot: Shot, limit_s: float) -> File:
        """Wait for the picture's file. Raises `TransferFailed` when none comes."""
        until_s = time.monotonic() + limit_s
        while shot.frame is None:
            if time.monotonic() > until_s:
                raise TransferFailed(self.port, f"the camera stored no file in {limit_s:g} s")
            heard, _ = self.ask(m.Listen(LISTEN_S), m.Heard, "waiting for the file")
            self.reports.heard(heard)
            self._expected_kind()
        return shot.frame

    def download(self, file: File) -> bytes:
        """A file's data. Raises `TransferFailed` when they are not all there."""
        size: int | None = None
        raw = memoryview(b"")
        for _ in range(READINGS):
            request = m.Download(file.folder, file.name)
            said, raw = self._unless_busy(request, m.Data, f"reading {file.name}", DOWNLOAD_LIMIT_S)
            size = said.size
            if len(raw) > 0 and size in (None, len(raw)):
                return bytes(raw)
            log.warning("%s: %s has %d bytes, and %s came", self.port, file.name, size or 0, len(raw))
        raise TransferFailed(self.port, f"{file.name} is {size or 0} bytes long, and {len(raw)} came")

    def delete(self, file: File) -> None:
        """Take a file out of the camera's memory. One that is gone already is as well."""
        try:
            self._unless_busy(m.Delete(file.folder, file.name), m.Done, f"deleting {file.name}")
        except Said as said:
            log.debug("%s", said)

    def _expected_kind(self) -> None:
        if not self.reports.odd:
            return
        file = self.reports.odd.pop(0)
        self.reports.odd.clear()
        expected = " and ".join(part for part in (self._options.suffix, self._options.companion) if part)
        raise DriverError(
            self.port,
            f"the camera stored {file.name}, and the config expects {expected}: change camera.suffix, camera.companion or "
            "camera.image_format",
        )

    def _unless_busy(
        self, request: m.Message, kind: type[Reply], doing: str, limit_s: float | None = None
    ) -> tuple[Reply, memoryview]:
        """Ask again while the camera says that it is busy."""
        until_s = time.monotonic() + self._options.response_timeout_s
        while True:
            try:
                return self.ask(request, kind, doing, limit_s)
            except Said as said:
                if said.code != failures.CAMERA_BUSY or time.monotonic() > until_s:
                    raise
            if self._interrupt.wait(BUSY_WAIT_S):
                raise GivenUp
