"""Health: how the machine is, and how rigd itself is; read on a thread, now and then."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from drivers.clock import Clock
from rigd.health import HealthReader, Lag
from rigd.messages import reports, topics
from rigd.remote.bus import Outgoing, Switchboard
from rigd.workers import Worker

EVERY_S = 10.0
"""Between two reports; never less."""


def _none() -> Lag | None:
    return None


def _zero() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Counts:
    """Where the numbers come from that others count. Asked on the loop; cheap."""

    lag: Callable[[], Lag | None] = _none
    """How late the loop was since the last question."""
    broker_losses: Callable[[], int] = _zero
    dropped_events: Callable[[], int] = _zero


def resident_bytes(proc: Path = Path("/proc")) -> int | None:
    """Memory that this process really uses, or None where there is no procfs. Second field of statm, in pages (proc(5))."""
    try:
        return int((proc / "self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


class Vitals:
    """Publishes `health`.

    Args:
        switchboard: where it goes.
        clock: of its times; `uptime_s` counts on its monotonic side from here on.
        reader: of the machine.
        counts: of others.
        camera_restarts, refused: counted by camera control and reporter.
        rail_warnings: what the rail warns of now.
    """

    def __init__(
        self,
        switchboard: Switchboard,
        clock: Clock,
        reader: HealthReader,
        *,
        counts: Counts,
        camera_restarts: Callable[[], int],
        refused: Callable[[], int],
        rail_warnings: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._switchboard = switchboard
        self._clock = clock
        self._reader = reader
        self._counts = counts
        self._camera_restarts = camera_restarts
        self._refused = refused
        self._rail_warnings = rail_warnings
        self._begun_s = clock.now()

    async def serve(self) -> None:
        """Read and publish until cancelled: at once, then every ten seconds."""
        # A thread of its own: a disk or a firmware that hangs makes health old, and nothing else.
        worker = Worker("vitals", self._clock)
        try:
            while True:
                self._publish(*await worker.run(self._read))
                await asyncio.sleep(EVERY_S)
        finally:
            worker.close(0.5)

    def _read(self) -> tuple[dict[str, object], int | None]:
        return asdict(self._reader.read()), resident_bytes()

    def _publish(self, machine: dict[str, object], used: int | None) -> None:
        lag = self._counts.lag()
        health = reports.Health.model_validate(
            {
                **machine,
                "time": self._clock.utc(),
                "uptime_s": round(self._clock.now() - self._begun_s, 3),
                "memory_used_bytes": used,
                "loop_lag_s": None if lag is None else lag.worst_s,
                "loop_lag_p99_s": None if lag is None else lag.p99_s,
                "rail_warnings": list(self._rail_warnings()),
                "camera_restarts": self._camera_restarts(),
                "broker_losses": self._counts.broker_losses(),
                "dropped_events": self._counts.dropped_events(),
                "refused_commands": self._refused(),
            }
        )
        self._switchboard.publish(Outgoing.of(topics.HEALTH, health, qos=0, retain=True))
