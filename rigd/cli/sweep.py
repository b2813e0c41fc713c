"""`rigd sweep`: find near, far and best focus, and propose them."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rigd.cli.exits import Exit
from rigd.cli.failures import Stopped

if TYPE_CHECKING:
    from drivers.clock import Clock
    from rigd.config import RigConfig
    from rigd.sweep import Found, Range, Sweep

MOST_PICTURES = 200
"""Of a sweep whose step nobody gave."""
USUAL_PICTURES = 60
"""Where the depth of field is not known either."""


def sweep(options: argparse.Namespace) -> int:
    """`rigd sweep`."""
    from rigd.app import warm_up
    from rigd.cli.capture import clock_for
    from rigd.config import load
    from rigd.sweep import NothingSharp
    from rigd.virtualtime import run

    config = load(options.config, options.overrides)
    where = _range(config, options)
    clock = clock_for(config, virtual=options.virtual_time)
    warm_up()
    try:
        seen = run(_swept(config, clock, where, quiet=options.json), clock)
        found = seen.found()
    except NothingSharp as error:
        raise Stopped(Exit.PLAN, str(error)) from error
    except ValueError as error:
        raise Stopped(Exit.USAGE, str(error)) from error
    if options.json:
        print(json.dumps(_record(seen, found), indent=2))
    else:
        _print(seen, found)
    return Exit.DONE


def _range(config: RigConfig, options: argparse.Namespace) -> Range:
    """As asked; else from limit to limit, by the depth of field."""
    from rigd.planning import optics_of
    from rigd.sweep import Range

    from_um = options.from_um if options.from_um is not None else config.limits.min_um
    to_um = options.to_um if options.to_um is not None else config.limits.max_um
    step_um = options.step_um
    if step_um is None:
        setup = optics_of(config, None)
        span_um = to_um - from_um
        step_um = span_um / USUAL_PICTURES
        if setup is not None:
            step_um = max(setup.depth_of_field_um, span_um / MOST_PICTURES)
    limits = config.limits
    if not limits.min_um <= from_um < to_um <= limits.max_um:
        raise Stopped(
            Exit.USAGE,
            f"from {from_um:g} to {to_um:g} um is no way up within the limits, {limits.min_um:g} to {limits.max_um:g} um",
        )
    return Range(from_um, to_um, step_um)


async def _swept(config: RigConfig, clock: Clock, where: Range, *, quiet: bool) -> Sweep:
    from rigd.app import open_rig
    from rigd.cli.capture import alone
    from rigd.sweep import sweep as run_sweep

    def tell(done: int, of: int, _: Sweep) -> None:
        if not quiet and sys.stderr.isatty():
            print(f"\rpicture {done} of {of}", end="" if done < of else "\n", file=sys.stderr, flush=True)

    where.positions_um()  # said before anything moves
    with alone(config):
        async with open_rig(config, clock) as rig:
            await rig.home()
            return await run_sweep(rig, where, tell)


def _record(seen: Sweep, found: Found) -> dict[str, Any]:
    return {
        "ok": True,
        "found": asdict(found),
        "positions_um": seen.positions_um,
        "focus": [round(value, 5) for value in seen.curve()],
    }


def _print(seen: Sweep, found: Found) -> None:
    curve = seen.curve()
    every = max(1, len(curve) // 40)
    for place_um, value in list(zip(seen.positions_um, curve, strict=True))[::every]:
        print(f"{place_um:10.1f} um  {'#' * round(50 * value)}")
    near = "beyond the begin of the sweep" if found.open_near else f"{found.near_um:.1f} um"
    far = "beyond the end of the sweep" if found.open_far else f"{found.far_um:.1f} um"
    print(f"\nnear {near}, best focus {found.best_um:.1f} um, far {far}")
    print(
        f"from {found.tiles} of {found.of_tiles} parts of the picture; each end may be off by a step, {found.step_um:.1f} um"
    )
    if found.open_near or found.open_far:
        print("the subject goes on there: sweep from farther out")
        return
    print("a proposal, which nothing takes over; to plan with it:")
    ends = f"--set plan.near_um={found.near_um:.1f} --set plan.far_um={found.far_um:.1f}"
    print(f"  rigd plan --config RIG {ends} --explain")
