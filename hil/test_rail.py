"""How well the rail finds home again, and whether it keeps its count."""

import numpy as np
import pytest

from hil.plots import in_order
from tests.contract.bench import home, rest

STOPPED = 0.3
"""Share of the random moves that are stopped on their way."""


def spread(samples) -> float:
    """Farthest two."""
    return float(np.ptp(samples)) if len(samples) else 0.0


@pytest.mark.needs("rail", "home_switch")
def test_homing_repeats_by_switch(homed, file, figure):
    """Homed again from different distances: where the old count says that the switch was met."""
    um, found = homed.rail.capabilities.microstep_um, []
    for share in np.linspace(0.1, 0.9, file.numbers.homings):
        homed.moved_to(homed.reach(share))
        error = home(homed.bench, homed.rail).home_error
        assert error is not None, (
            "this rail does not tell where it met the switch: take `home_switch` off the bench's features"
        )
        found.append(error * um)
    figure(
        "homing_repeatability",
        spread(found),
        "µm",
        limit=file.tolerances.homing_um,
        samples=tuple(found),
        better="lower",
        error=um / 2,
        note=f"Farthest two of {len(found)} homings, by the rail's own count. It says how well switch and steps agree, and nothing of the nut's play.",
    )


@pytest.mark.needs("rail", "home_switch")
def test_no_step_is_lost_in_random_moves(homed, file, bench_session, figure):
    """Random moves, a third of them stopped on their way; then home must be where it was."""
    random, um = np.random.default_rng(3), homed.rail.capabilities.microstep_um
    ends = []
    for share in random.random(file.numbers.random_moves):
        target = homed.reach(share)
        if target == homed.rail.poll().position:
            continue
        homed.rail.start_move(target)
        if random.random() < STOPPED:
            homed.bench.pass_time(random.uniform(0.0, 1.0) * homed.rail.move_time_s(homed.reach(1.0)) / 2)
            homed.rail.stop()
        status = rest(homed.bench, homed.rail)
        assert status.homed, status.alarm
        ends.append(status.position * um)
    error = home(homed.bench, homed.rail).home_error
    assert error is not None
    # What homing itself is unsure of is no lost step.
    known = bench_session.value("homing_repeatability")
    unsure = 1 + (known if known is not None else file.tolerances.homing_um or 0.0) / um
    figure(
        "lost_steps",
        max(0.0, abs(error) - unsure),
        "microsteps",
        limit=file.tolerances.lost_steps,
        better="lower",
        note=f"After {len(ends)} random moves home was off by {error * um:.2f} µm; what is more than homing may be off counts as lost.",
        plots=(in_order("where the moves ended", ends, "µm"),),
    )
    figure("home_after_random_moves", abs(error) * um, "µm", better="lower")
