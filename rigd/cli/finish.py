"""`rigd finish`, and what captures do at their end: the fused picture and the depth map of a session."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
from collections.abc import Container
from pathlib import Path
from typing import Any

from rigd import finish as finishing_of
from rigd.cli.exits import Exit
from rigd.cli.failures import Stopped
from rigd.cli.progress import say
from rigd.config import load
from rigd.config.model import Finish
from rigd.finish import DONE, Finished
from rigd.finishing import Finisher
from rigd.health import HealthReader
from rigd.session import verify

log = logging.getLogger(__name__)

LABELS = {
    "fused": "fused",
    "depth.tif": "depth map",
    "depth.png": "depth view",
    "mesh": "mesh",
    "points": "points",
}


def finish(options: argparse.Namespace) -> int:
    """`rigd finish`."""
    session = options.session
    config = (
        finishing_of.config_of(session)
        if options.config is None
        else load(options.config, options.overrides).finish
    )
    done = fuse(session, config, quiet=options.json)
    if done.outcome != DONE:
        raise Stopped(Exit.FUSION, f"{session} is complete, but could not be fused: {done.why}")
    found = verify(session)
    if not found.whole:
        raise Stopped(Exit.SESSION, f"{session} is damaged:\n  " + "\n  ".join(found.problems))
    if options.json:
        print(json.dumps({"ok": True, "session": str(session), **as_data(session, done)}, indent=2))
    else:
        print(f"{session} is finished")
        for line in lines(session, done):
            print(line)
    return Exit.DONE


def after_capture(session: Path, config: Finish, *, quiet: bool) -> Finished | None:
    """Finish what was just taken; None when that is not wanted. That it fails is told, and does not make the capture fail.

    Raises `Stopped` when it was interrupted: the stack is complete then.
    """
    if not config.enabled:
        return None
    try:
        return fuse(session, config, quiet=quiet)
    except OSError as error:
        return Finished(finishing_of.FAILED, why=str(error))


def fuse(session: Path, config: Finish, *, quiet: bool) -> Finished:
    """Finish a session now, with progress on standard error. Raises as `Finisher.finish` does, and `Stopped` on a signal."""
    try:
        return asyncio.run(_until_stopped(session, config, quiet=quiet))
    except KeyboardInterrupt:
        raise _stopped(signal.SIGINT, session) from None


async def _until_stopped(session: Path, config: Finish, *, quiet: bool) -> Finished:
    tell = log.info if quiet else say
    finisher = Finisher(HealthReader(session).read, quiet=quiet, tell=tell)
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(finisher.finish(session, config))
    seen: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        seen.append(number)
        work.cancel()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop, number)
    if not quiet:
        say("fusing the stack")
    try:
        return await work
    except asyncio.CancelledError:
        if not seen:
            raise
        raise _stopped(seen[0], session) from None
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _stopped(number: signal.Signals, session: Path) -> Stopped:
    why = f"stopped by {number.name}; the stack is complete, fuse it with: rigd finish {session}"
    return Stopped(Exit.INTERRUPTED, why)


def as_data(session: Path, done: Finished | None) -> dict[str, Any]:
    """For `--json`."""
    if done is None:
        return {}
    paths = {_key(name): str(session / name) for name in done.files}
    state = {"outcome": done.outcome, "why": done.why, "left_out": list(done.left_out)}
    return {**paths, "finish": state}


def lines(session: Path, done: Finished | None, known: Container[str] = ()) -> list[str]:
    """For people; without the files that they know of."""
    if done is None:
        return []
    if done.outcome != DONE:
        return [f"  not fused  {done.why}", f"             again with: rigd finish {session}"]
    found = []
    for name in done.files:
        label = LABELS.get(name) or LABELS.get(Path(name).stem)
        if label is not None and name not in known:
            found.append(f"  {label:10s} {session / name}")
    return found + [f"  left out   {why}" for why in done.left_out]


def _key(name: str) -> str:
    stem, _, suffix = name.partition(".")
    return "depth_picture" if name == "depth.png" else stem if suffix else name
