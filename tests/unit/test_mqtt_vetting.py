"""On a broker that does not mark what it was told to keep just now: no such command moves anything, and all else goes in order."""

from __future__ import annotations

import pytest

from drivers.clock import VirtualClock
from rigd.messages.base import ErrorCode
from rigd.mqtt.vetting import ANSWER_S, MOST, Vetting
from rigd.remote.bus import Incoming
from rigd.virtualtime import run
from tests.rigs import passes


class Bench:
    def __init__(self) -> None:
        self.asked = 0
        self.done: list[str] = []
        self.refused: list[tuple[str, ErrorCode]] = []
        self.vetting = Vetting(
            self._ask, self._take, lambda one, code, _: self.refused.append((one.topic, code))
        )

    def _ask(self) -> None:
        self.asked += 1

    def _take(self, one: Incoming) -> None:
        self.done.append(f"{one.topic.removeprefix('request/')}{' kept' if one.retained else ''}")

    def say(self, *topics: str, retained: bool = False) -> None:
        for topic in topics:
            whole = topic if "/" in topic or topic == "estop" else f"request/{topic}"
            self.vetting.take(Incoming(whole, b"", "mqtt", lambda _: None, retained=retained))


@pytest.fixture
def on_a_loop():
    def going(body):
        async def main():
            await body(Bench())

        run(main(), VirtualClock())

    return going


def test_motion_waits_for_the_broker_s_word_and_nothing_else_does(on_a_loop):
    async def body(bench):
        bench.say("ping", "settings", "set/step_um", "mark_near")
        assert (bench.done, bench.asked) == (["ping", "settings", "set/step_um", "mark_near"], 0)
        bench.say("goto")
        assert (len(bench.done), bench.asked) == (4, 1)
        bench.vetting.answered()
        assert (bench.done[4:], bench.asked) == (["goto"], 1)

    on_a_loop(body)


@pytest.mark.parametrize("verb", ["home", "goto", "jog", "session.start", "session.resume"])
def test_what_is_kept_is_marked(on_a_loop, verb):
    async def body(bench):
        bench.say(verb)
        bench.say("mark_far", verb, retained=True)
        bench.vetting.answered()
        assert bench.done == [f"{verb} kept"]  # the desk refuses it; what else is kept was refused before
        bench.say(verb)
        bench.vetting.answered()
        assert bench.done[1:] == [verb]

    on_a_loop(body)


def test_what_was_kept_from_before_goes_on_to_be_refused(on_a_loop):
    async def body(bench):
        bench.say("goto", retained=True)
        assert (bench.done, bench.asked) == (["goto kept"], 0)

    on_a_loop(body)


def test_what_comes_behind_waits_for_its_turn_and_is_asked_for_by_itself(on_a_loop):
    async def body(bench):
        bench.say("session.start", "set/step_um", "ping")
        bench.say("goto", "settings")
        bench.say("goto", retained=True)  # kept, but it was asked before this one came
        assert (bench.done, bench.asked) == ([], 1)
        bench.vetting.answered()
        assert (bench.done, bench.asked) == (["session.start", "set/step_um", "ping"], 2)
        bench.vetting.answered()
        assert bench.done[3:] == ["goto", "settings"]
        bench.vetting.answered()  # of nothing
        assert (len(bench.done), bench.asked) == (5, 2)

    on_a_loop(body)


@pytest.mark.parametrize("stop", ["estop", "stop", "session.pause", "session.abort"])
def test_a_stop_waits_for_nobody_and_nothing_begins_behind_it(on_a_loop, stop):
    async def body(bench):
        bench.say("goto", "set/step_um", stop)
        assert bench.done == [stop, "set/step_um"]
        assert bench.refused == [("request/goto", ErrorCode.INTERRUPTED)]
        bench.vetting.answered()  # comes late, and is for nobody
        assert len(bench.done) == 2

    on_a_loop(body)


def test_a_broker_that_keeps_nothing_at_all_is_not_waited_for(on_a_loop):
    async def body(bench):
        bench.say("goto")
        await passes(ANSWER_S + 0.1)
        assert bench.done == ["goto"]

    on_a_loop(body)


def test_with_the_connection_goes_what_waited(on_a_loop):
    async def body(bench):
        bench.say("goto")
        bench.vetting.down()
        await passes(ANSWER_S + 0.1)
        assert (bench.done, bench.refused) == ([], [])
        bench.say("goto")
        assert bench.asked == 2
        bench.vetting.answered()
        assert bench.done == ["goto"]

    on_a_loop(body)


def test_only_so_many_wait(on_a_loop):
    async def body(bench):
        bench.say(*["goto"] * (MOST + 3))
        assert bench.refused == [("request/goto", ErrorCode.BUSY)] * 3
        bench.say("stop")
        assert bench.done == ["stop"]

    on_a_loop(body)
