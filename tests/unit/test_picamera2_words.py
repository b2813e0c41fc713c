"""The picamera2 driver without a camera: what a timestamp means, what is asked for, what is answered."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.apart.wire import Codec, Done, Message, Refused
from drivers.base import CameraSettings
from drivers.picamera2 import failures, locking, pipeline
from drivers.picamera2 import messages as m
from drivers.picamera2.options import LensOptions, Picamera2Options
from drivers.picamera2.timestamps import Meaning, Stamped, WrongClock
from drivers.picamera2.worker import refusal

MARKS = ("unsettled", "first_row_start", "first_row_end")
CLOCKS = ("unsettled", "monotonic", "boottime")
SENSOR = {"exposure_s": 0.02, "frame_s": 0.1, "readout_s": 0.09}


def frame(start_s, marks, clock, ahead_s=0.0, **sensor):
    """What a frame tells whose first row began to be exposed at `start_s`; and when its last row ended."""
    about = SENSOR | sensor
    stamp_s = start_s + (about["exposure_s"] if marks == "first_row_end" else 0.0)
    end_s = start_s + about["exposure_s"] + about["readout_s"]
    stamp_s += ahead_s if clock == "boottime" else 0.0
    return Stamped(stamp_s, arrived_s=end_s + 0.02, boot_ahead_s=ahead_s, **about), end_s


TRUTHS = [*itertools.product(MARKS[1:], CLOCKS[1:])]
DOUBTS = [("unsettled", "unsettled")]


@pytest.mark.parametrize("truth", TRUTHS, ids="/".join)
@pytest.mark.parametrize("ahead_s", [0.0, 0.3, 5000.0])
@pytest.mark.parametrize("doubt", [True, False], ids=["unsettled", "settled"])
def test_the_times_enclose_what_is_true(truth, ahead_s, doubt):
    meaning = Meaning() if doubt else Meaning(*truth)
    seen, end_s = frame(100.0, *truth, ahead_s)
    start_s, last_s = meaning.exposed(seen)
    assert start_s <= 100.0 + 1e-9
    assert last_s >= end_s - 1e-9
    if not doubt:
        assert (start_s, last_s) == (pytest.approx(100.0), pytest.approx(end_s))


@settings(max_examples=200)
@given(
    st.sampled_from(TRUTHS),
    st.sampled_from([0.0, 0.05, 0.9, 40.0, 5000.0]),
    st.floats(1e-4, 2.0),
    st.floats(0.005, 0.2),
    st.floats(-3.0, 3.0),
)
def test_an_old_frame_is_never_taken_for_a_new_one(truth, ahead_s, exposure_s, frame_s, after_s):
    sensor = {"exposure_s": exposure_s, "frame_s": max(frame_s, exposure_s), "readout_s": 0.9 * frame_s}
    seen, _ = frame(100.0, *truth, ahead_s, **sensor)
    for meaning in (Meaning(), Meaning(*truth), Meaning(truth[0]), Meaning(clock=truth[1])):
        if meaning.is_new(seen, 100.0 - after_s):
            assert after_s >= -1e-9
        # And one is found sooner or later.
        assert meaning.is_new(
            seen, 100.0 - 3 * sensor["frame_s"] - exposure_s - (ahead_s if ahead_s < 5 else 0)
        )
        stamp_s = meaning.stamp_of(100.0, exposure_s, sensor["frame_s"], ahead_s)
        assert stamp_s >= 100.0


def test_one_frame_more_passes_until_a_bench_has_settled_it():
    seen, _ = frame(100.0, "first_row_end", "monotonic")
    assert Meaning("first_row_end", "monotonic").is_new(seen, 100.0)
    assert not Meaning("first_row_end").is_new(seen, 100.0)
    assert not Meaning().is_new(seen, 99.91)
    assert Meaning().is_new(seen, 99.89)


def test_a_stamp_in_the_future_or_long_ago_is_the_wrong_clock():
    seen, _ = frame(100.0, "first_row_end", "boottime", 5000.0)
    with pytest.raises(WrongClock, match="after they arrive"):
        Meaning("first_row_end", "monotonic").exposed(seen)
    seen, _ = frame(100.0, "first_row_end", "monotonic", 5000.0)
    with pytest.raises(WrongClock, match="before they arrive"):
        Meaning("first_row_end", "boottime").exposed(seen)


def test_rows_that_have_arrived_have_been_exposed():
    """The end is not put off by a doubt that the arrival has settled."""
    seen, end_s = frame(100.0, "first_row_end", "monotonic", exposure_s=2.0)
    assert Meaning().exposed(seen)[1] == pytest.approx(end_s + 0.02)


# ------------------------------------------------------------------------------------------------------- the pipeline

SHIPPED = """{
        "version": 1.0,
        "target": "pisp",

        "pipeline_handler":
        {
                # How many # buffers.
                "num_cfe_config_queue": 2,
                "camera_timeout_value_ms": 5000, # long
                "disable_tdn": false,
        }
}
"""


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        (SHIPPED, {"num_cfe_config_queue": 2, "camera_timeout_value_ms": 5000}),
        ("", {}),
        ("not: [json", {}),
        ('{"version": 1.0, "target": "bcm2835", "pipeline_handler": {"min_unicam_buffers": 2}}', {}),
        ("[]", {}),
    ],
)
def test_averaging_is_taken_out_and_the_rest_stays(before, kept):
    after = json.loads(pipeline.without_averaging(before))
    assert after == {
        "version": 1.0,
        "target": "pisp",
        "pipeline_handler": kept | {"disable_tdn": True, "disable_hdr": True},
    }


# ----------------------------------------------------------------------------------------------------------- settings


def test_nothing_is_left_to_decide_for_itself():
    asked = locking.controls(Picamera2Options(exposure_s=0.01, gain=2, red_gain=2.1, blue_gain=1.7), 4.0)
    assert asked == {
        "AeEnable": False,
        "AwbEnable": False,
        "ExposureTime": 10_000,
        "AnalogueGain": 2.0,
        "ColourGains": (2.1, 1.7),
        "NoiseReductionMode": 0,
        "HdrMode": 0,
        "AfMode": 0,
        "LensPosition": 4.0,
    }
    assert "AfMode" not in locking.controls(Picamera2Options(), None)


@pytest.mark.parametrize(
    ("rate_hz", "most_gain", "exposure_us", "gain"),
    [(10.0, 22.0, 20_000, 1.0), (100.0, 22.0, 8_000, 2.5), (100.0, 2.0, 8_000, 2.0)],
)
def test_small_frames_are_short_and_as_bright_as_can_be(rate_hz, most_gain, exposure_us, gain):
    asked = locking.burst_controls(Picamera2Options(exposure_s=0.02), rate_hz, most_gain, None)
    assert asked["ExposureTime"] == exposure_us
    assert asked["AnalogueGain"] == pytest.approx(gain)
    assert asked["FrameDurationLimits"] == (round(1e6 / rate_hz),) * 2


@pytest.mark.parametrize(
    ("told", "lens", "named"),
    [
        ({}, None, []),
        ({"ExposureTime": 20_100}, None, []),
        ({"ExposureTime": 21_000}, None, ["exposure time is 0.021 s, not 0.02"]),
        ({"AnalogueGain": 1.5}, None, ["gain is 1.5, not 1"]),
        ({"ColourGains": (2.0, 3.0)}, None, ["gain of blue is 3, not 2"]),
        ({"LensPosition": 5.0}, 5.01, []),
        ({"LensPosition": 5.0}, 4.0, ["lens is at 5 dioptres, not 4"]),
        ({"LensPosition": 5.0}, None, []),
    ],
)
def test_a_frame_is_held_against_what_is_locked(told, lens, named):
    wanted = locking.Wanted(CameraSettings(0.02, 1.0, (2.0, 2.0)), locking.HELD)
    all_told = {"ExposureTime": 20_000, "AnalogueGain": 1.0, "ColourGains": (2.0, 2.0)} | told
    assert wanted.differences(locking.read(all_told), lens) == named


def test_what_the_camera_cannot_do_is_named_with_its_limits():
    options = Picamera2Options(exposure_s=30.0, gain=40.0, lens_position=3.0)
    wrong = locking.beyond(options, {"ExposureTime": (100, 10_000_000), "AnalogueGain": (1.0, 22.0)}, 3.0)
    assert wrong == [
        "camera.exposure_s 30 is not between 0.0001 and 10",
        "camera.gain 40 is not between 1 and 22",
        "its lens does not move: take camera.lens_position away",
    ]


# ----------------------------------------------------------------------------------------------------------- failures


def wrapped(*errors):
    """As picamera2 wraps what libcamera says."""
    for inner, outer in itertools.pairwise(errors):
        outer.__cause__ = inner
    return errors[-1]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(12, "Cannot allocate memory"), m.NO_MEMORY),
        (RuntimeError("failed to allocate capture buffers for stream 0"), m.NO_MEMORY),
        (wrapped(OSError(12, "x"), RuntimeError("Failed to start camera")), m.NO_MEMORY),
        (
            wrapped(
                RuntimeError("Failed to acquire camera: Device or resource busy"),
                RuntimeError("Camera __init__ sequence did not complete."),
            ),
            m.BUSY,
        ),
        (RuntimeError("No camera number 1 found"), m.NO_CAMERA),
        (RuntimeError("Camera(s) not found (Do not forget to disable ...)"), m.NO_CAMERA),
        (IndexError("list index out of range"), m.NO_CAMERA),
        (RuntimeError("Invalid camera configuration"), m.FAILED),
    ],
    ids=str,
)
def test_what_picamera2_says_is_understood(error, code):
    assert refusal(error).code == code
    assert str(error) in refusal(error).words


def test_no_memory_names_three_ways_out(monkeypatch, tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 4000000 kB\nCmaTotal: 262144 kB\nCmaFree: 12000 kB\n")
    monkeypatch.setattr(failures, "MEMINFO", meminfo)
    words = failures.no_memory(Picamera2Options(), 2, "ENOMEM")
    for part in ("2 frames of 18 MB", "12 MB", "camera.buffers: 1", "camera.width", "cma-512"):
        assert part in words
    assert "camera.buffers" not in failures.no_memory(Picamera2Options(), 1, "ENOMEM")
    meminfo.write_text("MemTotal: 4000000 kB\n")
    assert failures.cma_free() is None


# ----------------------------------------------------------------------------------------------------------- the lens


def test_planes_in_focus_by_hand():
    lens = LensOptions(near_dioptres=10.0, far_dioptres=4.0)
    assert lens.travel_um == pytest.approx(150_000)
    assert lens.dioptres_at(0.0) == pytest.approx(10.0)
    assert lens.dioptres_at(100_000.0) == pytest.approx(5.0)
    assert lens.position_um(5.0) == pytest.approx(100_000.0)
    assert lens.declared().travel_um == pytest.approx(150_000)
    with pytest.raises(ValueError, match="farther"):
        LensOptions(near_dioptres=2.0, far_dioptres=4.0)
    with pytest.raises(ValueError, match="coarse"):
        LensOptions(near_dioptres=10.0, far_dioptres=9.99)


def test_options_that_cannot_be():
    with pytest.raises(ValueError, match="width must be even"):
        Picamera2Options(width=4055)


# ----------------------------------------------------------------------------------------------------------- messages


def test_messages_come_back_as_they_went():
    sent = m.Seen(3, {"SensorTimestamp": 5, "ColourGains": (1.5, 2.0)}, 6, 0)
    head, raw = m.CODEC.packed(sent, b"picture")
    assert m.CODEC.unpacked(head[8:]) == sent
    assert (int.from_bytes(head[:4]), int.from_bytes(head[4:8]), raw) == (len(head) - 8, 7, b"picture")


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b'{"type": "Nothing"}', b'{"type": "Done", "more": 1}'])
def test_what_is_no_message_is_refused(text):
    class Own(Message):
        pass

    codec = Codec(Own)
    assert codec.unpacked(codec.packed(Done())[0][8:]) == Done()
    assert codec.unpacked(codec.packed(Refused(1, "no"))[0][8:]) == Refused(1, "no")
    with pytest.raises(ValueError, match=r"not a message|Expecting value"):
        codec.unpacked(text)
