"""Stops in a row, and stops just before a motion: the rail comes to rest each time, and what is asked for after a stop is done."""

from __future__ import annotations

import asyncio

import pytest

from rigd.machine import events as ev
from rigd.machine.state import Mode
from tests.rigs import passes, small_rig, with_rig

LONG_S = 60.0
"""Of virtual time: a rail that does not stand by then never will."""


@pytest.mark.parametrize("between_s", [0.0, 0.001, 0.005, 0.02, 0.1])
@pytest.mark.parametrize("begun_s", [0.0, 0.005, 0.3])
def test_a_second_stop_while_the_rail_slows_down_changes_nothing(tmp_path, begun_s, between_s):
    async def body(rig, _):
        await rig.home()
        await rig.command(ev.Goto(30000))
        await passes(begun_s)
        for _ in range(3):
            rig.controller.post(ev.Stop())
            await passes(between_s)
        async with asyncio.timeout(LONG_S):
            await rig.controller.reached(Mode.IDLE)
        assert rig.state.position < 30000
        await rig.goto(100.0)
        assert rig.state.fault is None

    with_rig(small_rig(tmp_path), body)


@pytest.mark.parametrize("command", [ev.Home(), ev.Goto(5000), ev.Jog(500)])
def test_what_is_asked_for_after_a_stop_is_not_stopped_by_it(tmp_path, command):
    async def body(rig, _):
        await rig.home()
        for _ in range(10):
            rig.controller.post(ev.Stop())
            await rig.command(command)
            async with asyncio.timeout(LONG_S):
                await rig.controller.reached(Mode.IDLE, Mode.UNHOMED, Mode.FAULT)
            assert rig.state.mode is Mode.IDLE, rig.state.fault
            await passes(10)
            assert rig.state.fault is None

    with_rig(small_rig(tmp_path), body)


def test_an_e_stop_after_a_stop_leaves_nothing_behind(tmp_path):
    async def body(rig, _):
        await rig.home()
        await rig.command(ev.Goto(30000))
        await passes(0.3)
        rig.controller.post(ev.Stop())
        await passes(0.005)
        rig.controller.post(ev.EStop())
        async with asyncio.timeout(LONG_S):
            await rig.controller.reached(Mode.ESTOPPED)
        await rig.command(ev.ClearFault())
        async with asyncio.timeout(LONG_S):
            await rig.controller.reached(Mode.UNHOMED)
            await rig.home()
        assert rig.state.mode is Mode.IDLE

    with_rig(small_rig(tmp_path), body)
