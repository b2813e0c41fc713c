"""Commands and their answers.

Each is known by a transaction, has a time limit in the rig's own time, and is asked again when the way was lost before the answer
came: the rig knows the transaction and acts once.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Any

from rigd.client.errors import CommandRefused, CommandTimeout, NotLetIn, NotReachable, RigError, RigOffline
from rigd.client.hub import Denied, Hub, Restarted, WayOpen, WayUp
from rigd.client.reading import Answer
from rigd.client.transport import Transport
from rigd.client.view import View
from rigd.messages import topics
from rigd.messages.base import ErrorCode
from rigd.messages.reports import Reply
from rigd.messages.verbs import Expect

ANSWER_S = 10.0
"""An answer comes within this time, or the command is given up. Opening a session on a slow card takes the longest."""
CLOCK_CODES = (ErrorCode.EXPIRED.value, ErrorCode.NOT_AFTER_TOO_FAR.value)
CLOCK_MOVED_S = 1.0
"""The rig's clock was set, if a refusal shows it to be off by more than this from what was reckoned."""


def new_transaction() -> str:
    """One that nobody else uses."""
    return str(uuid.uuid4())


@dataclass(slots=True)
class _Asked:
    """A command that waits for its answer."""

    topic: str
    payload: bytes
    transaction: str
    until_s: float
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Asker:
    """Sends commands and finds their answers."""

    def __init__(self, transport: Transport, view: View, hub: Hub, timeout_s: float = ANSWER_S) -> None:
        self.timeout_s = timeout_s
        self._transport = transport
        self._view = view
        self._asked: dict[str, _Asked] = {}
        self._ahead_s: float | None = None
        """The rig's UTC (as a timestamp) less this loop's time."""
        self._moved_s = 0.0
        """By how much the last answer changed that."""
        self._ended: RigError | None = None
        hub.handle(self._hear)

    async def ask(
        self,
        topic: str,
        params: Mapping[str, Any] | None = None,
        *,
        acts: bool = True,
        expect: Expect | None = None,
        lease: str | None = None,
        known_as: Callable[[str, bytes], None] = lambda _transaction, _payload: None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Send a request, relative topic and parameters, and wait for an answer that is not an error.

        Args:
            topic: `request/<verb>` or `set/<setting>`.
            params: None values are left away.
            acts: give it a time limit in the rig's time; not for what changes nothing.
            expect: what must hold.
            lease: token.
            known_as: told transaction and payload before they are sent; of the second pair too, where there is one.
            timeout_s: for the answer, and for the command to be acted on.

        Raises:
            CommandRefused: the rig says no.
            CommandTimeout: no answer in time.
            RigOffline: the rig was not there in all that time.
            NotReachable: there was no way to it in all that time.
            ValueError: a parameter is infinite or nan, which JSON does not know; nothing was sent.
        """
        loop = asyncio.get_running_loop()
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        until_s = loop.time() + limit_s
        envelope: dict[str, Any] = {}
        if params:
            envelope["params"] = dict(params)
        if expect is not None:
            envelope["expect"] = expect.model_dump(exclude_none=True)
        if lease is not None:
            envelope["lease"] = lease
        if acts and self._ahead_s is None:
            await self.ask("request/ping", acts=False, timeout_s=limit_s)
        first = new_transaction()
        try:
            return await self._send(topic, envelope, first, until_s, acts=acts, known_as=known_as)
        except CommandRefused as refused:
            if not self._clock_was_set(refused):
                raise
        # Refused for its time limit, by a clock that was set since: nothing was done, and this limit is right.
        again = new_transaction()
        return await self._send(topic, envelope, again, until_s, acts=acts, known_as=known_as)

    async def again(self, topic: str, payload: bytes, transaction: str, timeout_s: float) -> Reply:
        """Send a request that was answered before, as it was: the rig knows it, repeats the answer, and, where it is over, its end.

        Raises as `ask`.
        """
        until_s = asyncio.get_running_loop().time() + timeout_s
        return await self._wait(_Asked(topic, payload, transaction, until_s))

    @property
    def unanswered(self) -> frozenset[str]:
        """The transactions of commands that wait for their answer."""
        return frozenset(self._asked)

    async def estop(self, timeout_s: float) -> Reply:
        """Stop everything, now; first of all it is sent."""
        until_s = asyncio.get_running_loop().time() + timeout_s
        return await self._send(topics.ESTOP, {}, new_transaction(), until_s, acts=False)

    def rig_time(self) -> datetime | None:
        """The rig's clock, as far as it is known."""
        if self._ahead_s is None:
            return None
        return datetime.fromtimestamp(asyncio.get_running_loop().time() + self._ahead_s, UTC)

    def end(self, error: RigError) -> None:
        """Nothing is sent any more."""
        self._ended = error
        for asked in self._asked.values():
            if not asked.answer.done():
                asked.answer.set_exception(error)

    async def _send(
        self,
        topic: str,
        envelope: dict[str, Any],
        transaction: str,
        until_s: float,
        *,
        acts: bool,
        known_as: Callable[[str, bytes], None] = lambda _transaction, _payload: None,
    ) -> Reply:
        envelope = {"transaction": transaction, **envelope}
        if acts and self._ahead_s is not None:
            moment = datetime.fromtimestamp(until_s + self._ahead_s, UTC)
            envelope["not_after"] = moment.isoformat()
        payload = json.dumps(envelope, allow_nan=False).encode()
        known_as(transaction, payload)
        return await self._wait(_Asked(topic, payload, transaction, until_s))

    async def _wait(self, asked: _Asked) -> Reply:
        if self._ended is not None:
            raise self._ended
        self._asked[asked.transaction] = asked
        try:
            # An e-stop goes out even where nobody seems to be: what is known here may be old.
            if self._view.reachable or (asked.topic == topics.ESTOP and self._view.open):
                self._dispatch(asked)
            async with asyncio.timeout_at(asked.until_s):
                answer = await asked.answer
        except TimeoutError:
            raise self._late(asked.topic) from None
        finally:
            del self._asked[asked.transaction]
        return self._checked(asked.topic, answer)

    def _dispatch(self, asked: _Asked) -> None:
        left_s = asked.until_s - asyncio.get_running_loop().time()
        if left_s > 0 and not asked.answer.done():
            self._transport.send(
                asked.topic, asked.payload, transaction=asked.transaction, expiry_s=max(1.0, left_s)
            )

    def _hear(self, said: object) -> None:
        match said:
            case Answer():
                self._answered(said)
            case Denied():
                asked = self._asked.get(said.transaction)
                if asked is not None and not asked.answer.done():
                    asked.answer.set_exception(_not_allowed(asked.topic, said.why))
            case WayUp() | Restarted():
                for asked in tuple(self._asked.values()):
                    self._dispatch(asked)
            case WayOpen():
                for asked in tuple(self._asked.values()):
                    if asked.topic == topics.ESTOP:
                        self._dispatch(asked)

    def _answered(self, answer: Answer) -> None:
        reply = answer.reply
        transaction = reply.transaction
        if transaction is None and answer.correlation is not None:
            transaction = answer.correlation.decode("ascii", "replace")
        asked = self._asked.get(transaction or "")
        if asked is None or asked.answer.done():
            return  # somebody else's, or late
        before = self._ahead_s
        if not reply.repeated and MINYEAR < reply.time.year < MAXYEAR:
            # Nearer to the ends of the calendar there may be no time limit to give.
            self._ahead_s = reply.time.timestamp() - asyncio.get_running_loop().time()
        if before is not None and self._ahead_s is not None:
            self._moved_s = abs(self._ahead_s - before)
        asked.answer.set_result(answer)

    def _clock_was_set(self, refused: CommandRefused) -> bool:
        return refused.code in CLOCK_CODES and self._moved_s > CLOCK_MOVED_S

    @staticmethod
    def _checked(topic: str, answer: Answer) -> Reply:
        reply = answer.reply
        if reply.status != "error":
            return reply
        verb = topic.removeprefix(topics.REQUEST)
        if reply.error is None:
            raise CommandRefused(verb, ErrorCode.INTERNAL, "refused without a reason")
        code = answer.code or reply.error.code.value
        raise CommandRefused(verb, code, reply.error.message, reply.error.field)

    def _late(self, topic: str) -> RigError:
        verb = topic.removeprefix(topics.REQUEST)
        if not self._view.open:
            kind = NotLetIn if self._view.unwelcome else NotReachable
            return kind(f"{verb}: {self._view.why or 'there is no way to the rig'}")
        if self._view.online is False:
            return RigOffline(f"{verb}: the rig is offline")
        return CommandTimeout(
            f"{verb}: no answer from {self._transport.where} in time; it will not be acted on any more, "
            "but may have been: look at its state"
        )


def _not_allowed(topic: str, why: str) -> CommandRefused:
    verb = topic.removeprefix(topics.REQUEST)
    message = f"the broker does not let this user command that ({why}); use another user's credentials"
    return CommandRefused(verb, ErrorCode.NOT_ALLOWED, message)
