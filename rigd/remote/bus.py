"""Between the rig and its transports: what goes out to all of them, and what comes in from any.

Topics are relative to the rig's own (`state`, `request/home`); a transport puts `<base>/<rig id>/` in front. The switchboard keeps
the newest of every retained message, for transports that come (back) later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from rigd.messages.base import Outward


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on its way out."""

    topic: str
    """Relative to the rig's own, unless `absolute`."""
    payload: bytes
    qos: int = 1
    retain: bool = False
    """A newer one on the same topic takes its place, also in a queue."""
    keep: bool = True
    """Whether it waits for a transport that is away. False: worth nothing later (a frame, a reply over another way)."""
    absolute: bool = False
    """`topic` is the whole topic, outside the rig's own (Home Assistant's discovery)."""
    correlation: bytes | None = None
    """MQTT 5 correlation data, of a reply."""
    expiry_s: int | None = None
    """MQTT 5 message expiry."""

    @classmethod
    def of(
        cls, topic: str, message: Outward, *, qos: int = 1, retain: bool = False, keep: bool = True
    ) -> Outgoing:
        """A message as JSON."""
        return cls(topic, message.model_dump_json().encode(), qos=qos, retain=retain, keep=keep)


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message on its way in: a request, a setting or an e-stop."""

    topic: str
    """Relative to the rig's own: `request/home`, `set/step_um`, `estop`."""
    payload: bytes
    source: str
    """Which way it came: `mqtt`, `local`. A jog stops when its way is lost."""
    reply: Callable[[bytes], None]
    """Takes the answer, a `Reply` as JSON, to whoever asked: response topic and correlation data are the transport's business."""
    retained: bool = False
    """The broker kept it, or was told to keep it."""
    redelivered: bool = False
    """MQTT's DUP flag."""


_WAYS = {"mqtt": "over MQTT", "local": "over the local socket", "panel": "at the panel"}


def in_words(source: str) -> str:
    """Which way a message came, for people: `over MQTT`, `over the local socket`."""
    return _WAYS.get(source.partition(":")[0], f"over {source}")


class Outlet(Protocol):
    """A transport, as the switchboard sees it."""

    def send(self, message: Outgoing) -> None:
        """Take a message; never blocks, never raises for a transport that is away. On the loop's thread."""


@dataclass(slots=True)
class Switchboard:
    """Hands what the rig says to every transport. On the loop's thread."""

    retained: dict[str, Outgoing] = field(default_factory=dict)
    """The newest of each retained topic, in the order in which they were first said."""
    _outlets: list[Outlet] = field(default_factory=list)

    def attach(self, outlet: Outlet) -> None:
        """A transport from now on; what is retained is its own business to fetch."""
        self._outlets.append(outlet)

    def detach(self, outlet: Outlet) -> None:
        """No more."""
        if outlet in self._outlets:
            self._outlets.remove(outlet)

    def publish(self, message: Outgoing) -> None:
        """To every transport. An empty retained message takes the retained one away."""
        if message.retain and message.payload:
            self.retained[message.topic] = message
        elif message.retain:
            self.retained.pop(message.topic, None)
        for outlet in tuple(self._outlets):
            outlet.send(message)
