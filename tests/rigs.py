"""Small simulated rigs on virtual time, for tests of the whole daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.clock import Clock, VirtualClock
from rigd.app import Rig, open_rig
from rigd.config import RigConfig, load
from rigd.control.notices import Accepted, Closed, Notice, Rejected
from rigd.machine.state import State
from rigd.session import Session
from rigd.virtualtime import run

SMALL = """
rig: {id: small, seed: 3}
rail: {driver: sim, travel_um: 20000, start_um: 2500, backlash_um: 20}
camera:
  driver: sim
  scene: tilt
  width: 96
  height: 64
  near_um: 5000
  far_um: 6100
  f_number: 4
  pixel_pitch_um: 60
  frame_period_s: 0.05
  threads: 1
limits: {max_um: 20000}
plan: {near_um: 5000, far_um: 6100, step_um: 100}
settle: {fixed_s: 0.2}
preview: {threads: 1}
finish: {enabled: false}
"""
FRAMES = 12


def small_rig(folder: Path, *overrides: str, text: str = SMALL) -> RigConfig:
    """A rig of 12 tiny frames whose sessions go into `folder`."""
    path = folder / "rig.yaml"
    path.write_text(text)
    return load(
        path, [f"storage.sessions={folder / 'sessions'}", f"service.state={folder / 'state'}", *overrides]
    )


@dataclass
class Seen:
    """What happened during a run."""

    notices: list[Notice] = field(default_factory=list)

    @property
    def rejected(self) -> list[Rejected]:
        return [notice for notice in self.notices if isinstance(notice, Rejected)]

    @property
    def accepted(self) -> list[int]:
        return [notice.record.frame for notice in self.notices if isinstance(notice, Accepted)]

    @property
    def closed(self) -> Closed | None:
        return next((notice for notice in self.notices if isinstance(notice, Closed)), None)


@dataclass
class Ran:
    """A run that is over."""

    session: Session
    state: State
    seen: Seen
    rig: Rig

    @property
    def path(self) -> Path:
        return self.session.path

    @property
    def world(self) -> Any:
        """The simulator's own truth."""
        assert self.rig.parts.context is not None
        return self.rig.parts.context.shared["sim.world"]


def with_rig(
    config: RigConfig, body: Callable[[Rig, Seen], Awaitable[Any]], clock: Clock | None = None
) -> Any:
    """Open a rig on virtual time, run `body`, close it."""
    clock = clock or VirtualClock()

    async def main() -> Any:
        async with open_rig(config, clock) as rig:
            seen = Seen()
            rig.controller.listen(seen.notices.append)
            return await body(rig, seen)

    return run(main(), clock)


def capture(config: RigConfig, during: Callable[[Rig, Session], Awaitable[None]] | None = None) -> Ran:
    """Home, capture the configured stack, and wait for what comes of it; `during` runs beside it."""

    async def body(rig: Rig, seen: Seen) -> Ran:
        await rig.home()
        session = await rig.start("test", rig.plan().plan)
        if during is not None:
            await during(rig, session)
        state = await rig.ended()
        return Ran(session, state, seen, rig)

    ran: Ran = with_rig(config, body)
    return ran


def resume(config: RigConfig, path: Path) -> Ran:
    """Home and go on with an unfinished session."""

    async def body(rig: Rig, seen: Seen) -> Ran:
        await rig.home()
        session = await rig.resume(path)
        return Ran(session, await rig.ended(), seen, rig)

    ran: Ran = with_rig(config, body)
    return ran


async def passes(seconds: float) -> None:
    """Let so much virtual time pass. No real time does: the clock jumps."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.call_later(seconds, over.set_result, None)
    await over


async def stored(rig: Rig, frames: int) -> None:
    """Wait until so many frames are on disk."""
    enough = asyncio.Event()
    count = 0

    def note(notice: Notice) -> None:
        nonlocal count
        count += isinstance(notice, Accepted)
        if count >= frames:
            enough.set()

    rig.controller.listen(note)
    await enough.wait()


def journal_events(path: Path) -> list[str]:
    """The kinds of event in a session's journal, in order."""
    from rigd.session.journal import read

    return [entry["event"] for entry in read(path / "journal.jsonl").entries]
