"""An emergency stop in the moment in which a session is closed: the session is closed once, and the next stack is not touched."""

from __future__ import annotations

import asyncio
import logging

import pytest

from rigd.control.notices import Changed, Closed, Notice
from rigd.machine import events as ev
from rigd.machine.state import Mode, Phase
from rigd.session import verify
from tests.rigs import small_rig, with_rig


class Moment:
    """Posts an emergency stop so many steps of the loop after the first session has begun to be closed."""

    def __init__(self, rig, steps):
        self.rig, self.steps = rig, steps
        self.come = asyncio.Event()

    def __call__(self, notice: Notice) -> None:
        stack = notice.state.stack if isinstance(notice, Changed) else None
        if stack is not None and stack.phase is Phase.CLOSING:
            self.rig.controller.ignore(self)
            self.step(self.steps)

    def step(self, left):
        if left:
            asyncio.get_running_loop().call_soon(self.step, left - 1)
        else:
            self.rig.controller.post(ev.EStop("now"))
            self.come.set()


@pytest.mark.parametrize("steps", [0, 1, 3, 6, 12, 24, 48])
@pytest.mark.parametrize("outcome", ["complete", "aborted"])
def test_a_session_is_closed_once(tmp_path, caplog, outcome, steps):
    async def body(rig, seen):
        moment = Moment(rig, steps)
        rig.controller.listen(moment)
        await rig.home()
        session = await rig.start("test", rig.plan().plan)
        if outcome == "aborted":
            await rig.command(ev.Abort())
        await moment.come.wait()
        await rig.controller.reached(Mode.ESTOPPED)
        await rig.command(ev.ClearFault())
        await rig.controller.reached(Mode.UNHOMED)
        await rig.home()
        again = await rig.start("again", rig.plan().plan)
        await rig.ended()
        return session, again, [notice.session_id for notice in seen.notices if isinstance(notice, Closed)]

    session, again, closed = with_rig(small_rig(tmp_path), body)
    assert closed == [session.id, again.id]
    assert verify(session.path).whole
    assert verify(session.path).overview.outcome == outcome
    assert verify(again.path).overview.outcome == "complete"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
