"""Stacks: planned, begun, followed, ended, listed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rigd.client import Progress, Result, RigClient, Run
from rigd.ctl.exits import Exit
from rigd.ctl.failures import EXITS, Failure, Stopped
from rigd.ctl.reach import reached
from rigd.ctl.saying import aside, done
from rigd.ctl.words import bytes_text, duration_text, table, um_text
from rigd.messages.reports import Fault, PlanReport

LINES = 10
"""How many lines a whole stack gets where there is no terminal."""


async def plan(options: argparse.Namespace) -> int:
    """`rigctl plan`."""
    async with reached(options) as rig:
        found = await rig.plan(**_params(options))
        done(options, _plan_text(found), found)
    return Exit.DONE


async def start(options: argparse.Namespace) -> int:
    """`rigctl start`."""
    async with reached(options) as rig:
        return await _follow(options, rig, await rig.start(options.name, **_params(options)))


async def resume(options: argparse.Namespace) -> int:
    """`rigctl resume`."""
    async with reached(options) as rig:
        return await _follow(options, rig, await rig.resume(options.session))


async def pause(options: argparse.Namespace) -> int:
    """`rigctl pause`."""
    async with reached(options, at_once=True) as rig:
        await rig.pause()
        done(options, "pausing; rigctl resume goes on")
    return Exit.DONE


async def abort(options: argparse.Namespace) -> int:
    """`rigctl abort`."""
    async with reached(options, at_once=True) as rig:
        await rig.abort()
        done(options, "ending; what was taken stays")
    return Exit.DONE


async def sessions(options: argparse.Namespace) -> int:
    """`rigctl sessions`."""
    async with reached(options) as rig:
        found = await rig.sessions()
        rows = [(one.session, one.outcome, f"{one.frames}/{one.planned}", one.why) for one in found.sessions]
        words = table(("session", "outcome", "frames", ""), rows) if rows else "no sessions"
        if found.total > len(rows):
            words += f"\n... and {found.total - len(rows)} older"
        done(options, words, found)
    return Exit.DONE


def _params(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "near_um": options.near,
        "far_um": options.far,
        "step_um": options.step,
        "frames": options.frames,
        "margin_frames": options.margin,
        "direction": options.direction,
        "settle_s": options.settle,
        "end": options.end,
        "profile": options.profile,
    }


def _plan_text(found: PlanReport) -> str:
    steps = f"{um_text(found.first_um)} to {um_text(found.last_um)}, steps of {um_text(found.step_um)}"
    near_far = f"{um_text(found.near_um)} to {um_text(found.far_um)}"
    beyond = "1 frame" if found.margin_frames == 1 else f"{found.margin_frames} frames"
    parts = {"moving": found.motion_s, "settling": found.settle_s, "exposing": found.exposure_s}
    spent = ", ".join(f"{what} {duration_text(seconds)}" for what, seconds in parts.items())
    lines = [
        f"{found.frames} frames, {steps}",
        f"  in focus    {near_far}, {beyond} beyond each end",
        f"  takes       {duration_text(found.seconds)} ({spent})",
        f"  disk        {bytes_text(found.bytes)} of {bytes_text(found.free_bytes)} free",
        *(f"  warning     {one.message}: {one.fix}" for one in found.warnings),
    ]
    return "\n".join(lines)


async def _follow(options: argparse.Namespace, rig: RigClient, run: Run) -> int:
    begun = {"session": run.session, "frames": run.frames}
    if not options.wait:
        done(options, f"{run.session}: {run.frames} frames; rigctl watch follows it", begun)
        return Exit.DONE
    if not options.json:
        aside(f"{run.session}: {run.frames} frames")
    with _showing(options) as show:
        async for progress in run:
            show(progress)
            if progress.mode == "paused" and not options.through_pauses:
                raise Stopped(_paused(progress))
    result = await run.result()
    return _report(options, result, rig.state.fault)


def _showing(options: argparse.Namespace) -> AbstractContextManager[Callable[[Progress], None]]:
    """Progress on standard error: a bar on a terminal, a line now and then elsewhere, nothing with `--json`."""
    if options.json:
        return nullcontext(lambda _: None)
    if sys.stderr.isatty():
        from rigd.ctl.bar import Bar

        return Bar()
    return nullcontext(_Lines())


class _Lines:
    """A line now and then."""

    def __init__(self) -> None:
        self._said: object = None

    def __call__(self, progress: Progress) -> None:
        step = max(1, progress.frames // LINES)
        due = (progress.frame // step, progress.mode, progress.reachable, progress.last_refusal)
        if due == self._said:
            return
        self._said = due
        words = f"{progress.frame}/{progress.frames} frames"
        words += "" if progress.mode == "capturing" else f", {progress.mode}"
        words += "" if progress.reachable else ", the way to the rig is lost"
        aside(words + (f", taken again: {progress.last_refusal}" if progress.last_refusal else ""))


def _paused(progress: Progress) -> Failure:
    why = progress.why or "somebody paused it"
    message = f"{progress.session} is paused after {progress.frame} of {progress.frames} frames: {why}"
    return Failure(Exit.PAUSED, message, next_step="put it right, then: rigctl resume --wait")


def _report(options: argparse.Namespace, result: Result, fault: Fault | None) -> int:
    home_error_um = None if result.summary is None else result.summary.home_error_um
    data = {
        "session": result.session,
        "outcome": result.outcome,
        "frames": result.frames,
        "planned": result.planned,
        "rejected": result.rejected,
        "coverage": result.coverage,
        "why": result.why,
        "home_error_um": home_error_um,
    }
    if result.complete:
        words = f"{result.session} is complete: {result.frames} frames, {result.rejected} taken again"
        words += f"; {result.coverage}" if result.coverage else ""
        done(options, words + _home_text(home_error_um), data)
        return Exit.DONE
    why = f": {result.why}" if result.why else ""
    message = f"{result.session} is {result.outcome} after {result.frames} of {result.planned} frames{why}"
    next_step = f"rigctl resume {result.session} --wait" if result.outcome == "suspended" else ""
    if fault is not None and next_step:
        next_step = f"{fault.next_step}; then {next_step}"
    exit_code = EXITS.get(str(result.code), Exit.STOPPED) if result.code else Exit.STOPPED
    raise Stopped(Failure(exit_code, message, result.code, next_step=next_step))


def _home_text(error_um: float | None) -> str:
    """Home was looked for again at the end: whether the rail was where it was thought to be."""
    if not error_um:
        return ""
    return f"; home found again, off by {um_text(error_um)} (more than half a step: the rail lost steps, positions are wrong)"
