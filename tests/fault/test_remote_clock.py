"""The wall clock is set by a day, both ways: nothing old is done, what is meant still is, and whatever lasts a while does not notice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rigd.client import connect
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.session import survey
from rigd.session.store import frame_records
from tests.brokers import HOST, mosquitto
from tests.remote import FRAMES, RIG, SetClock, bench, going, somebody, whole_session

DAY = timedelta(days=1)
BOTH = pytest.mark.parametrize("jump", [DAY, -DAY], ids=["forward", "back"])


def over(test, tmp_path, *overrides):
    """Run a test with a rig whose clock can be set."""
    clock = SetClock()

    async def main(port: int) -> None:
        async with (
            bench(tmp_path, port, *overrides, clock=clock) as rig,
            somebody(port) as operator,
        ):
            await rig.online()
            await operator.run("home")
            await test(rig, clock, operator, port)

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))


def limit(clock: SetClock, seconds: float) -> str:
    return (clock.utc() + timedelta(seconds=seconds)).isoformat()


@BOTH
def test_a_command_of_before_is_not_done_after_and_one_of_now_is(tmp_path, jump):
    async def main(rig, clock, operator, _port) -> None:
        before = limit(clock, 30)
        clock.ahead += jump
        refused = await operator.refused("goto", {"position_um": 1000}, not_after=before)
        assert refused["code"] == ("expired" if jump > timedelta() else "not_after_too_far")
        assert refused["field"] == "not_after"
        assert (await operator.run("goto", {"position_um": 2000}, not_after=limit(clock, 30)))[
            "status"
        ] == "ok"
        # And when the clock is put right again, what was in time while it was wrong is not done either.
        wrong = limit(clock, 30)
        clock.ahead -= jump
        assert (await operator.refused("goto", {"position_um": 3000}, not_after=wrong))["code"] != refused[
            "code"
        ]
        assert [act.event.target for act in rig.diary.done(ev.Goto)] == [rig.state.position]
        assert rig.position_um == pytest.approx(2000, abs=1)

    over(main, tmp_path)


@pytest.mark.parametrize("minutes", [1, 10, 59, 110])
def test_what_is_too_late_stays_so_when_the_clock_is_set_back_a_little(tmp_path, minutes):
    async def main(rig, clock, operator, port) -> None:
        over = limit(clock, -5)
        assert (await operator.refused("goto", {"position_um": 1000}, not_after=over))["code"] == "expired"
        lasts = limit(clock, 30)
        clock.ahead -= timedelta(minutes=minutes)
        refused = await operator.refused("goto", {"position_um": 1000}, not_after=over)
        assert refused["code"] == "expired"
        assert "as that was set back; go by the time in `state`" in refused["message"]
        # What was in time is so for as long as it was to be, and who goes by the rig's time notices nothing.
        assert (await operator.run("goto", {"position_um": 2000}, not_after=lasts))["status"] == "ok"
        async with connect(f"mqtt://{HOST}:{port}/{RIG}") as client:
            await client.goto(3000)
        told = [state["time"] for state in operator.on("state")]
        assert told == sorted(told)
        assert [round(rig.position_um), len(rig.diary.done(ev.Goto))] == [3000, 2]

    over(main, tmp_path)


@BOTH
def test_a_client_learns_that_the_clock_was_set_and_its_command_is_done_once(tmp_path, jump):
    async def main(rig, clock, _operator, port) -> None:
        async with connect(f"mqtt://{HOST}:{port}/{RIG}") as client:
            await client.goto(1000)
            clock.ahead += jump
            await client.goto(2000)
            clock.ahead -= jump
            run = await client.start("set")
            clock.ahead += jump
            await rig.diary.more_frames(2)
            await client.pause()
            await rig.reached(Mode.PAUSED)
            clock.ahead -= jump
            await client.resume()
            assert (await run.result()).complete
        assert len(rig.diary.done(ev.Goto)) == 2
        assert len(rig.diary.done(ev.StartStack)) == 1
        assert len(rig.diary.done(ev.Pause)) == len(rig.diary.done(ev.Resume)) == 1

    over(main, tmp_path)
    whole_session(tmp_path, "set")


@BOTH
def test_a_known_transaction_stays_known(tmp_path, jump):
    async def main(rig, clock, operator, _port) -> None:
        asked = {"params": {"position_um": 1000}, "transaction": "once", "not_after": limit(clock, 30)}
        await operator.run("goto", **asked)
        clock.ahead += jump
        # Asked again by somebody who missed the answer: the old answer, whatever the clocks say.
        assert (await operator.ask("goto", **asked))["repeated"]
        assert len(rig.diary.done(ev.Goto)) == 1

    over(main, tmp_path)


@BOTH
def test_a_lease_lasts_as_long_as_it_was_given_for(tmp_path, jump):
    async def main(rig, clock, operator, port) -> None:
        async with somebody(port, name="other") as other:
            token = (await operator.do("lease.take", {"holder": "operator", "ttl_s": 60}))["data"]["lease"]
            clock.ahead += jump
            assert (await other.refused("goto", {"position_um": 1000}))["code"] == "leased"
            await operator.do("lease.renew", {"lease": token})
            assert (await operator.run("goto", {"position_um": 1000}, lease=token))["status"] == "ok"
            await operator.do("lease.release", {"lease": token})
            token = (await operator.do("lease.take", {"holder": "operator", "ttl_s": 1}))["data"]["lease"]
            clock.ahead -= jump
            lapsed = await other.hears("event/lease", lambda event: event["change"] == "lapsed")
            assert lapsed.json["holder"] == "operator"
            assert (await operator.refused("goto", {"position_um": 2000}, lease=token))["code"] == "no_lease"
            assert (await other.run("goto", {"position_um": 2000}))["status"] == "ok"

    over(main, tmp_path)


@BOTH
def test_the_dead_man_of_a_jog_keeps_its_time(tmp_path, jump):
    async def main(rig, clock, operator, _port) -> None:
        reply = await operator.do("jog", {"distance_um": 15_000, "hold_s": 0.6})
        clock.ahead += jump
        for _ in range(20):
            await operator.do("jog.renew", {"hold_s": 0.6})
        assert rig.state.mode is Mode.MOVING
        clock.ahead -= jump
        ended = await operator.end_of(reply["transaction"])
        assert (ended["error"]["code"], ended["error"]["message"]) == (
            "interrupted", "the jog was not renewed",
        )  # fmt: skip
        assert rig.position_um < 14_000

    over(main, tmp_path)


@BOTH
def test_a_session_is_whole_and_its_evidence_is_in_order(tmp_path, jump):
    async def main(rig, clock, operator, _port) -> None:
        reply = await operator.do("session.start", {"name": "set"})
        await rig.diary.more_frames(3)
        clock.ahead += jump
        await rig.diary.more_frames(3)
        clock.ahead -= 2 * jump
        await operator.end_of(reply["transaction"])
        frames = [
            frame for topic in (f"session/{reply['data']['session']}/frame",) for frame in operator.on(topic)
        ]
        assert [frame["index"] for frame in frames] == list(range(FRAMES))
        assert all(frame["moved_s"] <= frame["settled_s"] <= frame["start_s"] for frame in frames)
        assert [frame["seq"] for frame in frames] == sorted(frame["seq"] for frame in frames)
        listed = (await operator.do("session.list"))["data"]["sessions"]
        assert [one["outcome"] for one in listed] == ["complete"]

    over(main, tmp_path)
    path = whole_session(tmp_path, "set")
    starts = [record.start_s for _, record in sorted(frame_records(path).items())]
    assert starts == sorted(starts)


def test_two_sessions_of_one_name_begun_at_the_same_time_by_a_clock_that_was_set_back(tmp_path):
    async def main(rig, clock, operator, _port) -> None:
        stands = clock.utc()
        clock.utc = lambda: stands
        first = await operator.do("session.start", {"name": "twin"})
        await operator.end_of(first["transaction"])
        second = await operator.do("session.start", {"name": "twin"})
        await operator.end_of(second["transaction"])
        assert first["data"]["session"] != second["data"]["session"]

    over(main, tmp_path)
    found = survey(tmp_path / "sessions")
    assert [(seen.outcome, seen.frames) for seen in found] == [("complete", FRAMES)] * 2
