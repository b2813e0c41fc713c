"""What only the camera sees of the rail: the nut's play, and where home truly is."""

import numpy as np
import pytest

from rigd.calibration import sweeps
from rigd.calibration.stand import Stand


def measured(bench_rig, folder, body):
    """Run a calibration on the rig, homed and lit."""

    async def inside(rig, _):
        await rig.home()
        stand = Stand(rig, rig.parts.context.clock)
        async with stand.lit():
            return await body(stand)

    return bench_rig.with_rig(inside, bench_rig.within_span(folder)).record


@pytest.mark.needs("rail", "home_switch", "camera", "subject")
def test_homing_repeats_by_camera(bench_rig, tmp_path, file, figure):
    """Homed again from many places; how far the same counted position is from where it was, as the picture's focus tells."""
    numbers = file.numbers
    record = measured(
        bench_rig,
        tmp_path,
        lambda stand: sweeps.homing(
            stand, bench_rig.subject_um, homings=numbers.homings, step_um=numbers.sweep_step_um
        ),
    )
    figure(
        "homing_by_camera",
        record.worst_um,
        "µm",
        limit=file.tolerances.homing_um,
        error=record.error_um,
        samples=record.camera_um,
        better="lower",
        note=f"Farthest two of {record.homings} homings, approached from below each time; standard deviation {record.spread_um:.2f} µm.",
    )


@pytest.mark.needs("rail", "home_switch", "camera", "subject")
def test_backlash_by_camera(bench_rig, tmp_path, file, figure):
    """The subject in focus on the way up and on the way down: what lies between is lost at a reversal."""
    numbers = file.numbers
    record = measured(
        bench_rig,
        tmp_path,
        lambda stand: sweeps.backlash(
            stand, bench_rig.subject_um, runs=numbers.backlash_ways, step_um=numbers.sweep_step_um
        ),
    )
    figure(
        "backlash",
        record.backlash_um,
        "µm",
        limit=file.tolerances.backlash_um,
        error=record.error_um,
        samples=record.readings_um,
        better="lower",
        note=f"Declared are {declared(bench_rig):g} µm. Each sample is one reversal.",
    )
    figure(
        "backlash_spread",
        float(np.std(record.readings_um, ddof=1)) if len(record.readings_um) > 1 else 0.0,
        "µm",
        limit=file.tolerances.backlash_spread_um,
        better="lower",
        note="Standard deviation of the readings.",
    )


def declared(bench_rig) -> float:
    """The backlash that the rig's config names."""
    return getattr(bench_rig.config.rail.options, "backlash_um", 0.0)
