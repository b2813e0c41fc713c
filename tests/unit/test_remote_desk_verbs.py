"""Every command does what it says, and its answer and its end say what came of it."""

from __future__ import annotations

import asyncio

import pytest

from rigd.app import Rig
from rigd.control.testshot import TestPicture
from rigd.machine.state import Mode
from rigd.messages import reports
from rigd.messages.base import CONTRACT, ErrorCode
from rigd.messages.events import EVENTS
from rigd.messages.reports import Reply
from rigd.messages.verbs import SETTINGS, VERBS
from rigd.remote.reading import SETS
from rigd.remote.verbs import QUICK, WORKED
from rigd.session import Session
from tests.rigs import FRAMES, SMALL, capture, passes, small_rig, stored
from tests.unit._desk import Bench, at_desk, error

PROFILES = "profiles: {fine: {step_um: 50, settle_s: 0.4}}\n"
LIT = "light: {driver: sim}\n"


def test_every_command_of_the_contract_has_its_handler():
    assert set(QUICK) | set(WORKED) == set(VERBS) | set(SETS)
    assert not set(QUICK) & set(WORKED)
    assert len(SETS) == len(SETTINGS)


def test_answers_and_events_are_those_of_the_contract(tmp_path):
    """Each answer carries the data that its verb declares; each event is of a declared kind."""

    async def body(bench: Bench) -> None:
        asked = {
            "ping": {},
            "home": {},
            "settings": {},
            "plan.validate": {},
            "lease.take": {"holder": "me"},
            "session.list": {},
        }
        for verb, params in asked.items():
            reply = Reply.model_validate(await bench.do(verb, params))
            declared = VERBS[verb].data
            if declared is not None:
                assert declared.model_validate(reply.data).model_dump(mode="json") == reply.data
            assert reply.status == ("accepted" if VERBS[verb].long else "ok")
        await bench.event("action_finished")
        for kind, event in bench.events:
            assert EVENTS[kind].model_validate(event).event_type == kind

    at_desk(tmp_path, body)


def test_ping(tmp_path):
    async def body(bench: Bench) -> None:
        reply = await bench.do("ping", transaction="p")
        assert reply["data"] == {"boot_id": "boot-1", "contract": CONTRACT, "mode": "unhomed"}
        assert (reply["transaction"], reply["verb"], reply["repeated"]) == ("p", "ping", False)
        assert reply["time"] == bench.clock.utc().isoformat().replace("+00:00", "Z")

    at_desk(tmp_path, body)


def test_home_and_goto_are_accepted_and_end_where_they_should(tmp_path):
    async def body(bench: Bench) -> None:
        ended = await bench.run("home")
        assert (ended["verb"], ended["status"], ended["data"]) == ("home", "ok", {"position_um": 0.0})
        ended = await bench.run("goto", {"position_um": 4321})
        assert ended["status"] == "ok"
        assert ended["data"]["position_um"] == pytest.approx(
            4321, abs=bench.rig.parts.rail.capabilities.microstep_um
        )
        assert bench.position_um == ended["data"]["position_um"]

    at_desk(tmp_path, body)


def test_plain_values_do_the_same(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.put("request/home", b"PRESS").answer()
        await bench.end_of(None)
        bench.events.clear()
        assert (await bench.put("request/goto", b"1500").answer())["status"] == "accepted"
        assert (await bench.end_of(None))["data"] == {"position_um": 1500.0}

    at_desk(tmp_path, body)


def test_a_jog_goes_its_way_also_before_home(tmp_path):
    async def body(bench: Bench) -> None:
        ended = await bench.run("jog", {"distance_um": 300})
        assert (ended["status"], ended["data"]) == ("ok", {"position_um": None})
        await bench.run("home")
        assert (await bench.run("jog", {"distance_um": 300}))["data"] == {"position_um": 300.0}
        bench.settings.change({"jog_um": 50.0})
        assert (await bench.run("jog", {"nudge": "toward"}))["data"] == {"position_um": 350.0}
        assert (await bench.run("jog", {"nudge": "away"}))["data"] == {"position_um": 300.0}

    at_desk(tmp_path, body)


def test_stop_stops_a_move_gently_and_its_end_says_so(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        await bench.do("goto", {"position_um": 15000}, transaction="g")
        await passes(0.2)
        assert (await bench.do("stop"))["status"] == "ok"
        ended = await bench.end_of("g")
        assert ended["error"] == {"code": "interrupted", "message": "stopped over MQTT", "field": None}
        assert 0 < ended["data"]["position_um"] < 15000
        assert bench.rig.state.mode is Mode.IDLE

    at_desk(tmp_path, body)


def test_stop_is_always_possible(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.do("stop")
        bench.put("estop")
        await bench.reached(Mode.ESTOPPED)
        await bench.do("stop")

    at_desk(tmp_path, body)


def test_homing_that_is_stopped_was_not_finished(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.do("home", transaction="h")
        await passes(0.3)
        await bench.do("stop")
        ended = await bench.end_of("h")
        assert (ended["error"]["code"], ended["data"]) == ("interrupted", {"position_um": None})

    at_desk(tmp_path, body)


def test_release_loses_home(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        await bench.do("release")
        assert bench.rig.state.mode is Mode.UNHOMED

    at_desk(tmp_path, body)


def test_a_fault_is_cleared_and_an_action_that_it_ended_says_what_it_was(tmp_path):
    async def body(bench: Bench) -> None:
        ended = await bench.run("home")
        assert ended["error"]["code"] == ErrorCode.HARDWARE
        assert "next:" in ended["error"]["message"]
        refused = error(await bench.ask("session.resume").answer())
        assert refused["message"].endswith(f"while fault: {bench.rig.state.fault.next_step}")
        await bench.do("fault.clear")
        await bench.reached(Mode.UNHOMED)

    at_desk(tmp_path, body, "rail.faults.home_switch_broken=true")


def test_marks_are_where_the_rail_stands_or_where_they_are_said_to_be(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        await bench.run("goto", {"position_um": 4000})
        assert (await bench.do("mark_near"))["data"]["near_um"] == 4000
        data = (await bench.do("mark_far", {"position_um": 4700}))["data"]
        assert (data["near_um"], data["far_um"]) == (4000, 4700)
        assert data["changed"] == ["near_um", "far_um"]
        assert (await bench.put("request/mark_far", b"PRESS").answer())["data"]["far_um"] == 4000
        await bench.do("goto", {"position_um": 9000})
        await passes(0.1)
        found = await bench.refused("mark_near")
        assert (found["code"], "stands" in found["message"]) == (ErrorCode.NOT_POSSIBLE, True)

    at_desk(tmp_path, body)


def test_a_plan_is_told_without_moving(tmp_path):
    async def body(bench: Bench) -> None:
        data = (await bench.do("plan.validate"))["data"]
        assert (data["frames"], data["near_um"], data["far_um"], data["step_um"]) == (FRAMES, 5000, 6100, 100)
        assert data["seconds"] > data["motion_s"] > 0
        data = (await bench.do("plan.validate", {"frames": 3, "margin_frames": 1}))["data"]
        assert (data["frames"], data["first_um"], data["last_um"]) == (5, 4450, 6650)
        found = await bench.refused("plan.validate", {"near_um": 7000})
        assert found["code"] == ErrorCode.PLAN_REFUSED
        found = await bench.refused("plan.validate", {"near_um": 10, "margin_frames": 5})
        assert found["code"] == ErrorCode.PLAN_REFUSED
        assert set(bench.modes) <= {Mode.UNHOMED}

    at_desk(tmp_path, body)


def test_without_a_nearest_plane_there_is_no_plan(tmp_path):
    text = SMALL.replace("plan: {near_um: 5000, far_um: 6100, step_um: 100}\n", "")

    async def body(bench: Bench) -> None:
        for verb in ("plan.validate", "session.start"):
            found = await bench.refused(verb, {"far_um": 6000, "step_um": 100}, transaction=verb)
            assert (found["code"], found["field"]) == (ErrorCode.PLAN_REFUSED, "params.near_um")
        await bench.run("home")
        await bench.do("mark_near", {"position_um": 5000})
        params = {"far_um": 5300, "step_um": 100}
        ended = await bench.run("session.start", params, transaction="session.start")
        assert ended["data"]["frames"] == 4

    at_desk(tmp_path, body, config=small_rig(tmp_path, text=text))


def test_a_stack_is_captured_with_settings_and_what_the_request_gives(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        await bench.do("settings", {"settle_s": 0.35, "step_um": 300})
        reply = await bench.do("session.start", {"name": "ring", "end": "stay"}, transaction="s")
        session = reply["data"]["session"]
        assert (reply["status"], reply["data"]["frames"], reply["data"]["done"]) == ("accepted", 5, 0)
        assert session.endswith("-ring")
        assert (tmp_path / "sessions" / session / "session.json").exists()
        ended = await bench.end_of("s")
        assert ended["status"] == "ok"
        assert ended["data"] == {"session": session, "outcome": "complete", "frames": 5}
        assert bench.position_um == 6100

        from rigd.session import FrameRecord
        from rigd.session.store import frame_records, load_manifest

        manifest = load_manifest(tmp_path / "sessions" / session)
        assert manifest["config"]["settle"]["fixed_s"] == 0.35
        assert manifest["config"]["plan"]["step_um"] == 300
        records: list[FrameRecord] = list(frame_records(tmp_path / "sessions" / session).values())
        assert all(record.start_s - record.moved_s >= 0.35 for record in records)
        assert bench.settings.report().end == "return"

    at_desk(tmp_path, body)


def test_a_stack_needs_home_and_nothing_is_left_of_one_that_was_refused(tmp_path):
    async def body(bench: Bench) -> None:
        found = await bench.refused("session.start")
        assert (found["code"], "home first" in found["message"]) == (ErrorCode.NOT_POSSIBLE, True)
        assert not list((tmp_path / "sessions").glob("*"))
        await bench.run("home")
        assert bench.told("action_finished")[-1]["verb"] == "home"
        await bench.run("session.start", {"frames": 3})

    at_desk(tmp_path, body)


def test_a_disk_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "sessions").write_text("a file where the folder should be")

    async def body(bench: Bench) -> None:
        await bench.run("home")
        found = await bench.refused("session.start")
        assert found["code"] in {ErrorCode.STORAGE, ErrorCode.PLAN_REFUSED}
        assert "sessions" in found["message"]

    at_desk(tmp_path, body)


def test_a_session_that_cannot_be_made_is_no_action(tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rigd.rig.create_session", full)

    async def body(bench: Bench) -> None:
        await bench.run("home")
        found = await bench.refused("session.start", transaction="s")
        assert (found["code"], "Errno" in found["message"]) == (ErrorCode.STORAGE, False)
        assert "make room" in found["message"]
        await bench.reached(Mode.FAULT)
        assert [event["transaction"] for event in bench.told("action_finished")] == ["boot-1.1"]

    at_desk(tmp_path, body)


def test_two_stacks_at_once_are_one(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        one, other = bench.ask("session.start", {"frames": 3}), bench.ask("session.start", {"frames": 4})
        assert (await one.answer())["data"]["frames"] == 3
        assert error(await other.answer())["code"] == ErrorCode.NOT_POSSIBLE
        assert (await bench.end_of(None))["data"]["frames"] == 3
        assert len(list((tmp_path / "sessions").iterdir())) == 1

    at_desk(tmp_path, body)


def test_pause_resume_and_the_end_is_told_to_both(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        session = (await bench.do("session.start", transaction="s"))["data"]["session"]
        await passes(1.5)
        await bench.do("session.pause")
        await bench.reached(Mode.PAUSED)
        assert bench.rig.state.stack.why == "paused over MQTT"
        done = bench.rig.state.stack.accepted
        found = await bench.refused("session.resume", {"session": "another"})
        assert found["code"] == ErrorCode.NOT_POSSIBLE
        reply = await bench.do("session.resume", {"session": session}, transaction="r")
        assert reply["data"] == {"session": session, "frames": FRAMES, "done": done}
        for transaction, verb in (("s", "session.start"), ("r", "session.resume")):
            ended = await bench.end_of(transaction)
            assert (ended["verb"], ended["status"]) == (verb, "ok")
            assert ended["data"] == {"session": session, "outcome": "complete", "frames": FRAMES}

    at_desk(tmp_path, body)


def test_stop_pauses_a_stack_and_a_pause_is_not_its_end(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        await bench.do("session.start", transaction="s")
        await passes(1.5)
        await bench.do("stop")
        await bench.reached(Mode.PAUSED)
        await passes(100)
        assert [event["transaction"] for event in bench.told("action_finished")] == ["boot-1.1"]
        await bench.do("session.abort")
        ended = await bench.end_of("s")
        assert ended["error"]["code"] == ErrorCode.INTERRUPTED
        assert ended["error"]["message"] == "aborted by the operator"
        assert ended["data"]["outcome"] == "aborted"
        assert 0 < ended["data"]["frames"] < FRAMES

    at_desk(tmp_path, body)


def test_an_e_stop_ends_a_stack_that_can_be_resumed_later(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        session = (await bench.do("session.start", transaction="s"))["data"]["session"]
        await passes(1.5)
        bench.put("estop")
        ended = await bench.end_of("s")
        assert (ended["error"]["code"], ended["data"]["outcome"]) == ("interrupted", "suspended")
        await bench.do("fault.clear")
        await bench.reached(Mode.UNHOMED)
        found = await bench.refused("session.resume")
        assert (found["code"], "home first" in found["message"]) == (ErrorCode.NOT_POSSIBLE, True)
        await bench.run("home")
        listed = (await bench.do("session.list"))["data"]
        assert (listed["total"], listed["sessions"][0]["outcome"]) == (1, "unfinished")
        ended = await bench.run("session.resume")
        assert ended["data"] == {"session": session, "outcome": "complete", "frames": FRAMES}
        found = await bench.refused("session.resume", {"session": session})
        assert (found["code"], found["field"]) == (ErrorCode.SESSION, "params.session")
        assert (await bench.refused("session.resume"))["code"] == ErrorCode.SESSION

    at_desk(tmp_path, body)


def test_what_another_rig_left_in_the_same_folder_is_not_gone_on_with(tmp_path):
    async def stop(rig: Rig, _session: Session) -> None:
        await stored(rig, 2)
        await rig.suspend("the test wants it")

    theirs = capture(small_rig(tmp_path, "rig.id=neighbour"), stop).path

    async def body(bench: Bench) -> None:
        await bench.run("home")
        assert (await bench.refused("session.resume"))["code"] == ErrorCode.SESSION
        found = await bench.refused("session.resume", {"session": theirs.name})
        assert (found["code"], found["field"]) == (ErrorCode.SESSION, "params.session")
        assert "'neighbour' took it" in found["message"]
        (listed,) = (await bench.do("session.list"))["data"]["sessions"]
        assert (listed["rig"], listed["outcome"]) == ("neighbour", "unfinished")

    at_desk(tmp_path, body)


@pytest.mark.parametrize("session", ["none-such", "..", "../sessions", "/etc", "."])
def test_a_session_is_looked_for_among_sessions_only(tmp_path, session):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        found = await bench.refused("session.resume", {"session": session})
        assert (found["code"], found["field"]) == (ErrorCode.SESSION, "params.session")

    at_desk(tmp_path, body)


def test_a_session_that_lacks_only_its_results_is_finished(tmp_path, monkeypatch):
    from rigd.session import Session

    real = Session.finish

    async def body(bench: Bench) -> None:
        await bench.run("home")

        def full(*_args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Session, "finish", full)
        ended = await bench.run("session.start")
        assert ended["error"]["code"] == ErrorCode.STORAGE
        monkeypatch.setattr(Session, "finish", real)
        await bench.do("fault.clear")
        await bench.reached(Mode.UNHOMED)
        await bench.run("home")
        reply = await bench.do("session.resume", transaction="r")
        assert (reply["data"]["done"], reply["data"]["frames"]) == (FRAMES, FRAMES)
        ended = await bench.end_of("r")
        assert (ended["status"], ended["data"]["outcome"]) == ("ok", "complete")
        listed = (await bench.do("session.list"))["data"]["sessions"]
        assert listed[0]["outcome"] == "complete"

    at_desk(tmp_path, body)


def test_a_session_of_another_rig_is_not_gone_on_with(tmp_path):
    async def first(bench: Bench) -> None:
        await bench.run("home")
        await bench.do("session.start")
        await passes(1.5)

    async def second(bench: Bench) -> None:
        await bench.run("home")
        found = await bench.refused("session.resume", transaction="r")
        assert found["code"] == ErrorCode.SESSION
        assert "rail.backlash_um" in found["message"]
        assert bench.rig.state.mode is Mode.IDLE

    at_desk(tmp_path, first)
    at_desk(tmp_path, second, "rail.backlash_um=30", boot_id="boot-2")


def test_sessions_are_listed_newest_first(tmp_path):
    async def body(bench: Bench) -> None:
        assert (await bench.do("session.list"))["data"] == {"sessions": [], "total": 0}
        await bench.run("home")
        for name in ("one", "two"):
            await bench.run("session.start", {"name": name, "frames": 2})
        (tmp_path / "sessions" / "lost+found").mkdir()
        broken = tmp_path / "sessions" / "00000000T000000Z-broken"
        broken.mkdir()
        (broken / "session.json").write_text("{")
        listed = reports.SessionList.model_validate((await bench.do("session.list"))["data"])
        assert [(entry.name, entry.outcome, entry.frames) for entry in listed.sessions] == [
            ("two", "complete", 2),
            ("one", "complete", 2),
            (broken.name, "damaged", 0),
        ]
        assert listed.sessions[2].why
        assert listed.total == 3

    at_desk(tmp_path, body)


def test_of_two_test_shots_at_once_one_is_taken(tmp_path):
    async def body(bench: Bench) -> None:
        first, second = bench.ask("capture.test", transaction="a"), bench.ask("capture.test", transaction="b")
        assert (await first.answer())["status"] == "accepted"
        assert error(await second.answer())["code"] == "not_possible"
        assert (await bench.end_of("a"))["status"] == "ok"
        assert [event["transaction"] for event in bench.told("action_finished")] == ["a"]

    at_desk(tmp_path, body)


def test_a_test_shot_is_taken_and_shown(tmp_path):
    shown: list[TestPicture] = []

    async def body(bench: Bench) -> None:
        bench.desk.on_test = shown.append
        assert bench.desk.on_test == shown.append
        reply = await bench.do("capture.test", transaction="t")
        assert (reply["status"], reply["data"]) == ("accepted", {})
        assert bench.rig.state.mode is Mode.TESTING
        found = await bench.refused("capture.test")
        assert found["code"] == ErrorCode.NOT_POSSIBLE
        ended = await bench.end_of("t")
        shot = reports.TestShot.model_validate(ended["data"])
        assert (shot.width, shot.height, shot.suffix) == (96, 64, ".jpg")
        assert shot.sha256 == shown[0].sha256
        assert shot.bytes == len(shown[0].data.payload)
        assert shot.metrics
        await bench.do("ping")
        assert bench.rig.state.mode is Mode.UNHOMED

    at_desk(tmp_path, body)


def test_a_test_shot_that_is_stopped_says_so(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.do("capture.test", transaction="t")
        await bench.do("stop")
        ended = await bench.end_of("t")
        assert (ended["status"], ended["error"]["code"]) == ("error", "interrupted")
        await bench.do("capture.test", transaction="u")
        bench.put("estop")
        assert (await bench.end_of("u"))["error"]["code"] == ErrorCode.INTERRUPTED

    at_desk(tmp_path, body)


def test_a_camera_that_gives_no_picture_is_named(tmp_path):
    async def body(bench: Bench) -> None:
        ended = await bench.run("capture.test")
        assert ended["error"]["code"] == ErrorCode.HARDWARE

    at_desk(tmp_path, body, "camera.faults.lost.at=[1]")


def test_settings_are_read_and_changed(tmp_path):
    async def body(bench: Bench) -> None:
        data = (await bench.do("settings"))["data"]
        assert (data["step_um"], data["changed"]) == (100, [])
        data = (await bench.do("settings", {"profile": "fine"}))["data"]
        assert (data["step_um"], data["settle_s"], data["profile"]) == (50, 0.4, "fine")
        data = (await bench.put("set/step_um", b"25").answer())["data"]
        assert data["step_um"] == 25
        data = (await bench.put("set/step_um", b"").answer())["data"]
        assert data["step_um"] == 50
        data = (await bench.put("set/profile", b"").answer())["data"]
        assert (data["step_um"], data["profile"]) == (100, None)
        reply = await bench.put("set/end", {"transaction": "e", "params": {"value": "stay"}}).answer()
        assert (reply["verb"], reply["transaction"], reply["data"]["end"]) == ("set/end", "e", "stay")
        found = await bench.refused("settings", {"step_um": 10, "settle_s": -1})
        assert (found["code"], found["field"]) == (ErrorCode.INVALID_PARAMS, "params.settle_s")
        found = await bench.refused("settings", {"profile": "none such"})
        assert (found["code"], "fine" in found["message"]) == (ErrorCode.INVALID_PARAMS, True)
        assert bench.rig.config.capture.end == "stay"

    at_desk(tmp_path, body, config=small_rig(tmp_path, text=SMALL + PROFILES))


def test_changed_settings_are_in_force_after_a_restart_too(tmp_path):
    async def first(bench: Bench) -> None:
        await bench.do("settings", {"settle_s": 0.6})
        await passes(5)
        assert not bench.settings.dirty
        assert not bench.ledger.dirty

    async def second(bench: Bench) -> None:
        assert bench.rig.config.settle.fixed_s == 0.6
        shot_at_s = bench.clock.now()
        await bench.run("home")
        await bench.run("goto", {"position_um": 100})
        moved_s = bench.clock.now()
        assert moved_s > shot_at_s
        await bench.run("capture.test")
        assert bench.clock.now() - moved_s >= 0.6

    at_desk(tmp_path, first)
    at_desk(tmp_path, second, boot_id="boot-2")


def test_settings_change_during_a_stack_for_the_next_one(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        await bench.do("session.start", {"frames": 4}, transaction="s")
        await passes(0.5)
        assert (await bench.do("settings", {"step_um": 550}))["data"]["step_um"] == 550
        assert (await bench.end_of("s"))["data"]["frames"] == 4
        assert (await bench.run("session.start"))["data"]["frames"] == 3

    at_desk(tmp_path, body)


def test_settings_right_behind_a_start_are_for_the_next_stack(tmp_path):
    """In one breath, before the start has begun to be worked on."""

    async def body(bench: Bench) -> None:
        await bench.run("home")
        await bench.do("settings", {"step_um": 300})
        asked = [bench.ask(verb, {}, transaction=verb) for verb in ("plan.validate", "session.start")]
        bench.ask("settings", {"step_um": 550, "end": "stay"})
        planned, started = [await one.answer() for one in asked]
        assert planned["data"]["frames"] == started["data"]["frames"] == 5
        assert (await bench.end_of("session.start"))["data"]["frames"] == 5
        assert bench.position_um != 6100, "it went back, as was asked for when it began"
        assert (await bench.run("session.start"))["data"]["frames"] == 3

    at_desk(tmp_path, body)


def test_identify_blinks_and_ends_dark(tmp_path):
    async def body(bench: Bench) -> None:
        reply = await bench.do("identify", {"seconds": 2})
        assert reply["status"] == "ok"
        found = await bench.refused("identify")
        assert found["code"] == ErrorCode.NOT_POSSIBLE
        await passes(5)
        await bench.do("identify", {"seconds": 0.5})
        await passes(5)

    at_desk(tmp_path, body, config=small_rig(tmp_path, text=SMALL + LIT))


def test_what_a_rig_lacks_is_not_allowed(tmp_path, monkeypatch):
    async def body(bench: Bench) -> None:
        assert (await bench.refused("identify"))["code"] == ErrorCode.NOT_ALLOWED
        from dataclasses import replace

        rail = bench.rig.parts.rail
        monkeypatch.setattr(type(rail), "capabilities", replace(rail.capabilities, can_release=False))
        assert (await bench.refused("release"))["code"] == ErrorCode.NOT_ALLOWED
        monkeypatch.undo()

    at_desk(tmp_path, body)


def test_a_command_that_comes_before_a_stop_does_not_begin_after_it(tmp_path):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        bench.modes.clear()
        started = bench.ask("session.start", transaction="s")
        stopped = bench.ask("stop")
        assert (await stopped.answer())["status"] == "ok"
        assert error(await started.answer())["code"] == ErrorCode.INTERRUPTED
        await passes(10)
        assert Mode.CAPTURING not in bench.modes

    at_desk(tmp_path, body)


def test_one_waits_for_nobody_else(tmp_path):
    """Reading the disk takes its time, and a ping is answered meanwhile."""

    async def body(bench: Bench) -> None:
        slow = bench.ask("session.list")
        assert bench.ask("ping").replies
        assert not slow.replies
        await slow.answer()
        async with asyncio.timeout(1):
            await bench.do("plan.validate")

    at_desk(tmp_path, body)
