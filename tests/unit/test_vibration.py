"""What follows from a rig's ringing: amplitudes, the shape of moves, advice, the account of a run."""

from __future__ import annotations

import math

import numpy as np
import pytest

from drivers.base import CameraCapabilities, CameraSettings, RailCapabilities, Shaping
from drivers.motion.oscillator import Oscillator, Response
from drivers.motion.profile import trapezoid
from rigd.calibration.records import Amplitude, Calibration, Mode, RingDown
from rigd.settling import Ring
from rigd.vibration.advice import advise
from rigd.vibration.amplitude import Drive, factor_of, interpolated, ringing_um, swings
from rigd.vibration.forecast import Forecast
from rigd.vibration.known import knowledge
from rigd.vibration.model import Vibration
from rigd.vibration.shake import ShakeWatch, detail, kept, looks_shaken, shaken_beside
from rigd.vibration.stillness import Stillness
from tests.rigs import SMALL, small_rig

HZ, ZETA, COUPLING = 15.0, 0.03, 0.4
DRIVE = Drive(10_000.0, 200_000.0)
ZVD_S = 1 / (HZ * math.sqrt(1 - ZETA**2))
PLAIN, ZVD = Shaping("trapezoid"), Shaping("zvd", HZ, ZETA)
RAIL = RailCapabilities("r", 0.625, 60_000.0, DRIVE.speed_um_per_s, DRIVE.acceleration_um_per_s2)
CAMERA = CameraCapabilities(
    name="c",
    width=1000,
    height=800,
    suffix=".jpg",
    frame_bytes=1000,
    exposure_s=0.02,
    overhead_s=0.0,
    transfer_s=0.0,
    settings=CameraSettings(),
)
LENGTHS = (10.0, 30.0, 100.0, 300.0, 900.0)


def true_um(move_um, shaping=PLAIN):
    return COUPLING * ringing_um(HZ, ZETA, shaping, DRIVE, move_um)


def ring_down(lengths=LENGTHS, swing=true_um, **changes):
    table = tuple(Amplitude(move_um=um, amplitude_um=swing(um), error_um=0.05) for um in lengths)
    return RingDown(
        **{
            "objective": "",
            "measured": "2026-11-01T10:00:00+00:00",
            "source": "camera",
            "frequency_hz": HZ,
            "frequency_error_hz": 0.01,
            "damping": ZETA,
            "damping_error": 0.0003,
            "amplitudes": table,
            "px_um": 4.0,
            "shaping": "trapezoid",
            **changes,
        }
    )


def known_of(tmp_path, *overrides, ring_downs=(), text=SMALL):
    return knowledge(small_rig(tmp_path, *overrides, text=text), Calibration(ring_downs=ring_downs), 1000)


def vibration(tmp_path, *overrides, ring_downs=(), present=PLAIN):
    config = small_rig(tmp_path, *overrides)
    return config, Vibration(config, Calibration(ring_downs=ring_downs), RAIL, CAMERA, present)


# ------------------------------------------------------------------------------------------------------------- known


def test_nothing_known_is_said_only_to_who_asked_for_it(tmp_path):
    assert known_of(tmp_path).known is None
    assert known_of(tmp_path).notes == ()
    asked = known_of(tmp_path, "settle.mode=measured")
    assert "rigd calibrate settle" in str(asked.notes[0])


def test_a_measurement_with_another_objective_is_not_used_and_that_is_said(tmp_path):
    found = known_of(
        tmp_path,
        "settle.mode=measured",
        ring_downs=(ring_down(objective="ten"),),
        text=SMALL + "optics: {objective: five}\nobjectives: {five: {magnification: 5, na: 0.15}}\n",
    )
    assert found.known is None
    assert "'five', only with ten" in found.notes[0].message


def test_the_newest_measurement_counts_and_tells_the_size_of_a_pixel(tmp_path):
    found = known_of(tmp_path, ring_downs=(ring_down(), ring_down(frequency_hz=12.0, px_um=3.0))).known
    assert (found.ring.frequency_hz, found.px_um, found.guessed) == (12.0, 3.0, False)
    assert found.unshaped.frequency_hz == 12.0
    assert known_of(tmp_path, "finish.um_per_px=2.5", ring_downs=(ring_down(),)).known.px_um == 2.5


def test_a_guess_is_a_guess_and_gives_way_to_a_measurement(tmp_path):
    guess = known_of(tmp_path, "settle.frequency_hz=20").known
    assert (guess.ring.frequency_hz, guess.guessed) == (20.0, True)
    assert guess.ring.frequency_error_hz == pytest.approx(0.15 * 20 / 1.645, rel=1e-3)
    assert not known_of(tmp_path, "settle.frequency_hz=20", ring_downs=(ring_down(),)).known.guessed


# ---------------------------------------------------------------------------------------------------------- amplitude


def test_ringing_is_that_of_the_exact_response():
    profile = trapezoid(100.0, DRIVE.speed_um_per_s, DRIVE.acceleration_um_per_s2)
    expected = Response(Oscillator(HZ, ZETA), profile).amplitude_um(profile.duration_s)
    assert ringing_um(HZ, ZETA, PLAIN, DRIVE, -100.0) == expected
    assert ringing_um(HZ, ZETA, PLAIN, DRIVE, 0.0) == 0.0


@pytest.mark.parametrize("move_um", [4.0, 47.0, 100.0, 640.0, 1500.0, 5000.0])
def test_swings_of_other_lengths_follow_the_model(tmp_path, move_um):
    """Between the measured lengths straight lines would be far off: ringing cancels at some of them."""
    known = known_of(tmp_path, ring_downs=(ring_down(),)).known
    (swing,) = swings(known, PLAIN, DRIVE, move_um, 1.6)
    assert swing.amplitude_um == pytest.approx(true_um(move_um), rel=0.05, abs=0.6)
    assert swing.at_most_um(1.6) >= true_um(move_um)


@pytest.mark.parametrize("kind", ["quintic", "zv", "zvd", "mzv", "ei"])
@pytest.mark.parametrize("move_um", [20.0, 100.0, 800.0])
def test_swings_of_shaped_moves_follow_from_unshaped_ones(tmp_path, kind, move_um):
    known = known_of(tmp_path, ring_downs=(ring_down(),)).known
    shaping = Shaping(kind, HZ, ZETA)
    (swing,) = swings(known, shaping, DRIVE, move_um, 1.6)
    assert swing.at_most_um(1.6) >= true_um(move_um, shaping)
    assert swing.amplitude_um <= 1.2 * true_um(move_um, shaping) + 0.02 * true_um(100.0)


def test_what_was_measured_with_the_shape_in_use_counts_as_it_is(tmp_path):
    """A rail that leaves more than its shaper should."""
    seen = ring_down(swing=lambda um: 0.01 * um, shaping="zvd", shaping_hz=HZ)
    known = known_of(tmp_path, ring_downs=(ring_down(), seen)).known
    assert swings(known, ZVD, DRIVE, 65.0, 1.6)[0].amplitude_um == pytest.approx(0.65)
    elsewhere = Shaping("zvd", 1.1 * HZ, ZETA)
    assert swings(known, elsewhere, DRIVE, 65.0, 1.6)[0].amplitude_um != pytest.approx(0.65)


def test_a_table_that_does_not_follow_the_model_is_used_itself(tmp_path):
    odd = ring_down(swing=lambda um: 3.0 + 0.001 * um)
    assert not factor_of(odd, DRIVE).follows
    known = known_of(tmp_path, ring_downs=(odd,)).known
    (swing,) = swings(known, PLAIN, DRIVE, 65.0, 1.6)
    assert swing.amplitude_um == pytest.approx(3.065)
    assert factor_of(ring_down(), DRIVE).follows
    assert factor_of(ring_down(), DRIVE).value == pytest.approx(COUPLING, rel=1e-6)


def test_a_table_is_never_less_beyond_its_ends_than_they_lead_to_expect():
    table = [Amplitude(move_um=um, amplitude_um=a, error_um=0.1) for um, a in ((50, 10), (100, 30), (200, 5))]
    assert interpolated(table, 75.0)[0] == 20.0
    assert interpolated(table, 100.0) == (30.0, 0.1)
    assert interpolated(table, 75.0)[1] > 5.0
    assert interpolated(table, 10.0)[0] == pytest.approx(3.0)  # 0.3 um for each um, the most that was seen
    value, error = interpolated(table, 800.0)
    assert value >= 30.0
    assert error > 0.2 * value


def test_a_second_mode_swings_too_and_a_shaper_for_the_first_lets_some_of_it_pass(tmp_path):
    second = Mode(frequency_hz=41.0, frequency_error_hz=0.1, damping=0.02, damping_error=0.001, share=0.2)
    known = known_of(tmp_path, ring_downs=(ring_down(second=second),)).known
    first, other = swings(known, PLAIN, DRIVE, 100.0, 1.6)
    assert other.amplitude_um == pytest.approx(0.2 * first.amplitude_um)
    shaped, passed = swings(known, ZVD, DRIVE, 100.0, 1.6)
    assert shaped.amplitude_um < 0.01 * first.amplitude_um
    assert 0.05 * other.amplitude_um < passed.amplitude_um < other.amplitude_um


# ------------------------------------------------------------------------------------------------------------- choice


def test_zvd_where_it_was_measured_and_ei_where_it_is_guessed(tmp_path):
    _, measured = vibration(tmp_path, ring_downs=(ring_down(),))
    chosen = measured.motion(100.0)
    assert chosen.shaping == Shaping("zvd", HZ, ZETA)
    assert "measured" in chosen.why
    _, guessed = vibration(tmp_path, "settle.frequency_hz=15")
    assert guessed.motion(100.0).shaping == Shaping("ei", 15.0, 0.02)
    _, nothing = vibration(tmp_path)
    assert nothing.motion(100.0).shaping is None


def test_a_quintic_where_that_is_quicker(tmp_path):
    """A guess far from the truth would leave EI much to ring; three periods of a smooth move leave little."""
    _, guessed = vibration(
        tmp_path,
        "settle.frequency_hz=15",
        "settle.frequency_error=0.15",
        "settle.blur_px=0.1",
        "finish.um_per_px=1",
    )
    chosen = guessed.motion(100.0)
    assert chosen.shaping == Shaping("quintic", 15.0, 0.02)
    assert "quicker" in chosen.why


@pytest.mark.parametrize(("asked", "kind"), [("mzv", "mzv"), ("trapezoid", "trapezoid"), ("rail", None)])
def test_the_config_may_choose(tmp_path, asked, kind):
    _, measured = vibration(tmp_path, f"motion.shaping={asked}", ring_downs=(ring_down(),))
    shaping = measured.motion(100.0).shaping
    assert (shaping.kind if shaping else None) == kind


def test_a_shaper_without_a_frequency_waits_for_one(tmp_path):
    _, nothing = vibration(tmp_path, "motion.shaping=zvd")
    assert nothing.motion(100.0).shaping is None
    assert "rigd calibrate settle" in nothing.motion(100.0).why


# ------------------------------------------------------------------------------------------------------------- advice


@pytest.mark.parametrize("step_um", [30.0, 100.0, 300.0, 2000.0])
def test_the_advised_acceleration_leaves_little_ringing(step_um):
    ring = Ring(HZ, ZETA)
    found = advise(ring, DRIVE, step_um)
    assert found.advised_um_per_s2 <= DRIVE.acceleration_um_per_s2
    left = ringing_um(HZ, ZETA, PLAIN, Drive(DRIVE.speed_um_per_s, found.advised_um_per_s2), step_um)
    assert left < 0.25 * ringing_um(HZ, ZETA, PLAIN, DRIVE, step_um)
    ramp_s = math.sqrt(step_um / found.advised_um_per_s2)
    reached = math.sqrt(step_um * found.advised_um_per_s2) > DRIVE.speed_um_per_s
    ramp_s = DRIVE.speed_um_per_s / found.advised_um_per_s2 if reached else ramp_s
    assert ramp_s * HZ == pytest.approx(found.periods)
    assert "$120" in found.text
    assert f"{found.advised_um_per_s2 / 1000:.4g} mm/s²" in found.text


def test_by_hand_100_um_at_15_hz_want_22_5_mm_per_s2():
    assert advise(Ring(15.0, 0.0), DRIVE, 100.0).advised_um_per_s2 == pytest.approx(22_500.0)


def test_no_advice_for_what_rings_little_already_or_can_shape(tmp_path):
    slow = Drive(10_000.0, 22_500.0)
    assert advise(Ring(15.0, 0.03), slow, 100.0) is None
    _, able = vibration(tmp_path, ring_downs=(ring_down(),))
    assert able.advice(100.0) is None
    _, unable = vibration(tmp_path, ring_downs=(ring_down(),), present=None)
    assert unable.advice(100.0).periods == 1
    assert unable.motion(100.0).shaping is None


class Rail:
    """One that tells how long its moves take."""

    capabilities = RAIL

    def move_time_s(self, distance):
        return 0.001 * abs(distance)


def test_the_forecast_times_moves_as_they_will_be_shaped_and_says_why(tmp_path):
    config, able = vibration(tmp_path, "settle.mode=measured", ring_downs=(ring_down(),))
    shaped = Forecast(able, config.settle, Rail(), 100.0)
    assert shaped.move_time_s(160) == pytest.approx(2 * math.sqrt(100 / 200_000) + ZVD_S, abs=1e-9)
    assert shaped.settle_s(160) < 0.1
    assert shaped.motion_text.startswith("15 Hz is measured: ZVD")
    config, unable = vibration(tmp_path, "settle.mode=measured", ring_downs=(ring_down(),), present=None)
    plain = Forecast(unable, config.settle, Rail(), 100.0)
    assert plain.move_time_s(160) == 0.16
    assert plain.settle_s(160) > 0.5
    assert "22.5 mm/s²" in plain.motion_text
    assert "after each step" in plain.settle_text
    assert plain.audits_s(250, 0.1) > 3 * 1.0
    config, fixed = vibration(tmp_path, ring_downs=(ring_down(),))
    assert Forecast(fixed, config.settle, Rail(), 100.0).audits_s(250, 0.1) == 0.0


# ---------------------------------------------------------------------------------------------------------- stillness


def account(tmp_path, *overrides, present=PLAIN):
    config, found = vibration(
        tmp_path, "settle.mode=measured", *overrides, ring_downs=(ring_down(),), present=present
    )
    return Stillness(found, config.settle)


def test_longer_moves_settle_longer_and_what_is_left_adds_up(tmp_path):
    still = account(tmp_path)
    still.moved(20.0, 100.0)
    short = still.wait(20.0, 0)
    still = account(tmp_path)
    still.moved(100.0, 100.0)
    alone = still.wait(100.0, 0)
    assert alone.settle_s > short.settle_s > 0
    still.moved(100.0, 100.1)
    after = still.wait(100.0, 1)
    assert after.amplitude_um == pytest.approx(
        alone.amplitude_um * (1 + math.exp(-0.1 * 2 * math.pi * HZ * ZETA)), rel=0.02
    )
    still.moved(100.0, 200.0)
    assert still.wait(100.0, 2).settle_s == pytest.approx(alone.settle_s)


def test_after_a_jolt_the_largest_swing_is_taken(tmp_path):
    still = account(tmp_path)
    still.jolted(50.0)
    jolted = still.wait(1.0, 0)
    for move_um in (10.0, 100.0, 1000.0, 7000.0):
        other = account(tmp_path)
        other.moved(move_um, 50.0)
        assert other.wait(move_um, 0).amplitude_um <= jolted.amplitude_um * 1.001


def test_the_fixed_mode_is_as_it_ever_was(tmp_path):
    config, found = vibration(tmp_path, ring_downs=(ring_down(),))
    still = Stillness(found, config.settle)
    still.begin()
    still.moved(100.0, 1.0)
    wait = still.wait(100.0, 0)
    assert (wait.settle_s, wait.code, wait.blur_um) == (config.settle.fixed_s, "fixed", None)
    assert not still.watched
    assert [still.audit_at_s(0) for _ in range(300)] == [None] * 300


def test_what_is_not_known_falls_back_and_says_so(tmp_path):
    config, found = vibration(tmp_path, "settle.mode=measured")
    still = Stillness(found, config.settle)
    still.moved(100.0, 1.0)
    wait = still.wait(100.0, 0)
    assert (wait.settle_s, wait.code) == (config.settle.fixed_s, "fallback")
    assert "rigd calibrate settle" in wait.why


def test_a_model_needs_no_measurement(tmp_path):
    config, found = vibration(
        tmp_path,
        "settle.mode=model",
        "settle.frequency_hz=15",
        "settle.damping=0.03",
        "settle.coupling=0.4",
        "finish.um_per_px=4",
        "settle.frequency_error=0.01",
        "settle.damping_error=0.01",
    )
    wait = found.wait_alone(config.settle, PLAIN, 100.0)
    assert wait.code == "model"
    assert wait.amplitude_um == pytest.approx(true_um(100.0), rel=0.05)
    measured = account(tmp_path)
    measured.moved(100.0, 5.0)
    assert wait.settle_s == pytest.approx(measured.wait(100.0, 0).settle_s, rel=0.1)


def test_shaken_frames_lengthen_every_later_settle_and_several_are_drift(tmp_path):
    still = account(tmp_path)
    still.begin()
    still.moved(100.0, 1.0)
    before = still.wait(100.0, 0)
    still.suspected(0)
    assert still.wait(100.0, 0).settle_s > before.settle_s
    assert still.wait(100.0, 1).settle_s == before.settle_s
    told = still.shaken(0, 0.85)
    assert not told.drifted
    assert still.wait(100.0, 1).amplitude_um == pytest.approx(3 * before.amplitude_um)
    again = still.shaken(1, 0.5)
    assert again.drifted
    assert "rigd calibrate settle" in again.text
    assert not still.shaken(2, 0.85).drifted, "said once"
    assert still.wait(100.0, 3).amplitude_um == pytest.approx(90 * before.amplitude_um)


def test_one_frame_in_many_is_taken_twice(tmp_path):
    still = account(tmp_path, "settle.audit_every=50")
    still.begin()
    still.moved(100.0, 1.0)
    taken_twice = [n for n in range(160) if still.audit_at_s(0) is not None]
    assert taken_twice == [2, 50, 100, 150]
    never = account(tmp_path, "settle.audit_every=0")
    never.begin()
    never.moved(100.0, 1.0)
    assert not any(never.audit_at_s(0) for _ in range(160))


# -------------------------------------------------------------------------------------------------------------- shake


def texture(seed=0, size=200):
    random = np.random.default_rng(seed)
    return random.integers(60, 200, (size, size), dtype=np.uint8)


def shifted_mean(image, span, axis):
    """As a picture that moved along one axis during its exposure."""
    return np.mean([np.roll(image, k, axis) for k in range(span + 1)], axis=0).astype(np.uint8)


def test_two_pictures_of_one_place_are_alike_whatever_their_brightness():
    still = texture()
    darker = (still * 0.7).astype(np.uint8)
    least, most = kept(detail(darker), detail(still))
    assert (least, most) == (pytest.approx(1.0, abs=0.02), pytest.approx(1.0, abs=0.02))
    assert shaken_beside(detail(darker), detail(still)) is None


@pytest.mark.parametrize("axis", [0, 1])
def test_a_shake_takes_detail_in_its_own_direction(axis):
    still = np.repeat(np.repeat(texture(size=100), 3, 0), 3, 1)
    shaken = shifted_mean(still, 4, axis)
    least, most = kept(detail(shaken), detail(still))
    assert least < 0.75 * most
    assert shaken_beside(detail(shaken), detail(still)) == least
    assert looks_shaken(detail(shifted_mean(still, 12, axis)), detail(still))


def test_less_of_everything_is_no_shake():
    still = np.repeat(np.repeat(texture(size=100), 3, 0), 3, 1)
    blurred = shifted_mean(shifted_mean(still, 4, 0), 4, 1)
    assert kept(detail(blurred), detail(still))[1] < 0.7
    assert looks_shaken(detail(blurred), detail(still)) is None


def test_a_picture_without_detail_tells_nothing():
    flat = np.full((50, 50, 3), 90, np.uint8)
    assert kept(detail(texture()), detail(flat)) == (1.0, 1.0)
    assert looks_shaken(detail(flat), detail(flat)) is None


def test_large_pictures_are_sampled_and_say_the_same():
    image = np.repeat(np.repeat(texture(size=500), 4, 0), 4, 1)
    whole, sampled = detail(image[:1000, :1000]), detail(image)
    assert sampled.xx == pytest.approx(whole.xx, rel=0.05)
    assert sampled.yy == pytest.approx(whole.yy, rel=0.08)


def test_a_retake_proves_or_clears_a_suspicion():
    still = np.repeat(np.repeat(texture(size=100), 3, 0), 3, 1)
    shaken = shifted_mean(still, 12, 1)
    watch = ShakeWatch()
    assert watch.look(0, still, None, soft=False).reason is None
    assert "shaken" in watch.look(1, shaken, None, soft=False).reason
    proved = watch.look(1, still, None, soft=False)
    assert proved.reason is None
    assert proved.kept < 0.6
    assert watch.look(2, shaken, None, soft=False).reason
    cleared = watch.look(2, shaken, None, soft=False)
    assert (cleared.reason, cleared.kept) == (None, None)
    assert "same" in cleared.note
    assert watch.look(3, still, shaken, soft=False).kept < 0.6
    assert watch.look(4, still, still, soft=False).kept is None
