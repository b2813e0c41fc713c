"""`stackcore fuse` and `stackcore depth`."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stackcore import catalogue
from stackcore.cli.arriving import source_of
from stackcore.cli.cost import cost
from stackcore.cli.exits import Exit
from stackcore.cli.failures import Stopped
from stackcore.cli.interrupts import Interrupts
from stackcore.cli.light import limit_threads, load_numba
from stackcore.cli.outputs import Outputs, Scale
from stackcore.cli.progress import Shown
from stackcore.cli.words import counted, duration_text, grouped, say

if TYPE_CHECKING:
    from stackcore.aligned import Pixels
    from stackcore.alignment import Alignment
    from stackcore.files import Source
    from stackcore.outcome import FuseOptions, Result


NEAR_UNKNOWN = "the pictures do not tell which end of the stack is nearer; the first frame is taken for near, --near last says otherwise"


def fuse(options: argparse.Namespace) -> int:
    """`stackcore fuse`."""
    if options.watch is None and not options.frames:
        raise Stopped(Exit.USAGE, "name the frames, a folder or a session; or --watch a folder")
    if options.watch is None and (options.expected or options.idle):
        raise Stopped(Exit.USAGE, "--frames and --idle go with --watch")
    if options.watch is not None:
        _check_watch(options)
    return _run(options)


def depth(options: argparse.Namespace) -> int:
    """`stackcore depth`."""
    if not any(
        getattr(options, name)
        for name in ("depth", "confidence", "depth_picture", "mesh", "points", "coverage")
    ):
        raise Stopped(Exit.USAGE, "name at least one output: -o, --depth-picture, --mesh or --points")
    options.output = options.watch = options.preview = None
    options.preview_s = 2.0
    return _run(options)


def _check_watch(options: argparse.Namespace) -> None:
    if options.frames:
        raise Stopped(Exit.USAGE, "give either frames or --watch")
    if not Path(options.watch).is_dir():
        raise Stopped(Exit.INPUT, f"{options.watch}: there is no such folder to watch; make it first")
    for flag, value in (
        ("--slab", options.slab),
        ("--registration", options.registration),
        ("--positions", options.positions),
        ("--orthographic", options.orthographic),
    ):
        if value:
            raise Stopped(Exit.USAGE, f"{flag} needs all frames to be there; it does not go with --watch")


def _run(options: argparse.Namespace) -> int:
    load_numba()
    limit_threads(options.threads)
    from stackcore import alignment
    from stackcore.pipeline import fuse as fuse_stack

    started_s = time.monotonic()
    settings = method_settings(options)
    if options.positions is not None and options.step_um is not None:
        raise Stopped(Exit.USAGE, "give either --positions or --step-um")
    if options.orthographic and options.no_align and options.registration is None:
        raise Stopped(
            Exit.USAGE, "--orthographic goes by how the frames were registered; leave --no-align away"
        )
    interrupts = Interrupts()
    with interrupts.installed(), source_of(options, interrupts) as source:
        inputs = [] if options.watch else frame_paths(options.frames)
        outputs = Outputs.of(options, inputs)
        outputs.check_depth(options.method, also=options.orthographic)
        chosen = fuse_options(options, with_near_end(settings, options, source), depth=outputs.wants_depth)
        with Shown(quiet=options.quiet, lines=not options.json) as shown:
            told = len(source.notices)
            for notice in source.notices[:told]:
                _note(options, notice)
            result = fuse_stack(source, chosen, progress=shown, preview=_preview(outputs, options.quality))
        for notice in source.notices[told:]:  # of frames, when they were read
            _note(options, notice)
        with interrupts.held():
            for _ in outputs.made(result, scale_of(options, source, result), options.quality):
                interrupts.check()  # between two files, each of which is whole
            if options.save_registration is not None:
                alignment.save(options.save_registration, result.alignment)
    _report(options, source, result, outputs, time.monotonic() - started_s)
    return Exit.LEFT_OUT if options.strict and result.left_out else Exit.DONE


def _preview(outputs: Outputs, quality: int) -> Callable[[Pixels], None] | None:
    """Writes the picture so far. One that cannot be written is told once; the work goes on."""
    if "preview" not in outputs.paths:
        return None
    from stackcore.files import WriteError, write_picture

    failed: list[str] = []

    def write(picture: Pixels) -> None:
        try:
            write_picture(outputs.paths["preview"], picture, quality=min(quality, 90))
        except WriteError as error:
            if not failed:
                say(str(error))
            failed.append(str(error))

    return write


def method_settings(options: argparse.Namespace) -> dict[str, catalogue.Value]:
    """The method's own options from the command line, checked. Raises `UnknownMethod`, `BadOption` or `Stopped`."""
    entry = catalogue.find(options.method)
    given: dict[str, object] = {}
    for text in options.method_options:
        name, equals, value = text.partition("=")
        if not equals:
            raise Stopped(Exit.USAGE, f"--option {text}: write NAME=VALUE")
        given[name.strip().replace("-", "_")] = value.strip()
    prefix = "method_"
    for name, value in vars(options).items():
        if name.startswith(prefix) and name != "method_options" and value is not None:
            given[name.removeprefix(prefix)] = value
    if options.near != "auto" and any(option.name == "near" for option in entry.options):
        given.setdefault("near", options.near)
    return entry.values(given)


def with_near_end(
    settings: dict[str, catalogue.Value], options: argparse.Namespace, source: Source
) -> dict[str, catalogue.Value]:
    """The method told which end is near, where that is known: a rail's positions grow toward the subject."""
    has_it = any(option.name == "near" for option in catalogue.find(options.method).options)
    positions = source.positions_um
    if not has_it or settings.get("near", "auto") != "auto" or not positions or options.near != "auto":
        return settings
    return {**settings, "near": "first" if positions[-1] >= positions[0] else "last"}


def fuse_options(
    options: argparse.Namespace, settings: dict[str, catalogue.Value], *, depth: bool
) -> FuseOptions:
    """From a command line; `depth` says whether a depth map is wanted. Raises `Stopped` when options do not go together."""
    from stackcore.outcome import FuseOptions

    try:
        return FuseOptions(
            method=options.method,
            settings=settings,
            threads=options.threads,
            align=not options.no_align,
            even=not options.no_even,
            alignment=stored_alignment(options.registration),
            orthographic=options.orthographic,
            slab_frames=options.slab,
            slab_overlap=options.slab_overlap,
            positions_um=_positions(options.positions),
            step_um=options.step_um,
            preview_s=options.preview_s,
            depth=depth,
        )
    except ValueError as error:
        raise Stopped(Exit.USAGE, str(error)) from error


def scale_of(options: argparse.Namespace, source: Source, result: Result) -> Scale:
    """What is known of the depth's scale, and which way it goes."""
    near_first = result.near_first
    positions = result.positions_um
    if options.near != "auto":
        near_first = options.near == "first"
    elif source.positions_um is not None and positions == tuple(source.positions_um):
        return Scale(options.um_per_px, grows_away=True)  # a rail's positions grow toward the subject
    rising = positions is None or positions[-1] >= positions[0]
    return Scale(options.um_per_px, grows_away=rising == (near_first is not False))


def stored_alignment(path: str | None) -> Alignment | None:
    """A registration from its file. Raises `Stopped`."""
    if path is None:
        return None
    from stackcore import alignment

    try:
        return alignment.load(path)
    except OSError as error:
        raise Stopped(Exit.INPUT, f"--registration {path}: {error.strerror or error}") from error
    except alignment.BadAlignment as error:
        raise Stopped(Exit.INPUT, str(error)) from error


def _positions(path: str | None) -> tuple[float, ...] | None:
    if path is None:
        return None
    try:
        words = Path(path).read_text(encoding="utf-8").replace(",", " ").split()
        odd = next((word for word in words if not math.isfinite(float(word))), None)
        if odd is not None:
            raise ValueError(f"{odd} is no position")
        return tuple(float(word) for word in words)
    except OSError as error:
        raise Stopped(Exit.INPUT, f"--positions {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise Stopped(Exit.INPUT, f"--positions {path}: {error}; write one number in um a line") from error


def frame_paths(names: list[str]) -> list[Path]:
    """The files that must not be replaced: those named, and all in a folder that is."""
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            found += [
                one for folder in (path, path / "frames") if folder.is_dir() for one in folder.iterdir()
            ]
        else:
            found.append(path)
    return found


def _report(
    options: argparse.Namespace, source: Source, result: Result, outputs: Outputs, seconds: float
) -> None:
    if options.json:
        print(json.dumps(_data(options, source, result, outputs, seconds), indent=2))
        return
    for text in grouped((frame.name, frame.reason) for frame in result.left_out):
        _note(options, f"left out {text}")
    for text in [*doubts(result), *_near_end(options, outputs, source, result)]:
        _note(options, text)
    if options.quiet:
        return
    height, width = result.picture.shape[:2]
    used = f"{len(result.used)} of {counted(len(result.frames), 'frame')}"
    print(f"{used}, {width} x {height} px, {options.method}, in {duration_text(seconds)}")
    for name, path in outputs.paths.items():
        if name != "preview":
            print(f"  {name.replace('_', ' '):18s} {path}")


def doubts(result: Result) -> list[str]:
    """What a result should be looked at for."""
    if 2 * len(result.used) > len(result.frames):
        return []
    fix = "look at the reasons; frames that lie on each other as they are need --no-align"
    return [f"the result is made of only {len(result.used)} of {counted(len(result.frames), 'frame')}: {fix}"]


def _near_end(options: argparse.Namespace, outputs: Outputs, source: Source, result: Result) -> list[str]:
    """What to say where something was asked for that depends on which end is near, and nothing tells it."""
    told = options.near != "auto" or source.positions_um is not None or result.near_first is not None
    asked = {"depth_picture", "mesh", "points", "coverage"} & outputs.paths.keys()
    return [NEAR_UNKNOWN] if asked and not told else []


def _data(
    options: argparse.Namespace, source: Source, result: Result, outputs: Outputs, seconds: float
) -> dict[str, Any]:
    from stackcore.files import software

    height, width = result.picture.shape[:2]
    cpu_s, peak_rss_mb = cost()
    return {
        "ok": True,
        "version": software(),
        "method": options.method,
        "outputs": {name: str(path) for name, path in outputs.paths.items()},
        "width": width,
        "height": height,
        "frames": len(result.frames),
        "used": len(result.used),
        "left_out": [{"name": frame.name, "reason": frame.reason} for frame in result.left_out],
        "warnings": [*source.notices, *doubts(result), *_near_end(options, outputs, source, result)],
        "registration": [frame.to_dict() for frame in result.frames],
        "positions_um": result.positions_um,
        "seconds": round(seconds, 3),
        "cpu_s": round(cpu_s, 3),
        "peak_rss_mb": round(peak_rss_mb, 1),
        "timings": {key: round(getattr(result.timings, key), 3) for key in result.timings.__slots__},
    }


def _note(options: argparse.Namespace, text: str) -> None:
    """A warning; in the JSON where that is wanted."""
    if not options.json:
        say(text)
