"""The search for the ends of the subject: progress, and what is proposed in words."""

from __future__ import annotations

import argparse
import asyncio
import sys

from rigd.client import RigClient, SweepProgress
from rigd.ctl.exits import Exit
from rigd.ctl.failures import Failure, Stopped
from rigd.ctl.reach import reached
from rigd.ctl.saying import aside, done
from rigd.ctl.words import um_text
from rigd.messages.reports import SweepFound

USUAL_PICTURES = 60
"""Where no step is given."""
LINES = 10
"""How many lines a whole sweep gets where there is no terminal."""
ROWS = 40
WIDTH = 40
"""Of the curve."""


async def sweep(options: argparse.Namespace) -> int:
    """`rigctl sweep`."""
    async with reached(options) as rig:
        from_um, to_um, step_um = _range(rig, options)
        told = None if options.json else SweepLines()
        try:
            found = await rig.sweep(from_um, to_um, step_um, on_progress=told)
        except asyncio.CancelledError:
            # Ctrl-C: nobody would hear what it finds, so it was stopped.
            raise Stopped(Failure(Exit.INTERRUPTED, "the sweep is stopped")) from None
        finally:
            if told is not None:
                told.close()
        done(options, proposal(found), found)
    return Exit.DONE


def _range(rig: RigClient, options: argparse.Namespace) -> tuple[float, float, float]:
    """As asked; else from limit to limit, in sixty pictures."""
    limits = None if rig.info is None else rig.info.limits
    from_um = options.from_um if options.from_um is not None else (limits.min_um if limits else None)
    to_um = options.to_um if options.to_um is not None else (limits.max_um if limits else None)
    if from_um is None or to_um is None:
        raise Stopped(
            Failure(Exit.USAGE, "the rig has not told its limits", next_step="give --from and --to")
        )
    if to_um <= from_um:
        message = f"a sweep goes up: --to {um_text(to_um)} is not above --from {um_text(from_um)}"
        raise Stopped(Failure(Exit.USAGE, message))
    step_um = options.step_um if options.step_um is not None else (to_um - from_um) / (USUAL_PICTURES - 1)
    return from_um, to_um, step_um


def proposal(found: SweepFound) -> str:
    """What was found, and what to do with it."""
    near = "before the begin of the sweep" if found.open_near else um_text(found.near_um)
    far = "beyond the end of the sweep" if found.open_far else um_text(found.far_um)
    lines = [
        *_curve(found),
        f"near {near}, best focus {um_text(found.best_um)}, far {far}",
        f"from {found.tiles} of {found.of_tiles} parts of the picture; each may be off by a step, {um_text(found.step_um)}",
    ]
    if found.open_near or found.open_far:
        lines.append("the subject goes on there: sweep again from farther out")
    else:
        lines.append("this is a proposal, and no setting has changed; to take it over:")
        lines.append(f"  rigctl mark near {found.near_um:.1f} && rigctl mark far {found.far_um:.1f}")
    return "\n".join(lines)


def _curve(found: SweepFound) -> list[str]:
    """Focus against position."""
    pairs = list(zip(found.positions_um, found.focus, strict=False))
    every = max(1, -(-len(pairs) // ROWS))
    return [f"{at_um:10.1f} um  {'#' * round(WIDTH * focus)}" for at_um, focus in pairs[::every]]


class SweepLines:
    """One line that grows on a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._open = False
        self._said = 0

    def __call__(self, progress: SweepProgress) -> None:
        """Show it."""
        words = f"picture {progress.picture} of {progress.pictures}, at {um_text(progress.position_um)}"
        if self._terminal:
            print(f"\r\x1b[Krigctl: {words}", end="", file=sys.stderr, flush=True)
            self._open = True
        elif (due := progress.picture * LINES // progress.pictures) != self._said:
            self._said = due
            aside(words)

    def close(self) -> None:
        """What comes now begins a line."""
        if self._open:
            print(file=sys.stderr, flush=True)
