"""What waits to be sent: bounded, the newest of each retained topic, events in their order.

Retained messages go first: they say how things are now. Events, replies and whatever else is said once follow in the order in
which they were put in.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from rigd.link.endpoint import Packet

MAX_TOPICS = 2000
"""Of retained messages that wait. A rig has a dozen, and one for each session."""
MAX_PASSING = 500
"""Of messages that wait and are not worth keeping: replies and frames, while the link is up and slow."""
MAX_TRIES = 10
"""A message that was under way when the connection broke, so many times over, is what breaks it."""


@dataclass(slots=True)
class Waiting:
    """A message in the queue, or on its way."""

    packet: Packet
    since_s: float
    """When it was handed over, on the caller's monotonic clock."""
    tries: int = 0
    """How often it was under way when the connection broke."""

    def left(self, now_s: float) -> Packet | None:
        """The message with what is left of its expiry; None when nothing is."""
        if self.packet.expiry_s is None:
            return self.packet
        waited_s = int(now_s - self.since_s)
        if waited_s <= 0:
            return self.packet
        if waited_s >= self.packet.expiry_s:
            return None
        return dataclasses.replace(self.packet, expiry_s=self.packet.expiry_s - waited_s)


class Outbox:
    """A bounded queue of messages. Pure; times are the caller's.

    Args:
        events: how many messages that are to be kept may wait; of more, the oldest are dropped.
    """

    def __init__(self, events: int) -> None:
        self.dropped = 0
        """Messages that were to be kept and did not fit, or broke the connection again and again."""
        self._max_events = events
        self._retained: dict[str, Waiting] = {}
        self._rest: deque[Waiting] = deque()
        self._kept = 0
        """How many of `_rest` are to be kept."""

    def __len__(self) -> int:
        return len(self._retained) + len(self._rest)

    def put(self, packet: Packet, now_s: float) -> None:
        """Take a message in, at the end. Never raises; what does not fit is dropped."""
        waiting = Waiting(packet, now_s)
        if packet.retain:
            # Behind those of other topics: they wait longer.
            self._retained.pop(packet.topic, None)
            self._retained[packet.topic] = waiting
        else:
            self._rest.append(waiting)
            self._kept += packet.keep
        self._bound()

    def take(self, now_s: float) -> tuple[Waiting, Packet] | None:
        """The next message and its packet as it is to be sent now; None when there is none. Expired ones are passed over."""
        while self._retained or self._rest:
            if self._retained:
                waiting = self._retained.pop(next(iter(self._retained)))
            else:
                waiting = self._rest.popleft()
                self._kept -= waiting.packet.keep
            packet = waiting.left(now_s)
            if packet is not None:
                return waiting, packet
        return None

    def lost(self, under_way: Iterable[Waiting]) -> list[Packet]:
        """The connection broke: these, in the order in which they were taken, were not acknowledged.

        Those to be kept are put back to the head, retained ones unless a newer one waits; whatever is not to be kept is forgotten,
        also what has waited. Returns those that were given up, for having been under way too often.
        """
        given_up = []
        events: list[Waiting] = []
        retained: dict[str, Waiting] = {}
        for waiting in under_way:
            waiting.tries += 1
            if not waiting.packet.keep:
                continue
            if waiting.tries >= MAX_TRIES:
                given_up.append(waiting.packet)
            elif waiting.packet.retain:
                retained.pop(waiting.packet.topic, None)
                retained[waiting.packet.topic] = waiting
            else:
                events.append(waiting)
        newer = {topic: waiting for topic, waiting in self._retained.items() if waiting.packet.keep}
        self._retained = {topic: old for topic, old in retained.items() if topic not in newer} | newer
        self._rest = deque([*events, *(waiting for waiting in self._rest if waiting.packet.keep)])
        self._kept = len(self._rest)
        self.dropped += len(given_up)
        self._bound()
        return given_up

    def _bound(self) -> None:
        while len(self._retained) > MAX_TOPICS:
            self._retained.pop(next(iter(self._retained)))
            self.dropped += 1
        while self._kept > self._max_events:
            self._drop_oldest(keep=True)
            self.dropped += 1
        while len(self._rest) - self._kept > MAX_PASSING:
            self._drop_oldest(keep=False)

    def _drop_oldest(self, *, keep: bool) -> None:
        for at, waiting in enumerate(self._rest):
            if waiting.packet.keep is keep:
                del self._rest[at]
                self._kept -= keep
                return
