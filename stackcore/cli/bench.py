"""`stackcore bench`: what each method costs, each run a process of its own, so that memory and start-up are counted."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from stackcore.catalogue import METHODS, find
from stackcore.cli.exits import Exit
from stackcore.cli.failures import Stopped
from stackcore.cli.words import say


@dataclass(slots=True)
class Row:
    """One method's costs; the least of its runs.

    Attributes:
        method: its name.
        cpu_s: user and system time of the whole process.
        wall_s: from start to end.
        peak_rss_mb: the most memory that was resident.
        psnr_db: against the truth, brightness fitted; None where there is none, as all below.
        near_jumps_db: the same within 24 px of depth jumps.
        ssim: of luma.
        depth_median: absolute error of the depth, frames.
        why: why there is nothing, where it failed.
    """

    method: str
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_rss_mb: float = 0.0
    psnr_db: float | None = None
    near_jumps_db: float | None = None
    ssim: float | None = None
    depth_median: float | None = None
    why: str = ""


def bench(options: argparse.Namespace) -> int:
    """`stackcore bench`."""
    names = options.methods.split(",") if options.methods else list(METHODS)
    for name in names:
        find(name)
    with tempfile.TemporaryDirectory(prefix="stackcore-bench-") as temporary:
        work = Path(options.keep or temporary)
        work.mkdir(parents=True, exist_ok=True)
        frames, truth, depth = options.frames, options.truth, None
        if not frames:
            from stackcore.cli.rendered import render

            say(f"rendering {options.count} frames of {options.megapixels:g} megapixels")
            stack = render(Path(temporary), options.count, options.megapixels)
            frames, truth, depth = [str(stack.folder)], str(stack.truth), str(stack.depth)
        rows = []
        for name in names:
            say(f"{name} ...")
            rows.append(_row(options, name, frames, work))
            if truth is not None and not rows[-1].why:
                _judge(rows[-1], work, truth, depth)
    if options.json:
        print(
            json.dumps(
                {"ok": True, "threads": options.threads, "rows": [asdict(row) for row in rows]}, indent=2
            )
        )
    else:
        print(table(rows))
    return Exit.DONE


def table(rows: list[Row]) -> str:
    """For people."""
    judged = any(row.psnr_db is not None for row in rows)
    head = f"{'method':10s} {'CPU s':>8s} {'wall s':>8s} {'RSS MB':>8s}"
    if judged:
        head += f" {'PSNR dB':>8s} {'edge dB':>8s} {'SSIM':>7s} {'depth':>7s}"
    lines = [head]
    for row in rows:
        if row.why:
            lines.append(f"{row.method:10s} {row.why}")
            continue
        line = f"{row.method:10s} {row.cpu_s:8.2f} {row.wall_s:8.2f} {row.peak_rss_mb:8.0f}"
        if judged:
            figures = (
                (row.psnr_db, "8.2f"),
                (row.near_jumps_db, "8.2f"),
                (row.ssim, "7.4f"),
                (row.depth_median, "7.3f"),
            )
            line += "".join(f" {_figure(value, form)}" for value, form in figures)
        lines.append(line)
    return "\n".join(lines)


def _row(options: argparse.Namespace, name: str, frames: list[str], work: Path) -> Row:
    command = [sys.executable, "-m", "stackcore", "fuse", *frames, "--method", name, "--json", "--quiet"]
    command += ["--prefer", options.prefer] + (["--order", options.order] if options.order else [])
    command += ["-o", str(work / f"{name}.tif"), "--threads", str(options.threads)]
    if find(name).depth:
        command += ["--depth", str(work / f"{name}-depth.tif")]
    best = Row(name, why="not run")
    for _ in range(options.runs):
        row = _run(name, command)
        if row.why:
            return row
        if best.why or row.cpu_s < best.cpu_s:
            best = row
    return best


def _run(name: str, command: list[str]) -> Row:
    """One process, measured by what the system says of it when it has ended."""
    before_s = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)  # noqa: S603  (this program)
        try:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        wall_s = time.monotonic() - before_s
        output.seek(0)
        said = output.read()
    if process.returncode != Exit.DONE:
        return Row(name, why=_why(said, process.returncode))
    return Row(name, usage.ru_utime + usage.ru_stime, wall_s, float(json.loads(said)["peak_rss_mb"]))


def _why(said: bytes, code: int) -> str:
    try:
        return str(json.loads(said)["error"])
    except (ValueError, KeyError, TypeError):
        return f"ended with {code}"


def _judge(row: Row, work: Path, truth: str, depth: str | None) -> None:
    from stackcore.cli.compare import held

    measured = work / f"{row.method}-depth.tif"
    try:
        found = held(
            work / f"{row.method}.tif",
            Path(truth),
            depth=depth,
            depth_result=str(measured) if depth is not None and measured.exists() else None,
        )
    except Stopped as error:
        row.why = str(error)
        return
    row.psnr_db, row.ssim = found.psnr_fitted_db, found.ssim
    row.near_jumps_db = found.near_jumps_db
    row.depth_median = None if found.depth is None else found.depth.median


def _figure(value: float | None, form: str) -> str:
    width = int(form[0])
    return "-".rjust(width) if value is None else format(value, form)
