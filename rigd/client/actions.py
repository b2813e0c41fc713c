"""Commands that take their time: from `accepted` to the event that tells their end, also when that event was missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from rigd.client.asking import Asker
from rigd.client.errors import ActionFailed, RigError, RigRestarted
from rigd.client.hub import Hub, Restarted, WayUp
from rigd.client.view import View
from rigd.messages.base import ErrorCode
from rigd.messages.events import ActionFinished
from rigd.messages.reports import Pong, Reply, State
from rigd.messages.verbs import Expect

log = logging.getLogger(__name__)

MISSED_S = 2.0
"""An end that the rig's mode shows is told within this time, or never."""
UNDER_WAY: dict[str, frozenset[str]] = {
    "home": frozenset({"homing", "stopping"}),
    "jog": frozenset({"moving", "stopping"}),
    "goto": frozenset({"moving", "stopping"}),
    "capture.test": frozenset({"testing", "stopping"}),
    "sweep": frozenset({"moving", "testing", "stopping"}),
    "session.start": frozenset({"capturing", "paused", "stopping"}),
    "session.resume": frozenset({"capturing", "paused", "stopping"}),
}
"""The modes in which a rig does what a verb asked for."""
BETWEEN = frozenset({("sweep", "idle")})
"""Modes that come up while a verb is under way, and tell nothing of whether it still is."""


class Action:
    """A command that was accepted."""

    def __init__(self, verb: str, params: Mapping[str, Any]) -> None:
        self.verb = verb
        self.transaction = ""
        self.payload = b""
        """The request as it was sent."""
        self.params = dict(params)
        self.data: dict[str, Any] = {}
        """What came with the answer."""
        self.end: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.end.add_done_callback(_looked_at)

    @property
    def over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.end.done()

    async def finished(self, timeout_s: float | None = None) -> dict[str, Any]:
        """Wait for its end, and what that brought.

        Raises:
            ActionFailed: it did not come to its end; `RigRestarted` when the daemon was started anew.
            TimeoutError: not over in time; it goes on.
        """
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(self.end)

    def done(self, data: dict[str, Any]) -> None:
        """It came to its end."""
        if not self.end.done():
            self.end.set_result(data)

    def failed(self, error: RigError) -> None:
        """It did not."""
        if not self.end.done():
            self.end.set_exception(error)


class Actions:
    """Those that are under way, and how each ends."""

    def __init__(
        self, asker: Asker, view: View, hub: Hub, spawn: Callable[[Any], asyncio.Task[None]]
    ) -> None:
        self._asker = asker
        self._view = view
        self._spawn = spawn
        self._hub = hub
        self._under_way: dict[str, Action] = {}
        self._looking: asyncio.Task[None] | None = None
        hub.handle(self._hear)

    async def begin(
        self,
        verb: str,
        params: Mapping[str, Any] | None = None,
        *,
        expect: Expect | None = None,
        lease: str | None = None,
        timeout_s: float | None = None,
    ) -> Action:
        """Send a long command; given back when it was accepted. Raises as `Asker.ask`."""
        action = Action(verb, params or {})

        def known_as(transaction: str, payload: bytes) -> None:
            self._under_way.pop(action.transaction, None)
            action.transaction, action.payload = transaction, payload
            self._under_way[transaction] = action

        action.end.add_done_callback(lambda _: self._under_way.pop(action.transaction, None))
        try:
            reply = await self._asker.ask(
                f"request/{verb}",
                params,
                expect=expect,
                lease=lease,
                known_as=known_as,
                timeout_s=timeout_s,
            )
        except BaseException:
            action.end.cancel()
            raise
        self._accepted(action, reply)
        return action

    def end(self, error: RigError) -> None:
        """The client is closed: nobody will hear of any end."""
        for action in tuple(self._under_way.values()):
            action.failed(error)

    def _accepted(self, action: Action, reply: Reply) -> None:
        action.data = reply.data
        if reply.status == "ok":
            action.done(reply.data)
        elif reply.repeated and not action.over:
            self._look()  # accepted a while ago, perhaps before the daemon was started anew

    def _hear(self, said: object) -> None:
        match said:
            case ActionFinished():
                action = self._under_way.get(said.transaction or "")
                if action is not None:
                    self._finished(action, said)
            case Restarted():
                for action in tuple(self._under_way.values()):
                    if action.transaction not in self._asker.unanswered:
                        action.failed(RigRestarted(action.verb))
            case WayUp():
                self._look()

    @staticmethod
    def _finished(action: Action, said: ActionFinished) -> None:
        if said.status == "ok":
            action.done(said.data)
        else:
            code = said.error.code if said.error is not None else ErrorCode.INTERNAL
            message = said.error.message if said.error is not None else "failed without a reason"
            field = said.error.field if said.error is not None else None
            action.failed(ActionFailed(action.verb, code, message, field))

    def _look(self) -> None:
        """Ends may have been missed: ask the rig what it does."""
        if self._under_way and (self._looking is None or self._looking.done()):
            self._looking = self._spawn(self._look_after())

    async def _look_after(self) -> None:
        try:
            pong = Pong.model_validate((await self._asker.ask("request/ping", acts=False)).data)
        except (RigError, ValueError) as error:
            log.info("what the rig does is not known: %s", error)
            return  # the way is lost again, and will be back
        if not self._view.seen_boot(pong.boot_id):
            return
        over = [
            action
            for action in self._under_way.values()
            if action.transaction not in self._asker.unanswered
            and pong.mode not in UNDER_WAY.get(action.verb, frozenset())
        ]
        await asyncio.gather(*(self._ask_end(action, pong.mode) for action in over))

    async def _ask_end(self, action: Action, mode: str) -> None:
        """It is over, by the rig's mode, or may be: have its end told again."""
        try:
            async with asyncio.timeout(MISSED_S):
                await self._asker.again(
                    f"request/{action.verb}", action.payload, action.transaction, MISSED_S
                )
                await asyncio.wait({action.end})
        except (RigError, TimeoutError) as error:
            log.info("how %s ended is not told: %s", action.verb, error)
        if self._view.reachable and not action.over and (action.verb, mode) not in BETWEEN:
            self._conclude(action)

    def _conclude(self, action: Action) -> None:
        """It is over, and nobody told how: by where the rig is now."""
        state = self._view.state
        if state is not None and _reached(action, state):
            action.done({})
        else:
            message = f"it is over, but its end was missed while the way to the rig was lost; {_now(state)}"
            action.failed(ActionFailed(action.verb, ErrorCode.INTERRUPTED, message))


REACHED_UM = 5.0
"""A rail stands at its target within this much, whatever its microsteps are."""


def _reached(action: Action, state: State) -> bool:
    match action.verb:
        case "home":
            return state.rail.homed and state.fault is None
        case "goto":
            wanted, there = action.params.get("position_um"), state.rail.position_um
            return wanted is not None and there is not None and abs(there - wanted) <= REACHED_UM
        case _:
            return False


def _now(state: State | None) -> str:
    if state is None:
        return "the rig has not said how it is now"
    where = "" if state.rail.position_um is None else f", the rail at {state.rail.position_um:.0f} um"
    return f"the rig is {state.mode} now{where}"


def _looked_at(end: asyncio.Future[dict[str, Any]]) -> None:
    """Somebody who does not wait for an end is not to be warned about it."""
    if not end.cancelled():
        end.exception()
