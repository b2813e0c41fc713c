"""A command that is published to be kept moves nothing, also where the broker speaks only MQTT 3.1.1 and does not mark it."""

from __future__ import annotations

import pytest

from rigd.machine import events as ev
from tests.brokers import mosquitto, publish
from tests.remote import PREFIX, bench, going, somebody

BOTH = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


def over(test, tmp_path, protocol):
    """Run a test with a homed rig that speaks this MQTT, and somebody."""

    async def main(port: int) -> None:
        async with (
            bench(tmp_path, port, f"mqtt.protocol='{protocol}'") as rig,
            somebody(port) as operator,
        ):
            await rig.online()
            assert rig.reach.mqtt.speaks == protocol
            # Answers come on the rig's own topics: by 3.1.1 it hears of no other.
            operator.say("request/home", "PRESS")
            await operator.hears("event/action_finished")
            await test(rig, operator, port)

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))


@BOTH
@pytest.mark.parametrize("payload", ["3000", '{"params": {"position_um": 3000}, "transaction": "kept"}'])
def test_kept_while_the_rig_is_there_it_moves_nothing(tmp_path, protocol, payload):
    async def main(rig, operator, port) -> None:
        publish(port, PREFIX + "request/goto", payload, "-r")
        refused = await operator.hears("response/goto", lambda reply: reply["status"] == "error")
        assert refused.json["error"]["code"] == "retained"
        told = await operator.hears("event/command_refused", lambda event: event["topic"] == "request/goto")
        assert told.json["error"]["code"] == "retained"
        publish(port, PREFIX + "request/goto", None, "-r")
        operator.request("goto", {"position_um": 2000}, transaction="now")
        ended = await operator.end_of("now")
        assert (ended["status"], round(rig.position_um)) == ("ok", 2000)
        assert len(rig.diary.done(ev.Goto)) == 1

    over(main, tmp_path, protocol)


def test_what_a_stop_comes_behind_does_not_begin(tmp_path):
    async def main(rig, operator, _port) -> None:
        for number in range(20):
            since = operator.mark
            operator.say("request/goto", f'{{"params": {{"position_um": 9000}}, "transaction": "g{number}"}}')
            operator.say("request/stop", "PRESS")
            stopped = await operator.hears("response/stop", since=since)
            assert stopped.json["status"] == "ok"
            answer = (await operator.hears("response/goto", since=since)).json
            if answer["status"] == "accepted":
                await operator.end_of(f"g{number}")
            else:
                assert answer["error"]["code"] == "interrupted"
        assert rig.position_um < 9000

    over(main, tmp_path, "3.1.1")
