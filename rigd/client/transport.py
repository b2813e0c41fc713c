"""What a way to a rig must be able to do. Topics are relative to the rig's own, as inside rigd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """Something the rig said."""

    topic: str
    payload: bytes
    correlation: bytes | None = None
    """Of an answer, where the way carries one."""


class Listener(Protocol):
    """Who hears what comes. On the loop's thread."""

    def message(self, message: Message) -> None:
        """The rig said something."""

    def up(self) -> None:
        """The way is open: what is sent now arrives, and what is retained comes or has come."""

    def down(self, why: str, *, unwelcome: bool = False) -> None:
        """The way is closed, or could not be opened; it is tried again. `unwelcome`: for who we are, or whom we trust."""

    def denied(self, transaction: str, why: str) -> None:
        """The broker does not let us send that command."""


class Transport(Protocol):
    """A way to one rig, kept open."""

    where: str
    """For people: `/run/rigd/rigd-bench.sock`, `rigd/bench at mqtt://localhost`."""

    async def run(self, listener: Listener) -> None:
        """Open, and open again, until cancelled."""

    def send(self, topic: str, payload: bytes, *, transaction: str | None, expiry_s: float | None) -> None:
        """Send now; lost where the way is closed. Never blocks."""
