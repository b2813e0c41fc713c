"""`rigd run` on a broker, killed or told to stop: what was asked for is not done again, what was taken is not lost, and everybody is told."""

from __future__ import annotations

import asyncio
import json

import pytest

from rigd.cli.exits import Exit
from rigd.client import RigRestarted, connect
from rigd.session import survey, verify
from rigd.session.store import frame_records
from tests.brokers import HOST, mosquitto
from tests.remote import LONG, LONG_FRAMES, RIG, bench, daemon, going, somebody, whole_session

BROKER = f"mqtt.host={HOST}"


def over(test, tmp_path, *overrides):
    """Run a test with a daemon that is ready and an operator."""

    async def main(port: int) -> None:
        with daemon(tmp_path, BROKER, f"mqtt.port={port}", *overrides) as rigd:
            async with somebody(port) as operator:
                await asyncio.to_thread(rigd.start)
                await operator.mode("unhomed")
                await test(rigd, operator)

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))


async def again(rigd, operator) -> None:
    """Start it again, and wait until it says how it is."""
    since = operator.mark
    await asyncio.to_thread(rigd.start)
    await operator.hears("availability", lambda said: said == "online", since=since)
    await operator.mode("unhomed", since=since)


def test_killed_right_after_a_command_was_accepted_it_does_not_do_it_again(tmp_path):
    async def main(rigd, operator) -> None:
        first = (await operator.hears("birth")).json
        # A jog is also possible before home is known: it could be done again by mistake.
        asked = {"params": {"distance_um": 3000, "hold_s": 30}, "transaction": "once"}
        assert (await operator.ask("jog", **asked))["status"] == "accepted"
        since = operator.mark
        await asyncio.to_thread(rigd.kill)
        await operator.hears("availability", lambda said: said == "offline", since=since)
        await again(rigd, operator)
        birth = (await operator.hears("birth", since=since)).json
        assert birth["boot_id"] != first["boot_id"]
        assert birth["started"] > first["started"]
        since = operator.mark
        for _ in range(3):
            answer = await operator.ask("jog", **asked)
            assert (answer["status"], answer["repeated"]) == ("accepted", True)
        ended = await operator.end_of("once", since)
        assert (ended["error"]["code"], ended["boot_id"]) == ("interrupted", birth["boot_id"])
        assert (await operator.refused("jog", {"distance_um": -100}, transaction="once"))[
            "code"
        ] == "transaction_reused"
        assert (await operator.do("ping"))["data"]["mode"] == "unhomed"
        modes = {state["mode"] for state in operator.on("state", since)}
        assert "moving" not in modes
        assert (await operator.run("home"))["status"] == "ok"

    over(main, tmp_path)


def test_killed_before_it_could_answer_it_says_so_and_does_nothing(tmp_path):
    """The command is in the ledger, its answer is not: killed between the two."""

    async def main(rigd, operator) -> None:
        asked = {"transaction": "between"}
        assert (await operator.ask("home", **asked))["status"] == "accepted"
        await operator.end_of("between")
        await asyncio.to_thread(rigd.kill)
        ledger = next((tmp_path / "state").rglob("commands.jsonl"))
        begun = next(line for line in ledger.read_text().splitlines() if '"between"' in line)
        assert "answer" not in json.loads(begun)
        ledger.write_text(begun + "\n")
        await again(rigd, operator)
        since = operator.mark
        answer = await operator.ask("home", **asked)
        assert (answer["status"], answer["error"]["code"]) == ("error", "interrupted")
        assert (await operator.do("ping"))["data"]["mode"] == "unhomed"
        assert {state["mode"] for state in operator.on("state", since)} <= {"unhomed"}

    over(main, tmp_path)


def test_killed_while_it_captures_it_has_every_frame_and_the_session_goes_on(tmp_path):
    async def main(rigd, operator) -> None:
        await operator.run("home")
        started = await operator.do("session.start", {"name": "killed"}, transaction="start")
        session = started["data"]["session"]
        await operator.until(lambda: len(operator.on(f"session/{session}/frame")) >= 5)
        since = operator.mark
        await asyncio.to_thread(rigd.kill)
        told = [frame["sha256"] for frame in operator.on(f"session/{session}/frame")]
        await operator.hears("availability", lambda said: said == "offline", since=since)
        (seen,) = survey(tmp_path / "sessions")
        assert verify(seen.path).whole
        await again(rigd, operator)
        # The same command is not a second stack.
        answer = await operator.ask("session.start", {"name": "killed"}, transaction="start")
        assert answer == {**started, "repeated": True, "time": answer["time"]}
        assert (await operator.end_of("start", since))["error"]["code"] == "interrupted"
        await operator.run("home")
        resumed = await operator.run("session.resume")
        assert (resumed["data"]["session"], resumed["data"]["outcome"]) == (session, "complete")
        assert set(told) <= {record.sha256 for record in frame_records(seen.path).values()}

    over(main, tmp_path, LONG)
    whole_session(tmp_path, "killed")


def test_told_to_stop_while_it_captures_it_says_what_became_of_the_session_and_then_goodbye(tmp_path):
    async def main(rigd, operator) -> None:
        await operator.run("home")
        started = await operator.do("session.start", {"name": "stopped"}, transaction="start")
        session = started["data"]["session"]
        await operator.until(lambda: len(operator.on(f"session/{session}/frame")) >= 5)
        since = operator.mark
        assert await asyncio.to_thread(rigd.stop) == Exit.DONE
        await operator.hears("availability", lambda said: said == "offline", since=since)
        heard = [one.topic for one in operator.heard[since:]]
        order = ["event/session_finished", f"session/{session}/summary", "availability"]
        assert [topic for topic in heard if topic in order] == order
        finished = (await operator.hears("event/session_finished", since=since)).json
        assert (finished["outcome"], finished["frames"]) == ("suspended", LONG_FRAMES)
        summary = (await operator.hears(f"session/{session}/summary", since=since)).json
        assert summary["frames"] == finished["frame"]
        ended = await operator.end_of("start", since)
        assert (ended["error"]["code"], ended["data"]["outcome"]) == ("interrupted", "suspended")
        assert heard.count("availability") == 1  # the goodbye; the broker has no reason to say the will too
        (seen,) = survey(tmp_path / "sessions")
        assert (seen.unfinished, verify(seen.path).whole) == (True, True)
        await again(rigd, operator)
        assert (await operator.refused("session.resume"))["code"] == "not_possible"
        await operator.run("home")
        resumed = await operator.run("session.resume", {"session": session})
        assert resumed["data"] == {"session": session, "outcome": "complete", "frames": LONG_FRAMES}
        complete = await operator.hears(
            f"session/{session}/summary", lambda said: said and said["outcome"] == "complete", since=since
        )
        assert complete.json["frames"] == LONG_FRAMES

    over(main, tmp_path, LONG)
    whole_session(tmp_path, "stopped")


def test_a_client_is_told_that_the_daemon_was_started_anew(tmp_path):
    async def main(rigd, operator) -> None:
        port = int(
            next(part for part in rigd._command if part.startswith("mqtt.port=")).removeprefix("mqtt.port=")
        )
        async with connect(f"mqtt://{HOST}:{port}/{RIG}") as client:
            await client.home()
            run = await client.start("mine")
            await operator.until(lambda: operator.on(f"session/{run.session}/frame"))
            await asyncio.to_thread(rigd.kill)
            await again(rigd, operator)
            with pytest.raises(RigRestarted):
                await run.result(30)
            await client.home()
            resumed = await client.resume()
            assert resumed.session == run.session
            assert (await resumed.result(60)).complete

    over(main, tmp_path, LONG)
    whole_session(tmp_path, "mine")


def test_a_daemon_that_finds_no_broker_is_reachable_when_one_comes(tmp_path):
    async def main(broker) -> None:
        with daemon(tmp_path, BROKER, f"mqtt.port={broker.port}") as rigd:
            broker.kill()
            await asyncio.to_thread(rigd.start)
            await asyncio.to_thread(broker.start)
            async with somebody(broker.port) as operator:
                await operator.mode("unhomed")
                assert (await operator.run("home"))["status"] == "ok"
                # And one that goes for good does not keep it from ending.
                await asyncio.to_thread(broker.kill)
                assert await asyncio.to_thread(rigd.stop) == Exit.DONE

    with mosquitto(tmp_path) as broker:
        going(main(broker))


def test_closed_without_a_word_under_a_stack_it_leaves_a_session_and_nothing_half_written(tmp_path, caplog):
    """As when a bug elsewhere ends the daemon: nothing was stopped before everything is closed."""

    async def main(port: int) -> None:
        async with somebody(port) as operator:
            async with bench(tmp_path, port, LONG) as rig:
                await rig.online()
                await operator.run("home")
                started = await operator.do("session.start", {"name": "left"}, transaction="start")
                await rig.diary.more_frames(3)
            assert "written down" not in caplog.text
            (seen,) = survey(tmp_path / "sessions")
            assert (seen.unfinished, verify(seen.path).whole) == (True, True)
            since = operator.mark
            async with bench(tmp_path, port, LONG) as rig:
                await rig.online()
                answer = await operator.ask("session.start", {"name": "left"}, transaction="start")
                assert (answer["repeated"], answer["data"]) == (True, started["data"])
                assert (await operator.end_of("start", since))["error"]["code"] == "interrupted"
                assert rig.diary.acts == []

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))
