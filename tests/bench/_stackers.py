"""What is measured: every method of stackcore, and the programs that it is held against. Each is run as whole processes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stackcore.catalogue import DEFAULT, METHODS
from tests.bench._cases import Case
from tests.bench._process import Command

HERE = Path(__file__).parent
PEERS = HERE.parents[1] / ".venv-bench"
"""Made by requirements/make-bench-peers."""


@dataclass(frozen=True)
class Job:
    """One stack to be fused: where its result goes, and a folder for what is made on the way."""

    case: Case
    work: Path
    out: Path
    depth_out: Path | None


@dataclass(frozen=True)
class Stacker:
    """A program with its settings.

    Attributes:
        name: as in the tables.
        commands: that make one result.
        ours: a method of stackcore.
        missing: why it cannot be run here; empty when it can.
        suffix: of its result; None: as the frames.
        depth: whether it writes a depth map.
        runs: how often it is run, at most.
        only: the cases that it is run on; empty: all.
        why_only: the reason.
    """

    name: str
    commands: Callable[[Job], Sequence[Command]]
    ours: bool = False
    missing: str = ""
    suffix: str | None = ".tif"
    depth: bool = False
    runs: int = 3
    only: tuple[str, ...] = field(default=())
    why_only: str = ""

    def not_for(self, case: Case) -> str:
        """Why it is not run on a case; empty when it is."""
        if not case.peers and not self.ours:
            return "one scene of this kind is enough for other programs"
        return self.why_only if self.only and case.name not in self.only else ""


def fuse_command(
    frames: Path, out: Path, *options: str | Path, method: str = DEFAULT, threads: int = 2
) -> Command:
    program = [sys.executable, "-m", "stackcore", "fuse", frames, "-o", out]
    return [*program, "--method", method, "--threads", str(threads), "--quiet", *options]


def own(method: str, *options: str, name: str = "") -> Stacker:
    """A method of stackcore as it comes: registration and evening out done, even where frames lie on each other already."""

    def commands(job: Job) -> list[Command]:
        depth = [] if job.depth_out is None else ["--depth", job.depth_out]
        return [fuse_command(job.case.folder, job.out, *depth, *options, method=method)]

    runs = 3 if method == DEFAULT and not options else 2
    return Stacker(f"stackcore {name or method}", commands, ours=True, depth=METHODS[method].depth, runs=runs)


def _why_missing(name: str) -> str:
    """The reason that make-bench-peers left, or that it was never run."""
    reason = PEERS / f"{name}.missing"
    return (
        reason.read_text().strip()
        if reason.exists()
        else "run requirements/make-bench-peers first (make bench does)"
    )


def _peer(
    package: str, name: str, commands: Callable[[Job], Sequence[Command]], **options: object
) -> Stacker:
    missing = "" if (PEERS / package / "installed.txt").exists() else _why_missing(package)
    return Stacker(name, commands, missing=missing, **options)  # type: ignore[arg-type]


def _focusweave(job: Job) -> list[Command]:
    command = [PEERS / "focusweave/bin/focusweave", job.case.folder, "--output", job.out, "--keep-size"]
    return [[*command, "--no-align"] if job.case.aligned else command]


def _shinestacker(job: Job) -> list[Command]:
    python = PEERS / "shinestacker/bin/python"
    align = "0" if job.case.aligned else "1"
    return [[python, HERE / "_peer_shinestacker.py", job.out, job.work, job.case.folder, align]]


def _rawhdr(job: Job) -> list[Command]:
    return [[PEERS / "rawhdr/bin/rawhdr", "focus-fusion", "-o", job.out, *job.case.frames]]


def _zstackr(mode: str) -> Callable[[Job], list[Command]]:
    def commands(job: Job) -> list[Command]:
        python, align = PEERS / "z-stackr/bin/python", "0" if job.case.aligned else "1"
        return [[python, HERE / "_peer_zstackr.py", job.out, mode, align, *job.case.frames]]

    return commands


def _enfuse(job: Job) -> list[Command]:
    """With its settings for focus stacks; align_image_stack of the same house before it, where frames need it."""
    fuse = ["enfuse", "--exposure-weight=0", "--saturation-weight=0", "--contrast-weight=1", "--hard-mask"]
    if job.case.aligned:
        return [[*fuse, "-o", job.out, *job.case.frames]]
    aligned = [job.work / f"a_{index:04d}.tif" for index in range(len(job.case.frames))]
    return [
        ["align_image_stack", "-m", "-a", job.work / "a_", *job.case.frames],
        [*fuse, "-o", job.out, *aligned],
    ]


def _missing_enfuse() -> str:
    for name in ("enfuse", "align_image_stack"):
        if shutil.which(name) is None:
            return _why_missing(name)
    return ""


def _textbook(job: Job) -> list[Command]:
    align = "0" if job.case.aligned else "1"
    return [[sys.executable, HERE / "_opencv_pyramid.py", job.out, align, *job.case.frames]]


ALIGNED = ("A", "C", "occlusion")


def stackers() -> list[Stacker]:
    return [
        *(own(method) for method in METHODS),
        own("unveil", "--option", "unveil=no", name="unveil, veil left on"),
        Stacker("OpenCV textbook pyramid", _textbook),
        _peer("focusweave", "focusweave", _focusweave),
        _peer("shinestacker", "shinestacker pyramid", _shinestacker, suffix=None),
        _peer(
            "rawhdr", "rawhdr focus-fusion", _rawhdr, only=ALIGNED, why_only="does not align while it fuses"
        ),
        _peer("z-stackr", "z-stackr apex", _zstackr("apex")),
        _peer(
            "z-stackr", "z-stackr relief", _zstackr("relief"), only=ALIGNED, why_only="as apex, but slower"
        ),
        # Its third mode, strata, is left out: 118 s of CPU for A, where it comes to 31.65 dB.
        Stacker("enfuse", _enfuse, missing=_missing_enfuse()),
    ]
