"""Whoever tells events: numbers and dates them, and remembers the last thing that went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drivers.clock import Clock
from rigd.messages import events, topics
from rigd.remote.bus import Outgoing, Switchboard

LONGEST_ERROR = 300
"""Characters of the last error in `state`, which is sent ten times a second."""


class Reporter:
    """Publishes events, and counts everything that carries a `seq`. On the loop's thread.

    Args:
        switchboard: where events go.
        clock: of their times.
        boot_id: of this start of the daemon.
    """

    def __init__(self, switchboard: Switchboard, clock: Clock, boot_id: str) -> None:
        self.seq = 0
        """The last number given to a state, an event or a frame."""
        self.last_error = ""
        """The last refusal, fault or failed action, in words."""
        self.refused = 0
        """Commands refused since the start."""
        self.on_error: Callable[[], None] = lambda: None
        """Called when `last_error` is another one."""
        self._switchboard = switchboard
        self._clock = clock
        self._boot_id = boot_id

    def next_seq(self) -> int:
        """The number of the next thing said."""
        self.seq += 1
        return self.seq

    def event(self, model: type[events.Event], **fields: Any) -> None:
        """Publish an event on `event/<kind>`. `boot_id`, `seq` and `time` are filled in; the rest as the model declares it.

        One that tells of an error is the last error from then on.
        """
        message = model(boot_id=self._boot_id, seq=self.seq + 1, time=self._clock.utc(), **fields)
        self.next_seq()
        self.refused += isinstance(message, events.CommandRefused)
        self._switchboard.publish(Outgoing.of(f"{topics.EVENT}{message.event_type}", message))
        if trouble := _trouble(message):
            self.note_error(trouble)

    def note_error(self, text: str) -> None:
        """What went wrong last, for `state` and `health`."""
        if text[:LONGEST_ERROR] != self.last_error:
            self.last_error = text[:LONGEST_ERROR]
            self.on_error()


def _trouble(event: events.Event) -> str:
    """What went wrong, in words, where an event tells of that. Faults are noted by whoever sees them first."""
    match event:
        case events.CommandRefused():
            return f"{event.topic}: {event.error.message}"
        case events.ActionFinished(error=error) if error is not None:
            return f"{event.verb}: {error.message}"
        case events.SessionFused(ok=False):
            return f"{event.session} could not be fused: {event.why}"
        case _:
            return ""
