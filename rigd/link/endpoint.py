"""What a connection is made of: where it goes, what it carries out, what it brings in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Protocol = Literal["auto", "5", "3.1.1"]
Spoken = Literal["5", "3.1.1"]

PORT, TLS_PORT = 1883, 8883
"""Where brokers listen, by default."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Encryption. Files are read anew for every connection, so that a renewed certificate needs no restart."""

    ca: Path | None = None
    """Certificates to trust. None: those of the system."""
    certificate: Path | None = None
    """Our own, for a broker that asks for one."""
    key: Path | None = None
    """Its private key. None: in the same file."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A broker, and who we are to it."""

    host: str
    port: int
    client_id: str
    protocol: Protocol = "auto"
    """`auto`: MQTT 5, and 3.1.1 where the broker speaks no other."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: TlsFiles | None = None
    keepalive_s: int = 10
    """A broker that is silent for one and a half times as long is lost. At least 2."""
    connect_timeout_s: float = 5.0
    """Each for: TCP, the TLS handshake, the broker's answer, its answer to the subscriptions."""
    reconnect_min_s: float = 0.5
    """The first wait between two tries; each is up to twice as long as the one before, and jittered."""
    reconnect_max_s: float = 30.0
    """The longest. Also the wait after the broker refused who we are."""
    max_packet_bytes: int = 1024 * 1024
    """An MQTT 5 broker is told to send us nothing longer."""

    def __str__(self) -> str:
        """For people: `host:port`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Packet:
    """One message on its way out."""

    topic: str
    """The whole topic."""
    payload: bytes
    qos: int = 1
    """0 or 1."""
    retain: bool = False
    """A newer one on the same topic takes its place in the queue."""
    keep: bool = True
    """Whether it waits for a broker that is away, and is sent again when nobody knows whether it arrived."""
    response_topic: str | None = None
    """MQTT 5 only, as all below: where the answer is to go."""
    correlation: bytes | None = None
    """To be repeated in the answer."""
    content_type: str | None = None
    expiry_s: int | None = None
    """How long the message is worth anything, from when it is handed over. Time in our own queue counts."""
    user: Mapping[str, str] = field(default_factory=dict)
    """User properties."""


@dataclass(frozen=True, slots=True)
class Received:
    """One message on its way in."""

    topic: str
    """The whole topic."""
    payload: bytes
    qos: int = 0
    retain: bool = False
    """The broker kept it; with MQTT 5 also: it was told to keep it just now."""
    dup: bool = False
    """It was delivered before, perhaps."""
    response_topic: str | None = None
    """MQTT 5 only, as all below."""
    correlation: bytes | None = None
    content_type: str | None = None
    expiry_s: int | None = None
    """What is left of it."""
    user: dict[str, str] = field(default_factory=dict)
    """User properties; of two with the same name the last."""
