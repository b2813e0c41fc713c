"""Whatever is said to a rig: it is answered once, nothing breaks, and nothing moves that must not."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from rigd.control.notices import Changed, Notice
from rigd.machine.state import Mode
from rigd.remote.settings import SettingsError
from tests.rigs import passes
from tests.unit._desk import LONG_S, Asked, Bench, at_desk
from tests.unit._messages import Message, messages

PAUSES_S = st.sampled_from([0.0, 0.0, 0.0, 0.05, 0.5, 3.0, 20.0])


class Watch:
    """Sits between controller and rail, and objects to what must never be asked of a rail."""

    def __init__(self, bench: Bench) -> None:
        self.wrong: list[str] = []
        self.motions = 0
        self._bench = bench
        rail: Any = bench.rig.parts.rail
        for verb in ("start_move", "start_jog", "start_home"):
            setattr(rail, verb, self._watched(verb, getattr(rail, verb)))
        bench.rig.controller.listen(self._note)

    def _watched(self, verb: str, real: Any) -> Any:
        def watched(*args: Any) -> None:
            self.motions += 1
            state = self._bench.rig.state
            if verb == "start_move":
                if not state.homed:
                    self.wrong.append("a move before home is known")
                if not state.rail.min <= args[0] <= state.rail.max:
                    self.wrong.append(f"a move to {args[0]}")
            if verb == "start_jog":
                target = None if state.position is None else state.position + args[0]
                if abs(args[0]) > state.rail.jog_max:
                    self.wrong.append(f"a jog by {args[0]}")
                if target is not None and not state.rail.min <= target <= state.rail.max:
                    self.wrong.append(f"a jog to {target}")
            real(*args)

        return watched

    def _note(self, notice: Notice) -> None:
        if isinstance(notice, Changed):
            position, rail = notice.state.position, notice.state.rail
            if position is not None and not rail.min <= position <= rail.max:
                self.wrong.append(f"it stands at {position}")
            if notice.state.fault is not None and notice.state.fault.code not in {"estop", "rail"}:
                self.wrong.append(notice.state.fault.message)


async def settle(asked: list[Asked]) -> None:
    """Until everybody has their answer."""
    async with asyncio.timeout(LONG_S):
        for one in asked:
            await one.came.wait()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(messages(), PAUSES_S, st.sampled_from(["mqtt", "local:1"])), min_size=1, max_size=25),
    st.booleans(),
)
def test_whatever_is_said_to_a_rig(said: list[tuple[Message, float, str]], homed: bool):
    async def body(bench: Bench) -> None:
        watch = Watch(bench)
        if homed:
            await bench.run("home")
        answered: list[Asked] = []
        for message, pause_s, source in said:
            flags = {"retained": message.retained, "redelivered": message.redelivered}
            asked = bench.put(message.topic, message.payload, source=source, **flags)
            if message.retained and not message.payload and message.topic != "estop":
                await passes(0.0)
                assert asked.replies == []
            else:
                answered.append(asked)
            if pause_s:
                await passes(pause_s)
            if pause_s == 3.0:
                bench.desk.way_lost(source)
        await settle(answered)
        await passes(30)
        assert [len(asked.replies) for asked in answered] == [1] * len(answered)
        assert watch.wrong == []
        event(f"motions: {min(watch.motions, 5)}")
        event("a stack" if Mode.CAPTURING in bench.modes else "no stack")

        try:
            bench.settings.config()
        except SettingsError as error:
            assert error.code  # noqa: PT017  (it may be that they make no stack; then they say why)
        reply = await bench.put("request/ping", b"{}").answer()
        assert reply["status"] == "ok"
        assert bench.put("estop").replies[0]["status"] == "ok"
        await bench.reached(Mode.ESTOPPED)

    with tempfile.TemporaryDirectory() as folder:
        at_desk(Path(folder), body)
