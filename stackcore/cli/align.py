"""`stackcore align`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stackcore.cli.exits import Exit
from stackcore.cli.failures import Stopped
from stackcore.cli.fuse import frame_paths, stored_alignment
from stackcore.cli.interrupts import Interrupts
from stackcore.cli.light import load_numba
from stackcore.cli.outputs import check_file, check_writable
from stackcore.cli.progress import Shown
from stackcore.cli.words import counted, grouped, say

if TYPE_CHECKING:
    from stackcore.aligned import AlignedFrame, Pixels
    from stackcore.lineup import Lineup

REGISTRATION = "registration.json"


def align(options: argparse.Namespace) -> int:
    """`stackcore align`."""
    load_numba()
    from stackcore import alignment
    from stackcore.files import open_source
    from stackcore.lineup import Lineup
    from stackcore.outcome import FuseOptions, Progress

    source = open_source(options.frames, order=options.order, prefer=options.prefer)
    folder = _folder(options)
    kept = _kept(options, folder)
    chosen = FuseOptions(
        align=not options.no_align, even=not options.no_even, alignment=stored_alignment(options.registration)
    )
    lineup = Lineup(source, chosen)
    interrupts = Interrupts()
    written: list[Path] = []
    with interrupts.installed(), Shown(quiet=options.quiet, lines=not options.json) as shown:
        for frame in lineup.frames():
            if folder is not None:
                with interrupts.held():
                    written.append(_write(folder, frame, lineup, options))
            shown(Progress("aligning", lineup.passed, len(source)))
            del frame
        reports = [report for _, report in sorted(lineup.reports.items())]
        if not any(report.used for report in reports):
            raise Stopped(Exit.INPUT, "no frame can be aligned: " + "; ".join(_left_out(lineup)))
        if kept is not None:
            alignment.save(kept, lineup.alignment())
    if options.json:
        data = {
            "ok": True,
            "width": lineup.shape[1],
            "height": lineup.shape[0],
            "frames": len(reports),
            "used": sum(report.used for report in reports),
            "registration": [report.to_dict() for report in reports],
            "outputs": [str(path) for path in written],
            "registration_file": None if kept is None else str(kept),
            "warnings": list(source.notices),
        }
        print(json.dumps(data, indent=2))
    else:
        _say(options, source.notices, lineup, written, kept)
    return Exit.LEFT_OUT if options.strict and not all(report.used for report in reports) else Exit.DONE


def _say(
    options: argparse.Namespace, notices: list[str], lineup: Lineup, written: list[Path], kept: Path | None
) -> None:
    for text in (*notices, *(f"left out {text}" for text in _left_out(lineup))):
        say(text)
    if options.quiet:
        return
    reports = lineup.reports.values()
    print(f"{sum(report.used for report in reports)} of {counted(len(reports), 'frame')} aligned")
    if written:
        print(f"  frames        {written[0].parent}")
    if kept is not None:
        print(f"  registration  {kept}")


def _left_out(lineup: Lineup) -> Iterator[str]:
    lost = [report for _, report in sorted(lineup.reports.items()) if not report.used]
    return grouped((report.name, report.reason) for report in lost)


def _folder(options: argparse.Namespace) -> Path | None:
    if options.output is None:
        return None
    folder = Path(options.output)
    taken = {path.resolve().parent for path in frame_paths(options.frames)}
    if folder.resolve() in taken:
        raise Stopped(Exit.USAGE, f"-o {folder} holds the frames themselves; name another folder")
    if folder.exists() and not folder.is_dir():
        raise Stopped(Exit.USAGE, f"-o {folder} is not a folder")
    if options.no_clobber and folder.is_dir() and any(folder.iterdir()):
        raise Stopped(Exit.USAGE, f"-o {folder} is not empty, and --no-clobber was given")
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(folder)
    return folder


def _kept(options: argparse.Namespace, folder: Path | None) -> Path | None:
    if options.save_registration is not None:
        path = Path(options.save_registration)
        frames = {one.resolve() for one in frame_paths(options.frames)}
        check_file("save_registration", path, frames, no_clobber=options.no_clobber)
        return path
    return None if folder is None else folder / REGISTRATION


def _write(folder: Path, frame: AlignedFrame, lineup: Lineup, options: argparse.Namespace) -> Path:
    from stackcore.files import write_picture

    name = f"{frame.index:04d}-{Path(lineup.reports[frame.index].name).stem}{options.suffix}"
    path = folder / name
    write_picture(path, _rounded(frame), lineup.metadata, quality=options.quality)
    return path


def _rounded(frame: AlignedFrame) -> Pixels:
    """The frame as it lies on the reference, in its own type."""
    import numpy as np

    if not frame.moved and (frame.gain == 1).all():
        return frame.pixels
    pixels = np.empty_like(frame.pixels)
    np.clip(np.rint(frame.warped), 0, frame.full_scale, out=pixels, casting="unsafe")
    return pixels
