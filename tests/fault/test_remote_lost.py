"""The broker is lost for longer than the config allows: a stack does what `mqtt.lost` says, a jog stops at once, whatever it says."""

from __future__ import annotations

import asyncio

import pytest

from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.session import survey, verify
from tests.brokers import Broker, Proxy, mosquitto, proxy
from tests.remote import LONG, LONG_FRAMES, bench, going, somebody, whole_session

SOON = "mqtt.lost_after_s=0.3"
EACH = pytest.mark.parametrize("lost", ["continue", "pause", "stop"])


class Far:
    """A broker that the rig can lose without anybody else noticing: who listens hears all that is told afterwards."""

    def __init__(self, way: Proxy, broker: Broker) -> None:
        self.broker = broker
        self._way = way

    def lose(self) -> None:
        self._way.freeze()
        self._way.cut()

    def back(self) -> None:
        self._way.thaw()


def over(test, tmp_path, *overrides):
    """Run a test with a rig and an operator on a broker."""

    async def main(broker) -> None:
        async with (
            proxy(broker.port) as way,
            bench(tmp_path, way.port, LONG, *overrides) as rig,
            somebody(broker.port) as operator,
        ):
            await rig.online()
            await operator.run("home")
            await test(rig, operator, Far(way, broker))

    with mosquitto(tmp_path) as broker:
        going(main(broker))


async def begun(rig, operator):
    """A stack that has some frames."""
    reply = await operator.do("session.start", {"name": "lost"})
    await rig.diary.more_frames(5)
    return reply


def test_a_stack_goes_on(tmp_path):
    async def main(rig, operator, far) -> None:
        await begun(rig, operator)
        far.lose()
        await rig.diary.until(lambda: rig.diary.closed)
        assert rig.reach.mqtt.losses == 1
        assert rig.diary.done(ev.Pause) == rig.diary.done(ev.Suspend) == []
        far.back()
        finished = await operator.hears("event/session_finished")
        assert (finished.json["outcome"], finished.json["frame"]) == ("complete", LONG_FRAMES)

    over(main, tmp_path, "mqtt.lost=continue", SOON)
    whole_session(tmp_path, "lost")


@pytest.mark.parametrize("after_s", [0.3, 0])
def test_a_stack_is_paused_says_why_when_the_broker_is_back_and_goes_on_when_told(tmp_path, after_s):
    async def main(rig, operator, far) -> None:
        reply = await begun(rig, operator)
        far.lose()
        await rig.reached(Mode.PAUSED)
        assert not rig.reach.mqtt.connected
        (pause,) = rig.diary.done(ev.Pause)
        assert pause.event.why.startswith("the broker is lost: ")
        since = operator.mark
        far.back()
        told = await operator.hears("event/session_paused", since=since)
        assert told.json["why"] == pause.event.why
        state = await operator.mode("paused", since=since)
        assert state["session"]["why"] == pause.event.why
        assert len(rig.diary.stored) < LONG_FRAMES
        # That the broker is back is no reason to move again by itself.
        assert (await operator.do("ping"))["data"]["mode"] == "paused"
        await operator.do("session.resume")
        ended = await operator.end_of(reply["transaction"])
        assert ended["data"]["outcome"] == "complete"
        assert len(rig.diary.done(ev.Pause)) == 1

    over(main, tmp_path, "mqtt.lost=pause", f"mqtt.lost_after_s={after_s}")
    whole_session(tmp_path, "lost")


def test_a_stack_is_let_go_of_and_can_be_resumed(tmp_path):
    async def main(rig, operator, far) -> None:
        reply = await begun(rig, operator)
        session = reply["data"]["session"]
        far.lose()
        await rig.diary.until(lambda: rig.diary.closed)
        assert rig.diary.closed[0].outcome == "suspended"
        await rig.reached(Mode.IDLE)
        (seen,) = survey(tmp_path / "sessions")
        assert seen.unfinished
        assert verify(seen.path).whole
        far.back()
        finished = await operator.hears("event/session_finished")
        assert finished.json["outcome"] == "suspended"
        assert finished.json["why"].startswith("the broker is lost: ")
        listed = (await operator.do("session.list"))["data"]["sessions"]
        assert [(one["session"], one["outcome"]) for one in listed] == [(session, "unfinished")]
        ended = await operator.run("session.resume")
        assert (ended["data"]["session"], ended["data"]["outcome"]) == (session, "complete")

    over(main, tmp_path, "mqtt.lost=stop", SOON)
    whole_session(tmp_path, "lost")


@pytest.mark.parametrize("lost", ["pause", "stop"])
def test_a_broker_that_is_back_in_time_changes_nothing(tmp_path, lost):
    async def main(rig, operator, far) -> None:
        await begun(rig, operator)
        for losses in range(1, 4):
            await asyncio.to_thread(far.broker.kill)
            await rig.diary.until(lambda losses=losses: rig.reach.mqtt.losses == losses)
            await asyncio.to_thread(far.broker.start)
            await rig.online()
        await rig.diary.until(lambda: rig.diary.closed)
        assert rig.diary.closed[0].outcome == "complete"
        assert rig.diary.done(ev.Pause) == rig.diary.done(ev.Suspend) == []

    over(main, tmp_path, f"mqtt.lost={lost}", "mqtt.lost_after_s=60")
    whole_session(tmp_path, "lost")


@EACH
def test_a_jog_stops_at_once(tmp_path, lost):
    async def main(rig, operator, far) -> None:
        reply = await operator.do("jog", {"distance_um": 15_000, "hold_s": 60})
        await rig.reached(Mode.MOVING)
        far.lose()
        await rig.reached(Mode.IDLE)
        (stop,) = rig.diary.done(ev.Stop)
        assert "lost" in stop.event.why
        assert rig.position_um < 14_000
        far.back()
        assert (await operator.end_of(reply["transaction"]))["error"]["code"] == "interrupted"
        assert rig.diary.done(ev.Pause) == rig.diary.done(ev.Suspend) == []

    over(main, tmp_path, f"mqtt.lost={lost}", "mqtt.lost_after_s=60")


def test_a_move_goes_where_it_was_sent(tmp_path):
    """It ends by itself, at a place that was asked for: only what goes on for as long as somebody wants it is stopped."""

    async def main(rig, operator, far) -> None:
        operator.request("goto", {"position_um": 19_000}, transaction="far")
        await rig.reached(Mode.MOVING)
        far.lose()
        await rig.reached(Mode.IDLE)
        assert rig.position_um == pytest.approx(19_000, abs=1)
        far.back()
        assert (await operator.end_of("far"))["status"] == "ok"

    over(main, tmp_path, "mqtt.lost=stop", "mqtt.lost_after_s=0", "rail.max_speed_um_per_s=10000")
