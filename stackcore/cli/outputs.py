"""The files that a fusion is asked for: checked before anything is computed, written when all of it is."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stackcore.catalogue import METHODS, find
from stackcore.cli.exits import Exit
from stackcore.cli.failures import Stopped

if TYPE_CHECKING:
    from stackcore.export.relief import Relief
    from stackcore.outcome import Result

PICTURES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
SUFFIXES = {
    "output": PICTURES,
    "depth": (".tif", ".tiff"),
    "confidence": (".tif", ".tiff"),
    "depth_picture": (".png", ".jpg", ".jpeg"),
    "mesh": (".glb", ".ply"),
    "points": (".ply",),
    "coverage": (".json",),
    "preview": PICTURES,
    "save_registration": (".json",),
}
"""What each output may end with."""
OF_DEPTH = ("depth", "confidence", "depth_picture", "mesh", "points", "coverage")


@dataclass(frozen=True, slots=True)
class Scale:
    """What depth and pixels mean.

    Attributes:
        um_per_px: size of a pixel on the subject, where known.
        grows_away: whether a larger depth is farther.
    """

    um_per_px: float | None
    grows_away: bool


@dataclass(frozen=True)
class Outputs:
    """Which files are wanted, by the name of their option."""

    paths: dict[str, Path]

    @classmethod
    def of(cls, options: argparse.Namespace, inputs: Iterable[Path]) -> Outputs:
        """From a command line.

        Raises:
            Stopped: an ending is not one that can be written, a folder is not there, two outputs are one file, or a file that would
                be replaced is a frame, or is not to be.
        """
        named = ((name, getattr(options, name, None)) for name in SUFFIXES)
        paths = {name: Path(value) for name, value in named if value is not None}
        frames = {path.resolve() for path in inputs}
        seen: dict[Path, str] = {}
        for name, path in paths.items():
            check_file(name, path, frames, no_clobber=options.no_clobber)
            other = seen.setdefault(path.resolve(), name)
            if other != name:
                raise Stopped(Exit.USAGE, f"{path} is given twice, as {_flag(other)} and as {_flag(name)}")
        return cls(paths)

    def check_depth(self, method: str, *, also: bool = False) -> None:
        """Raise `Stopped` when a depth map is needed, for an output or for something else, and the method knows none."""
        if (self.wants_depth or also) and not find(method).depth:
            others = ", ".join(name for name, entry in METHODS.items() if entry.depth)
            raise Stopped(Exit.USAGE, f"method {method!r} knows no depth; use another for it: {others}")

    @property
    def wants_depth(self) -> bool:
        """Whether a depth map is needed for any of them."""
        return any(name in self.paths for name in OF_DEPTH)

    def made(self, result: Result, scale: Scale, quality: int) -> Iterator[Path]:
        """Write them one after the other; each path when its file is whole.

        Raises:
            WriteError, OSError: a file cannot be written; those before it are there.
        """
        from stackcore.files import write_picture

        if "output" in self.paths:
            write_picture(self.paths["output"], result.picture, result.metadata, quality=quality)
            yield self.paths["output"]
        if not self.wants_depth:
            return
        yield from self._made_of_depth(result, scale, quality)

    def _made_of_depth(self, result: Result, scale: Scale, quality: int) -> Iterator[Path]:
        from stackcore.export.relief import make_relief

        assert result.depth is not None
        if "confidence" in self.paths:
            _write_confidence(self.paths["confidence"], result)
            yield self.paths["confidence"]
        if "coverage" in self.paths:
            _write_coverage(self.paths["coverage"], result, scale)
            yield self.paths["coverage"]
        if not {"depth", "depth_picture", "mesh", "points"} & self.paths.keys():
            return
        relief = make_relief(
            result.depth.frame_index,
            frames=len(result.frames),
            positions_um=result.positions_um,
            um_per_px=scale.um_per_px,
            grows_away=scale.grows_away,
        )
        if "depth" in self.paths:
            from stackcore.export.depth_tiff import write_depth_tiff

            write_depth_tiff(self.paths["depth"], relief)
            yield self.paths["depth"]
        if "depth_picture" in self.paths:
            _write_depth_picture(self.paths["depth_picture"], relief, quality)
            yield self.paths["depth_picture"]
        for name in ("mesh", "points"):
            if name in self.paths:
                _write_surface(self.paths[name], relief, result, triangles=name == "mesh")
                yield self.paths[name]


def check_file(name: str, path: Path, frames: Collection[Path], *, no_clobber: bool) -> None:
    """Whether one output can be written.

    Args:
        name: of its option.
        path: the file.
        frames: resolved; none of them may be replaced.
        no_clobber: nor any other file.

    Raises:
        Stopped: it cannot.
    """
    if path.suffix.lower() not in SUFFIXES[name]:
        raise Stopped(
            Exit.USAGE, f"{_flag(name)} {path}: the name must end with {' or '.join(SUFFIXES[name])}"
        )
    if path.is_dir():
        raise Stopped(Exit.USAGE, f"{_flag(name)} {path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise Stopped(Exit.STORAGE, f"{path}: there is no folder {path.parent}; make it first")
    check_writable(path.parent)
    if path.resolve() in frames:
        raise Stopped(Exit.USAGE, f"{_flag(name)} {path} is one of the frames; frames are never replaced")
    if no_clobber and path.exists():
        raise Stopped(Exit.USAGE, f"{_flag(name)} {path} is there already, and --no-clobber was given")


def check_writable(folder: Path) -> None:
    """Raise `Stopped` when nothing can be written into a folder: known before the work, not after it."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Stopped(
            Exit.STORAGE, f"{folder} cannot be written into; change its mode, or name another place"
        )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _write_coverage(path: Path, result: Result, scale: Scale) -> None:
    from stackcore.export.coverage_report import coverage_report, write_coverage_report

    assert result.depth is not None
    used = [report.index for report in result.frames if report.used]
    positions = result.positions_um
    report = coverage_report(
        result.depth.frame_index,
        used,
        focus_width=result.depth.focus_width,
        positions_um=None if positions is None else [positions[index] for index in used],
        near_first=scale.grows_away,
    )
    write_coverage_report(path, report)


def _write_confidence(path: Path, result: Result) -> None:
    import io

    from stackcore.files import write_whole
    from stackcore.imageio import write_float_tiff

    assert result.depth is not None
    stream = io.BytesIO()
    write_float_tiff(stream, result.depth.confidence, description='{"unit": "1"}')
    write_whole(path, [stream.getbuffer()])


def _write_depth_picture(path: Path, relief: Relief, quality: int) -> None:
    from stackcore.export.depth_picture import depth_picture
    from stackcore.files import write_picture

    write_picture(path, depth_picture(relief), quality=quality)


def _write_surface(path: Path, relief: Relief, result: Result, *, triangles: bool) -> None:
    from stackcore.export.surface import make_surface

    surface = make_surface(relief, result.picture, triangles=triangles)
    if path.suffix.lower() == ".glb":
        from stackcore.export.glb import write_glb

        write_glb(path, surface)
    else:
        from stackcore.export.ply import write_ply

        write_ply(path, surface)
