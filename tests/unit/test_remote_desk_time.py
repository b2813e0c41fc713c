"""What happens by itself: a jog that nobody renews stops, a lease that nobody renews lapses, and neither goes by the wall clock."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from drivers.clock import VirtualClock
from rigd.machine.state import Mode
from rigd.messages.base import ErrorCode
from tests.rigs import FRAMES, passes
from tests.unit._desk import Bench, at_desk, error

SPEED = "jog.speed_um_per_s=100"
"""A jog of 2 mm takes 20 s then."""
FAR = {"distance_um": 2000}


class Calendar(VirtualClock):
    """A clock whose wall time can be set."""

    ahead = timedelta()

    def utc(self):
        return super().utc() + self.ahead


async def jogged_s(bench: Bench, transaction: str) -> float:
    """How long a jog went on, when it has ended early."""
    ended = await bench.end_of(transaction)
    assert ended["error"]["code"] == ErrorCode.INTERRUPTED
    assert bench.rig.state.mode is Mode.IDLE
    assert ended["data"]["position_um"] < FAR["distance_um"]
    return bench.lasted_s(Mode.MOVING)


@pytest.mark.parametrize(("hold", "seconds"), [({}, 1.5), ({"hold_s": 0.4}, 0.4), ({"hold_s": 5}, 5.0)])
def test_a_jog_that_is_not_renewed_stops(tmp_path, hold, seconds):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        ended = await bench.run("jog", {**FAR, **hold})
        assert ended["error"]["message"] == "the jog was not renewed"
        assert bench.lasted_s(Mode.MOVING) == pytest.approx(seconds)

    at_desk(tmp_path, body, SPEED)


def test_before_home_is_known_too(tmp_path):
    async def body(bench: Bench) -> None:
        ended = await bench.run("jog", FAR)
        assert ended["error"]["code"] == ErrorCode.INTERRUPTED
        assert bench.lasted_s(Mode.MOVING) == pytest.approx(1.5)
        assert bench.rig.state.mode is Mode.UNHOMED

    at_desk(tmp_path, body, SPEED)


def test_renewed_it_goes_on_and_then_stops(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        await bench.do("jog", FAR, transaction="j")
        for _ in range(5):
            await passes(1)
            assert (await bench.do("jog.renew"))["data"] == {"stops_in_s": 1.5}
        assert await jogged_s(bench, "j") == pytest.approx(6.5)

    at_desk(tmp_path, body, SPEED)


def test_renewed_for_longer_it_goes_on_for_longer(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        await bench.do("jog", FAR, transaction="j")
        assert (await bench.do("jog.renew", {"hold_s": 4}))["data"] == {"stops_in_s": 4}
        found = await bench.refused("jog.renew", {"hold_s": 6})
        assert (found["code"], found["field"]) == (ErrorCode.INVALID_PARAMS, "params.hold_s")
        assert await jogged_s(bench, "j") == pytest.approx(4)
        assert (await bench.refused("jog.renew"))["code"] == ErrorCode.NOT_POSSIBLE

    at_desk(tmp_path, body, SPEED)


def test_a_jog_that_is_stopping_is_not_renewed(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        await bench.do("jog", FAR, transaction="j")
        await passes(0.5)
        bench.desk.way_lost("mqtt")
        assert (await bench.refused("jog.renew"))["code"] == ErrorCode.NOT_POSSIBLE
        await bench.do("stop")
        await jogged_s(bench, "j")

    at_desk(tmp_path, body, SPEED)


def test_a_jog_stops_when_its_way_is_lost(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        await bench.put(
            "request/jog", {"params": {**FAR, "hold_s": 5}, "transaction": "j"}, source="local:1"
        ).answer()
        await passes(1)
        bench.desk.way_lost("mqtt")
        bench.desk.way_lost("local:2")
        await passes(1)
        assert bench.rig.state.mode is Mode.MOVING
        bench.desk.way_lost("local:1")
        assert await jogged_s(bench, "j") == pytest.approx(2)

    at_desk(tmp_path, body, SPEED)


def test_a_jog_that_is_only_just_asked_for_stops_too(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        asked = bench.ask("jog", FAR, transaction="j")
        bench.desk.way_lost("mqtt")
        assert error(await asked.answer())["code"] == ErrorCode.INTERRUPTED
        await passes(5)
        assert Mode.MOVING not in bench.modes

        asked = bench.ask("jog", FAR, transaction="k")
        await asyncio.sleep(0)
        bench.desk.way_lost("mqtt")
        assert await jogged_s(bench, "k") < 0.01

    at_desk(tmp_path, body, SPEED)


def test_nothing_else_stops_when_a_way_is_lost(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.do("home", transaction="h")
        bench.desk.way_lost("mqtt")
        assert (await bench.end_of("h"))["status"] == "ok"
        await bench.do("session.start", transaction="s")
        bench.desk.way_lost("mqtt")
        assert (await bench.end_of("s"))["data"]["outcome"] == "complete"

    at_desk(tmp_path, body)


def test_a_jog_that_has_ended_stops_nothing_later(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        assert (await bench.run("jog", {"distance_um": 50}))["status"] == "ok"
        assert (await bench.run("goto", {"position_um": 15000}))["status"] == "ok"
        await passes(5)

    at_desk(tmp_path, body)


def test_the_wall_clock_neither_ends_nor_prolongs_a_jog_or_a_lease(tmp_path):
    clock = Calendar()

    async def body(bench: Bench) -> None:
        await bench.run("home")
        token = (await bench.do("lease.take", {"holder": "me", "ttl_s": 60}))["data"]["lease"]
        await bench.do("jog", FAR, transaction="j", lease=token)
        await passes(0.5)
        clock.ahead = timedelta(days=1)
        await passes(0.5)
        assert bench.rig.state.mode is Mode.MOVING
        clock.ahead = -timedelta(days=1)
        assert await jogged_s(bench, "j") == pytest.approx(1.5)
        await passes(50)
        assert bench.leases.held is not None
        await passes(10)
        assert bench.leases.held is None

    at_desk(tmp_path, body, SPEED, clock=clock)


# --------------------------------------------------------------------------------------------------------------- leases


def test_while_one_commands_others_only_look_and_stop(tmp_path):
    async def body(bench: Bench) -> None:
        token = (await bench.do("lease.take", {"holder": "me"}))["data"]["lease"]
        for verb, params in [("home", {}), ("settings", {"step_um": 5}), ("identify", {}), ("release", {})]:
            for wrong in ({}, {"lease": "guessed"}):
                found = await bench.refused(verb, params, **wrong)
                assert (found["code"], found["field"]) == (ErrorCode.LEASED, "lease"), verb
                assert "'me'" in found["message"]
        assert bench.put("set/step_um", b"5").replies[0]["error"]["code"] == ErrorCode.LEASED
        for verb in ("ping", "settings", "plan.validate", "session.list", "stop"):
            await bench.do(verb)
        for verb in ("session.pause", "session.abort"):
            assert (await bench.refused(verb))["code"] == ErrorCode.NOT_POSSIBLE
        await bench.run("home", lease=token)
        held = {"params": {"value": 55}, "lease": token}
        assert (await bench.put("set/step_um", held).answer())["data"]["step_um"] == 55
        bench.put("estop")
        await bench.reached(Mode.ESTOPPED)

    at_desk(tmp_path, body)


def test_the_lease_is_renewed_released_and_told(tmp_path):
    async def body(bench: Bench) -> None:
        granted = (await bench.do("lease.take", {"holder": "me", "ttl_s": 10}))["data"]
        token = granted["lease"]
        assert (granted["holder"], granted["ttl_s"]) == ("me", 10)
        for renewal in ({"params": {"lease": token}}, {"lease": token}):
            await passes(8)
            renewed = (await bench.put("request/lease.renew", renewal).answer())["data"]
            assert renewed["lease"] == token
        await passes(8)
        again = (await bench.do("lease.take", {"holder": "me", "ttl_s": 20}, lease=token))["data"]
        assert (again["lease"], again["ttl_s"]) == (token, 20)
        assert bench.put("request/lease.renew", token.encode()).replies[0]["status"] == "ok"
        assert (await bench.refused("lease.release", {"lease": "guessed"}))["code"] == ErrorCode.NO_LEASE
        await bench.do("lease.release", lease=token)
        assert [event["change"] for event in bench.told("lease")] == ["taken", "released"]
        found = await bench.refused("home", lease=token)
        assert (found["code"], found["field"]) == (ErrorCode.NO_LEASE, "lease")
        assert (await bench.refused("lease.renew", lease=token))["code"] == ErrorCode.NO_LEASE
        await bench.do("home")

    at_desk(tmp_path, body)


def test_somebody_else_takes_it_by_force_only(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        mine = (await bench.do("lease.take", {"holder": "me"}))["data"]["lease"]
        found = await bench.refused("lease.take", {"holder": "you"}, transaction="y")
        assert (found["code"], "'me'" in found["message"]) == (ErrorCode.LEASED, True)
        await bench.do("jog", {**FAR, "hold_s": 5}, transaction="j", lease=mine)
        await passes(1)
        yours = (await bench.do("lease.take", {"holder": "you", "force": True}))["data"]["lease"]
        assert [(event["change"], event["holder"]) for event in bench.told("lease")] == [
            ("taken", "me"),
            ("overtaken", "me"),
            ("taken", "you"),
        ]
        assert await jogged_s(bench, "j") == pytest.approx(1)
        assert (await bench.refused("home", lease=mine))["code"] == ErrorCode.LEASED
        await bench.run("home", lease=yours)

    at_desk(tmp_path, body, SPEED)


def test_it_lapses_and_a_jog_of_its_holder_stops(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        token = (await bench.do("lease.take", {"holder": "me", "ttl_s": 2}))["data"]["lease"]
        await bench.do("jog", {**FAR, "hold_s": 5}, transaction="j", lease=token)
        assert await jogged_s(bench, "j") == pytest.approx(2)
        lapsed = await bench.event("lease", lambda event: event["change"] == "lapsed")
        assert (lapsed["holder"], lapsed["consequence"]) == ("me", "")
        assert (await bench.refused("home", lease=token))["code"] == ErrorCode.NO_LEASE

    at_desk(tmp_path, body, SPEED)


def test_it_lapses_at_once_for_whoever_asks_then(tmp_path):
    """Also where nobody has looked at the time yet."""

    async def body(bench: Bench) -> None:
        await bench.do("lease.take", {"holder": "me", "ttl_s": 2})
        bench._serving.cancel()
        await passes(2)
        bench.desk._closed = False
        await bench.do("lease.take", {"holder": "you"})
        assert [event["change"] for event in bench.told("lease")] == ["taken", "lapsed", "taken"]

    at_desk(tmp_path, body)


@pytest.mark.parametrize("lapses", ["continue", "pause", "stop"])
def test_what_becomes_of_a_stack_is_as_the_config_says(tmp_path, lapses):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        token = (await bench.do("lease.take", {"holder": "me", "ttl_s": 2}))["data"]["lease"]
        session = (await bench.do("session.start", transaction="s", lease=token))["data"]["session"]
        lapsed = await bench.event("lease", lambda event: event["change"] == "lapsed")
        assert lapsed["consequence"] == lapses
        if lapses == "continue":
            assert (await bench.end_of("s"))["data"]["outcome"] == "complete"
        elif lapses == "pause":
            await bench.reached(Mode.PAUSED)
            assert bench.rig.state.stack.why == "the lease of 'me' lapsed"
            await bench.do("session.resume")
            assert (await bench.end_of("s"))["data"]["outcome"] == "complete"
        else:
            ended = await bench.end_of("s")
            assert (ended["error"]["code"], ended["data"]["outcome"]) == ("interrupted", "suspended")
            assert ended["error"]["message"] == "the lease of 'me' lapsed"
            ended = await bench.run("session.resume", {"session": session})
            assert ended["data"]["frames"] == FRAMES

    at_desk(tmp_path, body, f"remote.lease_lapses={lapses}")


def test_released_the_stack_goes_on(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        token = (await bench.do("lease.take", {"holder": "me"}))["data"]["lease"]
        await bench.do("session.start", transaction="s", lease=token)
        await bench.do("lease.release", {"lease": token})
        assert (await bench.end_of("s"))["data"]["outcome"] == "complete"

    at_desk(tmp_path, body, "remote.lease_lapses=stop")


def test_after_a_restart_nobody_commands(tmp_path):
    async def first(bench: Bench) -> None:
        await bench.do("lease.take", {"holder": "me", "ttl_s": 3600}, transaction="l")

    async def second(bench: Bench) -> None:
        old = await bench.do("lease.take", {"holder": "me", "ttl_s": 3600}, transaction="l")
        assert old["repeated"]
        assert (await bench.refused("home", lease=old["data"]["lease"]))["code"] == ErrorCode.NO_LEASE
        await bench.do("home")

    at_desk(tmp_path, first)
    at_desk(tmp_path, second, boot_id="boot-2")
