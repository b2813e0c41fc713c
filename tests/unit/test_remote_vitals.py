"""Health: everything in it, and not too often."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from dataclasses import dataclass

import pytest

from drivers.clock import VirtualClock
from rigd.health import HealthReader
from rigd.remote.bus import Switchboard
from rigd.remote.vitals import EVERY_S, Counts, Vitals, resident_bytes
from rigd.virtualtime import run
from tests.rigs import passes, small_rig
from tests.unit._said import Ear, told


@dataclass(frozen=True)
class FakeLag:
    worst_s: float
    p99_s: float


def reports_of(reader, seconds, counts=None, refused=lambda: 0):
    clock = VirtualClock()

    async def main():
        switchboard, ear = Switchboard(), Ear(clock)
        switchboard.attach(ear)
        vitals = Vitals(
            switchboard,
            clock,
            reader,
            counts=counts or Counts(),
            camera_restarts=lambda: 3,
            rail_warnings=lambda: ("the motor's driver is hot",),
            refused=refused,
        )
        serving = asyncio.create_task(vitals.serve())
        await passes(seconds)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        assert serving.cancelled()
        return ear

    return run(main(), clock)


def pi(root):
    """The files of a Pi under load."""
    firmware = root / "sys/devices/platform/soc/soc:firmware"
    zone = root / "sys/class/thermal/thermal_zone0"
    for folder in (firmware, zone, root / "proc"):
        folder.mkdir(parents=True)
    (firmware / "get_throttled").write_text("50005\n")
    (zone / "type").write_text("cpu-thermal\n")
    (zone / "temp").write_text("61234\n")
    (root / "proc/meminfo").write_text("MemTotal: 900 kB\nMemAvailable: 500 kB\n")
    return HealthReader(root / "sessions", sys=root / "sys", proc=root / "proc", vcgencmd=None)


def test_everything_a_pi_has(tmp_path):
    lag = FakeLag(0.031, 0.004)
    counts = Counts(lag=lambda: lag, broker_losses=lambda: 2, dropped_events=lambda: 7)
    (health,) = reports_of(pi(tmp_path), 1, counts, refused=lambda: 5).on("health")
    assert health.throttling.now.under_voltage
    assert health.throttling.now.throttled
    assert not health.throttling.now.frequency_capped
    assert health.throttling.since_boot.throttled
    assert health.temperature_c == pytest.approx(61.234)
    assert health.memory_available_bytes == 500 * 1024
    assert health.disk_free_bytes > 0
    assert (health.loop_lag_s, health.loop_lag_p99_s) == (0.031, 0.004)
    assert (health.camera_restarts, health.broker_losses) == (3, 2)
    assert health.rail_warnings == ["the motor's driver is hot"]
    assert (health.dropped_events, health.refused_commands) == (7, 5)
    assert health.uptime_s < 1


def test_what_a_machine_lacks_is_null(tmp_path):
    reader = HealthReader(tmp_path, sys=tmp_path / "no", proc=tmp_path / "no", vcgencmd=None)
    (health,) = reports_of(reader, 1).on("health")
    assert health.throttling is None
    assert health.temperature_c is None
    assert health.memory_available_bytes is None
    assert health.loop_lag_s is None


def test_at_once_and_then_every_ten_seconds(tmp_path):
    ear = reports_of(pi(tmp_path), 65)
    times = ear.times("health")
    assert len(times) == 7
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= EVERY_S - 1e-9
    uptimes = [health.uptime_s for health in ear.on("health")]
    assert uptimes == pytest.approx([10 * n for n in range(7)], abs=0.01)


def test_memory_of_this_process():
    """What it uses grows by what it takes; a new one, which has nothing lying about that it could take again."""
    code = (
        "from rigd.remote.vitals import resident_bytes\n"
        "before = resident_bytes()\n"
        "block = b'x' * 60_000_000\n"
        "print(resident_bytes() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 40_000_000 < int(done.stdout) < 90_000_000


def test_no_procfs(tmp_path):
    assert resident_bytes(tmp_path) is None


def test_a_rig_counts_its_refusals_and_its_camera(tmp_path):
    from rigd.messages import events
    from rigd.messages.base import Error, ErrorCode

    async def body(speaks):
        for _ in range(3):
            error = Error(code=ErrorCode.EXPIRED, message="too late")
            speaks.reporter.event(events.CommandRefused, topic="request/goto", error=error)
        speaks.rig.controller.hands.camera.restarts = 2
        await passes(12)
        assert speaks.reporter.last_error == "request/goto: too late"
        assert speaks.ear.states[-1].last_error == "request/goto: too late"

    speaks, _ = told(small_rig(tmp_path), body)
    health = speaks.ear.on("health")[-1]
    assert (health.refused_commands, health.camera_restarts) == (3, 2)
    assert health.memory_used_bytes > 1_000_000
