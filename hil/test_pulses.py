"""What comes out of the STEP pin, and how soon it ends when it must."""

import asyncio

import numpy as np
import pytest

from hil.figures import Plot, curve, percentile
from hil.pulses import judge, last_after, rising
from hil.rigs import rest_level
from rigd.machine import events as ev
from rigd.machine.state import Mode
from tests.contract.bench import home, rest
from tests.rigs import passes

SPEEDS = (0.25, 0.5, 1.0)
LATE_S = 0.2
"""After a motion has ended, edges may still be on their way to the recorder."""
LEAST_GAP = 0.5
"""A pulse after a shorter share of the even interval may find a motor that cannot follow."""


@pytest.fixture
def step_pin(bench_rig, file):
    loopback = file.features.loopback
    edge = bench_rig.pins.watch(loopback.step_in)
    with edge as watch:
        yield lambda: rising(watch.edges(), loopback.pulses)


@pytest.mark.needs("rail", "home_switch", "pins", "loopback")
def test_step_pulses(homed, step_pin, file, figure):
    """Counted, timed and held against what was asked for, at three speeds."""
    able = homed.rail.capabilities
    counts, jitters, gaps, errors, plots = [], [], [], [], []
    far, near = homed.reach(1.0), homed.reach(0.0)
    for share in SPEEDS:
        asked_hz = share * able.max_speed_um_per_s / able.microstep_um
        for _ in range(file.numbers.pulse_moves):
            target = far if homed.rail.poll().position != far else near
            distance, begun_s = abs(target - homed.rail.poll().position), homed.bench.clock.now()
            homed.rail.start_move(target, share * able.max_speed_um_per_s)
            rest(homed.bench, homed.rail)
            homed.bench.pass_time(LATE_S)
            times_s = step_pin()
            times_s = times_s[times_s >= begun_s]
            seen = judge(times_s)
            counts.append(float(abs(seen.count - distance)))
            jitters.extend(1e6 * seen.jitter_s)
            gaps.append(seen.shortest_s * asked_hz)
            errors.append(seen.rate_hz / asked_hz - 1)
        plots.append(
            Plot(
                f"a move at {asked_hz:.0f} steps/s",
                "s",
                "steps/s",
                (curve("rate", times_s[1:] - times_s[0], 1 / np.diff(times_s)),),
            )
        )
    fastest = SPEEDS[-1] * able.max_speed_um_per_s / able.microstep_um
    figure(
        "step_rate",
        fastest * (1 + errors[-1]),
        "Hz",
        note="Highest rate, at the rail's highest speed.",
        plots=tuple(plots),
    )
    figure(
        "step_rate_error",
        max(map(abs, errors)),
        limit=file.tolerances.step_rate_error,
        better="lower",
        note="Rate over rate asked for, less 1.",
    )
    # A recorder that misses edges looks like a rail that loses steps: the note says so.
    figure(
        "step_count_error",
        max(counts),
        "pulses",
        limit=0.0,
        samples=tuple(counts),
        better="lower",
        note="Pulses seen, less microsteps moved. If lost steps are 0, it is the recorder that missed them: it keeps up to some 2000 a second.",
    )
    figure(
        "step_jitter_p99",
        percentile(np.abs(jitters), 0.99),
        "µs",
        limit=file.tolerances.step_jitter_us,
        samples=tuple(jitters[:: max(1, len(jitters) // 4000)]),
        better="lower",
        note="How far a pulse comes from where its neighbours put it; one in a hundred is worse.",
    )
    figure("step_jitter_worst", float(np.abs(jitters).max()), "µs", better="lower")
    figure(
        "step_gap_least",
        min(gaps),
        at_least=LEAST_GAP,
        better="higher",
        note="Shortest interval over that of the rate that was asked for: a wave that catches up after a stall sends pulses too close together.",
    )


@pytest.mark.needs("rail", "home_switch", "pins", "loopback", "limit_drive")
def test_limit_latency(homed, bench_rig, step_pin, file, figure):
    """From the limit switch's pin to the last step pulse, with the rail in full motion."""
    press, random = file.features.limit_drive, np.random.default_rng(7)
    at_rest = rest_level(press)
    late_ms, beyond_um = [], []
    for _ in range(file.numbers.presses):
        homed.moved_to(homed.reach(0.0))
        whole_s = homed.rail.move_time_s(homed.reach(1.0))
        homed.rail.start_move(homed.reach(1.0))
        homed.bench.pass_time(random.uniform(0.3, 0.7) * whole_s)
        try:
            pressed_s, _ = bench_rig.pins.drive(press.pin, 1 - at_rest)
            status = rest(homed.bench, homed.rail)
            assert status.alarm is not None, "the rail did not see its limit switch: check the wiring"
            assert (status.homed, status.position) == (False, None)
            homed.bench.pass_time(LATE_S)
            times_s = step_pin()
        finally:
            bench_rig.pins.drive(press.pin, at_rest)
        late_ms.append(1e3 * last_after(times_s, pressed_s))
        beyond_um.append(float((times_s > pressed_s).sum()) * homed.rail.capabilities.microstep_um)
        home(homed.bench, homed.rail)
    figure(
        "limit_overrun",
        max(beyond_um),
        "µm",
        samples=tuple(beyond_um),
        better="lower",
        note="How far the rail was still sent after the switch was pressed, at its highest speed.",
    )
    figure(
        "limit_latency",
        max(late_ms),
        "ms",
        limit=file.tolerances.limit_latency_ms,
        samples=tuple(late_ms),
        better="lower",
        note="From the switch's pin to the last step pulse; the worst.",
    )


@pytest.mark.needs("rail", "home_switch", "switches", "pins", "loopback", "estop_drive")
def test_estop_latency(bench_rig, file, figure):
    """From the e-stop's pin to the last step pulse, through the whole daemon. The contact that cuts the motor is quicker."""
    press, loopback, random = file.features.estop_drive, file.features.loopback, np.random.default_rng(8)
    at_rest = rest_level(press)

    async def one(rig, pins, watch):
        await rig.home()
        able = rig.parts.rail.capabilities
        target = round(bench_rig.span_um / able.microstep_um)
        moving = asyncio.ensure_future(rig.goto(bench_rig.span_um))
        await passes(random.uniform(0.3, 0.7) * rig.parts.rail.move_time_s(target))
        try:
            pressed_s, _ = pins.drive(press.pin, 1 - at_rest)
            await rig.controller.reached(Mode.ESTOPPED)
            await asyncio.gather(moving, return_exceptions=True)
            assert not rig.state.homed
            await passes(LATE_S)
            times_s = rising(watch.edges(), loopback.pulses)
        finally:
            pins.drive(press.pin, at_rest)
        while rig.state.estop_held:
            await passes(0.02)
        await rig.command(ev.ClearFault())
        await rig.controller.reached(Mode.UNHOMED)
        return 1e3 * last_after(times_s, pressed_s)

    async def all_of_them(rig, pins):
        late_ms = []
        for _ in range(file.numbers.presses):
            with pins.watch(loopback.step_in) as watch:
                late_ms.append(await one(rig, pins, watch))
        return late_ms

    late_ms = bench_rig.with_rig(all_of_them)
    figure(
        "estop_latency",
        max(late_ms),
        "ms",
        limit=file.tolerances.estop_latency_ms,
        samples=tuple(late_ms),
        better="lower",
        note="From the e-stop's second contact to the last step pulse, through the daemon; the worst. The first contact cuts the motor itself.",
    )
