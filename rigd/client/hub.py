"""What a client hears, handed to whoever in it listens: at once to handlers, and through bounded feeds to `async for`."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
FEED_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class WayUp:
    """The rig can be reached (again): what was said meanwhile may have been missed."""


@dataclass(frozen=True, slots=True)
class WayDown:
    """The way to the rig, or the rig itself, is gone."""

    why: str
    unwelcome: bool = False
    """It is about who we are, or whom we trust."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """Another start of the daemon than before: what was under way there is no more."""

    boot_id: str


@dataclass(frozen=True, slots=True)
class WayOpen:
    """The broker or the socket can be reached (again); the rig itself perhaps not."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The broker does not let us send a command."""

    transaction: str
    why: str


class Feed(Generic[T]):
    """Things of one kind, from the moment it was made, for `async for`. A reader that is slow loses the oldest."""

    def __init__(self, kind: type[T], limit: int = FEED_LIMIT) -> None:
        self.dropped = 0
        self._kind = kind
        self._waiting: deque[T] = deque(maxlen=limit)
        self._changed = asyncio.Event()
        self._ended: BaseException | None = None

    def __aiter__(self) -> Feed[T]:
        return self

    async def __anext__(self) -> T:
        while not self._waiting:
            if self._ended is not None:
                raise self._ended
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()

    def newest(self) -> None:
        """Forget all that waits but the newest."""
        while len(self._waiting) > 1:
            self._waiting.popleft()

    def take(self, said: object) -> None:
        """Keep it, if it is of the kind."""
        if isinstance(said, self._kind):
            self.dropped += len(self._waiting) == self._waiting.maxlen
            self._waiting.append(said)
            self._changed.set()

    def end(self, error: BaseException) -> None:
        """Nothing more will come; raised when all that waits is read."""
        self._ended = error
        self._changed.set()


class Hub:
    """Hands on what is heard. On the loop's thread."""

    def __init__(self) -> None:
        self._handlers: list[Callable[[object], None]] = []
        self._feeds: weakref.WeakSet[Feed[object]] = weakref.WeakSet()
        self._ended: BaseException | None = None

    def handle(self, handler: Callable[[object], None]) -> None:
        """Called at once with everything, until `forget`."""
        self._handlers.append(handler)

    def forget(self, handler: Callable[[object], None]) -> None:
        """No more."""
        if handler in self._handlers:
            self._handlers.remove(handler)

    def feed(self, kind: type[T], limit: int = FEED_LIMIT) -> Feed[T]:
        """A feed from now on; it goes when nobody holds it any more."""
        feed = Feed(kind, limit)
        self._feeds.add(feed)  # type: ignore[arg-type]  # it takes any object and sorts out its own kind
        if self._ended is not None:
            feed.end(self._ended)
        return feed

    def tell(self, said: object) -> None:
        """To everybody."""
        for handler in tuple(self._handlers):
            handler(said)
        for feed in tuple(self._feeds):
            feed.take(said)

    def end(self, error: BaseException) -> None:
        """Every feed ends."""
        self._ended = error
        for feed in tuple(self._feeds):
            feed.end(error)
