"""Damped cosines found in noisy tracks, told from their aliases, or refused in words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import least_squares

from rigd.calibration import ringdown
from rigd.calibration.ringdown import Ambiguous, Quiet, RingDownError, amplitudes, fit
from rigd.calibration.ringing import Track, largest

EXPOSURE_S = 0.004
PHASES = (0.1, 0.72, 0.34)
"""Of the frames against the end of the motion, in frames."""

Mode = tuple[float, float, float, float]
"""Frequency, damping, amplitude, phase."""


def watched(
    *modes: Mode,
    rate_hz: float = 40.0,
    lasts_s: float = 3.0,
    phase: float = 0.0,
    noise: float = 0.01,
    channels: tuple[float, ...] = (0.6, 0.8, 0.1),
    exposure_s: float = EXPOSURE_S,
    move_um: float = 100.0,
    seed: int = 1,
    lost: float = 0.0,
) -> Track:
    """What a camera would see: each value the mean over 64 moments of its exposure, and offset, drift and noise."""
    random = np.random.default_rng(seed)
    starts = (phase + np.arange(int(lasts_s * rate_hz))) / rate_hz
    starts = starts[random.random(len(starts)) >= lost]
    t = starts[:, None] + (np.arange(64) + 0.5) / 64 * exposure_s
    swing = np.zeros_like(t)
    for frequency, damping, amplitude, angle in modes:
        omega = 2 * math.pi * frequency
        swing += (
            amplitude * np.exp(-damping * omega * t) * np.cos(omega * math.sqrt(1 - damping**2) * t + angle)
        )
    values = swing.mean(axis=1)[:, None] * channels + 0.3 + 0.02 * starts[:, None]
    values = values + random.normal(0, noise, values.shape)
    return Track(starts, starts + exposure_s, values, np.full(len(channels), noise), move_um, rate_hz)


def repeated(*modes: Mode, **options) -> list[Track]:
    """Three equal moves at 40 pictures a second, looked at from different moments on."""
    return [watched(*modes, phase=phase, seed=seed, **options) for seed, phase in enumerate(PHASES)]


@pytest.mark.parametrize("frequency", [2.0, 9.0, 15.0, 18.0, 38.0])
@pytest.mark.parametrize("damping", [0.01, 0.03, 0.08])
def test_frequency_and_damping_are_found(frequency: float, damping: float) -> None:
    found = fit(
        [*repeated((frequency, damping, 1.0, 0.3)), watched((frequency, damping, 1.0, 0.3), rate_hz=120.0)]
    )
    (mode,) = found.modes
    assert mode.frequency_hz == pytest.approx(frequency, abs=5 * mode.frequency_error_hz)
    assert mode.damping == pytest.approx(damping, abs=5 * mode.damping_error)
    assert mode.frequency_error_hz < 0.01 * frequency
    assert mode.damping_error < 0.003
    assert found.misfit == pytest.approx(1, abs=0.1)
    for swing in found.swings:
        assert swing.shift == pytest.approx(1.0, abs=5 * swing.shift_error)
        assert swing.corner == pytest.approx(0.1, abs=5 * swing.corner_error)
        assert swing.shift_error < 0.05


def test_five_hundredths_of_a_pixel_of_noise_leave_the_frequency_to_a_few_thousandths() -> None:
    """docs: 40 pictures a second at 0.05 px noise, as after a swing of some pixels."""
    found = fit(repeated((15.0, 0.03, 5.0, 0.3), noise=0.05))
    assert found.modes[0].frequency_hz == pytest.approx(15.0, abs=0.006)
    assert found.modes[0].damping == pytest.approx(0.03, abs=0.0006)


@pytest.mark.parametrize("seed", range(6))
def test_it_is_as_good_as_a_general_least_squares_fit(seed: int) -> None:
    """The slow twin: every number searched for at once, by somebody else's code."""
    track = watched((9.0, 0.03, 1.0, 0.3), channels=(1.0,), seed=seed)
    t, y = track.middle_s, track.values[:, 0]

    def left(p):
        omega = 2 * math.pi * p[0]
        root = omega * math.sqrt(1 - p[1] ** 2)
        x = root * EXPOSURE_S / 2
        wave = (
            np.exp(-p[1] * omega * t) * (p[2] * np.cos(root * t) + p[3] * np.sin(root * t)) * math.sin(x) / x
        )
        return (wave + p[4] + p[5] * t - y) / 0.01

    twin = least_squares(left, [9.01, 0.028, 1.0, 0.0, 0.3, 0.0], x_scale=[1, 0.01, 1, 1, 1, 1]).x
    found = ringdown.ringing.search([track], [9.05], [0.02])
    assert found.frequencies_hz[0] == pytest.approx(twin[0], abs=2e-4)
    assert found.dampings[0] == pytest.approx(twin[1], abs=5e-5)


def test_errors_are_as_large_as_they_are_said_to_be() -> None:
    wrong = []
    for seed in range(16):
        tracks = [
            watched((9.0, 0.03, 0.3, 0.3), phase=phase, seed=100 * seed + n) for n, phase in enumerate(PHASES)
        ]
        (mode,) = fit(tracks).modes
        wrong.append(
            [(mode.frequency_hz - 9) / mode.frequency_error_hz, (mode.damping - 0.03) / mode.damping_error]
        )
    spread = np.sqrt(np.mean(np.square(wrong), axis=0))
    assert (spread > 0.6).all()
    assert (spread < 1.5).all()


# --------------------------------------------------------------------------------------------------------------- aliases


def test_a_mode_above_half_the_rate_is_refused_and_its_aliases_are_named() -> None:
    with pytest.raises(Ambiguous, match="look the same") as caught:
        fit([watched((38.0, 0.03, 1.0, 0.3))])
    assert any(abs(name - 38) < 0.1 for name in caught.value.frequencies_hz)
    assert any(name < 2.6 for name in caught.value.frequencies_hz)


def test_equal_moves_seen_at_equal_moments_tell_no_alias_apart() -> None:
    with pytest.raises(Ambiguous):
        fit([watched((38.0, 0.03, 1.0, 0.3), phase=0.1, seed=seed) for seed in range(3)])


@pytest.mark.parametrize("frequency", [2.0, 15.0, 38.0, 42.0, 55.0])
def test_equal_moves_seen_from_different_moments_on_tell_the_true_frequency(frequency: float) -> None:
    (mode,) = fit(repeated((frequency, 0.03, 1.0, 0.3))).modes
    assert mode.frequency_hz == pytest.approx(frequency, abs=0.1)


@pytest.mark.parametrize("frequency", [2.0, 9.0, 38.0])
def test_a_second_rate_that_is_no_multiple_tells_the_true_frequency(frequency: float) -> None:
    tracks = [watched((frequency, 0.03, 1.0, 0.3), rate_hz=rate) for rate in (40.0, 47.0)]
    assert fit(tracks).modes[0].frequency_hz == pytest.approx(frequency, abs=0.1)


def test_a_frequency_beyond_all_that_is_looked_for_is_not_taken_for_another() -> None:
    """78 Hz at 40 and at 120: 38 and 42 would be believed if nobody thought of it."""
    for frequency in (82.0, 105.0, 118.0):
        try:
            (mode,) = fit(
                [*repeated((frequency, 0.03, 1.0, 0.3)), watched((frequency, 0.03, 1.0, 0.3), rate_hz=120.0)]
            ).modes
        except RingDownError:
            continue
        assert mode.frequency_hz == pytest.approx(frequency, abs=0.3)


def test_moves_that_do_not_end_alike_are_no_proof() -> None:
    """Each time another phase: then no alias is told from the truth, and none is believed."""
    tracks = [watched((9.0, 0.03, 1.0, 2.1 * n), phase=phase, seed=n) for n, phase in enumerate(PHASES)]
    with pytest.raises(Ambiguous):
        fit(tracks)


def test_an_accelerometer_with_a_filter_needs_no_second_rate() -> None:
    track = watched((15.0, 0.03, 1.0, 0.3), rate_hz=800.0, exposure_s=0.0, lasts_s=2.0)
    assert fit([track], pictures=False, sure_hz=360.0).modes[0].frequency_hz == pytest.approx(15, abs=0.01)


# ------------------------------------------------------------------------------------------------------ what is no ring-down


def test_noise_is_quiet() -> None:
    for seed in range(4):
        tracks = [watched(phase=phase, seed=10 * seed + n) for n, phase in enumerate(PHASES)]
        with pytest.raises(Quiet) as caught:
            fit(tracks)
        assert 0 < caught.value.below < 0.1


def test_wandering_is_no_ringing() -> None:
    random = np.random.default_rng(5)
    tracks = []
    for track in repeated():
        wander = np.cumsum(random.normal(0, 0.2, track.values.shape), axis=0)
        tracks.append(Track(track.starts_s, track.ends_s, wander, track.noise, 100.0, 40.0))
    with pytest.raises(RingDownError):
        fit(tracks)


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(RingDownError, match="too few"):
        fit([watched((9.0, 0.03, 1.0, 0.3), lasts_s=0.1)])


# ------------------------------------------------------------------------------------------------------------------ the rest


def test_a_second_mode_is_found_where_it_is_and_nowhere_else() -> None:
    first, second = (9.0, 0.03, 1.0, 0.3), (23.0, 0.02, 0.3, 1.0)
    found = fit([*repeated(first, second), watched(first, second, rate_hz=120.0)])
    assert [mode.frequency_hz for mode in found.modes] == pytest.approx([9.0, 23.0], abs=0.03)
    assert found.modes[1].share == pytest.approx(0.3, abs=0.05)
    assert len(fit(repeated(first)).modes) == 1


def test_a_second_mode_is_found_in_many_samples_of_which_each_is_mostly_noise() -> None:
    """As an accelerometer gives them: unseen, it would pull at the first one by more than the error claims."""
    one, other = (12.0, 0.02, 1.0, 0.3), (32.4, 0.02, 0.7, 1.1)
    found = fit(
        [watched(one, other, rate_hz=400.0, noise=0.4, exposure_s=0.0)], pictures=False, sure_hz=180.0
    )
    assert [mode.frequency_hz for mode in found.modes] == pytest.approx([12.0, 32.4], abs=0.15)
    for seed in range(4):
        alone = watched(one, rate_hz=400.0, noise=0.4, exposure_s=0.0, seed=seed)
        assert len(fit([alone], pictures=False, sure_hz=180.0).modes) == 1


def test_frames_that_are_missing_do_no_harm() -> None:
    (mode,) = fit(repeated((12.0, 0.02, 1.0, 0.3), lost=0.3)).modes
    assert mode.frequency_hz == pytest.approx(12, abs=0.02)


def test_a_long_exposure_is_allowed_for() -> None:
    """20 ms of a 15 Hz swing show 86 % of it."""
    found = fit(repeated((15.0, 0.03, 1.0, 0.3), exposure_s=0.02))
    assert [swing.shift for swing in found.swings] == pytest.approx([1.0] * 3, abs=0.03)


def test_moves_of_different_lengths_have_amplitudes_of_their_own() -> None:
    tracks = [
        watched((9.0, 0.03, amplitude, 0.3), phase=phase, seed=n, move_um=100 * amplitude)
        for amplitude in (0.1, 1.0, 3.0)
        for n, phase in enumerate(PHASES)
    ]
    found = fit(tracks)
    for swing in found.swings:
        assert swing.shift == pytest.approx(swing.move_um / 100, abs=max(0.01, 5 * swing.shift_error))
    assert [s.shift for s in amplitudes(tracks, 9.0, 0.03)] == pytest.approx(
        [s.shift for s in found.swings], abs=0.01
    )


def test_small_swings_are_measured_where_the_frequency_is_known() -> None:
    for swing in amplitudes(repeated((9.0, 0.03, 0.01, 0.3)), 9.0, 0.03):
        assert swing.shift == pytest.approx(0.01, abs=5 * swing.shift_error)
        assert swing.shift_error < 0.01


def test_the_largest_excursion_of_an_ellipse() -> None:
    random = np.random.default_rng(1)
    for _ in range(10):
        phasors = random.normal(size=3) + 1j * random.normal(size=3)
        angles = np.linspace(0, 2 * math.pi, 20_001)
        path = (phasors[:, None] * np.exp(1j * angles)).real
        assert largest(phasors) == pytest.approx(np.sqrt((path**2).sum(axis=0)).max(), rel=1e-6)
