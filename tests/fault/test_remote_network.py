"""The way to the broker fails as networks do: cut, or half open with commands in it. Jogs stop, stacks go on, nothing old is done."""

from __future__ import annotations

import itertools
from collections import defaultdict
from datetime import timedelta

import pytest

import rigd.link.link as link_module
from rigd.link.backoff import Backoff
from rigd.machine import events as ev
from rigd.machine.state import Mode
from tests.brokers import mosquitto, proxy
from tests.remote import LONG, LONG_FRAMES, SetClock, Signal, bench, going, somebody, whole_session

FINDS_OUT = ("mqtt.keepalive_s=2", "mqtt.reconnect_max_s=1")
"""A dead link is found within three seconds."""
PATIENT = "mqtt.keepalive_s=60"
"""A link that freezes for a moment is not given up."""


def over(test, tmp_path, *overrides, clock=None):
    """Run a test with a rig behind a proxy, and somebody who is not."""

    async def main(port: int) -> None:
        async with (
            proxy(port) as way,
            bench(tmp_path, way.port, *overrides, clock=clock) as rig,
            somebody(port) as somebody_else,
        ):
            await rig.online()
            await test(rig, way, somebody_else)

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))


# ---------------------------------------------------------------------------------------------------------------- half open


def test_a_jog_stops_when_the_link_is_dead_without_a_word(tmp_path):
    async def main(rig, way, operator) -> None:
        await operator.run("home")
        reply = await operator.do("jog", {"distance_um": 15_000, "hold_s": 60})
        await operator.hears("state", lambda state: state["rail"]["moving"])
        way.freeze()
        await rig.reached(Mode.IDLE)
        assert rig.reach.mqtt.losses == 1
        assert 0 < rig.position_um < 14_000
        (stop,) = rig.diary.done(ev.Stop)
        assert "lost" in stop.event.why
        way.thaw()
        ended = await operator.end_of(reply["transaction"])
        assert ended["error"]["code"] == "interrupted"
        assert ended["data"]["position_um"] == pytest.approx(rig.position_um)

    over(main, tmp_path, *FINDS_OUT)


def test_a_jog_that_nobody_renews_stops_long_before_the_link_is_found_dead(tmp_path):
    async def main(rig, way, operator) -> None:
        await operator.run("home")
        await operator.do("jog", {"distance_um": 15_000, "hold_s": 0.5})
        way.freeze()
        operator.request("jog.renew", {"hold_s": 60})
        await rig.reached(Mode.IDLE)
        assert rig.reach.mqtt.losses == 0
        assert rig.position_um < 2000
        way.thaw()
        # What was said into the dead link comes too late, and begins nothing.
        heard = await operator.hears("event/command_refused")
        assert heard.json["topic"] == "request/jog.renew"
        assert rig.state.mode is Mode.IDLE
        assert len(rig.diary.done(ev.Jog)) == 1

    over(main, tmp_path, PATIENT)


def test_a_stack_goes_on_over_a_dead_link_and_all_of_it_is_told_afterwards(tmp_path):
    async def main(rig, way, operator) -> None:
        await operator.run("home")
        reply = await operator.do("session.start", {"name": "through"})
        await rig.diary.more_frames(3)
        way.freeze()
        await operator.hears("availability", lambda said: said == "offline")
        await rig.diary.until(lambda: rig.diary.closed)
        assert rig.reach.mqtt.losses == 1
        since = operator.mark
        way.thaw()
        await operator.hears("availability", lambda said: said == "online", since=since)
        ended = await operator.end_of(reply["transaction"])
        assert ended["data"] == {
            "session": reply["data"]["session"], "outcome": "complete", "frames": LONG_FRAMES,
        }  # fmt: skip
        finished = await operator.hears("event/session_finished")
        assert finished.json["outcome"] == "complete"
        session = reply["data"]["session"]
        summary = await operator.hears(
            f"session/{session}/summary", lambda said: said["outcome"] == "complete"
        )
        assert summary.json["frames"] == LONG_FRAMES
        assert (await operator.mode("idle", since=since))["session"] is None
        assert rig.diary.done(ev.Pause) == rig.diary.done(ev.Suspend) == []

    over(main, tmp_path, LONG, *FINDS_OUT)
    whole_session(tmp_path, "through")


def test_what_waited_in_a_frozen_link_is_refused_when_its_time_is_over_and_done_once_where_it_has_none(
    tmp_path,
):
    clock = SetClock()

    async def main(rig, way, operator) -> None:
        await operator.run("home")
        soon = (clock.utc() + timedelta(seconds=3)).isoformat()
        later = (clock.utc() + timedelta(minutes=10)).isoformat()
        way.freeze()
        for _ in range(2):  # as whoever hears no answer does
            operator.request("goto", {"position_um": 1000}, transaction="soon", not_after=soon)
        clock.ahead += timedelta(seconds=5)
        way.thaw()
        assert (await operator.answer("soon"))["error"]["code"] == "expired"
        await operator.until(lambda: len(operator.answers_to("soon")) == 2)
        assert rig.diary.done(ev.Goto) == []
        # A time limit that has not passed, and none at all: the link does not say how long they were in it.
        places = {"later": 2000, "whenever": 3000}
        for name, limit in (("later", {"not_after": later}), ("whenever", {})):
            way.freeze()
            for _ in range(2):
                operator.request("goto", {"position_um": places[name]}, transaction=name, **limit)
            clock.ahead += timedelta(seconds=5)
            way.thaw()
            assert (await operator.end_of(name))["status"] == "ok"
            assert rig.position_um == pytest.approx(places[name], abs=1)
            await operator.until(lambda name=name: len(operator.answers_to(name)) == 2)
            assert [reply["repeated"] for reply in operator.answers_to(name)] == [False, True]
        assert len(rig.diary.done(ev.Goto)) == 2

    over(main, tmp_path, PATIENT, clock=clock)


def test_what_was_sent_into_a_link_that_died_is_never_done(tmp_path):
    async def main(rig, way, operator) -> None:
        await operator.run("home")
        way.freeze()
        for number in range(5):
            operator.request("goto", {"position_um": 1000 + number})
            operator.request("goto", {"position_um": 2000}, packet={"expiry_s": 600})
        await operator.hears("availability", lambda said: said == "offline")
        # And while there is no link at all.
        operator.request("goto", {"position_um": 3000})
        since = operator.mark
        way.thaw()
        await operator.hears("availability", lambda said: said == "online", since=since)
        assert (await operator.do("ping"))["data"]["mode"] == "idle"
        assert rig.diary.done(ev.Goto) == []
        assert rig.position_um == 0

    over(main, tmp_path, *FINDS_OUT)


def test_an_emergency_stop_in_a_frozen_link_is_obeyed_when_it_thaws(tmp_path):
    async def main(rig, way, operator) -> None:
        await operator.run("home")
        way.freeze()
        operator.say("estop", "now")
        operator.request("goto", {"position_um": 1000})
        way.thaw()
        await rig.reached(Mode.ESTOPPED)
        assert (await operator.refused("goto", {"position_um": 1000}))["code"] == "not_possible"
        assert rig.diary.done(ev.Goto) == []

    over(main, tmp_path, PATIENT)


# ---------------------------------------------------------------------------------------------------------------------- cut


def test_every_cut_is_told_as_offline_and_then_online(tmp_path):
    cuts = 6

    async def main(rig, way, watcher) -> None:
        await watcher.run("home")
        await watcher.do("session.start", {"name": "cut"})
        await rig.diary.more_frames(2)
        for cut in range(1, cuts + 1):
            since = watcher.mark
            way.cut()
            offline = await watcher.hears("availability", lambda said: said == "offline", since=since)
            online = await watcher.hears("availability", lambda said: said == "online", since=since)
            assert offline.at_s <= online.at_s
            assert rig.reach.mqtt.losses == cut
            at = watcher.heard.index(online)
            state = (await watcher.hears("state", since=at)).json
            assert state["mode"] in {"capturing", rig.state.mode}
        await rig.diary.until(lambda: rig.diary.closed)
        await watcher.mode("idle")
        said = watcher.on("availability")
        assert [kind for kind, _ in itertools.groupby(said)] == ["online", *["offline", "online"] * cuts]
        boots = {state["boot_id"] for state in watcher.on("state")}
        assert len(boots) == 1
        states = [state["seq"] for state in watcher.on("state")]
        assert states == sorted(states)  # an old state never comes after a newer one

    over(main, tmp_path, "plan.step_um=10", "mqtt.reconnect_max_s=1")
    whole_session(tmp_path, "cut")


def test_a_jog_stops_at_once_when_the_link_is_cut(tmp_path):
    async def main(rig, way, operator) -> None:
        await operator.run("home")
        reply = await operator.do("jog", {"distance_um": 15_000, "hold_s": 60})
        await rig.reached(Mode.MOVING)
        way.cut()
        await rig.reached(Mode.IDLE)
        (stop,) = rig.diary.done(ev.Stop)
        assert "lost" in stop.event.why
        assert (await operator.end_of(reply["transaction"]))["error"]["code"] == "interrupted"

    over(main, tmp_path)


# ------------------------------------------------------------------------------------------------------------- one id, twice


def test_two_links_with_one_id_throw_each_other_out_ever_more_seldom(tmp_path, monkeypatch):
    """On a broker that says to nobody why it is thrown out. Times are a tenth of the real ones."""
    monkeypatch.setattr(link_module, "STEADY_S", link_module.STEADY_S / 10)
    longest_s, delays = 0.8, defaultdict(list)
    chosen = Backoff._jittered

    def noted(self: Backoff, delay_s: float) -> float:
        delays[self].append(delay_s)
        news.tell()
        return chosen(self, delay_s)

    monkeypatch.setattr(Backoff, "_jittered", noted)
    news = Signal()

    async def main(port: int) -> None:
        quick = {"reconnect_min_s": 0.05, "reconnect_max_s": longest_s}
        async with somebody(port, name="twin", **quick), somebody(port, name="twin", **quick):
            # At the end one of them waits for as long as it ever does, time after time; the other one is left in peace for as long.
            await news.until(lambda: any(given[-2:] == [longest_s] * 2 for given in delays.values()))

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))
    assert sum(len(given) for given in delays.values()) < 60


def test_two_rigs_with_one_id_are_told_of_it_and_the_first_comes_back_when_the_other_has_gone(
    tmp_path, caplog
):
    async def main(port: int) -> None:
        async with (
            somebody(port) as operator,
            bench(tmp_path / "one", port, "mqtt.reconnect_max_s=1") as one,
        ):
            await one.online()
            async with bench(tmp_path / "two", port, "mqtt.reconnect_max_s=1") as two:
                boots = {one.reach.boot_id, two.reach.boot_id}
                await operator.until(lambda: {state["boot_id"] for state in operator.on("state")} == boots)
                await operator.until(lambda: one.reach.mqtt.losses + two.reach.mqtt.losses >= 6)
            await one.online()
            since = operator.mark
            operator.request("ping", transaction="again")
            assert (await operator.answer("again"))["data"]["boot_id"] == one.reach.boot_id
            assert (await one_state(operator, one, since))["mode"] == "unhomed"

    async def one_state(operator, rig, since):
        operator.request("settings", {"jog_um": 123})
        operator.request("fault.clear")  # refused, which makes a state
        return (
            await operator.hears(
                "state",
                lambda state: state["boot_id"] == rig.reach.boot_id and state["last_error"],
                since=since,
            )
        ).json

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))
    assert "perhaps another client has our client id 'rigd-bench'" in caplog.text


def test_two_rigs_with_one_id_that_the_broker_keeps_apart_tell_of_each_other(tmp_path, caplog):
    async def main(port: int) -> None:
        async with (
            somebody(port) as operator,
            bench(tmp_path / "one", port, "mqtt.client_id=one") as one,
        ):
            await one.online()
            await operator.do("ping")
            assert one.reach.reporter.last_error == ""  # what it says of itself is nobody else's
            async with bench(tmp_path / "two", port, "mqtt.client_id=two") as two:
                boots = {one.reach.boot_id, two.reach.boot_id}
                await operator.until(
                    lambda: (
                        {
                            state["boot_id"]
                            for state in operator.on("state")
                            if "another rig has this one's id" in state["last_error"]
                        }
                        == boots
                    )
                )
            assert [rig.reach.mqtt.losses for rig in (one, two)] == [0, 0]

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))
    told = [record for record in caplog.records if "both act on every command" in record.getMessage()]
    assert len(told) == 2


def test_what_an_earlier_start_left_at_the_broker_is_no_other_rig(tmp_path):
    async def main(port: int) -> None:
        for _ in range(2):
            async with bench(tmp_path, port) as rig, somebody(port) as operator:
                await rig.online()
                # Said again, for whoever may be there; and nobody answers.
                await operator.hears("birth", lambda birth, own=rig.reach.boot_id: birth["boot_id"] == own)
                await operator.do("ping")
                assert rig.reach.reporter.last_error == ""

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))
