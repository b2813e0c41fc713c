"""The asyncio shell round the state machine: one queue of events, effects carried out on drivers, results fed back.

One event is handled at a time, and nothing else changes the state. Effects run as tasks; each ends in an answer that carries its
serial number. Whatever goes wrong in one becomes a `Failed` answer: nothing dies quietly.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from drivers.base import CameraTimeout, DriverError
from rigd.control.hands import Hands
from rigd.control.notices import Changed, Listener, Merged, Notice
from rigd.control.rail import GivenUp, MotionFailed, RailAlarm
from rigd.control.testshot import ShotFailed
from rigd.machine import effects as fx
from rigd.machine import events as ev
from rigd.machine import refusal, step
from rigd.machine.kinds import Event
from rigd.machine.state import Mode, State
from rigd.session.files import explained

log = logging.getLogger(__name__)

WATCH_S = 0.5
"""How often a rail at rest is looked at: an unplugged port is named within a second."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """An event in the queue, and who waits for what becomes of it."""

    event: Event
    reply: asyncio.Future[str | None] | None = None
    taken: Callable[[], None] | None = None


class Controller:
    """Runs one rig.

    Args:
        state: the machine's first state.
        hands: carry the effects out.
        on_progress: called each time the loop has gone round; feeds the watchdog.
        progress_s: the longest that the loop may rest between two calls of it.
    """

    def __init__(
        self,
        state: State,
        hands: Hands,
        *,
        on_progress: Callable[[], None] = lambda: None,
        progress_s: float = 1.0,
    ) -> None:
        self.state = state
        self.hands = hands
        hands.tell = hands.still.tell = self._hand_out
        self._on_progress = on_progress
        self._progress_s = progress_s
        self._queue: asyncio.Queue[_Asked] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[Listener] = []
        self._changed = asyncio.Condition()

    # ------------------------------------------------------------------------------------------------------ from outside

    def listen(self, listener: Listener) -> None:
        """Have every notice handed to this function, on the loop."""
        self._listeners.append(listener)

    def ignore(self, listener: Listener) -> None:
        """No more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def command(self, event: Event, taken: Callable[[], None] | None = None) -> str | None:
        """Put a command to the machine; why it was refused, or None when it was taken.

        `taken` is called when it was, before anything that it leads to begins: of two who ask at once each has its own.
        """
        reply: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Asked(event, reply, taken))
        return await reply

    def post(self, event: Event) -> None:
        """Put an event to the machine and wait for nothing. On the loop's thread."""
        self._queue.put_nowait(_Asked(event))

    def merged(self, frames: int) -> None:
        """The preview shows so many frames. For the pipeline; on the loop's thread."""
        self._hand_out(Merged(frames))

    async def reached(self, *modes: Mode) -> State:
        """Wait until the machine is in one of these modes."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.state.mode in modes)
        return self.state

    async def drained(self) -> None:
        """Wait until every effect under way has ended: nothing is written to a session any more."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    # ---------------------------------------------------------------------------------------------------------- the loop

    async def run(self) -> None:
        """Handle events until cancelled. Anything unexpected ends it, with the rail halted, and the process with it."""
        watch = asyncio.create_task(self._watch_rail())
        try:
            while True:
                await self._handle_next()
                self._on_progress()
                if watch.done():
                    watch.result()
        except Exception:
            await self._carry_out(fx.HaltRail(0), self.hands.halt())
            raise
        finally:
            pending = {watch, *self._tasks}
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _handle_next(self) -> None:
        try:
            async with asyncio.timeout(self._progress_s):
                asked = await self._queue.get()
        except TimeoutError:
            return
        before, event, reply = self.state, asked.event, asked.reply
        self.state, effects = step(before, event)
        reason = refusal(effects)
        if reason is not None:
            log.info("refused: %s", reason)
        elif asked.taken is not None:
            asked.taken()
        for effect in effects:
            self._begin(effect)
        if reply is not None and not reply.cancelled():
            reply.set_result(reason)
        if self.state is not before:
            self._hand_out(Changed(self.state, event))
            async with self._changed:
                self._changed.notify_all()

    def _begin(self, effect: fx.Effect) -> None:
        act = self.hands.begin(effect)
        if act is None:
            return
        task = asyncio.create_task(self._carry_out(effect, act))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, effect: fx.Effect, act: Awaitable[Event | None]) -> None:
        try:
            answer = await act
        except CameraTimeout as error:
            answer = ev.Failed(effect.serial, str(error), "camera", frame_only=True)
        except ShotFailed as error:
            answer = ev.Failed(effect.serial, str(error), "camera", frame_only=True)
        except GivenUp:
            return
        except RailAlarm as error:
            answer = ev.LimitHit(str(error))
        except MotionFailed as error:
            answer = ev.Failed(effect.serial, str(error), "rail")
        except (DriverError, OSError) as error:
            answer = self._failure(effect, error)
        except Exception as error:  # a bug must stop the rig in a known state, not leave it waiting for ever
            log.exception("%s failed", type(effect).__name__)
            answer = ev.Failed(effect.serial, f"internal error: {error!r}", "internal")
        if answer is not None:
            self.post(answer)

    def _failure(self, effect: fx.Effect, error: Exception) -> Event | None:
        """What a driver's or a disk's error means to the machine."""
        what = explained(error) if isinstance(error, OSError) else str(error)
        match effect:
            case fx.HaltRail():
                # The machine has given the rail up already; to tell it again would only make it halt again.
                log.error("the rail could not be halted: %s", what)
                return None
            case fx.SuspendSession() if self.state.awaiting != effect.serial:
                log.error("the session could not be left in order: %s", what)
                return None
            case fx.Expose():
                return ev.Failed(effect.serial, what, "camera", frame_only=True)
            case fx.OpenDrivers():
                return ev.Failed(effect.serial, what, "open")
            case fx.BeginSession() | fx.CloseSession() | fx.SuspendSession() | fx.ProcessFrame():
                return ev.Failed(effect.serial, what, "storage")
            case fx.NoteSession() | fx.RejectFrame():
                return ev.Pause(f"the journal cannot be written: {what}")
            case _:
                return ev.RailLost(what)

    def _hand_out(self, notice: Notice) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(notice)
            except Exception:  # a broken pipe of somebody who watches must not stop the rig
                log.exception("a listener failed; it hears no more")
                self._listeners.remove(listener)

    async def _watch_rail(self) -> None:
        """Notice what happens to a rail at rest: unplugged, reset, a limit pressed by hand."""
        known = {Mode.IDLE, Mode.PAUSED, Mode.TESTING}
        while True:
            await asyncio.sleep(WATCH_S)
            # Where the position is not known nothing can be held against it: a limit may be pressed until home is found.
            if self.state.mode not in known or not self.state.homed:
                continue
            try:
                status = await self.hands.rail.poll()
            except (DriverError, OSError) as error:
                self.post(ev.RailLost(str(error)))
                continue
            if self.state.mode not in known or not self.state.homed:
                continue
            if status.alarm is not None:
                self.post(ev.LimitHit(status.alarm))
            elif status.position is None:
                self.post(ev.RailLost("the rail has lost its position"))
