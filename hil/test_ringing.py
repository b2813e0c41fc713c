"""How the rig rings after a move, as fast small frames see it: what `rigd calibrate settle` finds, on this bench."""

import numpy as np
import pytest

from hil.figures import Plot, curve
from rigd.calibration.accelerometer import parse, ring_down
from rigd.calibration.settle import SettleWish, lengths, measure
from rigd.calibration.stand import Stand

SMOOTH = 400
"""Points of a curve that is drawn."""
REST_S = 3.0
"""Before a move that is felt."""
START_S = 0.5
"""An accelerometer records so long before the move."""
SHOWN_S = 1.5


@pytest.mark.needs("rail", "home_switch", "camera", "burst", "subject")
def test_ring_down(bench_rig, tmp_path, file, figure):
    """Frequency, damping, and how far the image swings after a move."""
    numbers, config = file.numbers, bench_rig.kept_in(tmp_path)

    async def body(rig, _):
        await rig.home()
        stand = Stand(rig, rig.parts.context.clock)
        wish = SettleWish(
            bench_rig.subject_um, lengths(stand, None, numbers.ring_moves_um), repeats=numbers.ring_repeats
        )
        async with stand.lit():
            return await measure(stand, wish), stand.still_px_um * stand.look_px

    found, um = bench_rig.with_rig(body, config)
    record = found.record
    figure(
        "ring_frequency",
        record.frequency_hz,
        "Hz",
        error=record.frequency_error_hz,
        note=f"Watched at {', '.join(f'{rate:g}' for rate in record.rates_hz)} frames a second. Misfit over noise {record.residual:.2f}.",
        plots=tuple(drawn(found, track, um) for track in longest_first(found.tracks)[:2]),
    )
    figure(
        "ring_frequency_error",
        record.frequency_error_hz,
        "Hz",
        limit=file.tolerances.ring_error_hz,
        better="lower",
        note="Standard error of the frequency.",
    )
    figure("ring_damping", record.damping, error=record.damping_error, note="Damping ratio.")
    worst = record.amplitudes[-1]
    moves = [one.move_um for one in record.amplitudes]
    figure(
        "ring_amplitude",
        worst.amplitude_um,
        "µm",
        error=worst.error_um,
        better="lower",
        note=f"Swing of the image, on the subject, when a move of {worst.move_um:g} µm ends ({record.shaping or 'as the controller moves'}).",
        plots=(
            Plot(
                "swing against length of the move",
                "µm",
                "µm on the subject",
                (curve("swing", moves, [one.amplitude_um for one in record.amplitudes], "points"),),
            ),
        ),
    )


@pytest.mark.needs("rail", "home_switch", "accelerometer")
def test_ring_down_by_accelerometer(bench_rig, homed, file, figure):
    """The same as an accelerometer on the camera feels it: frequencies that no camera is fast enough for, too."""
    numbers, bench, records = file.numbers, bench_rig.bench, []
    distance = homed.microsteps(max(numbers.ring_moves_um))
    takes_s = START_S + homed.rail.move_time_s(distance) + numbers.shaken_s
    for _ in range(numbers.ring_repeats):
        homed.moved_to(homed.reach(0.5))
        bench.pass_time(REST_S)
        begun_s = bench.clock.now()
        recording = bench.start(lambda: bench_rig.accelerometer.record(takes_s))
        bench.pass_time(START_S)
        homed.moved_to(homed.reach(0.5) + distance)
        ended_s = homed.rail.poll().ended_s or bench.clock.now()
        # A command's own time begins a little later than it was started: what is cut off at the end of the motion is no harm.
        records.append(
            (
                parse(bench.finish(recording), "the record"),
                ended_s - begun_s,
                distance * homed.rail.capabilities.microstep_um,
            )
        )
    record, *_ = ring_down(records, objective="", measured=bench.clock.utc().isoformat())
    figure(
        "shaken_frequency",
        record.frequency_hz,
        "Hz",
        error=record.frequency_error_hz,
        note=f"By accelerometer, after moves of {records[0][2]:g} µm. Misfit over noise {record.residual:.2f}.",
        plots=(felt(*records[0][:2]),),
    )
    figure(
        "shaken_damping", record.damping, error=record.damping_error, note="Damping ratio, by accelerometer."
    )


def felt(record, ended_s):
    """What the axis felt that feels most, from shortly before the end of the motion."""
    chosen = (record.times_s > ended_s - START_S) & (record.times_s < ended_s + SHOWN_S)
    still = record.m_per_s2[chosen] - np.median(record.m_per_s2, axis=0)
    axis = int(np.argmax(still[-len(still) // 2 :].std(axis=0)))
    return Plot(
        "what the accelerometer felt",
        "s after the end of the motion",
        "m/s²",
        (curve("felt", record.times_s[chosen] - ended_s, still[:, axis]),),
    )


def longest_first(tracks):
    return sorted(tracks, key=lambda track: -track.move_um)


def drawn(found, track, um):
    """A ring-down and its fit, along the channel that swings most."""
    still = found.fit.rest(track)
    channel = int(np.argmax(np.ptp(track.values - still, axis=0)))
    times_s = np.linspace(0, float(track.middle_s.max()), SMOOTH)
    return Plot(
        f"after a move of {track.move_um:g} µm",
        "s after the end of the motion",
        "µm on the subject",
        (
            curve("seen", track.middle_s, um * (track.values - still)[:, channel], "points"),
            curve("fit", times_s, um * found.fit.curve(track, times_s)[:, channel]),
        ),
    )
