"""The command `sweep`: what it finds is told, and changes nothing; it is stopped as everything is."""

from __future__ import annotations

import pytest

from rigd.machine.state import Mode
from rigd.messages import reports
from rigd.messages.base import ErrorCode
from tests.rigs import passes
from tests.unit._desk import Bench, at_desk

LARGE = ("camera.width=640", "camera.height=480", "camera.pixel_pitch_um=9.8")
WAY = {"from_um": 4000.0, "to_um": 7000.0, "step_um": 100.0}


def test_a_sweep_proposes_and_changes_nothing(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        before = (await bench.do("settings"))["data"]
        ended = await bench.run("sweep", WAY)
        assert ended["status"] == "ok"
        found = reports.SweepFound.model_validate(ended["data"])
        assert found.near_um == pytest.approx(5000, abs=100)
        assert found.far_um == pytest.approx(6100, abs=100)
        assert len(found.positions_um) == len(found.focus) == 31
        assert (await bench.do("settings"))["data"] == before
        assert bench.rig.state.mode is Mode.IDLE
        assert not bench.rig.config.storage.sessions.exists()

    at_desk(tmp_path, body, *LARGE)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"to_um": 20001.0}, ErrorCode.OUT_OF_LIMITS, "params.to_um"),
        ({"from_um": 8000.0}, ErrorCode.INVALID_PARAMS, "params"),
        ({"step_um": 2000.0}, ErrorCode.INVALID_PARAMS, "params"),
        ({"step_um": -1.0}, ErrorCode.INVALID_PARAMS, "params.step_um"),
    ],
)
def test_ways_that_cannot_be_are_refused(tmp_path, change, code, field):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        found = await bench.refused("sweep", WAY | change)
        assert (found["code"], found["field"]) == (code, field)

    at_desk(tmp_path, body)


def test_a_sweep_needs_home_and_to_be_the_only_one(tmp_path):
    async def body(bench: Bench) -> None:
        assert (await bench.refused("sweep", WAY))["code"] == ErrorCode.NOT_POSSIBLE
        await bench.run("home")
        await bench.do("sweep", WAY, transaction="one")
        assert (await bench.refused("sweep", WAY))["code"] == ErrorCode.NOT_POSSIBLE
        await bench.do("stop")
        assert (await bench.end_of("one"))["error"]["code"] == ErrorCode.INTERRUPTED

    at_desk(tmp_path, body)


def test_a_sweep_is_stopped_on_the_way_and_at_a_picture(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        for mode in (Mode.MOVING, Mode.TESTING):
            transaction = f"in-{mode}"
            await bench.do("sweep", WAY, transaction=transaction)
            await passes(2.0)
            await bench.reached(mode)
            await bench.do("stop")
            ended = await bench.end_of(transaction)
            assert (ended["status"], ended["error"]["code"]) == ("error", ErrorCode.INTERRUPTED)
            await bench.reached(Mode.IDLE)

    at_desk(tmp_path, body)


def test_an_emergency_stop_ends_it(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        await bench.do("sweep", WAY, transaction="s")
        await passes(2.0)
        bench.put("estop")
        assert (await bench.end_of("s"))["status"] == "error"
        assert bench.rig.state.mode is Mode.ESTOPPED

    at_desk(tmp_path, body)


def test_a_subject_without_detail_is_said_to_be_one(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        ended = await bench.run("sweep", {"from_um": 9000.0, "to_um": 9400.0, "step_um": 50.0})
        assert (ended["status"], ended["error"]["code"]) == ("error", ErrorCode.NOT_POSSIBLE)
        assert "sharper" in ended["error"]["message"]

    at_desk(tmp_path, body)
