"""No command is acted on twice: repeated, at the same time, after the answer was lost, and across a restart of the daemon."""

from __future__ import annotations

import json
import os

import pytest

from rigd.control.notices import Changed
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.messages.base import ErrorCode
from rigd.remote.desk import Desk
from rigd.remote.ledger import NAME
from tests.rigs import FRAMES, passes
from tests.unit._desk import Bench, at_desk, error


def homings(bench: Bench) -> int:
    """How often homing began."""
    return bench.modes.count(Mode.HOMING)


def test_repeated_it_is_answered_as_before_and_not_done_again(tmp_path):
    async def body(bench: Bench) -> None:
        first = await bench.do("home", transaction="a")
        await bench.end_of("a")
        bench.events.clear()
        again = await bench.put("request/home", {"transaction": "a"}, redelivered=True).answer()
        assert again == {**first, "repeated": True, "time": again["time"]}
        # Whoever asks again may have missed the end.
        assert (await bench.end_of("a"))["status"] == "ok"
        await passes(10)
        assert homings(bench) == 1

    at_desk(tmp_path, body)


def test_while_the_action_goes_on_a_repetition_tells_no_end(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.do("home", transaction="a")
        assert (await bench.do("home", transaction="a"))["repeated"]
        assert bench.told("action_finished") == []
        await bench.end_of("a")
        assert len(bench.told("action_finished")) == 1

    at_desk(tmp_path, body)


def test_the_same_at_the_same_time_is_done_once_and_answered_to_both(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        asked = [bench.ask("session.start", {"frames": 3}, transaction="s") for _ in range(5)]
        replies = [await one.answer() for one in asked]
        assert [reply["repeated"] for reply in replies] == [False, True, True, True, True]
        assert len({reply["data"]["session"] for reply in replies}) == 1
        await bench.end_of("s")
        assert len(list((tmp_path / "sessions").iterdir())) == 1
        assert all(len(one.replies) == 1 for one in asked)

    at_desk(tmp_path, body)


def test_asked_for_too_often_at_the_same_time_it_is_told_so(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        asked = [bench.ask("session.start", {"frames": 3}, transaction="s") for _ in range(40)]
        replies = [await one.answer() for one in asked]
        assert [reply["status"] for reply in replies].count("accepted") == 33
        assert {reply["error"]["code"] for reply in replies if reply["error"]} == {"busy"}

    at_desk(tmp_path, body)


def test_a_transaction_that_was_used_for_something_else_is_refused(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home", transaction="a")
        for verb, params in [("stop", {}), ("goto", {"position_um": 50}), ("ping", {})]:
            found = await bench.refused(verb, params, transaction="a", not_after=bench.later(-10))
            assert (found["code"], found["field"]) == (ErrorCode.TRANSACTION_REUSED, "transaction")
        await bench.run("goto", {"position_um": 50}, transaction="b")
        found = await bench.refused("goto", {"position_um": 51}, transaction="b")
        assert found["code"] == ErrorCode.TRANSACTION_REUSED
        assert bench.position_um == 50

    at_desk(tmp_path, body)


def test_a_known_one_is_answered_however_late_it_comes(tmp_path):
    async def body(bench: Bench) -> None:
        envelope = {"transaction": "a", "not_after": bench.later(5), "expect": {"mode": "unhomed"}}
        await bench.do("home", **envelope)
        await passes(60)
        assert (await bench.do("home", **envelope))["repeated"]
        assert homings(bench) == 1

    at_desk(tmp_path, body)


def test_what_only_looks_is_done_again(tmp_path):
    async def body(bench: Bench) -> None:
        assert (await bench.do("ping", transaction="a"))["data"]["mode"] == "unhomed"
        await bench.run("home", transaction="a")
        assert not (await bench.do("settings", transaction="r"))["repeated"]
        await bench.do("settings", {"step_um": 50}, transaction="r")
        assert (await bench.do("settings", {"step_um": 50}, transaction="r"))["repeated"]

    at_desk(tmp_path, body)


def test_after_a_restart_it_is_known_still(tmp_path):
    async def first(bench: Bench) -> None:
        await bench.run("home", transaction="h")
        await bench.do("settings", {"step_um": 50}, transaction="s")
        await bench.do("settings", {"step_um": 60}, transaction="t")
        assert (await bench.refused("goto", {"position_um": 99999}, transaction="g"))[
            "code"
        ] == "out_of_limits"

    async def second(bench: Bench) -> None:
        reply = await bench.do("home", transaction="h")
        assert (reply["repeated"], reply["status"]) == (True, "accepted")
        assert (await bench.end_of("h"))["status"] == "ok"
        reply = await bench.do("settings", {"step_um": 50}, transaction="s")
        assert (reply["repeated"], reply["data"]["step_um"]) == (True, 50)
        assert bench.settings.report().step_um == 60
        reply = await bench.ask("goto", {"position_um": 99999}, transaction="g").answer()
        assert (reply["repeated"], error(reply)["code"]) == (True, "out_of_limits")
        assert (await bench.refused("stop", transaction="h"))["code"] == ErrorCode.TRANSACTION_REUSED
        assert set(bench.modes) <= {Mode.UNHOMED}

    at_desk(tmp_path, first)
    at_desk(tmp_path, second, boot_id="boot-2")


def test_an_action_that_a_restart_cut_off_has_ended(tmp_path):
    lines = []

    async def first(bench: Bench) -> None:
        await bench.run("home")
        await bench.do("goto", {"position_um": 15000}, transaction="g")
        lines.append((tmp_path / "state" / NAME).read_bytes())

    async def second(bench: Bench) -> None:
        reply = await bench.do("goto", {"position_um": 15000}, transaction="g")
        assert (reply["repeated"], reply["status"]) == (True, "accepted")
        ended = await bench.end_of("g")
        assert (ended["status"], ended["error"]["code"]) == ("error", "interrupted")
        assert set(bench.modes) <= {Mode.UNHOMED}

    at_desk(tmp_path, first)
    (tmp_path / "state" / NAME).write_bytes(lines[0])  # as a kill would have left it
    at_desk(tmp_path, second, boot_id="boot-2")


def test_a_command_that_was_begun_and_never_answered_is_not_begun_again(tmp_path):
    (tmp_path / "state").mkdir()
    print_of_home = None

    async def first(bench: Bench) -> None:
        nonlocal print_of_home
        await bench.run("home", transaction="known")
        print_of_home = bench.ledger.find("known").fingerprint

    async def second(bench: Bench) -> None:
        reply = await bench.ask("home", transaction="lost").answer()
        assert error(reply)["code"] == ErrorCode.INTERRUPTED
        assert reply["repeated"]
        assert bench.told("action_finished") == []
        assert set(bench.modes) <= {Mode.UNHOMED}

    at_desk(tmp_path, first)
    with (tmp_path / "state" / NAME).open("a") as file:
        begun = {"t": "lost", "v": "home", "f": print_of_home, "at": "2026-01-01T00:00:00+00:00"}
        file.write(json.dumps(begun) + "\n")
    at_desk(tmp_path, second, boot_id="boot-2")


def test_it_is_written_down_before_it_acts(tmp_path):
    async def body(bench: Bench) -> None:
        seen = []

        def note(notice) -> None:
            if isinstance(notice, Changed) and isinstance(notice.event, ev.Home):
                seen.append((tmp_path / "state" / NAME).read_text())

        bench.rig.controller.listen(note)
        await bench.do("home", transaction="a")
        assert '"t":"a","v":"home"' in seen[0]
        assert "answer" not in seen[0]
        await bench.end_of("a")
        assert (tmp_path / "state" / NAME).read_text().count('"t":"a"') == 3

    at_desk(tmp_path, body)


def test_a_second_desk_on_the_same_rig_knows_what_the_first_did(tmp_path):
    """As after a restart that the rig itself outlived: nothing of the desk's memory is needed."""

    async def body(bench: Bench) -> None:
        await bench.run("home", transaction="h")
        async with Bench(bench.rig, bench.clock, boot_id="boot-2") as other:
            assert isinstance(other.desk, Desk)
            assert (await other.do("home", transaction="h"))["repeated"]
            ended = await other.run("goto", {"position_um": 70})
            assert ended["status"] == "ok"
        assert homings(bench) == 1

    at_desk(tmp_path, body)


def test_when_it_cannot_be_written_down_only_what_makes_the_rig_safer_is_done(tmp_path, monkeypatch):
    async def body(bench: Bench) -> None:
        real = os.write

        def full(descriptor, data):
            if descriptor == bench.ledger._descriptor:
                raise OSError(28, "No space left on device")
            return real(descriptor, data)

        await bench.run("home")
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            found = await bench.refused("goto", {"position_um": 9000}, transaction="a")
            assert found["code"] == ErrorCode.STORAGE
            assert found["message"].endswith(
                f"{bench.ledger.path}: No space left on device; make room on that disk"
            )
            await bench.do("goto", {"position_um": 9000})
            await passes(0.2)
            await bench.do("stop", transaction="b")
            await bench.reached(Mode.IDLE)
        assert 0 < bench.position_um < 9000
        await bench.run("goto", {"position_um": 9000}, transaction="a")

    at_desk(tmp_path, body)


def test_a_refusal_that_may_pass_later_is_not_remembered(tmp_path):
    async def first(bench: Bench) -> None:
        assert (await bench.refused("goto", {"position_um": 70}, transaction="a"))["code"] == "not_possible"
        assert (await bench.refused("session.start", transaction="b"))["code"] == "not_possible"

    async def second(bench: Bench) -> None:
        await bench.run("home")
        assert (await bench.run("goto", {"position_um": 70}, transaction="a"))["status"] == "ok"
        assert (await bench.run("session.start", transaction="b"))["data"]["frames"] == FRAMES

    at_desk(tmp_path, first)
    at_desk(tmp_path, second, boot_id="boot-2")


@pytest.mark.parametrize("payload", [{"transaction": "a"}, {"transaction": "a", "params": {}}])
def test_an_e_stop_is_obeyed_each_time_it_comes(tmp_path, payload):
    async def body(bench: Bench) -> None:
        for _ in range(2):
            reply = bench.put("estop", payload).replies[0]
            assert (reply["transaction"], reply["repeated"]) == ("a", False)
            await bench.reached(Mode.ESTOPPED)
            await bench.do("fault.clear")
            await bench.reached(Mode.UNHOMED)

    at_desk(tmp_path, body)
