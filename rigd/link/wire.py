"""One connection from its CONNECT to its end; the next one is another `Wire`, with a paho client of its own.

paho is driven from outside: its socket is watched by the loop, and the loop calls `loop_read`, `loop_write`, `loop_misc`. paho calls
back with locks held that do not allow for more calls, so callbacks here only note what happened; it is acted on when paho has
returned.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from paho.mqtt import MQTTException
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from rigd.link.aside import aside
from rigd.link.endpoint import Endpoint, Packet, Received, Spoken
from rigd.link.tls import Context, tls_context
from rigd.link.translate import (
    Bounds,
    Complaints,
    bounds_of,
    connect_properties,
    make_client,
    publish_properties,
    received_from,
    words,
)
from rigd.link.trouble import Failed, Kind, after_hello, explained

log = logging.getLogger(__name__)

PING_SHARE = 0.75
"""paho pings after one keepalive of silence and gives up after a second one: each is this share of ours, 1.5 in all."""
READS_AT_ONCE = 50
"""Packets that are read before other tasks have their turn."""
QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)
"""tcp(7); Linux only."""
UNSUPPORTED_VERSION = 0x84
"""Reason codes are those of MQTT 5, section 2.4; paho gives those of 3.1.1 as such too."""
REFUSED_WHO = {0x85, 0x86, 0x87, 0x8A, 0x8C}
"""Client id, user or password, not authorized, banned, method."""
TAKEN_OVER = 0x8E
FAILED_CODE = 0x80
"""Codes from here on are failures."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a connection ended."""

    why: str
    kind: Kind = Kind.UNREACHABLE


class Wire:
    """A connection. On the loop's thread; `open`, then `subscribe`, then `publish` until `ended`.

    Args:
        endpoint: the broker.
        speaks: version of MQTT.
        will: what the broker says when we are gone without a word.
        on_message: gets every message, outside paho's callbacks.
        on_done: called after reads and writes that ended some publication: `done` tells which.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        speaks: Spoken,
        *,
        will: Packet | None,
        on_message: Callable[[Received], None],
        on_done: Callable[[], None],
    ) -> None:
        self.speaks = speaks
        self.bounds = Bounds()
        self.done: list[tuple[int, str]] = []
        """Publications that have ended, by number, and why the broker would not have them (empty: it took them)."""
        self._endpoint = endpoint
        self._on_message = on_message
        self._on_done = on_done
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[Ended] = self._loop.create_future()
        self._answered: asyncio.Future[Failed | None] = self._loop.create_future()
        self._subscribed: asyncio.Future[list[int]] = self._loop.create_future()
        self._inbox: list[Received] = []
        self._socket: socket.socket | None = None
        self._attached = False
        self._tick: asyncio.TimerHandle | None = None
        self._complaints = Complaints()
        self._client = make_client(endpoint, speaks, will, self._complaints)
        self._listen_to(self._client)

    def _listen_to(self, client: Client) -> None:
        client.on_socket_open = self._socket_opened
        client.on_socket_close = self._socket_closes
        client.on_socket_register_write = self._wants_to_write
        client.on_socket_unregister_write = self._has_written
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscriptions
        client.on_message = self._message
        client.on_publish = self._published

    # ------------------------------------------------------------------------------------------------------- there and back

    async def open(self) -> None:
        """Connect, say who we are, and wait for the broker's word. Raises `Failed`."""
        await self._dial()
        self._attach()
        await self._first(self._answered, "takes connections and does not answer as a broker does")
        if self._answered.done():
            refusal = self._answered.result()
            if refusal is not None:
                raise refusal
            return
        raise after_hello(self._complaints.last, encrypted=self._endpoint.tls is not None)

    async def subscribe(self, topics: Sequence[str]) -> list[str]:
        """Subscribe and wait for the broker's word; returns what it refused. Raises `Failed`."""
        if not topics:
            return []
        self.ask(topics)
        await self._first(self._subscribed, "does not answer subscriptions")
        if self._subscribed.done():
            codes = self._subscribed.result()
            return [topic for topic, code in zip(topics, codes, strict=False) if code >= FAILED_CODE]
        raise Failed(self.ended.result().kind, self.ended.result().why)

    def ask(self, topics: Sequence[str]) -> None:
        """Subscribe, and wait for nothing."""
        if self.speaks == "5":
            options = SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True, retainHandling=0)
            wanted: list[tuple[str, Any]] = [(topic, options) for topic in topics]
        else:
            wanted = [(topic, 1) for topic in topics]
        self._client.subscribe(wanted)

    async def _first(self, answer: asyncio.Future[Any], otherwise: str) -> None:
        """Wait for an answer or for the end of the connection."""
        futures = {answer, self.ended}
        timeout_s = self._endpoint.connect_timeout_s
        done, _ = await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise Failed(Kind.UNREACHABLE, f"{self._endpoint} {otherwise}")

    def publish(self, packet: Packet) -> int:
        """Hand a message to paho; its number, which comes back in `done`. Raises ValueError for one that cannot be sent."""
        bounds = self.bounds
        size = len(packet.payload) + len(packet.topic) + 256
        if bounds.packet_bytes is not None and size > bounds.packet_bytes:
            raise ValueError(f"longer than the {bounds.packet_bytes} bytes that the broker takes")
        try:
            info = self._client.publish(
                packet.topic,
                packet.payload,
                min(packet.qos, bounds.qos),
                packet.retain and bounds.retain,
                publish_properties(packet) if self.speaks == "5" else None,
            )
        except (MQTTException, struct.error) as error:
            raise ValueError(str(error)) from error
        return info.mid

    async def hang_up(self, timeout_s: float) -> None:
        """Say goodbye, so that the broker keeps the last will to itself, and end the connection."""
        if self._socket is not None and not self.ended.done():
            self._client.disconnect()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await asyncio.wait({self.ended})
        self.abort()

    def abort(self) -> None:
        """End the connection without a word; the broker says the last will. May be called again."""
        sock, self._socket = self._socket, None
        client = self._client
        # paho is not asked any more: it would read what has come before it noticed the end.
        client.on_socket_close = client.on_socket_register_write = client.on_socket_unregister_write = None
        if sock is None:
            return
        if self._attached and not self._loop.is_closed():
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
        sock.close()
        self._end(Ended("the connection was given up"))

    # ------------------------------------------------------------------------------------------------------- the way there

    async def _dial(self) -> None:
        """Name resolution, TCP and TLS on a thread of their own: each can block for seconds."""
        try:
            await aside(self._connect, unwanted=self.abort)
        except Failed:
            raise
        except Exception as error:
            kind = Kind.NOT_LISTENING if isinstance(error, ConnectionRefusedError) else Kind.UNREACHABLE
            who = isinstance(error, ssl.SSLCertVerificationError)
            raise Failed(kind, explained(error, self._endpoint), who=who) from error

    def _connect(self) -> None:
        tls: Context | None = None
        if self._endpoint.tls is not None:
            tls = tls_context(self._endpoint.tls)
            self._client.tls_set_context(tls)
        try:
            self._begin()
        except Exception:
            if tls is not None:
                tls.close()
            raise

    def _begin(self) -> None:
        endpoint = self._endpoint
        keepalive_s = max(1, int(endpoint.keepalive_s * PING_SHARE))
        if self.speaks == "3.1.1":
            self._client.connect(endpoint.host, endpoint.port, keepalive_s)
            return
        properties = connect_properties(endpoint)
        self._client.connect(
            endpoint.host, endpoint.port, keepalive_s, clean_start=True, properties=properties
        )

    def _attach(self) -> None:
        """From here on the loop watches the socket; the CONNECT waits in paho to be written."""
        if self._socket is None:
            raise Failed(Kind.UNREACHABLE, f"{self._endpoint}: no socket")
        self._attached = True
        self._loop.add_reader(self._socket, self._readable)
        if self._client.want_write():
            self._loop.add_writer(self._socket, self._writable)
        self._every_now_and_then()

    # ---------------------------------------------------------------------------------------------------- the loop calls paho

    def _readable(self) -> None:
        for _ in range(READS_AT_ONCE):
            if not self._guarded(self._client.loop_read):
                break
            if not isinstance(self._socket, ssl.SSLSocket) or not self._socket.pending():
                break
        else:
            # Decrypted bytes wait inside the socket, of which the loop knows nothing.
            self._loop.call_soon(self._readable)
        # Before anything else that takes time: the broker may wait for it.
        self._acknowledge()
        # Also what came just before the end: it may be an emergency stop.
        self._hand_out()
        if self._client.want_write():
            self._writable()

    def _acknowledge(self) -> None:
        """Have the kernel acknowledge what was read, now.

        It would wait for 40 ms, in case there is something to send along, and a broker that has Nagle's algorithm on (mosquitto does)
        holds its next message back for as long. Linux falls back to waiting, so this is asked for after each read.
        """
        if QUICK_ACK is not None and self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)

    def _writable(self) -> None:
        if self._guarded(self._client.loop_write):
            self._hand_out()

    def _every_now_and_then(self) -> None:
        self._tick = self._loop.call_later(min(1.0, self._endpoint.keepalive_s / 8), self._every_now_and_then)
        self._guarded(self._client.loop_misc)

    def _guarded(self, act: Callable[[], MQTTErrorCode]) -> bool:
        """Call paho; False when the connection is over."""
        if self._socket is None:
            return False
        try:
            act()
        except Exception:  # a packet that paho trips over must cost the connection, not the loop
            log.exception("%s: reading or writing failed", self._endpoint)
            self._end(Ended("a packet could not be read"))
            self.abort()
        return self._socket is not None

    def _hand_out(self) -> None:
        """What was read, to whoever wants it, now that paho holds no lock."""
        while self._inbox:
            inbox, self._inbox = self._inbox, []
            for received in inbox:
                self._on_message(received)
        if self.done:
            self._on_done()

    # ---------------------------------------------------------------------------------------------------- paho calls back

    def _socket_opened(self, _client: Client, _userdata: Any, sock: Any) -> None:
        """On the connecting thread."""
        # Answers are short and follow each other: Nagle's algorithm would hold each back until the one before is acknowledged.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock

    def _socket_closes(self, _client: Client, _userdata: Any, sock: Any) -> None:
        if self._attached and not self._loop.is_closed():
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
        self._socket = None

    def _wants_to_write(self, _client: Client, _userdata: Any, sock: Any) -> None:
        """Also on the connecting thread, and then it is no business of the loop's yet."""
        if self._attached:
            self._loop.add_writer(sock, self._writable)

    def _has_written(self, _client: Client, _userdata: Any, sock: Any) -> None:
        if self._attached and not self._loop.is_closed():
            self._loop.remove_writer(sock)

    def _connected(self, _client: Client, _userdata: Any, _flags: Any, reason: Any, properties: Any) -> None:
        if self._answered.done():
            return
        code, who = reason.value, self._endpoint
        refusal = None
        if code == UNSUPPORTED_VERSION:
            refusal = Failed(Kind.VERSION, f"{who} does not speak MQTT {self.speaks}")
        elif code in REFUSED_WHO:
            refusal = Failed(Kind.DENIED, f"{who} refuses us: {words(reason)}", who=True)
        elif code:
            refusal = Failed(Kind.UNREACHABLE, f"{who} refuses: {words(reason)}")
        else:
            self.bounds = bounds_of(properties)
        self._answered.set_result(refusal)

    def _disconnected(
        self, _client: Client, _userdata: Any, flags: Any, reason: Any, _properties: Any
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            if reason.value == TAKEN_OVER:
                why = f"another client came with our client id '{self._endpoint.client_id}'"
                self._end(Ended(why, Kind.DENIED))
                return
            self._end(Ended(f"the broker ended the connection: {words(reason)}"))
        elif words(reason) == "keep alive timeout":
            self._end(Ended("the broker has been silent for too long"))
        elif words(reason) == "protocol error":
            self._end(Ended("the broker sent something that is no MQTT"))
        else:
            self._end(Ended(self._complaints.last or "the connection was cut"))

    def _subscriptions(
        self, _client: Client, _userdata: Any, _mid: int, reasons: Any, _properties: Any
    ) -> None:
        if not self._subscribed.done():
            self._subscribed.set_result([reason.value for reason in reasons])

    def _message(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        try:
            self._inbox.append(received_from(message, self._client.incoming))
        except UnicodeDecodeError:
            log.warning("%s: a message whose topic is not UTF-8 is left aside", self._endpoint)

    def _published(self, _client: Client, _userdata: Any, mid: int, reason: Any, _properties: Any) -> None:
        self.done.append((mid, words(reason) if reason.value >= FAILED_CODE else ""))

    def _end(self, ended: Ended) -> None:
        self._stop_ticking()
        if not self.ended.done():
            self.ended.set_result(ended)

    def _stop_ticking(self) -> None:
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
