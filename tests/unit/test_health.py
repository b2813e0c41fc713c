"""The machine's state from fake /sys and /proc trees."""

import asyncio
from pathlib import Path

import pytest

from drivers.clock import VirtualClock
from rigd.health import (
    KEPT_LAGS,
    LAG_LOOK_S,
    Flags,
    Health,
    HealthReader,
    Lag,
    LoopLag,
    LoopLagMeter,
    Throttling,
    parse_throttled,
)
from rigd.virtualtime import run

FIRMWARE = "devices/platform/soc/soc:firmware/get_throttled"


def put(root: Path, name: str, text: str) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def machine(tmp_path):
    """A reader over empty trees, with the trees."""
    sys, proc, sessions = tmp_path / "sys", tmp_path / "proc", tmp_path / "sessions"
    for folder in (sys, proc, sessions):
        folder.mkdir()
    return HealthReader(sessions, sys=sys, proc=proc, vcgencmd=None), sys, proc


@pytest.mark.parametrize(
    ("value", "now", "since_boot"),
    [
        (0x0, Flags(), Flags()),
        (0x1, Flags(under_voltage=True), Flags()),
        (0x2, Flags(frequency_capped=True), Flags()),
        (0x4, Flags(throttled=True), Flags()),
        (0x8, Flags(soft_temperature_limit=True), Flags()),
        (0x50005, Flags(under_voltage=True, throttled=True), Flags(under_voltage=True, throttled=True)),
        (0x50000, Flags(), Flags(under_voltage=True, throttled=True)),
        (0x80008, Flags(soft_temperature_limit=True), Flags(soft_temperature_limit=True)),
        (0x20000, Flags(), Flags(frequency_capped=True)),
        (0xF00FFF0, Flags(), Flags()),
    ],
)
def test_throttled_word(value, now, since_boot):
    assert parse_throttled(value) == Throttling(now=now, since_boot=since_boot)
    assert bool(parse_throttled(value).now) == (value & 0xF != 0)


def test_a_negative_word_is_refused():
    with pytest.raises(ValueError, match="-1"):
        parse_throttled(-1)


def test_a_machine_that_has_nothing(machine):
    reader, _, _ = machine
    health = reader.read()
    assert health == Health(None, None, health.disk_free_bytes, None, None)


def test_a_pi(machine):
    reader, sys, proc = machine
    put(sys, FIRMWARE, "50005\n")
    put(sys, "class/thermal/thermal_zone0/type", "cpu-thermal\n")
    put(sys, "class/thermal/thermal_zone0/temp", "61835\n")
    put(proc, "meminfo", "MemTotal:        3884000 kB\nMemFree:  100 kB\nMemAvailable:    2048000 kB\n")
    health = reader.read(Lag(worst_s=0.012, p99_s=0.003))
    assert health.throttling == parse_throttled(0x50005)
    assert health.temperature_c == pytest.approx(61.835)
    assert health.memory_available_bytes == 2048000 * 1024
    assert health.disk_free_bytes is not None
    assert health.disk_free_bytes > 0
    assert health.loop_lag_s == 0.012


def test_the_firmware_of_another_board(machine):
    reader, sys, _ = machine
    put(sys, "devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled", "80000\n")
    assert reader.read().throttling == parse_throttled(0x80000)


@pytest.mark.parametrize("answer", ["throttled=0x50000\n", "0x50000", "50000"])
def test_vcgencmd_is_asked_when_sysfs_has_nothing(machine, tmp_path, answer):
    _, sys, proc = machine
    reader = HealthReader(tmp_path, sys=sys, proc=proc, vcgencmd=lambda: answer)
    assert reader.read().throttling == parse_throttled(0x50000)


def test_vcgencmd_is_not_asked_when_sysfs_answers(machine, tmp_path):
    _, sys, proc = machine
    put(sys, FIRMWARE, "0\n")
    asked = []
    reader = HealthReader(tmp_path, sys=sys, proc=proc, vcgencmd=lambda: asked.append(1) and None)
    assert reader.read().throttling == Throttling(Flags(), Flags())
    assert not asked


@pytest.mark.parametrize(
    "answer", ["", 'error=1 error_msg="Command not registered"', "throttled=", "-1", None]
)
def test_nonsense_from_vcgencmd_is_nothing(machine, tmp_path, answer):
    _, sys, proc = machine
    assert HealthReader(tmp_path, sys=sys, proc=proc, vcgencmd=lambda: answer).read().throttling is None


@pytest.mark.parametrize("text", ["", "warm\n", "\x00\xff"])
def test_nonsense_in_sysfs_is_nothing(machine, text):
    reader, sys, proc = machine
    put(sys, FIRMWARE, text)
    put(sys, "class/thermal/thermal_zone0/temp", text)
    put(proc, "meminfo", text)
    health = reader.read()
    assert (health.throttling, health.temperature_c, health.memory_available_bytes) == (None, None, None)


def test_a_file_that_refuses_is_nothing(machine):
    reader, sys, proc = machine
    (sys / FIRMWARE).mkdir(parents=True)
    (proc / "meminfo").mkdir()
    health = reader.read()
    assert (health.throttling, health.memory_available_bytes) == (None, None)


def test_the_processor_is_preferred_to_hotter_zones(machine):
    reader, sys, _ = machine
    for number, (kind, milli) in enumerate([("nvme", 70000), ("cpu-thermal", 50000), ("gpu-thermal", 65000)]):
        put(sys, f"class/thermal/thermal_zone{number}/type", kind)
        put(sys, f"class/thermal/thermal_zone{number}/temp", str(milli))
    assert reader.read().temperature_c == 50.0


def test_the_hottest_of_unknown_zones(machine):
    reader, sys, _ = machine
    put(sys, "class/thermal/thermal_zone0/temp", "-5000")
    put(sys, "class/thermal/thermal_zone1/temp", "41000")
    put(sys, "class/thermal/thermal_zone2/type", "acpitz")
    assert reader.read().temperature_c == 41.0


def test_a_sessions_folder_that_does_not_exist_yet(machine, tmp_path):
    _, sys, proc = machine
    there = HealthReader(tmp_path, sys=sys, proc=proc, vcgencmd=None).read().disk_free_bytes
    later = HealthReader(tmp_path / "not" / "yet", sys=sys, proc=proc, vcgencmd=None).read().disk_free_bytes
    assert there is not None
    assert later is not None
    assert abs(later - there) < 1 << 30


def test_this_machine_can_be_read(tmp_path):
    health = HealthReader(tmp_path).read()
    assert health.memory_available_bytes is None or health.memory_available_bytes > 0


def test_loop_lag_is_the_worst_since_the_last_look():
    lag = LoopLag()
    assert lag.take() is None
    lag.note(due_s=10.0, now_s=10.002)
    lag.note(due_s=11.0, now_s=11.5)
    lag.note(due_s=12.0, now_s=11.9)
    assert lag.take() == Lag(worst_s=pytest.approx(0.5), p99_s=pytest.approx(0.5))
    assert lag.take() is None
    lag.note(due_s=13.0, now_s=12.0)
    assert lag.take() == Lag(0.0, 0.0)


@pytest.mark.parametrize(("count", "p99_ms"), [(1, 1), (99, 99), (100, 99), (101, 100), (1000, 990)])
def test_one_in_a_hundred_is_later_than_p99(count, p99_ms):
    """Lags of 1, 2, ... milliseconds, the longest first: the nearest rank, whatever the order."""
    lag = LoopLag()
    for late_ms in range(count, 0, -1):
        lag.note(due_s=0.0, now_s=late_ms / 1000)
    assert lag.take() == Lag(worst_s=count / 1000, p99_s=p99_ms / 1000)


def test_lags_that_nobody_takes_are_bounded_and_the_worst_is_kept():
    lag = LoopLag()
    lag.note(due_s=0.0, now_s=9.0)
    for _ in range(2 * KEPT_LAGS):
        lag.note(due_s=0.0, now_s=0.001)
    assert lag.take() == Lag(worst_s=9.0, p99_s=0.001)


def test_the_meter_notes_how_late_its_loop_is():
    clock, lag = VirtualClock(), LoopLag()

    async def main():
        loop = asyncio.get_running_loop()
        meter = asyncio.create_task(LoopLagMeter(lag, clock).serve())
        after = loop.create_future()
        # Something holds the loop up for 0.2 s, 0.03 s before the meter's third look.
        loop.call_later(3 * LAG_LOOK_S - 0.03, clock.advance, clock.now() + 3 * LAG_LOOK_S + 0.17)
        loop.call_later(300 * LAG_LOOK_S, after.set_result, None)
        await after
        meter.cancel()
        await asyncio.gather(meter, return_exceptions=True)

    run(main(), clock)
    found = lag.take()
    assert found is not None
    assert found.worst_s == pytest.approx(0.17, abs=0.001)
    assert found.p99_s < 0.001


def test_lag_is_part_of_health(machine):
    reader, _, _ = machine
    health = reader.read(Lag(worst_s=0.5, p99_s=0.01))
    assert (health.loop_lag_s, health.loop_lag_p99_s) == (0.5, 0.01)
    assert reader.read().loop_lag_p99_s is None
