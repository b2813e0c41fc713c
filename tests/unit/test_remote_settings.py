"""Settings: config, profile, changes, and what a request gives; two of farthest plane, step and frames; kept over a restart."""

from __future__ import annotations

import json

import pytest

from rigd.messages.base import ErrorCode
from rigd.messages.verbs import PlanParams, SessionStart
from rigd.remote.settings import NAME, LiveSettings, SettingsError
from tests.rigs import SMALL, small_rig

PROFILES = """
profiles:
  fine: {step_um: 20, settle_s: 1.5}
  counted: {frames: 7, direction: far_to_near, end: stay}
  margins: {margin_frames: 2}
"""
NO_PLAN = SMALL.replace("plan: {near_um: 5000, far_um: 6100, step_um: 100}\n", "")
OPEN_END = SMALL.replace("far_um: 6100, step_um: 100}\n", "frames: 10, step_um: 100}\n")
FAR_AND_FRAMES = SMALL.replace("far_um: 6100, step_um: 100}\n", "far_um: 6100, frames: 12}\n")


class Bench:
    def __init__(self, folder, text=SMALL):
        self.folder = folder
        self.config = small_rig(folder, text=text + PROFILES)
        self.changes = 0
        self.settings = self.again()

    def again(self) -> LiveSettings:
        """As after a restart."""
        return LiveSettings(self.config, self.folder / "state", self.note)

    def note(self) -> None:
        self.changes += 1

    def three(self):
        """Farthest plane, step and frames, as they are in force."""
        found = self.settings.report()
        return found.far_um, found.step_um, found.frames


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def refused(call, *args) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        call(*args)
    return caught.value


def test_at_first_they_are_as_the_config_says(bench):
    report = bench.settings.report()
    assert (report.near_um, report.far_um, report.step_um, report.frames) == (5000, 6100, 100, None)
    assert (report.settle_s, report.end, report.profile, report.jog_um) == (0.2, "return", None, 100)
    assert report.changed == []
    assert bench.settings.config() == bench.config
    assert not (bench.folder / "state" / NAME).exists()


def test_a_change_is_in_force_and_outlives_a_restart(bench):
    bench.settings.change({"near_um": 5200.0, "settle_s": 0.5, "end": "stay", "jog_um": 250.0})
    for settings in (bench.settings, bench.again()):
        report = settings.report()
        assert (report.near_um, report.settle_s, report.end, report.jog_um) == (5200, 0.5, "stay", 250)
        assert report.changed == ["near_um", "settle_s", "end", "jog_um"]
        config = settings.config()
        assert config.plan is not None
        assert (config.plan.near_um, config.plan.far_um, config.plan.step_um) == (5200, 6100, 100)
        assert (config.settle.fixed_s, config.capture.end) == (0.5, "stay")
    assert bench.changes == 1


def test_what_is_set_to_what_the_config_says_is_not_told_as_a_change(bench):
    same = {"near_um": 5000.0, "step_um": 100.0, "end": "return", "jog_um": 100.0, "margin_frames": 0}
    bench.settings.change({**same, "settle_s": 0.3})
    assert bench.settings.report().changed == ["settle_s"]
    assert bench.again().report().changed == ["settle_s"]
    bench.settings.change({"profile": "fine", "step_um": 100.0})
    report = bench.settings.report()
    assert (report.step_um, report.changed) == (100, ["profile"])


def test_a_wait_that_is_asked_for_is_the_wait_whatever_the_config_computes(tmp_path, bench):
    base = bench.config
    measured = base.model_copy(update={"settle": base.settle.model_copy(update={"mode": "measured"})})
    settings = LiveSettings(measured, tmp_path / "other")
    assert settings.config().settle.mode == "measured"
    settings.change({"settle_s": 0.7})
    assert (settings.config().settle.mode, settings.config().settle.fixed_s) == ("fixed", 0.7)
    settings.change({"settle_s": None})
    assert settings.config().settle == measured.settle
    assert settings.config(PlanParams(settle_s=0.4)).settle.mode == "fixed"


@pytest.mark.parametrize("nothing", [None, ""])
def test_reset_it_is_as_the_config_says_again(bench, nothing):
    bench.settings.change({"step_um": 50.0, "end": "stay"})
    bench.settings.change({"step_um": nothing})
    assert bench.settings.report().step_um == 100
    assert bench.settings.report().changed == ["end"]
    assert bench.again().report().changed == ["end"]


def test_all_or_none(bench):
    error = refused(bench.settings.change, {"step_um": 50.0, "settle_s": -1.0})
    assert (error.code, error.field) == (ErrorCode.INVALID_PARAMS, "params.settle_s")
    assert bench.settings.report().changed == []
    assert bench.changes == 0
    assert bench.again().report().changed == []


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"near_um": 20001.0}, ErrorCode.OUT_OF_LIMITS, "params.near_um"),
        ({"far_um": 20001.0}, ErrorCode.OUT_OF_LIMITS, "params.far_um"),
        ({"jog_um": 2001.0}, ErrorCode.OUT_OF_LIMITS, "params.jog_um"),
        ({"step_um": "thick"}, ErrorCode.INVALID_PARAMS, "params.step_um"),
        ({"frames": 1}, ErrorCode.INVALID_PARAMS, "params.frames"),
        ({"profile": "none such"}, ErrorCode.INVALID_PARAMS, "params.profile"),
        ({"end": "explode"}, ErrorCode.INVALID_PARAMS, "params.end"),
        ({"colour": "red"}, ErrorCode.UNKNOWN_SETTING, None),
        ({"step_um": 10.0, "frames": 5}, ErrorCode.INVALID_PARAMS, "params.frames"),
        ({"far_um": 6000.0, "step_um": 10.0, "frames": 5}, ErrorCode.INVALID_PARAMS, "params.frames"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(bench, values, code, field):
    error = refused(bench.settings.change, values)
    assert (error.code, error.field) == (code, field)
    assert bench.settings.report().changed == []


def test_frames_and_step_exclude_each_other_and_the_last_one_counts(bench):
    bench.settings.change({"frames": 30})
    assert bench.three() == (6100, None, 30)
    bench.settings.change({"step_um": 50.0})
    assert bench.three() == (6100, 50, None)
    assert bench.settings.report().changed == ["step_um"]
    bench.settings.change({"frames": 31})
    assert bench.three() == (6100, None, 31)
    # Reset, the config's own step is back, and not the one that was changed and overtaken.
    bench.settings.change({"frames": None})
    assert bench.three() == (6100, 100, None)


def test_an_open_end_takes_step_and_frames_until_a_farthest_plane_is_marked(tmp_path):
    bench = Bench(tmp_path, OPEN_END)
    assert bench.three() == (None, 100, 10)
    bench.settings.change({"step_um": 50.0, "frames": 20})
    assert bench.three() == (None, 50, 20)
    bench.settings.change({"far_um": 6000.0})
    assert bench.three() == (6000, None, 20)
    assert bench.settings.report().changed == ["frames", "far_um"]


def test_marking_the_far_end_keeps_the_configured_step(tmp_path):
    bench = Bench(tmp_path, OPEN_END)
    bench.settings.change({"far_um": 6000.0})
    assert bench.three() == (6000, 100, None)


def test_a_configured_number_of_frames_gives_way_to_a_step(tmp_path):
    bench = Bench(tmp_path, FAR_AND_FRAMES)
    bench.settings.change({"step_um": 10.0})
    assert bench.three() == (6100, 10, None)


def test_a_rig_without_a_plan_gets_one_by_marking(tmp_path):
    bench = Bench(tmp_path, NO_PLAN)
    report = bench.settings.report()
    assert (report.near_um, report.far_um, report.margin_frames) == (None, None, 0)
    assert bench.settings.config().plan is None
    bench.settings.change({"far_um": 6000.0})
    assert bench.settings.config().plan is None
    bench.settings.change({"near_um": 5000.0})
    plan = bench.settings.config(PlanParams(step_um=10.0)).plan
    assert plan is not None
    assert (plan.near_um, plan.far_um, plan.step_um) == (5000, 6000, 10)


def test_a_profile_lies_between_config_and_changes(bench):
    bench.settings.change({"profile": "fine"})
    report = bench.settings.report()
    assert (report.profile, report.step_um, report.settle_s, report.end) == ("fine", 20, 1.5, "return")
    bench.settings.change({"settle_s": 0.7})
    assert bench.settings.report().settle_s == 0.7
    assert bench.settings.report().step_um == 20
    bench.settings.change({"profile": ""})
    assert bench.settings.report().step_um == 100
    assert bench.settings.report().settle_s == 0.7


def test_a_profile_that_is_chosen_takes_back_what_was_set_before(bench):
    bench.settings.change({"step_um": 50.0, "end": "stay"})
    bench.settings.change({"profile": "fine"})
    assert bench.three() == (6100, 20, None)
    assert bench.settings.report().end == "stay"
    bench.settings.change({"profile": "counted"})
    assert bench.three() == (6100, None, 7)
    assert bench.settings.report().direction == "far_to_near"


def test_set_together_with_a_profile_goes_over_it(bench):
    bench.settings.change({"step_um": 33.0, "profile": "fine"})
    report = bench.settings.report()
    assert (report.step_um, report.settle_s) == (33, 1.5)


def test_what_a_request_gives_goes_over_everything_for_that_once(bench):
    bench.settings.change({"step_um": 50.0})
    config = bench.settings.config(SessionStart(frames=9, end="park", name="ring"))
    assert config.plan is not None
    assert (config.plan.step_um, config.plan.frames, config.capture.end) == (None, 9, "park")
    config = bench.settings.config(PlanParams(profile="counted"))
    assert config.plan is not None
    assert (config.plan.frames, config.plan.direction, config.capture.end) == (7, "far_to_near", "stay")
    config = bench.settings.config(PlanParams(profile="counted", step_um=11.0, settle_s=0.0))
    assert config.plan is not None
    assert (config.plan.frames, config.plan.step_um, config.settle.fixed_s) == (None, 11, 0)
    assert bench.three() == (6100, 50, None)
    assert bench.settings.report().changed == ["step_um"]


@pytest.mark.parametrize(
    ("extra", "code", "field"),
    [
        (PlanParams(near_um=20001.0), ErrorCode.OUT_OF_LIMITS, "params.near_um"),
        (PlanParams(profile="none such"), ErrorCode.INVALID_PARAMS, "params.profile"),
        (PlanParams(step_um=5.0, frames=5), ErrorCode.INVALID_PARAMS, "params.frames"),
    ],
)
def test_a_request_that_makes_no_stack_is_refused_with_its_field(bench, extra, code, field):
    error = refused(bench.settings.config, extra)
    assert (error.code, error.field) == (code, field)


def test_only_plan_settle_and_capture_ever_differ(bench):
    bench.settings.change({"near_um": 5100.0, "profile": "counted", "settle_s": 3.0, "jog_um": 5.0})
    config = bench.settings.config()
    same = {"plan": bench.config.plan, "settle": bench.config.settle, "capture": bench.config.capture}
    assert config.model_copy(update=same) == bench.config
    assert config.capture.checks == bench.config.capture.checks


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"5", b"\xff", b'{"step_um": "thick"}', b'{"colour": 1}']
)
def test_a_file_that_is_damaged_does_not_keep_the_rig_from_starting(bench, content):
    path = bench.folder / "state" / NAME
    path.write_bytes(content)
    settings = bench.again()
    assert settings.report().changed == []
    settings.change({"step_um": 50.0})
    assert bench.again().report().step_um == 50


def test_kept_settings_that_the_config_knows_no_more_are_left_out(bench):
    bench.settings.change({"profile": "fine", "far_um": 19000.0, "end": "stay"})
    bench.config = small_rig(bench.folder, "limits.max_um=10000")
    report = bench.again().report()
    assert report.changed == ["end"]
    assert report.far_um == 6100


def test_a_change_that_cannot_be_written_down_is_not_in_force(bench):
    folder = bench.folder / "state"
    folder.rmdir()
    with pytest.raises(OSError, match="No such file"):
        bench.settings.change({"step_um": 50.0})
    assert bench.settings.report().step_um == 100
    assert bench.changes == 0


def test_what_is_written_is_brought_to_the_disk_later(bench):
    assert not bench.settings.dirty
    bench.settings.change({"step_um": 50.0})
    assert bench.settings.dirty
    bench.settings.sync()
    assert not bench.settings.dirty
    assert json.loads((bench.folder / "state" / NAME).read_bytes()) == {"step_um": 50.0}


def test_setting_what_is_set_already_changes_nothing(bench):
    bench.settings.change({"step_um": 50.0})
    bench.settings.change({"step_um": 50.0})
    assert bench.changes == 1


def test_a_torn_line_is_left_out_and_never_appended_to(bench):
    bench.settings.change({"step_um": 40.0})
    with bench.settings.path.open("ab") as file:
        file.write(b'{"step_um": 9')
    again = bench.again()
    assert again.report().step_um == 40.0
    again.change({"settle_s": 0.7})
    newest = bench.again().report()
    assert (newest.step_um, newest.settle_s) == (40.0, 0.7)


def test_the_file_does_not_grow_for_ever(bench, monkeypatch):
    monkeypatch.setattr("rigd.remote.settings.MOST_LINES", 10)
    for step_um in range(10, 60):
        bench.settings.change({"step_um": float(step_um)})
    assert len(bench.settings.path.read_bytes().splitlines()) <= 10
    assert bench.again().report().step_um == 59.0
