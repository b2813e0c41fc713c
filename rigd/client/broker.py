"""The way to a rig over an MQTT broker: a link of this client's own, and the rig's topics on it."""

from __future__ import annotations

import asyncio
import math

from rigd.client.transport import Listener, Message
from rigd.link.endpoint import Endpoint, Packet, Received
from rigd.link.link import Link
from rigd.messages import topics

HEARD = (
    topics.AVAILABILITY,
    topics.HEALTH,
    topics.BIRTH,
    topics.STATE,
    topics.INFO,
    topics.SETTINGS,
    "session/+/frame",
    "session/+/summary",
    "event/+",
    "response/+",
)
PICTURES = (topics.PREVIEW_META, topics.PREVIEW_IMAGE)


class BrokerTransport:
    """One rig on a broker.

    Args:
        endpoint: the broker.
        base: of the topics.
        rig: the rig's id.
        where: for people.
        preview: fetch pictures; they are large.
    """

    def __init__(self, endpoint: Endpoint, base: str, rig: str, where: str, *, preview: bool = False) -> None:
        self.where = where
        self._endpoint = endpoint
        self._prefix = topics.rig_prefix(base, rig)
        self._answers = f"{base}/clients/{endpoint.client_id}/response"
        self._heard = [self._prefix + topic for topic in (*HEARD, *(PICTURES if preview else ()))]
        self._link: Link | None = None

    async def run(self, listener: Listener) -> None:
        """Keep the link up until cancelled."""

        def take(received: Received) -> None:
            # Brokers that speak only MQTT 3.1.1 carry no response topic: then answers come on the rig's own `response/<verb>`.
            if received.topic == self._answers:
                listener.message(Message(topics.RESPONSE + "here", received.payload, received.correlation))
            elif received.topic.startswith(self._prefix):
                topic = received.topic.removeprefix(self._prefix)
                listener.message(Message(topic, received.payload, received.correlation))

        def denied(packet: Packet, why: str) -> None:
            listener.denied((packet.correlation or b"").decode("ascii", "replace"), why)

        self._link = link = Link(
            self._endpoint,
            subscriptions=[*self._heard, self._answers],
            on_message=take,
            on_up=listener.up,
            on_down=listener.down,
            on_failed=lambda why: listener.down(why, unwelcome=link.unwelcome),
            on_denied=denied,
        )
        running = asyncio.create_task(link.run())
        try:
            await asyncio.wait({running})
            running.result()
        finally:
            await link.close()
            await asyncio.gather(running, return_exceptions=True)

    def send(self, topic: str, payload: bytes, *, transaction: str | None, expiry_s: float | None) -> None:
        """Send now. What is lost with the connection is asked again by whoever waits for the answer."""
        if self._link is None:
            return
        packet = Packet(
            self._prefix + topic,
            payload,
            qos=1,
            keep=False,
            response_topic=self._answers,
            correlation=None if transaction is None else transaction.encode(),
            content_type="application/json",
            expiry_s=None if expiry_s is None else math.ceil(expiry_s),
        )
        self._link.send(packet)
