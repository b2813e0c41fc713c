"""A stack that a fault ends has one number of frames, whoever tells it: that of those on disk."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rigd.app import Rig
from rigd.control.notices import Accepted, Closed, Notice
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.session.store import frame_records
from tests.rigs import small_rig, stored
from tests.unit._desk import Bench, at_desk
from tests.unit._said import Voice, told


def once_a_frame_is_stored(rig: Rig, do: Callable[[], object]) -> None:
    """Do it when the third frame from now is on disk, and the machine has not heard of that yet."""
    seen = 0

    def note(notice: Notice) -> None:
        nonlocal seen
        seen += isinstance(notice, Accepted)
        if isinstance(notice, Accepted) and seen == 3:
            do()

    rig.controller.listen(note)


@pytest.mark.parametrize("resumed", [False, True])
def test_the_end_of_the_action_counts_what_came_in_late(tmp_path, resumed):
    async def body(bench: Bench) -> None:
        await bench.run("home")
        session = (await bench.do("session.start", transaction="s"))["data"]["session"]
        if resumed:
            await stored(bench.rig, 2)
            await bench.do("session.pause")
            await bench.reached(Mode.PAUSED)
            await bench.do("session.resume", transaction="r")
        once_a_frame_is_stored(bench.rig, lambda: bench.put("estop"))
        ended = [await bench.end_of(transaction) for transaction in ("s", "r")[: 1 + resumed]]
        there = len(frame_records(tmp_path / "sessions" / session))
        for end in ended:
            assert end["data"] == {"session": session, "outcome": "suspended", "frames": there}
            assert end["error"]["code"] == "interrupted"
        await bench.do("fault.clear")
        await bench.reached(Mode.UNHOMED)
        await bench.run("home")
        once_a_frame_is_stored(bench.rig, lambda: bench.put("estop"))
        again = await bench.run("session.resume", {"session": session})
        more = len(frame_records(tmp_path / "sessions" / session))
        assert (again["data"]["frames"], more > there) == (more, True)

    at_desk(tmp_path, body)


def test_the_end_of_the_session_says_what_is_on_disk(tmp_path):
    async def body(speaks: Voice) -> int:
        await speaks.rig.home()
        session = await speaks.rig.start("test", speaks.rig.plan().plan)
        once_a_frame_is_stored(speaks.rig, lambda: speaks.rig.controller.post(ev.EStop("stop")))
        await speaks.ear.until(lambda: "session_finished" in speaks.ear.events)
        (closed,) = (notice for notice in speaks.seen.notices if isinstance(notice, Closed))
        there = len(frame_records(session.path))
        assert closed.frames == there
        return there

    speaks, there = told(small_rig(tmp_path), body)
    (finished,) = speaks.ear.on("event/session_finished")
    assert finished.frame == there
