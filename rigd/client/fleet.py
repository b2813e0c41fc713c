"""All rigs of a broker, as they describe themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rigd.client.address import Address, parse
from rigd.client.endpoints import endpoint_of
from rigd.client.errors import NotLetIn, NotReachable
from rigd.client.reading import Availability, Unreadable, read
from rigd.link.endpoint import Received, TlsFiles
from rigd.link.link import Link
from rigd.messages import topics
from rigd.messages.reports import Birth, Health, Info, State

log = logging.getLogger(__name__)

RETAINED_S = 0.4
"""What is retained comes in one burst; when nothing came for so long, that was all."""
HEARD = (topics.AVAILABILITY, topics.BIRTH, topics.STATE, topics.INFO, topics.HEALTH)
WELCOME_S = 10.0


@dataclass(slots=True)
class Seen:
    """One rig."""

    rig: str
    online: bool = False
    birth: Birth | None = None
    state: State | None = None
    info: Info | None = None
    health: Health | None = None

    @property
    def last_seen(self) -> datetime | None:
        """The newest moment that it spoke of, by its own clock."""
        moments = [said.time for said in (self.state, self.health) if said is not None]
        if self.birth is not None:
            moments.append(self.birth.started)
        return max(moments, default=None)


class Fleet:
    """What is heard of every rig. Made by `fleet`."""

    def __init__(self, base: str) -> None:
        self.rigs: dict[str, Seen] = {}
        self._prefix = f"{base}/"
        self._up = asyncio.Event()
        self._heard = asyncio.Event()
        self._why = ""
        self._unwelcome = False

    @property
    def subscriptions(self) -> list[str]:
        """What must be heard for it."""
        return [f"{self._prefix}+/{topic}" for topic in HEARD]

    async def settled(self, quiet_s: float) -> dict[str, Seen]:
        """Wait until nothing new has come for so long. Raises `NotReachable` when there is no broker, `NotLetIn` for one that wants another user."""
        await self._connected()
        while True:
            self._heard.clear()
            try:
                async with asyncio.timeout(quiet_s):
                    await self._heard.wait()
            except TimeoutError:
                return self.rigs

    async def changed(self) -> None:
        """Wait for anything new."""
        self._heard.clear()
        await self._heard.wait()

    def up(self) -> None:
        """Subscribed."""
        self._why = ""
        self._up.set()

    def down(self, why: str, *, unwelcome: bool = False) -> None:
        """No broker, or (`unwelcome`) none that lets us in."""
        self._why, self._unwelcome = why, unwelcome
        self._up.set()

    def take(self, received: Received) -> None:
        """Something a rig said."""
        rig, _, topic = received.topic.removeprefix(self._prefix).partition("/")
        try:
            said = read(topic, received.payload)
        except Unreadable as error:
            log.warning("%s is not readable: %s", received.topic, error)
            return
        if said is None:
            return
        seen = self.rigs.setdefault(rig, Seen(rig))
        match said:
            case Availability():
                seen.online = said.online
            case Birth():
                seen.birth = said
            case State():
                seen.state = said
            case Info():
                seen.info = said
            case Health():
                seen.health = said
        self._heard.set()

    async def _connected(self) -> None:
        try:
            async with asyncio.timeout(WELCOME_S):
                await self._up.wait()
        except TimeoutError:
            self._why = "no answer"
        if self._why:
            raise (NotLetIn if self._unwelcome else NotReachable)(self._why)


@asynccontextmanager
async def fleet(
    url: str | Address, *, credentials: Path | None = None, tls: TlsFiles | None = None
) -> AsyncIterator[Fleet]:
    """Watch all rigs of a broker for as long as the block lasts. Raises `BadAddress`, `NotReachable`, `NotLetIn`."""
    address = parse(url) if isinstance(url, str) else url
    seen = Fleet(address.base)
    link = Link(
        endpoint_of(address, credentials, tls),
        subscriptions=seen.subscriptions,
        on_message=seen.take,
        on_up=seen.up,
        on_down=seen.down,
        on_failed=lambda why: seen.down(why, unwelcome=link.unwelcome),
    )
    running = asyncio.create_task(link.run())
    try:
        yield seen
    finally:
        await link.close()
        await asyncio.gather(running, return_exceptions=True)
