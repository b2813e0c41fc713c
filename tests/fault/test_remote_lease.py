"""Two who want to command one rig over a broker: one does, the other is told so; what happens when the first is gone."""

from __future__ import annotations

import pytest

from rigd.client import CommandRefused, connect
from rigd.machine import events as ev
from rigd.machine.state import Mode
from tests.brokers import HOST, mosquitto
from tests.remote import LONG, LONG_FRAMES, RIG, bench, going, somebody, whole_session


def over(test, tmp_path, *overrides):
    """Run a test with a homed rig and two operators on a broker."""

    async def main(broker) -> None:
        async with (
            bench(tmp_path, broker.port, *overrides) as rig,
            somebody(broker.port, name="one") as one,
            somebody(broker.port, name="two") as two,
        ):
            await rig.online()
            await one.run("home")
            await test(rig, one, two, broker)

    with mosquitto(tmp_path) as broker:
        going(main(broker))


async def taken(who, ttl_s=60.0, **more) -> str:
    reply = await who.do("lease.take", {"holder": who.name, "ttl_s": ttl_s, **more})
    return str(reply["data"]["lease"])


async def leased(watcher, holder: str | None, since: int = 0):
    """Wait until the newest state names that holder."""

    def there():
        states = watcher.on("state", since)
        return states[-1] if states and (states[-1]["lease"] or {}).get("holder") == holder else None

    return await watcher.until(there)


def test_while_one_holds_it_the_other_can_look_and_stop_and_nothing_else(tmp_path):
    async def main(rig, one, two, _broker) -> None:
        token = await taken(one)
        state = await leased(two, "one")
        assert token not in str(state)  # the token is nobody else's
        acting = {
            "home": {}, "goto": {"position_um": 1}, "jog": {"distance_um": 1}, "release": {}, "mark_near": {}, "mark_far": {},
            "session.start": {}, "session.resume": {}, "capture.test": {}, "settings": {"step_um": 5}, "fault.clear": {},
            "identify": {},
        }  # fmt: skip
        for verb, params in acting.items():
            refused = await two.refused(verb, params)
            assert (refused["code"], "'one'" in refused["message"]) == ("leased", True), verb
            assert (await two.refused(verb, params, lease="made up"))["code"] == "leased"
        assert (await two.refused("lease.take", {"holder": "two"}))["code"] == "leased"
        assert (await two.refused("lease.release", {"lease": "made up"}))["code"] == "no_lease"
        two.say("set/step_um", "5")
        refused = await two.hears("response/set", lambda reply: reply["status"] == "error")
        assert refused.json["error"]["code"] == "leased"
        for verb in ("ping", "plan.validate", "session.list", "settings"):
            await two.do(verb)
        assert rig.diary.acts == rig.diary.done(ev.Home)
        await one.do("session.start", {"name": "mine"}, lease=token)
        await rig.diary.more_frames(2)
        await two.do("session.pause")
        await rig.reached(Mode.PAUSED)
        assert (await two.refused("session.resume"))["code"] == "leased"
        await one.do("session.resume", lease=token)
        await two.do("session.abort")
        await rig.reached(Mode.IDLE)
        await one.do("lease.release", {"lease": token})
        await leased(two, None)
        assert (await two.run("goto", {"position_um": 100}))["status"] == "ok"

    over(main, tmp_path, LONG)


def test_given_back_during_a_stack_the_stack_goes_on_and_anybody_may_command(tmp_path):
    async def main(rig, one, two, _broker) -> None:
        token = await taken(one)
        started = await one.do("session.start", {"name": "left-alone"}, lease=token)
        await rig.diary.more_frames(2)
        await one.do("lease.renew", {"lease": token})
        await one.do("lease.release", {"lease": token})
        released = await two.hears("event/lease", lambda event: event["change"] == "released")
        assert (released.json["holder"], released.json["consequence"]) == ("one", "")
        await leased(two, None)
        # The token is worth nothing any more, and is not taken for none at all.
        assert (await one.refused("session.resume", lease=token))["code"] == "no_lease"
        await two.do("session.pause")
        await rig.reached(Mode.PAUSED)
        await two.do("session.resume")
        assert (await one.end_of(started["transaction"]))["data"]["outcome"] == "complete"

    over(main, tmp_path, LONG)
    whole_session(tmp_path, "left-alone")


def test_one_that_is_overtaken_is_told_and_commands_no_more(tmp_path):
    async def main(rig, one, two, _broker) -> None:
        first = await taken(one)
        started = await one.do("session.start", {"name": "handed-over"}, lease=first)
        second = await taken(two, force=True)
        overtaken = await one.hears("event/lease", lambda event: event["change"] == "overtaken")
        assert overtaken.json["holder"] == "one"
        await leased(one, "two")
        assert (await one.refused("lease.renew", {"lease": first}))["code"] == "no_lease"
        assert (await one.refused("goto", {"position_um": 1}, lease=first))["code"] == "leased"
        # The stack goes on: whoever takes over a rig wants the stack too.
        assert (await one.end_of(started["transaction"]))["data"]["outcome"] == "complete"
        assert (await two.run("goto", {"position_um": 100}, lease=second))["status"] == "ok"

    over(main, tmp_path)


@pytest.mark.parametrize(
    ("lapses", "mode"), [("continue", None), ("pause", Mode.PAUSED), ("stop", Mode.IDLE)]
)
def test_a_stack_whose_commander_is_gone(tmp_path, lapses, mode):
    async def main(rig, one, two, _broker) -> None:
        token = await taken(one, 1.0)
        started = await one.do("session.start", {"name": "left"}, lease=token)
        lapsed = await two.hears("event/lease", lambda event: event["change"] == "lapsed")
        assert (lapsed.json["holder"], lapsed.json["consequence"]) == ("one", lapses)
        await leased(two, None)
        if mode is not None:
            await rig.reached(mode)
            assert 0 < len(rig.diary.stored) < LONG_FRAMES
            why = "the lease of 'one' lapsed"
            if mode is Mode.PAUSED:
                assert (await two.mode("paused"))["session"]["why"] == why
            else:
                finished = await two.hears("event/session_finished")
                assert (finished.json["outcome"], finished.json["why"]) == ("suspended", why)
            await two.do("session.resume")
        await rig.diary.until(lambda: rig.diary.closed and rig.diary.closed[-1].outcome == "complete")
        await one.end_of(started["transaction"])
        done = {"continue": (0, 0), "pause": (1, 0), "stop": (0, 1)}[lapses]
        assert (len(rig.diary.done(ev.Pause)), len(rig.diary.done(ev.Suspend))) == done

    over(main, tmp_path, LONG, f"remote.lease_lapses={lapses}")
    whole_session(tmp_path, "left")


@pytest.mark.parametrize("lapses", ["continue", "pause", "stop"])
def test_a_jog_whose_commander_is_gone_stops(tmp_path, lapses):
    async def main(rig, one, two, _broker) -> None:
        token = await taken(one, 1.0)
        reply = await one.do("jog", {"distance_um": 15_000, "hold_s": 60}, lease=token)
        ended = await one.end_of(reply["transaction"])
        assert (ended["error"]["code"], ended["error"]["message"]) == (
            "interrupted",
            "the lease of 'one' lapsed",
        )
        assert rig.position_um < 14_000
        assert (await two.run("goto", {"position_um": 100}))["status"] == "ok"

    over(main, tmp_path, f"remote.lease_lapses={lapses}")


def test_a_lease_outlives_the_broker_and_the_client_keeps_it(tmp_path):
    async def main(rig, _one, two, broker) -> None:
        async with connect(f"mqtt://{HOST}:{broker.port}/{RIG}", timeout_s=30) as client:
            async with client.lease("script", ttl_s=3) as lease:
                broker.kill()
                broker.start()
                # Renewed over the broker that is back, and nobody else could take it meanwhile.
                await client.goto(500)
                state = await leased(two, "script", two.mark)
                before = state["lease"]["expires"]
                await two.hears(
                    "state", lambda state: (state["lease"] or {}).get("expires", "") > before, since=two.mark
                )
                assert (await two.refused("home"))["code"] == "leased"
                assert not lease.lost.is_set()
            assert (await two.run("goto", {"position_um": 100}))["status"] == "ok"
            # Overtaken, the client says so instead of commanding as if nothing had happened.
            async with client.lease("script", ttl_s=3) as lease:
                await taken(two, force=True)
                with pytest.raises(CommandRefused) as refused:
                    await client.goto(1000)
                assert refused.value.code == "leased"
        assert rig.position_um == pytest.approx(100, abs=1)

    over(main, tmp_path)


def test_after_a_new_start_nobody_holds_it(tmp_path):
    async def main(port: int) -> None:
        async with somebody(port, name="one") as one:
            async with bench(tmp_path, port) as rig:
                await rig.online()
                token = await taken(one)
            since = one.mark
            async with bench(tmp_path, port) as rig:
                await rig.online()
                await leased(one, None, since)
                assert (await one.refused("home", lease=token))["code"] == "no_lease"
                assert (await one.run("home"))["status"] == "ok"

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))
