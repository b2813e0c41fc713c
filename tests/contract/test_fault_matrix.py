"""Which test tries which fault on which driver. A driver that is new, or a fault that nobody answers for, fails here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from drivers.catalogue import ENTRIES

ROOT = Path(__file__).parents[2]
FAULTS = ("garbage", "split", "lost", "delay", "unplug", "alarm", "wrong firmware")
WIRE = "tests/contract/test_wire_faults.py"
PHOTO = "tests/fault/test_gphoto2_faults.py"
STEPS = "tests/unit/test_stepdir_rail.py"
PICAM = "tests/unit/test_picamera2_faults.py"
PICAM_SET = "tests/unit/test_picamera2_camera.py"
LENS = "tests/unit/test_picamera2_lens.py"
PARTS = "tests/unit/test_gpio_parts.py"
RELEASE = "tests/unit/test_gpio_release.py"


def row(*where: str) -> dict[str, str]:
    """In the order of `FAULTS`."""
    return dict(zip(FAULTS, where, strict=True))


MATRIX: dict[tuple[str, str], dict[str, str]] = {
    ("rail", "grbl"): dict.fromkeys(FAULTS, f"{WIRE}::TestGrbl"),
    ("motor", "tmc2209"): dict.fromkeys(FAULTS, f"{WIRE}::TestAttended"),
    ("rail", "stepdir"): row(
        f"{STEPS}::TestLimits::test_noise_on_a_switch_is_counted_and_no_limit",
        f"{STEPS}::TestBusyMachines::test_running_dry_above_the_start_stop_rate_makes_the_position_unknown",
        f"{STEPS}::TestHoming::test_lost_steps_are_told",
        f"{STEPS}::TestBusyMachines::test_a_stalled_library_throws_the_motor_no_farther_than_it_follows",
        f"{STEPS}::TestLimits::test_a_switch_with_a_broken_wire_is_pressed",
        f"{STEPS}::TestBusyMachines::test_a_library_that_fails_is_an_alarm",
        f"{STEPS}::TestOpening::test_without_the_library_it_says_so",
    ),
    ("camera", "gphoto2"): row(
        f"{PHOTO}::test_another_kind_of_file_than_the_config_says",
        f"{PHOTO}::test_half_a_file_is_read_again",
        f"{PHOTO}::test_a_picture_without_a_file",
        f"{PHOTO}::test_a_hang_is_given_up_and_a_usb_reset_brings_the_camera_back",
        f"{PHOTO}::test_unplugged_in_the_middle_and_plugged_in_again",
        f"{PHOTO}::test_an_empty_battery_takes_no_picture",
        f"{PHOTO}::test_a_camera_that_does_not_take_a_setting",
    ),
    ("camera", "picamera2"): row(
        f"{PICAM}::test_damaged_frames_are_not_pictures",
        f"{PICAM}::test_damaged_frames_are_not_pictures",
        f"{PICAM}::test_a_picture_is_lost_with_its_process",
        f"{PICAM}::test_a_pipeline_that_hangs_in_c_is_given_up_at_once",
        f"{PICAM}::test_a_sensor_that_gives_no_more_frames_is_replaced",
        f"{PICAM_SET}::test_settings_that_will_not_be_kept_fail_the_picture",
        f"{PICAM_SET}::test_what_cannot_be_is_said_in_words_that_help",
    ),
    ("rail", "lens"): row(
        "-: libcamera's metadata are no bytes on a wire",
        "-: libcamera's metadata are no bytes on a wire",
        f"{LENS}::test_a_control_that_gets_lost_is_told_again",
        f"{LENS}::test_a_picture_waits_for_a_lens_under_way",
        f"{LENS}::test_a_camera_without_frames_is_an_alarm",
        f"{LENS}::test_a_lens_that_does_not_move_is_an_alarm",
        f"{LENS}::test_a_camera_that_does_not_fit_the_axis",
    ),
    ("shutter", "release"): row(
        f"{RELEASE}::test_edges_of_the_mirror_or_of_before_prove_nothing",
        f"{RELEASE}::test_a_contact_that_bounces",
        f"{RELEASE}::test_no_edge_is_a_failed_exposure",
        f"{RELEASE}::test_an_edge_counts_from_when_the_kernel_saw_it",
        f"{RELEASE}::test_an_exposure_that_does_not_end",
        "-: a contact has no alarm",
        f"{RELEASE}::test_a_machine_without_pins",
    ),
    ("light", "gpio"): row(
        *["-: nothing comes back from a lamp"] * 4,
        f"{PARTS}::test_off_when_the_process_dies_of_an_error",
        "-: a lamp has no alarm",
        f"{PARTS}::test_without_gpiozero_it_says_so",
    ),
    ("switch", "gpio"): row(
        f"{PARTS}::test_a_spike_is_not_a_press",
        f"{PARTS}::test_a_change_is_believed_after_the_debounce_time",
        f"{PARTS}::test_a_contact_that_never_rests_counts_as_pressed_where_it_is_an_estop",
        f"{PARTS}::test_a_change_is_believed_after_the_debounce_time",
        f"{PARTS}::test_a_broken_wire_of_an_estop_is_a_press",
        "-: a contact has no alarm",
        f"{PARTS}::test_without_gpiozero_it_says_so",
    ),
    **{
        (entry.kind, entry.name): dict.fromkeys(FAULTS, "-: nothing real at its end")
        for entry in ENTRIES
        if entry.name in {"sim", "replay"}
    },
}
"""`file::name` of a test or a suite, or `-: why there is none`."""


def names_in(path: str) -> set[str]:
    """`function`, `Class` and `Class::method` of a file."""
    body = ast.parse((ROOT / path).read_text()).body
    found = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return found


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.kind} {entry.name}")
def test_every_driver_answers_for_every_fault(entry):
    answers = MATRIX.get((entry.kind, entry.name))
    assert answers is not None, "add a row"
    assert set(answers) == set(FAULTS)
    for where in answers.values():
        path, _, name = where.partition("::")
        assert where.startswith("-: ") or name in names_in(path), f"{where} is not there"
