"""The emergency stop over a broker: whatever it is and whatever the rig does, it is obeyed; afterwards the rig can be used again."""

from __future__ import annotations

import json

import pytest

from rigd.link import Packet
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.session import survey, verify
from tests.brokers import mosquitto, publish
from tests.remote import PREFIX, bench, going, somebody

PAYLOADS = {
    "text": b"now",
    "empty": b"",
    "binary": bytes(range(256)) * 4,
    "oversized": b"\xff" * 100_000,
    "a deep list": b"[" * 50_000,
    "a request": json.dumps(
        {"transaction": "stop", "not_after": "2001-01-01T00:00:00Z", "lease": "x"}
    ).encode(),
    "a request that is refused elsewhere": b'{"expect": {"mode": "idle"}, "params": {"x": 1}}',
    "false": b"false",
}


def over(test, tmp_path, *overrides, lines=()):
    """Run a test with a rig and an operator on a broker whose config has these lines."""

    async def main(broker) -> None:
        async with bench(tmp_path, broker.port, *overrides) as rig, somebody(broker.port) as operator:
            await rig.online()
            await operator.mode("unhomed")
            await test(rig, operator, broker)

    with mosquitto(tmp_path, *lines) as broker:
        going(main(broker))


async def recovered(rig, operator) -> None:
    """Cleared and homed."""
    await operator.mode("estopped")
    await operator.do("fault.clear")
    await rig.reached(Mode.UNHOMED)
    assert (await operator.run("home"))["status"] == "ok"


def test_every_payload_stops_and_is_answered(tmp_path):
    async def main(rig, operator, _broker) -> None:
        stops = 0
        for name, payload in PAYLOADS.items():
            for qos in (0, 1):
                await operator.do("jog", {"distance_um": 15_000, "hold_s": 60})
                since = operator.mark
                operator.say("estop", payload, qos=qos, response_topic=operator.answers)
                await rig.reached(Mode.ESTOPPED)
                stops += 1
                answer = (
                    await operator.hears(
                        operator.answers, lambda reply: reply["verb"] == "estop", since=since
                    )
                ).json
                assert answer["status"] == "ok", name
                assert len(rig.diary.done(ev.EStop)) == stops
                await operator.hears("event/estop", since=since)
                await cleared(operator, rig)
        assert (await operator.run("home"))["status"] == "ok"
        assert operator.on("event/command_refused") == []

    over(main, tmp_path)


def test_it_is_obeyed_in_every_mode(tmp_path):
    async def main(rig, operator, _broker) -> None:
        async def stop_in(mode: Mode) -> None:
            await rig.reached(mode)
            operator.say("estop", "now")
            await rig.reached(Mode.ESTOPPED)
            assert rig.diary.modes[-2] is mode
            assert rig.state.fault.code == "estop"
            assert not rig.state.homed

        await stop_in(Mode.UNHOMED)
        await cleared(operator, rig)
        operator.request("home")
        await stop_in(Mode.HOMING)
        await recovered(rig, operator)
        await stop_in(Mode.IDLE)
        await recovered(rig, operator)
        operator.request("jog", {"distance_um": 15_000, "hold_s": 60})
        await stop_in(Mode.MOVING)
        await recovered(rig, operator)
        operator.request("capture.test")
        await stop_in(Mode.TESTING)
        await recovered(rig, operator)
        await operator.do("session.start", {"name": "stopped"})
        await rig.diary.more_frames(2)
        await stop_in(Mode.CAPTURING)
        await recovered(rig, operator)
        resumed = await operator.do("session.resume")
        await rig.diary.more_frames(2)
        await operator.do("session.pause")
        await stop_in(Mode.PAUSED)
        await recovered(rig, operator)
        # In the estopped rig it changes nothing, and is answered all the same.
        operator.say("estop", "now")
        await rig.reached(Mode.ESTOPPED)
        since = operator.mark
        operator.say("estop", "again", response_topic=operator.answers)
        await operator.hears(operator.answers, lambda reply: reply["verb"] == "estop", since=since)
        assert rig.state.mode is Mode.ESTOPPED
        await recovered(rig, operator)
        # Nothing of all this cost a frame: the session that was stopped twice is whole, and goes on.
        ended = await operator.run("session.resume")
        assert ended["data"]["session"] == resumed["data"]["session"]
        assert ended["data"]["outcome"] == "complete"

    over(main, tmp_path, "settle.fixed_s=0.05")
    (seen,) = survey(tmp_path / "sessions")
    assert (verify(seen.path).whole, seen.outcome) == (True, "complete")


async def cleared(operator, rig) -> None:
    await operator.do("fault.clear")
    await rig.reached(Mode.UNHOMED)


def test_a_retained_one_is_obeyed_at_every_connection_until_it_is_taken_back(tmp_path):
    async def main(rig, operator, broker) -> None:
        await operator.run("home")
        publish(broker.port, PREFIX + "estop", "stay", "-r")
        await rig.reached(Mode.ESTOPPED)
        await recovered(rig, operator)
        # The rig comes to the broker anew: the order still stands.
        stops = len(rig.diary.done(ev.EStop))
        async with somebody(broker.port, name="rigd-bench", reconnect_min_s=60, reconnect_max_s=60):
            await rig.diary.until(lambda: len(rig.diary.done(ev.EStop)) == stops + 1)
        await recovered(rig, operator)
        publish(broker.port, PREFIX + "estop", None, "-r")
        # That is how it is taken back; an empty one is one too, so it stops once more.
        await rig.reached(Mode.ESTOPPED)
        await recovered(rig, operator)
        losses = rig.reach.mqtt.losses
        async with somebody(broker.port, name="rigd-bench", reconnect_min_s=60, reconnect_max_s=60):
            await rig.diary.until(lambda: True)
            since = operator.mark
            await operator.hears("availability", lambda said: said == "online", since=since)
        assert rig.reach.mqtt.losses == losses + 1
        assert (await operator.run("goto", {"position_um": 1000}))["status"] == "ok"

    over(main, tmp_path)


def test_what_was_asked_for_before_does_not_begin_after_it(tmp_path):
    async def main(rig, operator, _broker) -> None:
        await operator.run("home")
        # In one burst: a start that plans and opens a session on other threads, a stop, and another start.
        first = operator.request("session.start", {"name": "before"})
        operator.say("estop", "now")
        second = operator.request("session.start", {"name": "after"})
        for transaction in (first, second):
            answer = await operator.answer(transaction)
            if answer["status"] == "accepted":
                assert (await operator.end_of(transaction))["error"]["code"] == "interrupted"
        await rig.reached(Mode.ESTOPPED)
        assert rig.diary.stored == []
        await recovered(rig, operator)
        assert (await operator.do("ping"))["data"]["mode"] == "idle"
        assert rig.state.stack is None

    over(main, tmp_path)


def test_it_needs_no_lease_and_is_heard_among_hundreds_of_requests(tmp_path):
    async def main(rig, operator, broker) -> None:
        await operator.run("home")
        token = (await operator.do("lease.take", {"holder": "operator", "ttl_s": 60}))["data"]["lease"]
        await operator.do("jog", {"distance_um": 15_000, "hold_s": 60}, lease=token)
        async with somebody(broker.port, PREFIX + "availability", name="flood") as flood:
            for number in range(450):
                flood.say(f"request/nonsense{number % 7}", b"x" * 50)
            flood.say("estop", "now")
            for number in range(450):
                flood.say(f"set/nonsense{number % 7}", b"y" * 50)
            await rig.reached(Mode.ESTOPPED)
            assert rig.diary.modes[-2] is Mode.MOVING
            await flood.until(lambda: flood.link.connected)
        assert (await operator.refused("home", lease=token))["code"] == "not_possible"
        await operator.do("fault.clear", lease=token)
        await rig.reached(Mode.UNHOMED)
        assert (await operator.run("home", lease=token))["status"] == "ok"

    # As in config/mosquitto: what the broker itself drops, no rig can hear.
    over(main, tmp_path, lines=["max_queued_messages 10000"])


@pytest.mark.parametrize("topic", ["estop/", "request/estop", "estop/now", "ESTOP"])
def test_only_its_own_topic_is_one(tmp_path, topic):
    async def main(rig, operator, _broker) -> None:
        operator.link.send(Packet(PREFIX + topic, b"now"))
        assert (await operator.do("ping"))["data"]["mode"] == "unhomed"
        assert rig.diary.done(ev.EStop) == []

    over(main, tmp_path)
