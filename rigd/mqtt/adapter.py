"""The MQTT adapter: topics and properties of a broker to what comes in and goes out, and back."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from drivers.clock import Clock
from rigd.config import RigConfig
from rigd.link.endpoint import Endpoint, Packet, Received, Spoken
from rigd.link.link import Link
from rigd.machine import events as ev
from rigd.machine.kinds import Event
from rigd.messages import topics
from rigd.messages.base import CONTRACT, Error, ErrorCode
from rigd.messages.events import CommandRefused
from rigd.messages.reports import Reply
from rigd.mqtt.answers import refusal
from rigd.mqtt.endpoint import endpoint_of
from rigd.mqtt.twins import Twins, boot_id_in
from rigd.mqtt.vetting import Vetting
from rigd.remote.bus import Incoming, Outgoing, Switchboard, in_words
from rigd.remote.chatter import Chatter
from rigd.remote.reading import clean, transaction_in
from rigd.remote.reporter import Reporter

log = logging.getLogger(__name__)

SOURCE = "mqtt"
"""What this way in is called."""
ABOUT = {"contract": CONTRACT}
"""User properties (MQTT 5) of all that a rig says: a reader knows how to read it before it does."""
JSON, JPEG, TEXT = "application/json", "image/jpeg", "text/plain"
ANSWER_S = 60
"""Nobody waits for an answer any longer; a broker need not keep it."""


class TakesCommands(Protocol):
    """Whoever acts on what comes in: the desk."""

    def take(self, incoming: Incoming) -> None:
        """A message; on the loop's thread, never raises."""

    def way_lost(self, source: str) -> None:
        """That way is gone."""


class MqttAdapter:
    """A rig on a broker, while the context is open: `async with adapter`.

    Args:
        config: of the rig; it must have a section `mqtt`.
        desk: gets what comes in.
        switchboard: what goes out comes from here, also what is retained, for a broker that comes (back) later.
        clock: of the answers given here.
        reporter: is told of commands that are refused here.
        post: where the machine takes events: a lost broker pauses or lets go of a stack, if the config says so.
        endpoint: another broker than the config's.

    Raises:
        CredentialsError: user and password cannot be read.
    """

    def __init__(
        self,
        config: RigConfig,
        desk: TakesCommands,
        switchboard: Switchboard,
        clock: Clock,
        *,
        reporter: Reporter | None = None,
        post: Callable[[Event], None] | None = None,
        endpoint: Endpoint | None = None,
    ) -> None:
        assert config.mqtt is not None, "a rig without a broker has no adapter"
        self.extra: dict[str, Callable[[bytes], None]] = {}
        """Whole topics to subscribe to besides the rig's own, and who gets their payloads. To be filled before the context is opened."""
        self.on_up: list[Callable[[], None]] = []
        """Called on every connection, after everything that is retained has been handed over."""
        self._desk, self._switchboard, self._clock = desk, switchboard, clock
        self._reporter, self._post = reporter, post
        self._mqtt = config.mqtt
        self._rig = config.rig.id
        self._prefix = topics.rig_prefix(self._mqtt.base, self._rig)
        self._allowed = functools.partial(
            refusal, base=self._mqtt.base, rig=self._rig, discovery_prefix=config.homeassistant.prefix
        )
        self._chatter = Chatter(log, clock)
        self._endpoint = endpoint or endpoint_of(config)
        self._birth = self._prefix + topics.BIRTH
        self._twins = Twins(self._boot_id, self._say_birth, self._tell_twin)
        self._vetting = Vetting(self._ask_again, self._hand_on, self._refuse_unasked)
        self._link: Link | None = None
        self._running: asyncio.Task[None] | None = None
        self._overdue: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------------------------------------------------- for who watches

    @property
    def connected(self) -> bool:
        """Whether the broker is there."""
        return self._link is not None and self._link.connected

    @property
    def speaks(self) -> Spoken | None:
        """Which MQTT, while connected."""
        return self._link.speaks if self._link is not None else None

    @property
    def trouble(self) -> str:
        """Why the broker is not there; empty while it is."""
        return self._link.trouble if self._link is not None else ""

    @property
    def losses(self) -> int:
        """How often the broker was lost."""
        return self._link.losses if self._link is not None else 0

    @property
    def dropped(self) -> int:
        """Events that no broker was there for, and that did not fit into the queue."""
        return self._link.dropped if self._link is not None else 0

    # ------------------------------------------------------------------------------------------------------ from here to there

    async def __aenter__(self) -> Self:
        """Begin to connect; nothing waits for it."""
        self._link = Link(
            self._endpoint,
            subscriptions=[
                *(self._prefix + topic for topic in topics.INBOUND),
                self._birth,
                *self.extra,
            ],
            on_message=self._received,
            on_up=self._up,
            on_down=self._down,
            will=self._availability(topics.OFFLINE),
            queue_events=self._mqtt.queue_events,
        )
        self._running = asyncio.create_task(self._link.run(), name="mqtt")
        self._switchboard.attach(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Say what waits and `offline`, for a bounded time, and leave."""
        assert self._link is not None
        assert self._running is not None
        self._switchboard.detach(self)
        self._in_time()
        await self._link.close([self._availability(topics.OFFLINE)])
        await self._running

    def send(self, message: Outgoing) -> None:
        """An outlet of the switchboard."""
        if self._link is not None:
            self._link.send(self._packet(message))

    def _packet(self, message: Outgoing) -> Packet:
        return Packet(
            message.topic if message.absolute else self._prefix + message.topic,
            message.payload,
            message.qos,
            retain=message.retain,
            keep=message.keep,
            correlation=message.correlation,
            content_type=_content_type(message.topic),
            expiry_s=message.expiry_s,
            user=ABOUT,
        )

    def _availability(self, what: str) -> Packet:
        topic = self._prefix + topics.AVAILABILITY
        return Packet(topic, what.encode(), retain=True, content_type=TEXT, user=ABOUT)

    # ------------------------------------------------------------------------------------------------------ from there to here

    def _up(self) -> None:
        assert self._link is not None
        self._in_time()
        self._link.send(self._availability(topics.ONLINE))
        for message in tuple(self._switchboard.retained.values()):
            self.send(message)
        for hook in self.on_up:
            hook()

    def _down(self, why: str) -> None:
        self._desk.way_lost(SOURCE)
        self._twins.down()
        self._vetting.down()
        if self._mqtt.lost == "continue" or self._overdue is not None:
            return
        loop = asyncio.get_running_loop()
        self._overdue = loop.call_later(self._mqtt.lost_after_s, self._too_long, why)

    def _too_long(self, why: str) -> None:
        """The broker has been away for as long as the config allows."""
        text = f"the broker is lost: {why}"
        event = ev.Pause(text) if self._mqtt.lost == "pause" else ev.Suspend(text)
        if self._post is not None:
            self._post(event)

    def _in_time(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _boot_id(self) -> str:
        kept = self._switchboard.retained.get(topics.BIRTH)
        return "" if kept is None else boot_id_in(kept.payload)

    def _say_birth(self) -> None:
        kept = self._switchboard.retained.get(topics.BIRTH)
        if kept is not None:
            self.send(kept)

    def _tell_twin(self, words: str) -> None:
        log.error("%s: %s", self._rig, words)
        if self._reporter is not None:
            self._reporter.note_error(words)

    def _ask_again(self) -> None:
        if self._link is not None:
            self._link.ask_again([self._prefix + topics.REQUESTS, self._birth])

    def _received(self, received: Received) -> None:
        if received.topic == self._birth:
            self._twins.heard(received.payload)
            if received.retain:
                self._vetting.answered()
            return
        hook = self.extra.get(received.topic)
        if hook is not None:
            hook(received.payload)
            return
        topic = received.topic.removeprefix(self._prefix)
        answer = functools.partial(self._answer, self._prefix + topics.answer_to(topic), received.correlation)
        if received.response_topic:
            why = self._allowed(received.response_topic)
            if why is None:
                answer = functools.partial(self._answer, received.response_topic, received.correlation)
            elif topic != topics.ESTOP:
                named = clean(received.response_topic)
                message = f"the response topic '{named}' is not allowed: {why}"
                error = Error(code=ErrorCode.NOT_ALLOWED, message=message, field="response_topic")
                # Not acted on: whoever sent it would wait in vain.
                self._refuse(Incoming(topic, received.payload, SOURCE, answer), error)
                return
        incoming = Incoming(
            topic, received.payload, SOURCE, answer, retained=received.retain, redelivered=received.dup
        )
        if self.speaks == "3.1.1":
            self._vetting.take(incoming)
        else:
            self._hand_on(incoming)

    def _hand_on(self, incoming: Incoming) -> None:
        self._desk.take(incoming)

    def _answer(self, topic: str, correlation: bytes | None, payload: bytes) -> None:
        if self._link is not None:
            answer = Packet(
                topic,
                payload,
                keep=False,
                correlation=correlation,
                content_type=JSON,
                expiry_s=ANSWER_S,
                user=ABOUT,
            )
            self._link.send(answer)

    def _refuse_unasked(self, incoming: Incoming, code: ErrorCode, why: str) -> None:
        self._refuse(incoming, Error(code=code, message=why))

    def _refuse(self, incoming: Incoming, error: Error) -> None:
        """What does not come as far as the desk is answered and told here."""
        transaction, topic = transaction_in(incoming.payload), clean(incoming.topic)
        verb = clean(incoming.topic.removeprefix(topics.REQUEST))
        reply = Reply(transaction=transaction, verb=verb, status="error", error=error, time=self._clock.utc())
        incoming.reply(reply.model_dump_json().encode())
        self._chatter.say("%s, %s, refused: %s", topic, in_words(SOURCE), error.message)
        if self._reporter is not None:
            self._reporter.event(CommandRefused, topic=topic, transaction=transaction, error=error)


def _content_type(topic: str) -> str:
    return JPEG if topic == topics.PREVIEW_IMAGE else JSON
