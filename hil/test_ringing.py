"""How the rig rings after a move, as fast small frames see it: what `rigd calibrate settle` finds, on this bench."""

import numpy as np
import pytest

from hil.figures import Plot, curve
from rigd.calibration.settle import SettleWish, lengths, measure
from rigd.calibration.stand import Stand

SMOOTH = 400
"""Points of a curve that is drawn."""


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
