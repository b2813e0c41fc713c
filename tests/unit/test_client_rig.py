"""A whole small rig, simulated, on the real clock: commanded by the Python client and by nothing else."""

from __future__ import annotations

import asyncio

import pytest

from drivers.clock import SystemClock
from rigd.app import open_rig, warm_up
from rigd.client import CommandRefused, connect
from rigd.serving import reachable
from rigd.session import verify
from tests.brokers import HOST, mosquitto
from tests.rigs import SMALL, small_rig

LIMIT_S = 120.0
"""Loading kernels may compile them."""


def command(folder, body, *overrides, text=SMALL, url):
    """Open the rig, let `body` command it through a client."""
    config = small_rig(folder, f"remote.socket={folder / 's'}", *overrides, text=text)
    warm_up()

    async def main():
        clock = SystemClock()
        opened, limit = open_rig(config, clock), asyncio.timeout(LIMIT_S)
        async with limit, opened as rig, reachable(rig, clock), connect(url(folder), preview=True) as client:
            return await body(client)

    return asyncio.run(main())


def over_socket(folder):
    return f"unix:{folder / 's'}"


async def a_day(rig):
    """What an operator does."""
    with pytest.raises(CommandRefused) as refused:
        await rig.goto(5000)
    assert refused.value.code == "not_possible"
    await rig.jog(200)
    await rig.home()
    await rig.goto(5000)
    assert (await rig.mark_near()).near_um == pytest.approx(5000)
    assert (await rig.mark_far(6100)).far_um == 6100
    await rig.set("settle_s", 0.05)
    shot = await rig.test_shot()
    assert (shot.width, shot.height) == (96, 64)
    assert (await rig.plan(frames=4)).frames == 4
    with pytest.raises(CommandRefused) as refused:
        await rig.goto(30_000)
    assert (refused.value.code, refused.value.field) == ("out_of_limits", "params.position_um")
    run = await rig.start("beetle", frames=4)
    paused = False
    frames = []
    async for progress in run:
        frames.append(progress.frame)
        if progress.frame == 2 and not paused:
            paused = True
            await rig.pause()
            await rig.reached(lambda state: state.mode == "paused")
            await rig.ask("session.resume")
    result = await run.result()
    assert result.complete, result
    assert (result.frames, frames[-1]) == (4, 4)
    assert result.summary.files > 4
    (session,) = (await rig.sessions()).sessions
    assert (session.session, session.outcome) == (run.session, "complete")
    return run.session


def test_a_stack_over_the_socket(tmp_path):
    session = command(tmp_path, a_day, url=over_socket)
    assert verify(tmp_path / "sessions" / session).whole


def test_a_stack_over_a_broker(tmp_path):
    with mosquitto(tmp_path) as broker:
        text = f"{SMALL}mqtt: {{host: {HOST}, port: {broker.port}}}\n"
        session = command(tmp_path, a_day, text=text, url=lambda _: f"mqtt://{HOST}:{broker.port}/small")
    assert verify(tmp_path / "sessions" / session).whole


def test_the_picture_grows_where_it_is_asked_for(tmp_path):
    async def body(rig):
        await rig.home()
        run = await rig.start(frames=3)
        await run.result()
        feed = rig.everything()
        while rig.preview[1] is None:
            await anext(feed)
        return rig.preview

    meta, picture = command(tmp_path, body, "settle.fixed_s=0.05", url=over_socket)
    assert picture[:2] == b"\xff\xd8"
    assert meta is None or meta.width <= 96


def test_a_client_that_goes_takes_its_jog_with_it(tmp_path):
    async def body(rig):
        await rig.home()
        await rig.goto(5000)
        async with connect(over_socket(tmp_path)) as other:
            await other.begin("jog", distance_um=1000.0, hold_s=5.0)
            await rig.reached(lambda state: state.rail.moving)
        state = await rig.reached(lambda state: not state.rail.moving)
        assert state.mode == "idle"
        return state.rail.position_um

    assert command(tmp_path, body, url=over_socket) < 6000
