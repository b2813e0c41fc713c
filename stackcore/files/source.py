"""Where frames come from: what every source is, a list of files, and arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Protocol

from stackcore.files import raw, survey
from stackcore.files.errors import FrameError, StackError, Unreadable
from stackcore.files.frame import Cells, Frame, Kind, Metadata, Pixels
from stackcore.files.read import decode_frame, read_bytes
from stackcore.imageio import Memory

__all__ = ["Arrays", "Balancer", "BaseSource", "Entry", "Files", "Part", "Source", "interrupt", "load"]


@dataclass(frozen=True)
class Entry:
    """A frame that is not read yet. It has pixels, data, or a path.

    Attributes:
        index: its place in the stack.
        name: of its file.
        path: of the file.
        data: the file's bytes, where they came without a file.
        pixels: where it came decoded.
        problem: why it is left out without being read, or nothing.
        balance: white balance for camera RAW, the same for the whole stack.
        position_um: of the rail, where known.
    """

    index: int
    name: str
    path: Path | None = None
    data: bytes | None = None
    pixels: Pixels | None = None
    problem: str = ""
    balance: raw.Balance | None = None
    position_um: float | None = None


class Source(Protocol):
    """A stack of frames, in order."""

    notices: list[str]
    """What the user should know: files ignored, an order that looks wrong. Each a sentence that names the files."""
    kind: Kind | None
    """Of its frames, where that is known before they are read and reading them takes time."""

    @property
    def names(self) -> Sequence[str]:
        """Of all frames, those included that will turn out unreadable; of those so far where frames are still coming."""

    @property
    def positions_um(self) -> Sequence[float] | None:
        """Where on the rail each was taken; None where unknown."""

    def __len__(self) -> int:
        """How many frames. Raises TypeError where nobody knows yet."""

    def __iter__(self) -> Iterator[Frame | Unreadable]:
        """The frames, each read when it is asked for; can be asked again for another pass."""

    def entries(self) -> Iterator[Entry]:
        """The same, not read yet: `load` reads one, in any thread."""

    def part(self, start: int, stop: int | None) -> Source:
        """The frames from `start` to before `stop`, with their indices."""


def load(entry: Entry, memory: Memory | None = None, cells: Cells | None = None) -> Frame | Unreadable:
    """Read and decode, JPEGs into `memory`, made small where `cells` says so. What is wrong with the file is the answer, not an exception."""
    if entry.problem:
        return Unreadable(entry.name, entry.index, entry.problem)
    try:
        if entry.pixels is not None:
            frame = Frame(entry.index, entry.name, entry.pixels, Metadata())
            frame = frame if cells is None else frame.in_cells(cells)
        else:
            frame = _decoded(entry, memory, cells)
    except FrameError as error:
        return Unreadable(entry.name, entry.index, error.reason)
    return replace(frame, name=entry.name, position_um=entry.position_um)


def interrupt(source: object) -> None:
    """Wake whoever waits for the next frame of a source to which they are still coming."""
    wake = getattr(source, "interrupt", None)
    if wake is not None:
        wake()


def _decoded(entry: Entry, memory: Memory | None, cells: Cells | None) -> Frame:
    data = entry.data
    if data is None:
        assert entry.path is not None
        data = read_bytes(entry.path)
    name = entry.name if entry.path is None else entry.path.name
    return decode_frame(data, name, index=entry.index, balance=entry.balance, memory=memory, cells=cells)


class BaseSource(ABC):
    """What all sources do alike."""

    notices: list[str]
    kind: Kind | None = None

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """See `Source`."""

    def __iter__(self) -> Iterator[Frame | Unreadable]:
        return (load(entry) for entry in self.entries())

    def part(self, start: int, stop: int | None) -> Source:
        """See `Source`."""
        return Part(self, start, stop)  # type: ignore[arg-type]


class Balancer:
    """Gives all RAW files of a stack the white balance of the first that can be read."""

    def __init__(self) -> None:
        self._balance: raw.Balance | None = None

    def balanced(self, entry: Entry) -> Entry:
        """The entry with its balance. To be called in the order of the stack."""
        if (
            PurePath(entry.name).suffix.lower() not in raw.SUFFIXES
            or entry.problem
            or entry.pixels is not None
        ):
            return entry
        if self._balance is None:
            try:
                data = entry.data if entry.data is not None else read_bytes(entry.path or Path(entry.name))
                self._balance = raw.camera_balance(data, entry.name)
            except FrameError:
                return entry  # reading it will fail in the same way, and be told there
        return replace(entry, balance=self._balance)


class Files(BaseSource):
    """Frames in files.

    Args:
        paths: in order.
        names: how to call them; by default their names without folders.
        positions_um: of each, where known.
        problems: by index, why a file is left out without being read.
        notices: what was noticed before.

    Raises:
        StackError: no file is given, or the kinds of the files are mixed half and half.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        names: Sequence[str] | None = None,
        positions_um: Sequence[float] | None = None,
        problems: dict[int, str] | None = None,
        notices: Sequence[str] = (),
    ) -> None:
        if not paths:
            raise StackError("no frames: name picture files, or a folder with pictures in it")
        self.names: tuple[str, ...] = tuple(names or (path.name for path in paths))
        self.positions_um = None if positions_um is None else tuple(positions_um)
        self.notices = list(notices)
        self._paths = tuple(paths)
        self._balancer = Balancer()
        self._problems = {**self._surveyed(), **(problems or {})}
        if len(paths) - len(self._problems) == 1:
            only = next(name for index, name in enumerate(self.names) if index not in self._problems)
            self.notices.append(f"only one frame can be used, {only}: the result is that frame")

    def __len__(self) -> int:
        return len(self._paths)

    def entries(self) -> Iterator[Entry]:
        """See `Source`."""
        for index, (name, path) in enumerate(zip(self.names, self._paths, strict=True)):
            position_um = None if self.positions_um is None else self.positions_um[index]
            entry = Entry(index, name, path, problem=self._problems.get(index, ""), position_um=position_um)
            yield self._balancer.balanced(entry)

    def _surveyed(self) -> dict[int, str]:
        heads = survey.look(self._paths)
        self.notices += survey.order_notices(self.names, heads)
        self.kind = standard = survey.common_kind(self.names, heads)
        problems = {index: head.problem for index, head in enumerate(heads) if head.problem}
        if standard is not None:
            problems |= {
                index: survey.misfit(head.kind, standard)
                for index, head in enumerate(heads)
                if head.kind is not None and head.kind != standard
            }
        return problems


class Arrays(BaseSource):
    """Frames that are decoded already, all in memory."""

    def __init__(self, pixels: Sequence[Pixels], *, positions_um: Sequence[float] | None = None) -> None:
        self.names: tuple[str, ...] = tuple(f"frame {index}" for index in range(len(pixels)))
        self.positions_um = None if positions_um is None else tuple(positions_um)
        self.notices: list[str] = []
        self._pixels = tuple(pixels)

    def __len__(self) -> int:
        return len(self._pixels)

    def entries(self) -> Iterator[Entry]:
        """See `Source`."""
        for index, (name, pixels) in enumerate(zip(self.names, self._pixels, strict=True)):
            position_um = None if self.positions_um is None else self.positions_um[index]
            yield Entry(index, name, pixels=pixels, position_um=position_um)


class Part(BaseSource):
    """Some of a source's frames; they keep their indices."""

    def __init__(self, whole: Source, start: int, stop: int | None) -> None:
        self._whole = whole
        self._start = start
        self._stop = stop
        self.notices = whole.notices
        self.kind = whole.kind

    @property
    def names(self) -> Sequence[str]:
        """Of these frames."""
        return self._whole.names[self._start : self._stop]

    @property
    def positions_um(self) -> Sequence[float] | None:
        """Of these frames."""
        known = self._whole.positions_um
        return None if known is None else known[self._start : self._stop]

    def __len__(self) -> int:
        count = len(self._whole)
        return max(0, (count if self._stop is None else min(count, self._stop)) - self._start)

    def entries(self) -> Iterator[Entry]:
        """See `Source`."""
        if self._stop is not None and self._stop <= self._start:
            return
        for entry in self._whole.entries():
            if entry.index >= self._start:
                yield entry
            if self._stop is not None and entry.index + 1 >= self._stop:
                return  # without asking for one more, which may not have come yet

    def interrupt(self) -> None:
        """See `Pushed.interrupt`; nothing for other sources."""
        interrupt(self._whole)
