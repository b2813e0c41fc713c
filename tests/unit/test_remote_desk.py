"""What the desk refuses, in which order, and that nothing that is refused moves anything."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from drivers.clock import VirtualClock
from rigd.machine.state import Mode
from rigd.messages.base import ErrorCode
from rigd.remote import desk as desk_module
from rigd.remote.verbs import WORKED
from tests.unit._desk import Bench, at_desk, error


class Calendar(VirtualClock):
    """A clock whose wall time can be set."""

    ahead = timedelta()

    def utc(self):
        return super().utc() + self.ahead


async def stood_still(bench: Bench) -> None:
    """Nothing has moved, and nothing is about to."""
    await bench.do("ping")
    assert set(bench.modes) <= {Mode.IDLE, Mode.UNHOMED}, bench.modes


def test_a_message_that_the_broker_kept_is_never_acted_on(tmp_path):
    async def body(bench: Bench) -> None:
        for topic in (
            "request/home",
            "request/jog",
            "request/session.start",
            "set/step_um",
            "request/nothing",
        ):
            reply = await bench.put(topic, b'{"transaction": "a"}', retained=True).answer()
            assert error(reply)["code"] == ErrorCode.RETAINED
            assert reply["transaction"] == "a"
        assert len(bench.told("command_refused")) == 5
        # Sent anew it is acted on: what was kept has used its transaction up for nothing.
        await bench.run("home", transaction="a")

    at_desk(tmp_path, body)


@pytest.mark.parametrize("topic", ["request/home", "set/step_um", "request/nothing"])
def test_a_kept_message_that_is_taken_back_is_no_message(tmp_path, topic):
    async def body(bench: Bench) -> None:
        bench.settings.change({"step_um": 50.0})
        asked = bench.put(topic, b"", retained=True)
        await stood_still(bench)
        assert asked.replies == []
        assert bench.events == []
        assert bench.settings.report().step_um == 50

    at_desk(tmp_path, body)


@pytest.mark.parametrize("homed", [False, True])
@pytest.mark.parametrize(
    ("verb", "params", "field"),
    [
        ("goto", {"position_um": 20000.5}, "params.position_um"),
        ("goto", {"position_um": 9_999_999}, "params.position_um"),
        ("jog", {"distance_um": 2001}, "params.distance_um"),
        ("jog", {"distance_um": -2001}, "params.distance_um"),
        ("mark_near", {"position_um": 20001}, "params.position_um"),
        ("mark_far", {"position_um": 20001}, "params.position_um"),
        ("settings", {"near_um": 20001}, "params.near_um"),
        ("plan.validate", {"near_um": 20001}, "params.near_um"),
        ("session.start", {"far_um": 20001}, "params.far_um"),
    ],
)
def test_out_of_limits_nothing_moves(tmp_path, homed, verb, params, field):
    async def body(bench: Bench) -> None:
        if homed:
            await bench.run("home")
        bench.modes.clear()
        found = await bench.refused(verb, params, transaction="a")
        assert (found["code"], found["field"]) == (ErrorCode.OUT_OF_LIMITS, field)
        await stood_still(bench)
        assert bench.told("command_refused")[-1]["error"] == found

    at_desk(tmp_path, body)


def test_a_jog_beyond_the_limits_is_refused_where_the_position_is_known(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        found = await bench.refused("jog", {"distance_um": -100})
        assert (found["code"], found["field"]) == (ErrorCode.OUT_OF_LIMITS, "params.distance_um")
        found = await bench.refused("jog", {"nudge": "away"})
        assert (found["code"], found["field"]) == (ErrorCode.OUT_OF_LIMITS, "params.nudge")
        assert (await bench.run("jog", {"distance_um": 100}))["status"] == "ok"

    at_desk(tmp_path, body)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"distance_um": 0}, "params.distance_um"),
        ({"distance_um": 0.01}, "params.distance_um"),
        ({"distance_um": 10, "hold_s": 5.5}, "params.hold_s"),
    ],
)
def test_a_jog_of_nothing_or_held_too_long_is_refused(tmp_path, params, field):
    async def body(bench: Bench) -> None:
        found = await bench.refused("jog", params)
        assert (found["code"], found["field"]) == (ErrorCode.INVALID_PARAMS, field)
        await stood_still(bench)

    at_desk(tmp_path, body)


def test_what_cannot_be_understood_is_answered_and_moves_nothing(tmp_path):
    async def body(bench: Bench) -> None:
        for topic, payload, code in [
            ("request/home", b"", ErrorCode.MALFORMED),
            ("request/home", b"{", ErrorCode.MALFORMED),
            ("request/home", b"\xff", ErrorCode.MALFORMED),
            ("request/home", b"{}" + b" " * 20000, ErrorCode.OVERSIZED),
            ("request/homme", b"{}", ErrorCode.UNKNOWN_VERB),
            ("set/colour", b"5", ErrorCode.UNKNOWN_SETTING),
            ("request/goto", b"far", ErrorCode.INVALID_PARAMS),
            ("", b"{}", ErrorCode.UNKNOWN_VERB),
            ("x\ud800" * 300, b"{}", ErrorCode.UNKNOWN_VERB),
        ]:
            reply = await bench.put(topic, payload).answer()
            assert error(reply)["code"] == code
            assert len(bench.put(topic, payload).replies) == 1
        await stood_still(bench)
        assert bench.reporter.refused == 18
        assert bench.reporter.last_error

    at_desk(tmp_path, body)


def test_a_message_that_comes_again_without_a_name_is_refused(tmp_path):
    async def body(bench: Bench) -> None:
        reply = await bench.put("request/home", b"{}", redelivered=True).answer()
        assert error(reply)["code"] == ErrorCode.REDELIVERED
        await stood_still(bench)
        await bench.put("request/home", {"transaction": "a"}, redelivered=True).answer()
        assert (await bench.end_of("a"))["status"] == "ok"

    at_desk(tmp_path, body)


def test_a_command_that_comes_too_late_is_refused_for_good(tmp_path):
    clock = Calendar()

    async def body(bench: Bench) -> None:
        late = {"transaction": "a", "not_after": bench.later(-1)}
        found = await bench.refused("home", **late)
        assert (found["code"], found["field"]) == (ErrorCode.EXPIRED, "not_after")
        # A wall clock that jumps back does not make an old command act.
        clock.ahead = -timedelta(days=1)
        found = await bench.refused("home", **late)
        assert found["code"] == ErrorCode.EXPIRED
        await stood_still(bench)
        await bench.run("home", not_after=bench.later(60))

    at_desk(tmp_path, body, clock=clock)


def test_a_command_that_is_valid_for_too_long_is_refused_for_good(tmp_path):
    clock = Calendar()

    async def body(bench: Bench) -> None:
        early = {"transaction": "a", "not_after": bench.later(86400)}
        found = await bench.refused("home", **early)
        assert (found["code"], found["field"]) == (ErrorCode.NOT_AFTER_TOO_FAR, "not_after")
        # Nor does it act a day later, when its moment has come.
        clock.ahead = timedelta(hours=23, minutes=30)
        assert (await bench.refused("home", **early))["code"] == ErrorCode.NOT_AFTER_TOO_FAR
        await stood_still(bench)
        await bench.run("home", not_after=bench.later(3599))

    at_desk(tmp_path, body, clock=clock)


@pytest.mark.parametrize(
    "expect",
    [
        {"mode": "idle"},
        {"homed": True},
        {"session": "20260101T000000Z-x"},
        {"boot_id": "another"},
        {"mode": "unhomed", "homed": True},
    ],
)
def test_a_rig_that_is_not_as_expected_does_nothing(tmp_path, expect):
    async def body(bench: Bench) -> None:
        found = await bench.refused("home", transaction="a", expect=expect)
        assert found["code"] == ErrorCode.UNEXPECTED_STATE
        assert found["field"] == f"expect.{list(expect)[-1]}"
        await stood_still(bench)
        good = {"mode": "unhomed", "homed": False, "boot_id": "boot-1"}
        await bench.run("home", transaction="a", expect=good)

    at_desk(tmp_path, body)


def test_a_session_can_be_expected(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        started = await bench.do("session.start", transaction="a")
        session = started["data"]["session"]
        found = await bench.refused("session.pause", expect={"session": "another"})
        assert session in found["message"]
        await bench.do("session.pause", expect={"session": session, "mode": "capturing"})
        await bench.reached(Mode.PAUSED)

    at_desk(tmp_path, body)


def test_what_the_machine_refuses_says_what_to_do_first(tmp_path):
    async def body(bench: Bench) -> None:
        found = await bench.refused("goto", {"position_um": 5000}, transaction="a")
        assert found["code"] == ErrorCode.NOT_POSSIBLE
        assert "home first" in found["message"]
        for verb in (
            "session.pause",
            "session.abort",
            "fault.clear",
            "jog.renew",
            "mark_near",
            "session.resume",
        ):
            assert (await bench.refused(verb))["code"] == ErrorCode.NOT_POSSIBLE, verb
        await stood_still(bench)
        # The same command, later: it was not acted on.
        await bench.run("home")
        assert (await bench.run("goto", {"position_um": 5000}, transaction="a"))["status"] == "ok"

    at_desk(tmp_path, body)


def test_the_first_rule_that_is_broken_is_the_one_that_is_told(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.do("lease.take", {"holder": "me"})
        bench.put("request/home", {"transaction": "used", "lease": "no"})
        whole = {
            "transaction": "a",
            "params": {"position_um": 99999},
            "not_after": bench.later(-5),
            "expect": {"mode": "capturing"},
        }
        expected = []

        async def code(
            *, without: str = "", topic: str = "request/goto", payload: bytes = b"", **flags: bool
        ) -> str:
            whole.pop(without, None)
            sent = payload or json.dumps(whole).encode()
            return str(error(await bench.put(topic, sent, **flags).answer())["code"])

        expected.append(await code(payload=b"x" * 20000, retained=True))
        expected.append(await code(payload=b"x" * 20000, redelivered=True))
        expected.append(await code(payload=b"{", redelivered=True))
        expected.append(await code(payload=b"{"))
        expected.append(await code())
        expected.append(await code(without="not_after", topic="request/goto"))
        whole["transaction"] = "b"
        expected.append(await code(without="not_after"))
        expected.append(await code(without="expect"))
        whole["lease"] = bench.leases.held.token
        expected.append(await code())
        assert expected == [
            "retained",
            "oversized",
            "redelivered",
            "malformed",
            "expired",
            "expired",
            "unexpected_state",
            "leased",
            "out_of_limits",
        ]

    at_desk(tmp_path, body)


def test_too_many_at_once_are_told_so_but_never_a_stop(tmp_path, monkeypatch):
    free = asyncio.Event()
    real = WORKED["release"]

    async def slow(room, job, params):
        await free.wait()
        return await real(room, job, params)

    monkeypatch.setitem(WORKED, "release", slow)

    async def body(bench: Bench) -> None:
        waiting = [bench.ask("release") for _ in range(desk_module.AT_ONCE)]
        found = await bench.refused("release", transaction="a")
        assert found["code"] == ErrorCode.BUSY
        assert (await bench.ask("stop").answer())["status"] == "ok"
        for verb in ("session.pause", "session.abort"):
            assert (await bench.refused(verb))["code"] == ErrorCode.NOT_POSSIBLE
        assert bench.put("estop").replies[0]["status"] == "ok"
        free.set()
        for asked in waiting:
            assert error(await asked.answer())["code"] == ErrorCode.NOT_POSSIBLE
        # Not remembered: it may come again.
        await bench.do("fault.clear")
        await bench.reached(Mode.UNHOMED)
        await bench.do("release", transaction="a")

    at_desk(tmp_path, body)


def test_a_bug_is_answered_and_the_desk_goes_on(tmp_path, monkeypatch, caplog):
    async def broken(room, job, params):
        raise ZeroDivisionError("by nought")

    monkeypatch.setitem(WORKED, "release", broken)

    async def body(bench: Bench) -> None:
        found = await bench.refused("release", transaction="a")
        assert found["code"] == ErrorCode.INTERNAL
        assert "by nought" in caplog.text
        monkeypatch.setattr(bench.desk, "_hear", lambda _asker: 1 / 0)
        assert error(await bench.ask("home").answer())["code"] == ErrorCode.INTERNAL
        monkeypatch.undo()
        await bench.do("ping")

    at_desk(tmp_path, body)


def test_a_transport_that_fails_to_carry_the_answer_harms_nobody(tmp_path, caplog):
    async def body(bench: Bench) -> None:
        def broken(payload: bytes) -> None:
            raise ConnectionError("gone")

        from rigd.remote.bus import Incoming

        for topic in ("request/ping", "request/nothing", "estop"):
            bench.desk.take(Incoming(topic, b"{}", "mqtt", broken))
        assert "gone" in caplog.text
        await bench.do("ping")

    at_desk(tmp_path, body)


def test_refusals_do_not_fill_the_log(tmp_path, caplog):
    async def body(bench: Bench) -> None:
        caplog.set_level("INFO")
        for _ in range(300):
            await bench.refused("goto", {"position_um": 99999})
        lines = [record for record in caplog.records if "refused:" in record.getMessage()]
        assert 1 <= len(lines) <= 20
        assert len(bench.told("command_refused")) == 300

    at_desk(tmp_path, body)


@pytest.mark.parametrize("payload", [b"", b"PRESS", b"\xff" * 30000, b'{"transaction": "a"}', b"{"])
@pytest.mark.parametrize("flags", [{}, {"retained": True}, {"redelivered": True}])
def test_the_e_stop_is_obeyed_whatever_it_is(tmp_path, payload, flags):
    async def body(bench: Bench) -> None:
        await bench.do("home", transaction="h")
        reply = bench.put("estop", payload, **flags).replies[0]
        assert (reply["status"], reply["verb"]) == ("ok", "estop")
        await bench.reached(Mode.ESTOPPED)
        assert bench.rig.state.fault.message == "e-stop over MQTT"
        ended = await bench.end_of("h")
        assert ended["error"]["code"] == ErrorCode.INTERRUPTED
        assert (await bench.refused("home"))["code"] == ErrorCode.NOT_POSSIBLE

    at_desk(tmp_path, body)


def test_when_rigd_is_being_stopped_every_command_still_gets_its_answer(tmp_path, monkeypatch):
    never = asyncio.Event()

    async def slow(room, job, params):
        await never.wait()

    monkeypatch.setitem(WORKED, "release", slow)
    asked = []

    async def body(bench: Bench) -> None:
        async with asyncio.timeout(10):
            asked.append(bench.ask("release", transaction="a"))
            asked.append(bench.ask("release", transaction="a"))
            await asyncio.sleep(0)
            asked.append(bench.ask("release", transaction="b"))
        bench._serving.cancel()
        await asyncio.gather(bench._serving, return_exceptions=True)
        asked.append(bench.ask("home"))

    at_desk(tmp_path, body)
    codes = [error(one.replies[0])["code"] for one in asked]
    assert codes == ["interrupted", "interrupted", "interrupted", "not_possible"]
    assert all(len(one.replies) == 1 for one in asked)
