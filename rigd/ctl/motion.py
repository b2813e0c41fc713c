"""Commands that move the rail, stop it, or take one picture."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import suppress

from rigd.client import Action, RigClient
from rigd.ctl.exits import Exit
from rigd.ctl.failures import Failure, Stopped
from rigd.ctl.reach import reached
from rigd.ctl.saying import done
from rigd.ctl.words import bytes_text, um_text
from rigd.messages.reports import TestShot

STATE_S = 1.0
"""The state that says that the rail stands comes within this time."""


async def home(options: argparse.Namespace) -> int:
    """`rigctl home`."""
    async with reached(options) as rig:
        action = await rig.begin("home")
        if not await _begun_only(options, action):
            data = await action.finished()
            done(options, "home is found", data)
    return Exit.DONE


async def goto(options: argparse.Namespace) -> int:
    """`rigctl goto`."""
    async with reached(options) as rig:
        action = await rig.begin("goto", position_um=options.position)
        if not await _begun_only(options, action):
            data = await action.finished()
            where = data.get("position_um", options.position)
            done(options, f"at {um_text(where)}", {**data, "position_um": where})
    return Exit.DONE


async def jog(options: argparse.Namespace) -> int:
    """`rigctl jog`."""
    async with reached(options) as rig:
        try:
            if options.distance is None:
                whole = await rig.nudge("away" if options.away else "toward")
            else:
                whole = await rig.jog(options.distance)
        except asyncio.CancelledError:
            # Ctrl-C; the rail was stopped on the way here.
            raise Stopped(Failure(Exit.INTERRUPTED, "interrupted; the jog is stopped")) from None
        where = await _position_um(rig)
        if not whole:
            raise Stopped(Failure(Exit.STOPPED, "the jog was stopped before its end", "interrupted"))
        words = (
            "jogged; where the rail is, is not known before home is"
            if where is None
            else f"at {um_text(where)}"
        )
        done(options, words, {"position_um": where})
    return Exit.DONE


async def stop(options: argparse.Namespace) -> int:
    """`rigctl stop`."""
    async with reached(options, at_once=True) as rig:
        await rig.stop()
        done(options, "stopped")
    return Exit.DONE


async def estop(options: argparse.Namespace) -> int:
    """`rigctl estop`."""
    async with reached(options, at_once=True) as rig:
        await rig.estop(options.timeout)
        done(options, "stopped; when it is safe again: rigctl clear")
    return Exit.DONE


async def release(options: argparse.Namespace) -> int:
    """`rigctl release`."""
    async with reached(options) as rig:
        await rig.release()
        done(options, "the motor is off; home is lost")
    return Exit.DONE


async def clear(options: argparse.Namespace) -> int:
    """`rigctl clear`."""
    async with reached(options) as rig:
        await rig.clear_fault()
        done(options, "cleared; next: rigctl home")
    return Exit.DONE


async def identify(options: argparse.Namespace) -> int:
    """`rigctl identify`."""
    async with reached(options) as rig:
        await rig.identify(options.seconds)
        done(options, "its light blinks")
    return Exit.DONE


async def test(options: argparse.Namespace) -> int:
    """`rigctl test`."""
    async with reached(options) as rig:
        action = await rig.begin("capture.test")
        if await _begun_only(options, action):
            return Exit.DONE
        shot = TestShot.model_validate(await action.finished())
        words = f"{shot.width} x {shot.height}, {bytes_text(shot.bytes)}"
        words += "".join(f"\n  {name:12s} {value:g}" for name, value in shot.metrics.items())
        words += "".join(f"\n  {name:12s} {value}" for name, value in shot.settings.items())
        if shot.note:
            words += f"\n  a stack would refuse it: {shot.note}"
        done(options, words, shot)
    return Exit.DONE


async def mark(options: argparse.Namespace) -> int:
    """`rigctl mark`."""
    async with reached(options) as rig:
        marking = rig.mark_near if options.end == "near" else rig.mark_far
        settings = await marking(options.position)
        where = settings.near_um if options.end == "near" else settings.far_um
        done(options, f"{options.end} is {um_text(where)}", settings)
    return Exit.DONE


async def _begun_only(options: argparse.Namespace, action: Action) -> bool:
    """With `--no-wait`: say that it has begun, and that is all."""
    if options.no_wait:
        done(options, "begun", {"transaction": action.transaction})
    return bool(options.no_wait)


async def _position_um(rig: RigClient) -> float | None:
    """Where the rail has come to stand."""
    with suppress(TimeoutError):
        await rig.reached(lambda state: not state.rail.moving, STATE_S)
    return rig.state.rail.position_um
