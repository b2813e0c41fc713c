"""A connection kept up: connect, subscribe, send what waits, and again whenever it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from rigd.link.backoff import Backoff
from rigd.link.endpoint import Endpoint, Packet, Received, Spoken
from rigd.link.outbox import Outbox, Waiting
from rigd.link.translate import WINDOW_BYTES
from rigd.link.trouble import Failed, Kind
from rigd.link.wire import Ended, Wire

log = logging.getLogger(__name__)

T = TypeVar("T")

STEADY_S = 1.0
"""A connection that lasted this long has worked."""
MOST_SHORT_LIVES = 3
"""Not every broker says that another client took our place: two rigs with one id would only cut each other off."""
MOST_DENIED = 1000
"""Topics of which it is remembered that the log has them."""
LAST_WORDS_S, GOODBYE_S = 3.0, 1.0
"""The longest that `close` waits for acknowledgements, and then for the end."""
NOT_LISTENING_S = 0.7
"""A broker that is only being started again is found within a second of its return, however long it was away."""


class Link:
    """One connection to a broker, kept up by `run`. On the loop's thread.

    Args:
        endpoint: the broker.
        subscriptions: topics, subscribed with QoS 1 on every connection.
        on_message: gets every message; also before `on_up`, for the broker may send before it acknowledges the subscriptions.
        on_up: connected and subscribed; what is sent here goes out before what waited, where it is retained.
        on_down: the connection that was up is lost, and why.
        will: what the broker says when the connection is lost without a word.
        queue_events: so many messages that are to be kept may wait.
        on_failed: a try came to nothing, and why.
        on_denied: the broker would not have that message, and why (MQTT 5 only: others say nothing).
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        subscriptions: Sequence[str],
        on_message: Callable[[Received], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        will: Packet | None = None,
        queue_events: int = 1000,
        on_failed: Callable[[str], None] | None = None,
        on_denied: Callable[[Packet, str], None] | None = None,
    ) -> None:
        self.connected = False
        """Whether it is up: connected and subscribed."""
        self.speaks: Spoken | None = None
        """Which MQTT, while connected."""
        self.losses = 0
        """How often a connection that was up was lost."""
        self.trouble = ""
        """Why there is no connection, in words; empty while there is one."""
        self.unwelcome = False
        """The last try failed for who we are, or whom we trust: another user, password or certificate is needed."""
        self.refused_subscriptions: tuple[str, ...] = ()
        """Subscriptions that the broker refused on this connection; not every broker says so."""
        self._endpoint = endpoint
        self._subscriptions = tuple(dict.fromkeys(subscriptions))
        self._on_message, self._on_up, self._on_down = on_message, on_up, on_down
        self._on_failed, self._on_denied = on_failed, on_denied
        self._will = will
        self._outbox = Outbox(queue_events)
        self._backoff = Backoff(endpoint.reconnect_min_s, endpoint.reconnect_max_s)
        self._wire: Wire | None = None
        """From the broker's answer on."""
        self._under_way: dict[int, Waiting] = {}
        self._bytes_under_way = 0
        self._only_old = endpoint.protocol == "3.1.1"
        self._denied: set[str] = set()
        self._short_lives = 0
        self._running = self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._leave = asyncio.Event()
        self._left = asyncio.Event()

    @property
    def dropped(self) -> int:
        """Messages that were to be kept and were not: the queue was full."""
        return self._outbox.dropped

    @property
    def waiting(self) -> int:
        """Messages that wait or are under way."""
        return len(self._outbox) + len(self._under_way)

    # -------------------------------------------------------------------------------------------------------------- the life

    async def run(self) -> None:
        """Keep the connection up until cancelled or closed. Once only."""
        assert not self._running, "a link runs once"
        self._running = True
        try:
            while not self._leave.is_set():
                delay_s = await self._unless_leaving(self._one_life())
                await self._unless_leaving(asyncio.sleep(delay_s or 0.0))
        finally:
            self._lost()
            self._left.set()

    async def close(self, last: Sequence[Packet] = ()) -> None:
        """Send what waits and then the last words, wait for acknowledgements (a bounded time), say goodbye, and end `run`.

        Without a connection, what waits is lost. Nothing is taken afterwards.
        """
        if self.connected and not self._closing:
            await self._sent_all()
            for packet in last:
                self.send(packet)
            await self._sent_all()
        self._closing = True
        if self._wire is not None:
            await self._wire.hang_up(GOODBYE_S)
        self._leave.set()
        if self._running:
            await self._left.wait()

    def send(self, packet: Packet) -> None:
        """Hand a message over. Never blocks and never raises; what cannot be sent waits or is dropped, as the packet says."""
        if self._closing or (self._wire is None and not packet.keep):
            return
        self._outbox.put(packet, asyncio.get_running_loop().time())
        self._drain()

    def ask_again(self, topics: Sequence[str]) -> None:
        """Subscribe again to what is subscribed already: the broker sends once more what it keeps there, in this order."""
        if self._wire is not None:
            self._wire.ask(topics)

    # ----------------------------------------------------------------------------------------------------------- one connection

    async def _one_life(self) -> float:
        """From a try to the end of what came of it; how long to wait before the next."""
        try:
            wire = await self._reach()
        except Failed as failure:
            self._lost()
            self.unwelcome = failure.who
            self._tell_trouble(str(failure), failed=True)
            if failure.kind is Kind.NOT_LISTENING:
                return self._backoff.next_s(NOT_LISTENING_S)
            soon = failure.kind in {Kind.UNREACHABLE, Kind.HUNG_UP}
            return self._backoff.next_s() if soon else self._backoff.longest_s()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            self._up(wire)
            ended = await wire.ended
        finally:
            wire.abort()
            self._lost()
        if self._closing:
            return 0.0
        self._down(ended)
        steady = loop.time() - began_s >= STEADY_S
        self._note_life(steady=steady)
        if ended.kind is Kind.DENIED:
            return self._backoff.longest_s()
        return self._backoff.next_s()

    async def _reach(self) -> Wire:
        """A connection that is subscribed, in the newest MQTT that the broker speaks. Raises `Failed`."""
        if self._only_old:
            return await self._reach_in("3.1.1")
        try:
            return await self._reach_in("5")
        except Failed as failure:
            if self._endpoint.protocol == "5" or failure.kind not in {Kind.VERSION, Kind.HUNG_UP}:
                raise
            reason = failure
        # Brokers of old say that they do not know the version, or just hang up.
        try:
            wire = await self._reach_in("3.1.1")
        except Failed as failure:
            if failure.kind is Kind.HUNG_UP and reason.kind is Kind.HUNG_UP:
                raise reason from None
            raise
        self._only_old = reason.kind is Kind.VERSION
        return wire if self._only_old else await self._newer_than(wire)

    async def _newer_than(self, old: Wire) -> Wire:
        """A broker that is being started behind a proxy, or whose way was dead, hangs up too: now that it is there, it is asked again."""
        await old.hang_up(GOODBYE_S)
        try:
            return await self._reach_in("5")
        except Failed as failure:
            if failure.kind not in {Kind.VERSION, Kind.HUNG_UP}:
                raise
        self._only_old = True
        return await self._reach_in("3.1.1")

    async def _reach_in(self, version: Spoken) -> Wire:
        wire = Wire(self._endpoint, version, will=self._will, on_message=self._received, on_done=self._settle)
        try:
            await wire.open()
            # From here on an answer to what comes in is worth keeping.
            self._wire = wire
            self.refused_subscriptions = tuple(await wire.subscribe(self._subscriptions))
        except BaseException:
            wire.abort()
            raise
        return wire

    def _up(self, wire: Wire) -> None:
        self.connected, self.speaks, self.trouble = True, wire.speaks, ""
        self.unwelcome = False
        log.info("connected to %s, MQTT %s", self._endpoint, wire.speaks)
        for topic in self.refused_subscriptions:
            log.warning("%s refuses the subscription of %s", self._endpoint, topic)
        self._call(self._on_up)
        self._drain()

    def _down(self, ended: Ended) -> None:
        self.losses += 1
        self._tell_trouble(ended.why, failed=False)
        self._call(self._on_down, ended.why)

    def _note_life(self, *, steady: bool) -> None:
        """A connection that lasted is a reason to try again soon; some that did not are a reason to wonder why."""
        if steady:
            self._backoff.reset()
            self._short_lives = 0
            return
        self._short_lives += 1
        if self._short_lives == MOST_SHORT_LIVES:
            log.warning(
                "%s cuts the connection soon after it began, again and again; perhaps another client has our client id '%s'",
                self._endpoint,
                self._endpoint.client_id,
            )

    def _lost(self) -> None:
        """What was under way waits again."""
        self._wire, self.connected, self.speaks = None, False, None
        under_way, self._under_way, self._bytes_under_way = [*self._under_way.values()], {}, 0
        for packet in self._outbox.lost(under_way):
            log.error("%s: given up, it never arrives: %.100s", self._endpoint, packet.topic)
        self._note_idle()

    def _tell_trouble(self, why: str, *, failed: bool) -> None:
        """Say it once; the tries after it that end in the same way only to those who look closely."""
        level = logging.DEBUG if why == self.trouble else logging.WARNING
        log.log(level, "no connection to %s: %s", self._endpoint, why)
        self.trouble = why
        if failed and self._on_failed is not None:
            self._call(self._on_failed, why)

    # ------------------------------------------------------------------------------------------------------------- in and out

    def _received(self, received: Received) -> None:
        self._call(self._on_message, received)

    def _drain(self) -> None:
        """As much as the window takes."""
        wire = self._wire
        if wire is None or not self.connected:
            return
        now_s = asyncio.get_running_loop().time()
        while len(self._under_way) < wire.bounds.packets and self._bytes_under_way < WINDOW_BYTES:
            taken = self._outbox.take(now_s)
            if taken is None:
                break
            waiting, packet = taken
            try:
                number = wire.publish(packet)
            except ValueError as error:
                log.warning("not sent on %.100a: %s", packet.topic, error)
                continue
            self._under_way[number] = waiting
            self._bytes_under_way += len(packet.payload)
        self._note_idle()

    def _settle(self) -> None:
        """Publications have ended: make room, and go on."""
        wire = self._wire
        if wire is None:
            return
        done = wire.done[:]
        wire.done.clear()
        for number, denied in done:
            waiting = self._under_way.pop(number, None)
            if waiting is None:
                continue
            self._bytes_under_way -= len(waiting.packet.payload)
            if denied:
                self._tell_denied(waiting.packet, denied)
        self._drain()

    def _tell_denied(self, packet: Packet, why: str) -> None:
        if packet.topic not in self._denied:
            if len(self._denied) < MOST_DENIED:
                self._denied.add(packet.topic)
            log.warning("%s does not take messages on %.100s: %s", self._endpoint, packet.topic, why)
        if self._on_denied is not None:
            self._call(self._on_denied, packet, why)

    async def _unless_leaving(self, work: Coroutine[Any, Any, T]) -> T | None:
        """The result of some work; None when `close` was called before there was one."""
        task, leaving = asyncio.ensure_future(work), asyncio.ensure_future(self._leave.wait())
        both: set[asyncio.Future[Any]] = {task, leaving}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _sent_all(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._idle.wait()

    def _note_idle(self) -> None:
        if self.waiting and self.connected:
            self._idle.clear()
        else:
            self._idle.set()

    @staticmethod
    def _call(callback: Callable[..., None], *args: object) -> None:
        try:
            callback(*args)
        except Exception:  # a bug of those who listen must not cost the connection
            log.exception("a listener of the link failed")
