"""`state`: what the rig does now, put together from the machine's state and the rail's newest word, and how often it is said.

A change of mode, a fault, a pause or another lease is published at once. The rest collapses: at most ten states a second, and the
last one always comes.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, Protocol

from drivers.clock import Clock
from rigd.app import Rig
from rigd.machine import events as ev
from rigd.machine.state import Mode, State
from rigd.messages import reports, topics
from rigd.remote.bus import Outgoing, Switchboard
from rigd.remote.progress import Underway
from rigd.remote.reporter import Reporter

STATE_S = 0.1
"""The least between two states that differ in nothing urgent."""
LIVE_S = 0.2
"""Between two looks at a rail that moves."""
CLOCK_S = 1.0
"""Between two looks at the time left while nothing moves: a long exposure."""
_SLACK_S = 0.001
"""What clocks and timers may differ by."""

_STANDS = (Mode.OFFLINE, Mode.FAULT, Mode.ESTOPPED)
_ENDS_MOTION = (ev.MotionEnded, ev.Homed, ev.Stopped)


class LeaseView(Protocol):
    """Who commands."""

    def now(self) -> reports.LeaseNow | None:
        """The lease that is held."""


class Standing:
    """Publishes `state`. On the loop's thread.

    Args:
        rig: whose state it is.
        switchboard: where it goes.
        reporter: numbers it, and knows the last error.
        leases: who commands.
        clock: of times and rates.
        boot_id: of this start of the daemon.
    """

    def __init__(
        self,
        rig: Rig,
        switchboard: Switchboard,
        reporter: Reporter,
        leases: LeaseView,
        *,
        clock: Clock,
        boot_id: str,
    ) -> None:
        self.session: Underway | None = None
        """The one under way."""
        self.last_settle_s: float | None = None
        self.camera_connected = True
        self._rig = rig
        self._switchboard = switchboard
        self._reporter = reporter
        self._leases = leases
        self._clock = clock
        self._boot_id = boot_id
        self._microstep_um = rig.parts.rail.capabilities.microstep_um
        self._said: dict[str, Any] = {}
        self._said_s = -math.inf
        self._owed = asyncio.Event()
        self._busy = asyncio.Event()

    def look(self) -> None:
        """Publish the state, now or soon, if it is another one."""
        self._mind_time()
        now = self._now()
        if now == self._said:
            return
        if _urgent(now) != _urgent(self._said) or self._clock.now() - self._said_s > STATE_S - _SLACK_S:
            self._say(now)
        else:
            self._owed.set()

    def say(self) -> None:
        """Publish the state, whatever was said before."""
        self._mind_time()
        self._say(self._now())

    async def serve(self) -> None:
        """Say what is owed, and look by itself where nobody says that something changed; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._serve_owed())
            group.create_task(self._serve_live())

    def _mind_time(self) -> None:
        """Whether the state changes by itself, as time passes."""
        if self._rig.state.mode is Mode.CAPTURING or _in_motion(self._rig.state):
            self._busy.set()
        else:
            self._busy.clear()

    def _say(self, now: dict[str, Any]) -> None:
        state = reports.State(
            boot_id=self._boot_id, seq=self._reporter.next_seq(), time=self._clock.utc(), **now
        )
        self._said, self._said_s = now, self._clock.now()
        self._owed.clear()
        self._switchboard.publish(Outgoing.of(topics.STATE, state, retain=True))

    def _now(self) -> dict[str, Any]:
        """Everything in `state` but who says it, its number and its time."""
        state = self._rig.state
        return {
            "mode": str(state.mode),
            "rail": self._rail(state),
            "session": self._session_now(state),
            "fault": None
            if state.fault is None
            else reports.Fault(
                code=state.fault.code, message=state.fault.message, next_step=state.fault.next_step
            ),
            "lease": self._leases.now(),
            "last_settle_s": self.last_settle_s,
            "last_error": self._reporter.last_error,
            "camera_connected": self.camera_connected,
        }

    def _rail(self, state: State) -> reports.Rail:
        """Whether the position is known, and whether something moves, the machine knows; where the rail is meanwhile, its driver."""
        live = self._rig.rail_now
        moving = _in_motion(state) or (live is not None and live.moving and state.mode not in _STANDS)
        position = state.position
        if moving and position is not None and live is not None and live.position is not None:
            position = live.position
        return reports.Rail(
            homed=state.homed,
            position_um=self._um(position),
            target_um=self._um(state.target),
            moving=moving,
        )

    def _um(self, position: int | None) -> float | None:
        return None if position is None else round(position * self._microstep_um, 3)

    def _session_now(self, state: State) -> reports.SessionNow | None:
        session, stack = self.session, state.stack
        if session is None or stack is None:
            return None
        phase = str(state.mode if state.mode in {Mode.PAUSED, Mode.STOPPING} else stack.phase)
        return reports.SessionNow(
            id=session.id,
            name=session.name,
            phase=phase,
            frame=session.done,
            frames=session.frames,
            eta_s=session.eta_s(self._clock.now()),
            why=stack.why if state.mode is Mode.PAUSED else "",
        )

    async def _serve_owed(self) -> None:
        """The last state of a burst."""
        while True:
            await self._owed.wait()
            await asyncio.sleep(max(_SLACK_S, self._said_s + STATE_S - self._clock.now()))
            if self._owed.is_set():
                self._owed.clear()
                self.look()

    async def _serve_live(self) -> None:
        """Where the rail is while it moves, and how long it still takes while nothing else happens."""
        while True:
            await self._busy.wait()
            await asyncio.sleep(LIVE_S)
            if _in_motion(self._rig.state) or self._clock.now() - self._said_s >= CLOCK_S:
                self.look()


def _in_motion(state: State) -> bool:
    """Whether a motion was asked for and has not ended."""
    return state.awaiting is not None and state.answer in _ENDS_MOTION


def _urgent(now: dict[str, Any]) -> tuple[Any, ...]:
    """What must not wait."""
    if not now:
        return ()
    session: reports.SessionNow | None = now["session"]
    lease: reports.LeaseNow | None = now["lease"]
    return (
        now["mode"],
        now["fault"],
        now["camera_connected"],
        None if lease is None else lease.holder,
        None if session is None else session.id,
    )
