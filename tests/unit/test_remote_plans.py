"""Plans over the wire: from the optics, around a centre, with steps that change, and with what to know before."""

from __future__ import annotations

from rigd.messages.base import ErrorCode
from tests.rigs import SMALL, small_rig
from tests.unit._desk import Bench, at_desk

PLAN = "plan: {near_um: 5000, far_um: 6100, step_um: 100}\n"
LENS = "optics: {magnification: 1, f_number: 4, blur_circle_um: 30, sensor_width_mm: 5.76}\n"


def test_a_plan_says_why_and_what_to_know(tmp_path):
    async def body(bench: Bench) -> None:
        data = (await bench.do("plan.validate"))["data"]
        assert "depth_of_field_um" not in data or data["depth_of_field_um"] == 480
        assert data["warnings"] == []
        assert any("100 um" in reason for reason in data["reasons"])
        data = (await bench.do("plan.validate", {"step_um": 550.0}))["data"]
        assert [one["code"] for one in data["warnings"]] == ["step_beyond_depth"]
        assert all(one["message"] and one["fix"] for one in data["warnings"])

    at_desk(tmp_path, body, config=small_rig(tmp_path, text=SMALL + LENS))


def test_the_step_comes_from_the_optics_where_nobody_gives_one(tmp_path):
    text = SMALL.replace(PLAN, "plan: {centre_um: 6000, range_um: 2000, dof_share: 0.5}\n") + LENS

    async def body(bench: Bench) -> None:
        settings = (await bench.do("settings"))["data"]
        assert (settings["near_um"], settings["far_um"]) == (5000, 7000)
        data = (await bench.do("plan.validate"))["data"]
        assert (data["frames"], data["step_um"]) == (10, 2000 / 9)
        assert data["depth_of_field_um"] == 480
        data = (await bench.do("plan.validate", {"near_um": 6000.0}))["data"]
        assert (data["near_um"], data["far_um"], data["frames"]) == (6000, 7000, 6)
        assert (await bench.do("plan.validate", {"frames": 5}))["data"]["frames"] == 5

    at_desk(tmp_path, body, config=small_rig(tmp_path, text=text))


def test_without_optics_a_step_or_a_number_is_needed(tmp_path):
    text = SMALL.replace(PLAN, "")

    async def body(bench: Bench) -> None:
        found = await bench.refused("plan.validate", {"near_um": 5000.0, "far_um": 6000.0})
        assert (found["code"], "optics" in found["message"]) == (ErrorCode.PLAN_REFUSED, True)

    at_desk(tmp_path, body, config=small_rig(tmp_path, text=text))


def test_a_profile_asks_for_steps_that_change(tmp_path):
    profiles = "profiles: {face: {step_um: 200, steps: [{from_um: 5500, step_um: 50}]}}\n"

    async def body(bench: Bench) -> None:
        data = (await bench.do("plan.validate", {"profile": "face", "far_um": 6000.0}))["data"]
        # 5000 to 5500 in three steps, 5500 to 6000 in ten.
        assert (data["frames"], round(data["step_um"], 3)) == (14, 166.667)
        await bench.do("settings", {"profile": "face"})
        assert "steps" not in (await bench.do("settings"))["data"]
        data = (await bench.do("plan.validate", {"frames": 4}))["data"]
        assert data["frames"] == 4

    at_desk(tmp_path, body, config=small_rig(tmp_path, text=SMALL + profiles))
