"""What waits for one reader of the socket: bounded, and a newer state takes the place of an older one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator

MAX_PASSING = 1000
"""So many messages that are not retained wait for a slow reader; of more, the oldest are dropped."""
MAX_PASSING_BYTES = 4 * 1024 * 1024
"""The same, in bytes."""


class Outbox:
    """Lines for one reader, in order. On the loop's thread."""

    def __init__(self) -> None:
        self.dropped = 0
        self._retained: OrderedDict[str, tuple[int, bytes]] = OrderedDict()
        self._passing: OrderedDict[int, bytes] = OrderedDict()
        self._passing_bytes = 0
        self._count = 0
        self._greeting = 0
        self._filled = asyncio.Event()

    def put_retained(self, topic: str, line: bytes) -> None:
        """The newest of a topic; one that still waits is dropped for it, and it takes that one's place in the greeting."""
        place = self._retained[topic][0] if topic in self._retained else 0
        if not 0 < place <= self._greeting:
            self._retained.pop(topic, None)
            self._count += 1
            place = self._count
        self._retained[topic] = (place, line)
        self._filled.set()

    def greeted(self) -> None:
        """What was put until now is the greeting: it keeps its order, and a reader has all of it before anything else."""
        self._greeting = self._count

    def put(self, line: bytes) -> None:
        """One line that stands for itself."""
        self._count += 1
        self._passing[self._count] = line
        self._passing_bytes += len(line)
        while len(self._passing) > MAX_PASSING or self._passing_bytes > MAX_PASSING_BYTES:
            self._passing_bytes -= len(self._passing.popitem(last=False)[1])
            self.dropped += 1
        self._filled.set()

    async def get(self) -> bytes:
        """The next line; waits for one."""
        while not (self._retained or self._passing):
            self._filled.clear()
            await self._filled.wait()
        return self._next()

    def rest(self) -> Iterator[bytes]:
        """All that waits."""
        while self._retained or self._passing:
            yield self._next()

    def _next(self) -> bytes:
        retained = next(iter(self._retained.values()), None)
        passing = next(iter(self._passing), None)
        if retained is not None and (passing is None or retained[0] < passing):
            self._retained.popitem(last=False)
            return retained[1]
        line = self._passing.popitem(last=False)[1]
        self._passing_bytes -= len(line)
        return line
