"""Commands that capture: capture and resume."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.clock import Clock, SystemClock, VirtualClock
from rigd.app import HALTED, Refused, Rig, RigFault, open_rig, warm_up
from rigd.cli import finish
from rigd.cli.exits import Exit
from rigd.cli.failures import Stopped
from rigd.cli.progress import Progress, say
from rigd.config import ConfigError, RigConfig, from_dict, load
from rigd.control.notices import Closed
from rigd.finish import Finished
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.preview import DEPTH, PREVIEW
from rigd.serving import kept_in
from rigd.session import Session, SessionError, survey, verify
from rigd.session.store import MANIFEST, check_resumable, load_manifest
from rigd.sole import only_one
from rigd.virtualtime import run

SIMULATED = frozenset({"sim", "replay"})
"""Drivers that keep virtual time."""


@dataclass(slots=True)
class Outcome:
    """What a capture came to."""

    session: Path
    closed: Closed | None
    frames: int
    planned: int
    rejected: int
    seconds: float
    home_error_um: float | None = None
    """How far home was off at the end; None when it was not looked for."""
    lost_um: float = 0.0
    """An error of home above this means lost steps: half a step of the stack."""
    finished: Finished | None = None
    """What became of the fused picture; None where none is wanted."""

    def to_dict(self) -> dict[str, Any]:
        """For `--json`."""
        coverage = self.closed.results.coverage if self.closed and self.closed.results else None
        files = {name: str(self.session / name) for name in (PREVIEW, DEPTH)}
        return {
            "ok": True,
            "session": str(self.session),
            "record": str(self.session / MANIFEST),
            "outcome": self.closed.outcome if self.closed else "unknown",
            "frames": self.frames,
            "planned": self.planned,
            "rejected": self.rejected,
            "seconds": round(self.seconds, 3),
            "coverage": coverage,
            "home_error_um": self.home_error_um,
            **{name.partition(".")[0]: path for name, path in files.items() if Path(path).exists()},
            **finish.as_data(self.session, self.finished),
        }


def capture(options: argparse.Namespace) -> int:
    """`rigd capture`."""
    config = load(options.config, options.overrides)
    clock = clock_for(config, virtual=options.virtual_time)

    async def begin(rig: Rig) -> Session:
        planned = rig.plan()  # refused before anything moves
        await rig.home()
        name = (options.name or config.rig.id).encode("utf-8", "replace").decode()
        return await rig.start(name, planned.plan)

    with alone(config):
        outcome = run(capture_with(config, clock, begin, quiet=options.json), clock)
    outcome.finished = finished_after(outcome, config, quiet=options.json)
    report(outcome, as_json=options.json)
    return Exit.DONE


def resume(options: argparse.Namespace) -> int:
    """`rigd resume`."""
    path = _chosen(options)
    check_resumable(path)  # refused before anything moves
    config = session_config(path)
    clock = clock_for(config, virtual=options.virtual_time)

    async def begin(rig: Rig) -> Session:
        await rig.home()
        return await rig.resume(path)

    with alone(config):
        outcome = run(capture_with(config, clock, begin, quiet=options.json), clock)
    outcome.finished = finished_after(outcome, config, quiet=options.json)
    report(outcome, as_json=options.json)
    return Exit.DONE


def clock_for(config: RigConfig, *, virtual: bool) -> Clock:
    """The clock that was asked for. Real parts do not keep virtual time."""
    if not virtual:
        return SystemClock()
    if real := _real_parts(config):
        raise Stopped(
            Exit.USAGE, f"--virtual-time is for simulated rigs; this one has real parts: {', '.join(real)}"
        )
    return VirtualClock()


def _real_parts(config: RigConfig) -> list[str]:
    """The drivers of parts that are no simulation."""
    single = (config.rail, config.motor, config.camera, config.shutter, config.light)
    sections = [*single, *config.switches.values()]
    return sorted({section.driver for section in sections if section is not None} - SIMULATED)


def alone(config: RigConfig) -> AbstractContextManager[None]:
    """Nobody else has the rig's parts: a second one who opens a serial port resets the controller under the first."""
    return only_one(kept_in(config)) if _real_parts(config) else nullcontext()


async def capture_with(
    config: RigConfig,
    clock: Clock,
    begin: Callable[[Rig], Awaitable[Session]],
    *,
    quiet: bool,
    around: Callable[[Rig], AbstractAsyncContextManager[object]] = lambda _rig: nullcontext(),
) -> Outcome:
    """Open the rig, begin, show progress until the stack is over, and say what came of it. `around` is open for as long.

    Raises `Stopped` with the code of an interrupted or paused stack, `RigFault` of a failed one.
    """
    if not quiet:
        say("loading kernels; the first time they are compiled, for some half a minute")
    warm_up()
    interrupts = Interrupts()
    started_s = clock.now()
    async with open_rig(config, clock) as rig, around(rig):
        interrupts.install(rig)
        progress = Progress(quiet=quiet)
        rig.controller.listen(progress.notice)
        with progress:
            try:
                session = await begin(rig)
            except (Refused, RigFault):
                interrupts.check(None)
                raise
            state = await rig.ended()
        await rig.controller.drained()
        if progress.closed is None or progress.closed.outcome != "complete":
            interrupts.check(session)
        if state.mode is Mode.PAUSED:
            why = state.stack.why if state.stack is not None else ""
            await rig.suspend(why)
            raise Stopped(
                Exit.PAUSED, f"the stack paused: {why}\nPut it right, then: rigd resume {session.path}"
            )
        if state.mode in HALTED and state.fault is not None:
            next_step = f"{state.fault.next_step}; then: rigd resume {session.path}"
            raise RigFault(state.fault.code, state.fault.message, next_step)
        return Outcome(
            session.path,
            progress.closed,
            len(session.frames),
            session.plan.frames,
            progress.rejected,
            clock.now() - started_s,
            home_error_um=_home_error_um(progress.closed, session),
            lost_um=session.plan.step_um / 2,
        )


def finished_after(outcome: Outcome, config: RigConfig, *, quiet: bool) -> Finished | None:
    """Fuse a stack that is complete, if the config wants it. The rig is closed by now, and safe."""
    if outcome.closed is None or outcome.closed.outcome != "complete":
        return None
    return finish.after_capture(outcome.session, config.finish, quiet=quiet)


def report(outcome: Outcome, *, as_json: bool, extra: dict[str, Any] | None = None) -> None:
    """Say what a capture came to, and verify it. Raises `Stopped` when it is not whole."""
    found = verify(outcome.session)
    if not found.whole:
        raise Stopped(Exit.SESSION, f"{outcome.session} is damaged:\n  " + "\n  ".join(found.problems))
    data = {**outcome.to_dict(), "verified_files": found.files, **(extra or {})}
    if as_json:
        print(json.dumps(data, indent=2))
        return
    print(
        f"{outcome.frames} frames in {outcome.seconds:.1f} s, {outcome.rejected} taken again; {found.files} files verified"
    )
    for name, label in (("preview", "preview"), ("depth", "depth map"), ("record", "record")):
        if name in data:
            print(f"  {label:10s} {data[name]}")
    for line in finish.lines(outcome.session, outcome.finished, known={DEPTH}):
        print(line)
    if outcome.closed is not None and outcome.closed.results is not None:
        print(f"  coverage   {outcome.closed.results.text}")
    if outcome.home_error_um is not None:
        print(f"  home       found again, off by {outcome.home_error_um:.1f} um")
        if abs(outcome.home_error_um) > outcome.lost_um:
            say(
                f"the rail lost steps: from some frame on the positions are wrong, by up to {abs(outcome.home_error_um):.1f} um"
            )


def _home_error_um(closed: Closed | None, session: Session) -> float | None:
    if closed is None or closed.home_error is None:
        return None
    return session.plan.um(closed.home_error)


class Interrupts:
    """Ctrl-C, SIGTERM and a closed terminal: once stops safely, twice halts at once."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def install(self, rig: Rig) -> None:
        """Take the signals from here on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._interrupt, rig, number)

    def check(self, session: Session | None) -> None:
        """Raise `Stopped` when there was a signal."""
        if self.signal is not None:
            then = "" if session is None else f"; go on with: rigd resume {session.path}"
            raise Stopped(Exit.INTERRUPTED, f"stopped by {self.signal.name}, the rail stands{then}")

    def _interrupt(self, rig: Rig, number: signal.Signals) -> None:
        if self.signal is not None:
            rig.controller.post(ev.EStop(f"{number.name} twice"))
            return
        self.signal = number
        say("stopping the rail; again to halt at once")
        task = asyncio.create_task(rig.suspend(f"stopped by {number.name}"))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def session_config(path: Path) -> RigConfig:
    """The rig that a session was taken with. Raises `SessionError`."""
    try:
        return from_dict(load_manifest(path)["config"])
    except (KeyError, ConfigError) as error:
        raise SessionError(path, f"its config cannot be read by this version of rigd: {error}") from error


def _chosen(options: argparse.Namespace) -> Path:
    if (options.session is None) == (not options.last):
        raise Stopped(Exit.USAGE, "name a session's folder, or say --last")
    if options.session is not None:
        return Path(options.session)
    unfinished = [seen for seen in survey(options.root) if seen.unfinished]
    if not unfinished:
        raise SessionError(options.root, "no unfinished session here")
    return unfinished[-1].path
