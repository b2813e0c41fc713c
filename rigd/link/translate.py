"""Between paho's words and ours: a client for one connection, properties of messages, what the broker takes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from rigd.link.endpoint import Endpoint, Packet, Received, Spoken
from rigd.link.incoming import Properties as Incoming
from rigd.link.incoming import Reader

WINDOW_PACKETS, WINDOW_BYTES = 20, 2 * 1024 * 1024
"""At most so much is under way: what a slow connection has not taken yet waits where the newest state replaces the old one."""


@dataclass(slots=True)
class Bounds:
    """What the broker said in its CONNACK that it takes."""

    packets: int = WINDOW_PACKETS
    """Under way at once."""
    packet_bytes: int | None = None
    qos: int = 1
    retain: bool = True


class Complaints(logging.Handler):
    """Keeps the last thing that paho found wrong. A logger of its own, so that paho formats nothing else."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last = ""
        self.logger = logging.Logger("paho", logging.ERROR)
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Note it."""
        self.last = record.getMessage().removeprefix("failed to receive on socket: ")


def make_client(endpoint: Endpoint, speaks: Spoken, will: Packet | None, complaints: Complaints) -> Reader:
    """A paho client for one connection, without callbacks."""
    five = speaks == "5"
    client = Reader(
        CallbackAPIVersion.VERSION2,
        client_id=endpoint.client_id,
        clean_session=None if five else True,
        protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,
    )
    client.connect_timeout = endpoint.connect_timeout_s
    client.max_inflight_messages_set(0)  # the window is ours
    client.enable_logger(complaints.logger)
    if endpoint.username is not None:
        client.username_pw_set(endpoint.username, endpoint.password)
    if will is not None:
        client.will_set(will.topic, will.payload, will.qos, will.retain)
    return client


def connect_properties(endpoint: Endpoint) -> Properties:
    """Of an MQTT 5 CONNECT: nothing of a session outlives the connection."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 0
    properties.MaximumPacketSize = endpoint.max_packet_bytes
    return properties


def words(reason: Any) -> str:
    """A reason code as text."""
    return str(reason).lower()


def bounds_of(properties: Any) -> Bounds:
    """What an MQTT 5 broker takes; section 3.2.2.3 of the specification."""
    receive = getattr(properties, "ReceiveMaximum", None)
    return Bounds(
        packets=min(WINDOW_PACKETS, receive) if receive else WINDOW_PACKETS,
        packet_bytes=getattr(properties, "MaximumPacketSize", None),
        qos=min(1, getattr(properties, "MaximumQoS", 1)),
        retain=bool(getattr(properties, "RetainAvailable", 1)),
    )


def publish_properties(packet: Packet) -> Properties | None:
    """Of an MQTT 5 PUBLISH; None when there are none."""
    values = {
        "ResponseTopic": packet.response_topic,
        "CorrelationData": packet.correlation,
        "ContentType": packet.content_type,
        "MessageExpiryInterval": packet.expiry_s,
        "UserProperty": list(packet.user.items()) or None,
    }
    given = {name: value for name, value in values.items() if value is not None}
    if not given:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for name, value in given.items():
        setattr(properties, name, value)
    return properties


def received_from(message: MQTTMessage, properties: Incoming) -> Received:
    """A message as ours. Raises UnicodeDecodeError for a topic that is not UTF-8."""
    return Received(
        message.topic,
        bytes(message.payload),
        message.qos,
        retain=bool(message.retain),
        dup=bool(message.dup),
        response_topic=properties.response_topic,
        correlation=properties.correlation,
        content_type=properties.content_type,
        expiry_s=properties.expiry_s,
        user=properties.user,
    )
