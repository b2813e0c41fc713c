"""A camera that serves a folder of photographs by rail position, so that real stacks run through the whole daemon.

Exposure and transfer take the time they are told to; the bytes of each file are served unchanged.
"""

from __future__ import annotations

import math
import re
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from drivers.base import (
    CameraCapabilities,
    CameraOptions,
    CameraSettings,
    DriverError,
    Exposure,
    Firing,
    FrameData,
    NotOpen,
    TransferFailed,
)
from drivers.registry import Context
from drivers.sim.sensor import Shutterwork, Tray

PORT = "replay"
SUFFIXES = {".jpg": ".jpg", ".jpeg": ".jpg", ".png": ".png", ".tif": ".tif", ".tiff": ".tif"}
"""Endings of the files that are photographs, and what they are served as. Everything else in the folder is left alone."""
PNG_START = b"\x89PNG\r\n\x1a\n"


class ReplayOptions(CameraOptions):
    """A folder of photographs, one a position, in the natural order of their names (2 before 10)."""

    can_be_fired: ClassVar[bool] = True

    folder: Path
    """Where the photographs are."""
    pattern: str = "*"
    """Which files of the folder, as a shell pattern: `*.jpg`, `img_*`."""
    first_um: float = 0.0
    """Rail position of the first photograph."""
    step_um: Annotated[float, Field(gt=0)] = 100.0
    """Distance between two photographs."""
    exposure_s: Annotated[float, Field(gt=0, le=60)] = 0.02
    """How long an exposure takes."""
    frame_period_s: Annotated[float, Field(gt=0)] | None = None
    """From the start of one frame to the next, as a free-running sensor has it. None: a shutter that opens when told."""
    transfer_s: Annotated[float, Field(ge=0)] = 0.05
    """From the end of the exposure to the data being here."""

    @property
    def period_s(self) -> float:
        """The frame period in effect."""
        return max(self.frame_period_s or 0.0, self.exposure_s)

    def declared(self) -> CameraCapabilities | None:
        """None: the size stands in the photographs."""
        return None


@dataclass(frozen=True, slots=True)
class Photographs:
    """What a folder holds: photographs of one kind and one size."""

    files: tuple[Path, ...]
    suffix: str
    width: int
    height: int


def photographs(folder: Path, pattern: str = "*") -> Photographs:
    """Look into a folder and read every header.

    Raises:
        DriverError: no such folder, nothing in it that fits, files of several kinds or sizes, or a broken header. The
            message names the folder and what to do.
    """
    if not folder.is_dir():
        raise DriverError(PORT, f"no folder {folder}: check `folder`")
    # Hidden files are not photographs: macOS leaves a ._name.jpg beside each name.jpg.
    named = [path for path in folder.glob(pattern) if path.suffix.lower() in SUFFIXES and path.name[0] != "."]
    if broken := [path.name for path in named if path.is_symlink() and not path.exists()]:
        raise DriverError(
            PORT, f"{broken[0]} in {folder} is a link to nothing: put the photograph back, or remove the link"
        )
    files = [path for path in named if path.is_file()]
    if not files:
        kinds = ", ".join(SUFFIXES)
        raise DriverError(
            PORT, f"no photograph ({kinds}) in {folder} fits {pattern!r}: check `folder` and `pattern`"
        )
    kinds_found = Counter(SUFFIXES[path.suffix.lower()] for path in files)
    if len(kinds_found) > 1:
        mix = ", ".join(f"{count} {kind}" for kind, count in kinds_found.most_common())
        likely = kinds_found.most_common(1)[0][0]
        raise DriverError(
            PORT, f"{folder} holds a mixture ({mix}): choose with `pattern`, for example '*{likely}'"
        )
    files.sort(key=lambda path: natural_order(path.name))
    width, height = size_of(files[0])
    for path in files[1:]:
        if size_of(path) != (width, height):
            other = "{} x {}".format(*size_of(path))
            raise DriverError(
                PORT,
                f"{path.name} in {folder} is {other} pixels, {files[0].name} is {width} x {height}: "
                "a stack needs one size, leave the odd ones out with `pattern`",
            )
    return Photographs(tuple(files), next(iter(kinds_found)), width, height)


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sorting key under which numbers count as numbers and capitals do not matter."""
    parts = re.findall(r"\d+|\D+", name.lower())
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)


def size_of(path: Path) -> tuple[int, int]:
    """Width and height from a photograph's header. Raises `DriverError` when it has none."""
    suffix = SUFFIXES[path.suffix.lower()]
    try:
        if suffix == ".jpg":
            import simplejpeg  # noqa: PLC0415  (not needed by config checks)

            height, width = simplejpeg.decode_jpeg_header(path.read_bytes())[:2]
        elif suffix == ".png":
            with path.open("rb") as file:
                header = file.read(24)
            if header[:8] != PNG_START:
                raise ValueError("not a PNG")
            width, height = struct.unpack(">II", header[16:24])
        else:
            import tifffile  # noqa: PLC0415

            with tifffile.TiffFile(path) as tiff:
                page = tiff.pages.first
                width, height = page.imagewidth, page.imagelength
    except (OSError, ValueError, struct.error) as error:
        raise DriverError(PORT, f"{path} is not a readable photograph: {error}") from error
    return int(width), int(height)


@dataclass(frozen=True, slots=True)
class _Shot:
    path: Path
    ready_s: float


class ReplayCamera:
    """Serves the photograph that belongs to the rail position.

    Args:
        options: the folder and its positions.
        context: its clock.
    """

    def __init__(self, options: ReplayOptions, context: Context) -> None:
        self._options = options
        self._tray: Tray[_Shot] = Tray(PORT)
        self._found: Photographs | None = None
        self._work = Shutterwork(
            PORT,
            context.clock,
            period_s=options.period_s,
            exposure_s=options.exposure_s,
            buffers=1,
        )

    @property
    def capabilities(self) -> CameraCapabilities:
        """As the folder and the options say."""
        found, options = self._opened(), self._options
        return CameraCapabilities(
            name=f"replay of {options.folder.name}",
            width=found.width,
            height=found.height,
            suffix=found.suffix,
            frame_bytes=round(sum(path.stat().st_size for path in found.files) / len(found.files)),
            exposure_s=options.exposure_s,
            overhead_s=0.0 if options.frame_period_s is None else options.period_s / 2,
            transfer_s=options.transfer_s,
            settings=CameraSettings(exposure_s=options.exposure_s),
            max_frames=len(found.files),
        )

    @property
    def positions_um(self) -> tuple[float, ...]:
        """The rail position of each photograph."""
        return tuple(
            self._options.first_um + n * self._options.step_um for n in range(len(self._opened().files))
        )

    def open(self) -> None:
        """Read the folder. Raises `DriverError` when it does not hold a stack."""
        if not self._work.running:
            self._found = photographs(self._options.folder.expanduser(), self._options.pattern)
            self._work.start()

    def close(self) -> None:
        """Let go of the folder."""
        self._work.halt()
        self._work.cancel()
        self._tray.clear()
        self._found = None

    def cancel(self) -> None:
        """End the running `expose` or `fetch`."""
        self._work.cancel()

    def expose(self, not_before_s: float, position_um: float) -> Exposure:
        """Expose at `not_before_s` or, with a frame period, from the next one on; take the photograph of that position.

        Raises:
            DriverError: `position_um` lies more than half a step beyond the first or last photograph.
            CameraTimeout: after `cancel()`.
        """
        asked_s = self._work.begin()
        path = self._opened().files[self._index(position_um)]
        if self._options.frame_period_s is None:
            start_s, end_s, sequence = self._work.triggered(not_before_s)
        else:
            frame = self._work.fresh(not_before_s)
            start_s, end_s = self._work.sensor.start_s(frame), self._work.sensor.end_s(frame)
            sequence = self._work.sequence(frame)
        self._work.wait(end_s, asked_s)
        handle = self._tray.put(_Shot(path, end_s + self._options.transfer_s))
        settings = CameraSettings(exposure_s=self._options.exposure_s)
        return Exposure(start_s, end_s, sequence, settings, handle)

    def expose_by(self, fire: Callable[[], Firing], position_um: float) -> Exposure:
        """As `expose`, while a wired release says when. A frame period is of no account then."""
        self._work.begin()
        path = self._opened().files[self._index(position_um)]
        firing = fire()
        _, _, sequence = self._work.triggered(firing.start_s)
        handle = self._tray.put(_Shot(path, firing.end_s + self._options.transfer_s))
        settings = CameraSettings(exposure_s=self._options.exposure_s)
        return Exposure(firing.start_s, firing.end_s, sequence, settings, handle)

    def fetch(self, exposure: Exposure) -> FrameData:
        """The file's bytes. Raises `TransferFailed` when it has gone, `CameraTimeout` after `cancel()`."""
        asked_s = self._work.begin()
        shot = self._tray.take(exposure.handle)
        self._work.wait(shot.ready_s, asked_s)
        try:
            payload = shot.path.read_bytes()
        except OSError as error:
            raise TransferFailed(PORT, f"cannot read {shot.path}: {error.strerror}") from error
        return FrameData(payload, self._opened().suffix)

    def _opened(self) -> Photographs:
        if self._found is None:
            raise NotOpen(PORT)
        return self._found

    def _index(self, position_um: float) -> int:
        count, first, step = len(self._opened().files), self._options.first_um, self._options.step_um
        steps = (position_um - first) / step
        if not -0.5 - 1e-9 <= steps <= count - 0.5 + 1e-9:
            last = first + (count - 1) * step
            raise DriverError(
                PORT,
                f"no photograph of position {position_um:.1f} um: {self._options.folder} covers "
                f"{first:.1f} to {last:.1f} um, one every {step:g} um",
            )
        return min(max(math.floor(steps + 0.5), 0), count - 1)
