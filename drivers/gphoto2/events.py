"""Which of the things that a camera says belong to which picture. Pure.

A camera reports a new file, and that a capture is complete, at its own pace and in either order; reports of the picture before may
come late, one file may be reported twice, and a RAW file brings a JPEG with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from drivers.gphoto2.messages import Heard


@dataclass(frozen=True, slots=True)
class File:
    """A file on the camera."""

    folder: str
    name: str

    @property
    def suffix(self) -> str:
        """Ending, small letters, with the dot. JPEG is `.jpg` however the camera spells it."""
        suffix = PurePosixPath(self.name).suffix.lower()
        return ".jpg" if suffix == ".jpeg" else suffix


@dataclass(slots=True, eq=False)
class Shot:
    """One picture, from the trigger to its data."""

    handle: int
    complete: bool = False
    """The camera said so in a way that can only mean this picture."""
    frame: File | None = None
    others: list[File] = field(default_factory=list)
    data: bytes | None = None
    """Fetched ahead of time, when the session had to be renewed."""
    cleared: bool = False
    """Its file was taken out of the camera's memory."""


class Reports:
    """What one session of a camera has reported.

    Args:
        suffix: ending of the files that are frames.
        companion: ending of the file that comes with each; None: none does.
        trusting: whether a report that a capture is complete counts at all.
    """

    def __init__(self, suffix: str, companion: str | None, *, trusting: bool = True) -> None:
        self._suffix = ".jpg" if suffix == ".jpeg" else suffix
        self._companion = companion
        self._trusting = trusting
        self._names: set[str] = set()
        self._shots = 0
        self._completes = 0
        self._waiting: Shot | None = None
        self.odd: list[File] = []
        """Files of a kind that the config does not know of."""

    @property
    def shots(self) -> int:
        """Pictures begun."""
        return self._shots

    @property
    def last(self) -> Shot | None:
        """The picture begun last."""
        return self._waiting

    def begin(self, shot: Shot) -> None:
        """A picture is about to be triggered. A file of the last one that comes from now on would be taken for its own."""
        self._shots += 1
        self._waiting = shot

    def taken_back(self) -> None:
        """The trigger was refused."""
        self._shots -= 1
        self._waiting = None

    def heard(self, heard: Heard) -> None:
        """Take a report in."""
        if heard.kind == "file":
            self.file(File(heard.folder, heard.name))
        elif heard.kind == "complete":
            self._completes += 1
            # Only a camera that has reported every picture before this one complete can mean this one.
            if self._trusting and self._waiting is not None and self._completes == self._shots:
                self._waiting.complete = True

    def file(self, file: File) -> None:
        """A file was reported. Two cards with the same pictures report each name twice."""
        if file.name in self._names:
            return
        self._names.add(file.name)
        shot = self._waiting
        if file.suffix not in {self._suffix, self._companion}:
            self.odd.append(file)
        elif shot is not None and file.suffix == self._suffix and shot.frame is None:
            shot.frame = file
        elif shot is not None:
            shot.others.append(file)
