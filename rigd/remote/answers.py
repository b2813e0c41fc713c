"""Answers: once to each who asked, and every refusal to everybody."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from rigd.messages import events, reports
from rigd.messages.base import Error, ErrorCode
from rigd.remote.bus import Incoming, in_words
from rigd.remote.chatter import Chatter
from rigd.remote.reading import clean
from rigd.remote.verbs.room import Answer, Room

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Asker:
    """Whoever waits for an answer."""

    incoming: Incoming
    name: str
    """Of the command, as the answer says it."""
    transaction: str | None = None
    answered: bool = False


class Answers:
    """Gives them. On the loop's thread; raises nothing.

    Args:
        room: of the rig.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._chatter = Chatter(log, room.clock)

    def say(self, asker: Asker, **fields: Any) -> None:
        """Answer, unless that was done already. `fields` as `reply_of` gives them."""
        if asker.answered:
            return
        asker.answered = True
        try:
            reply = reports.Reply(
                transaction=asker.transaction, verb=asker.name, time=self._room.clock.utc(), **fields
            )
            asker.incoming.reply(reply.model_dump_json().encode())
        except Exception:
            log.exception("an answer could not be given")

    def refuse(self, asker: Asker, error: Error) -> None:
        """Answer with an error, and tell everybody, unless that was done already."""
        if asker.answered:
            return
        self.say(asker, **reply_of(error))
        topic, way = clean(asker.incoming.topic), in_words(asker.incoming.source)
        self._chatter.say("%s, %s, refused: %s", topic, way, error.message)
        self._room.tell(events.CommandRefused, topic=topic, transaction=asker.transaction, error=error)


def reply_of(outcome: Answer | Error) -> dict[str, Any]:
    """What of a reply comes from the command itself, ready for JSON."""
    if isinstance(outcome, Error):
        return {"status": "error", "data": {}, "error": outcome.model_dump(mode="json")}
    data = {} if outcome.data is None else outcome.data.model_dump(mode="json")
    return {"status": outcome.status, "data": data, "error": None}


def lost() -> dict[str, Any]:
    """The answer to a command that was begun before the daemon was started anew."""
    message = (
        "rigd was started anew while it worked on this; look at the state, then ask with another transaction"
    )
    return reply_of(Error(code=ErrorCode.INTERRUPTED, message=message))
