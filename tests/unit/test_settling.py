"""The settle against brute force: damped cosines sampled finely over an exposure."""

import itertools
import math

import numpy as np
import pytest

from rigd.settling import Allowed, Ring, Swing, blur_um, range_within, settle_s, wait_after

RING = Ring(15.0, 0.03)


def sampled_range(exposure_s, frequency_hz, damping, phases=720):
    """The slow twin of `range_within`."""
    omega = 2 * math.pi * frequency_hz
    t = np.linspace(0, min(exposure_s, 3 / frequency_hz), 2001)
    phi = np.linspace(0, 2 * math.pi, phases, endpoint=False)[:, None]
    y = np.exp(-damping * omega * t) * np.cos(omega * math.sqrt(1 - damping**2) * t + phi)
    return float(np.ptp(y, axis=1).max())


@pytest.mark.parametrize(
    ("exposure_s", "frequency_hz", "damping"),
    list(itertools.product([0.0005, 0.004, 0.02, 0.05, 0.3, 2.0], [4.0, 15.0, 120.0], [0.0, 0.03, 0.3])),
)
def test_range_within_an_exposure_is_that_of_the_sampled_swing(exposure_s, frequency_hz, damping):
    found = range_within(exposure_s, frequency_hz, damping)
    assert found == pytest.approx(sampled_range(exposure_s, frequency_hz, damping), rel=2e-3)
    assert found <= 2.0


@pytest.mark.parametrize("exposure_s", [0.001, 0.01, 0.02, 0.033])
def test_without_damping_it_is_the_textbook_formula(exposure_s):
    assert range_within(exposure_s, 15.0, 0.0) == pytest.approx(
        2 * abs(math.sin(math.pi * 15.0 * exposure_s))
    )


def test_an_exposure_that_is_not_known_counts_as_long():
    assert range_within(0.0, 15.0, 0.03) == 2.0
    assert range_within(0.1, 15.0, 0.0) == pytest.approx(2.0)


@pytest.mark.parametrize(("frequency_hz", "damping"), [(0.0, 0.1), (-3.0, 0.1), (15.0, 1.0), (15.0, -0.01)])
def test_a_ring_that_is_none_is_refused(frequency_hz, damping):
    with pytest.raises(ValueError, match="frequency"):
        range_within(0.02, frequency_hz, damping)


def test_settle_by_hand():
    # 2 A / x = 200 um / 1 um, over ζω = 0.03 · 2π · 15: 1.874 s for a long exposure.
    allowed = Allowed(exposure_s=1.0, blur_um=1.0, confidence=0.5)
    found = settle_s([Swing(RING, 100.0)], allowed)
    gain = range_within(1.0, 15.0, 0.03)
    assert found == pytest.approx(math.log(100 * gain) / (0.03 * 2 * math.pi * 15), rel=1e-9)
    assert found == pytest.approx(1.874, abs=0.02)


def exposed_range(swings, start_s, exposure_s, phase):
    """Blur of a sum of swings for one phase, by sampling."""
    t = start_s + np.linspace(0, exposure_s, 1500)
    y = 0
    for swing in swings:
        omega = 2 * math.pi * swing.ring.frequency_hz
        d = swing.ring.damping
        y = y + swing.amplitude_um * np.exp(-d * omega * t) * np.cos(
            omega * math.sqrt(1 - d**2) * t + phase * swing.ring.frequency_hz
        )
    return float(np.ptp(y))


@pytest.mark.parametrize("exposure_s", [0.005, 0.02, 0.5])
@pytest.mark.parametrize("second", [None, Swing(Ring(41.0, 0.01), 20.0)])
def test_after_the_settle_no_phase_blurs_more_and_it_is_the_shortest(exposure_s, second):
    swings = [Swing(RING, 60.0)] + ([second] if second else [])
    allowed = Allowed(exposure_s, blur_um=0.8, confidence=0.5)
    found = settle_s(swings, allowed)
    worst = max(exposed_range(swings, found, exposure_s, phase) for phase in np.linspace(0, 2 * math.pi, 200))
    assert worst <= 0.8 * (1 + 1e-6)
    assert worst > 0.8 * (0.75 if second else 0.99)
    assert blur_um(swings, found, allowed) == pytest.approx(0.8, rel=1e-6)


def test_still_enough_is_no_wait():
    assert settle_s([Swing(RING, 0.4)], Allowed(0.5, 1.0)) == 0.0
    assert settle_s([], Allowed(0.5, 1.0)) == 0.0
    with pytest.raises(ValueError, match="blur"):
        settle_s([Swing(RING, 0.4)], Allowed(0.5, 0.0))


def test_what_is_uncertain_makes_it_longer_and_confidence_says_how_much():
    allowed = Allowed(0.02, 0.5, 0.95)
    sure = settle_s([Swing(RING, 50.0)], allowed)
    for unsure in (
        Swing(RING, 50.0, 10.0),
        Swing(Ring(15.0, 0.03, frequency_error_hz=1.0), 50.0),
        Swing(Ring(15.0, 0.03, damping_error=0.004), 50.0),
    ):
        longer = settle_s([unsure], allowed)
        assert longer > sure * 1.01
        assert settle_s([unsure], Allowed(0.02, 0.5, 0.999)) > longer
    assert settle_s([Swing(RING, 50.0, 10.0)], Allowed(0.02, 0.5, 0.5)) == pytest.approx(sure)


def test_as_many_are_still_as_the_confidence_says():
    """Amplitude, frequency and damping drawn at random: at least 95 % of exposures blur less than allowed."""
    random = np.random.default_rng(4)
    ring = Ring(15.0, 0.03, frequency_error_hz=0.3, damping_error=0.003)
    allowed = Allowed(0.02, 0.5, 0.95)
    found = settle_s([Swing(ring, 50.0, 8.0)], allowed)
    still = 0
    for _ in range(1000):
        true = Ring(random.normal(15.0, 0.3), max(0.001, random.normal(0.03, 0.003)))
        swing = Swing(true, max(0.0, random.normal(50.0, 8.0)))
        still += exposed_range([swing], found, 0.02, random.uniform(0, 7)) <= 0.5
    assert still >= 950


def test_the_reason_is_told_and_the_cap_too():
    allowed = Allowed(0.02, 2.0)
    wait = wait_after([Swing(RING, 60.0)], allowed, code="measured", px_um=4.0, move_um=100.0, max_s=3.0)
    assert wait.code == "measured"
    assert wait.settle_s == settle_s([Swing(RING, 60.0)], allowed)
    assert "measured swing 60 um after 100 um" in wait.why
    assert "15 Hz, damping 0.03" in wait.why
    assert "allowed 0.5 px" in wait.why
    assert wait.blur_um == pytest.approx(2.0)
    capped = wait_after([Swing(RING, 60.0)], allowed, code="model", px_um=4.0, move_um=100.0, max_s=0.2)
    assert (capped.code, capped.settle_s) == ("cap", 0.2)
    assert "settle.max_s is 0.2 s" in capped.why
    assert capped.blur_um > 2.0
    least = wait_after([Swing(RING, 0.1)], allowed, code="model", px_um=4.0, move_um=100.0, min_s=0.05)
    assert (least.code, least.settle_s) == ("model", 0.05)
    assert "min_s" in least.why


def test_hopeless_uncertainty_still_ends():
    ring = Ring(15.0, 0.03, frequency_error_hz=40.0, damping_error=1.0)
    assert 0 < settle_s([Swing(ring, 50.0)], Allowed(0.02, 0.5, 0.999)) < 200
