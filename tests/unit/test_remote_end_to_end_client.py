"""A whole stack by the Python client alone, over a real broker: home, marks, plan, progress, result, and what is on disk."""

from __future__ import annotations

import asyncio

import pytest

from rigd.client import CommandRefused, connect
from rigd.client.hub import WayDown, WayUp
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.messages.verbs import Expect
from rigd.session import verify
from rigd.session.store import frame_records
from tests.brokers import HOST, mosquitto
from tests.remote import FRAMES, RIG, Signal, bench, going, whole_session


def url(port: int) -> str:
    return f"mqtt://{HOST}:{port}/{RIG}"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_stack_from_the_client(tmp_path, protocol):
    async def main(port: int) -> None:
        async with bench(tmp_path, port, f"mqtt.protocol='{protocol}'") as rig:
            await rig.online()
            async with connect(url(port)) as client:
                assert (await client.ping()).boot_id == rig.reach.boot_id
                await client.home()
                assert rig.state.mode is Mode.IDLE
                await client.goto(5200)
                assert rig.position_um == pytest.approx(5200, abs=1)
                assert (await client.mark_near()).near_um == pytest.approx(5200, abs=1)
                await client.goto(5900)
                await client.mark_far()
                planned = await client.plan(step_um=50)
                assert (planned.frames, planned.near_um) == (15, pytest.approx(5200, abs=1))
                assert rig.diary.done(ev.StartStack) == []
                events = client.events()
                run = await client.start("beetle", step_um=50, expect=Expect(mode="idle", homed=True))
                progress = [step async for step in run]
                result = await run.result()
                assert (result.outcome, result.frames, result.planned) == ("complete", 15, 15)
                frames = [step.frame for step in progress]
                assert frames == sorted(frames)
                assert frames[-1] == 15
                assert len(set(frames)) > 3
                assert any(step.eta_s is not None for step in progress)
                told = await kinds(events, "session_finished")
                assert told.count("session_started") == 1
                listed = await client.sessions()
                assert [(seen.session, seen.outcome) for seen in listed.sessions] == [
                    (run.session, "complete")
                ]
        path = whole_session(tmp_path, "beetle")
        assert path.name == run.session
        assert verify(path).overview.frames == 15
        assert result.summary is not None
        assert result.summary.frames == len(frame_records(path))

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))


async def kinds(events, last: str) -> list[str]:
    """The kinds of events, up to the first of the last kind."""
    found = []
    async for event in events:
        found.append(event.event_type)
        if event.event_type == last:
            return found
    raise AssertionError


def test_pause_resume_test_shot_lease_and_refusals_from_the_client(tmp_path):
    async def main(port: int) -> None:
        async with bench(tmp_path, port) as rig:
            await rig.online()
            async with connect(url(port), preview=True) as client, connect(url(port)) as other:
                shot = await client.test_shot()
                assert (shot.width, shot.height) == (96, 64)
                with pytest.raises(CommandRefused) as refused:
                    await client.goto(1000)
                assert refused.value.code == "not_possible"
                await client.home()
                with pytest.raises(CommandRefused) as refused:
                    await client.goto(30_000)
                assert (refused.value.code, refused.value.field) == ("out_of_limits", "params.position_um")
                async with client.lease("one") as lease:
                    with pytest.raises(CommandRefused) as refused:
                        await other.home()
                    assert refused.value.code == "leased"
                    run = await client.start()
                    await rig.diary.more_frames(3)
                    await other.pause()  # whoever has the lease
                    await rig.reached(Mode.PAUSED)
                    again = await client.resume()
                    assert again.session == run.session
                    result = await run.result()
                    assert (result.outcome, result.frames) == ("complete", FRAMES)
                    assert not lease.lost.is_set()
                await other.identify(0.1)
                assert len(rig.diary.done(ev.Pause)) == len(rig.diary.done(ev.Resume)) == 1

                def pictured() -> bool:
                    meta, picture = client.preview
                    return meta is not None and meta.frames == FRAMES and picture is not None

                feed = client.everything()
                async with asyncio.timeout(20):
                    while not pictured():
                        await anext(feed)
                assert client.preview[1][:2] == b"\xff\xd8"
        whole_session(tmp_path)

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))


def test_a_jog_from_the_client_lasts_as_long_as_its_block(tmp_path):
    async def main(port: int) -> None:
        async with bench(tmp_path, port, "remote.jog_hold_s=0.3", "remote.jog_hold_max_s=0.5") as rig:
            await rig.online()
            async with connect(url(port)) as client:
                await client.home()
                async with client.jogging(14_000) as action:
                    # Longer than a jog of this rig is held: the client has renewed it.
                    await client.reached(lambda state: (state.rail.position_um or 0) > 500)
                    assert not action.over
                assert rig.state.mode is Mode.IDLE
                assert 500 < rig.position_um < 13_000
                assert len(rig.diary.done(ev.Jog)) == 1
                assert await client.jog(-100)

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))


def test_a_run_goes_on_over_a_broker_that_was_restarted(tmp_path):
    async def main(broker) -> None:
        async with bench(tmp_path, broker.port, "plan.step_um=25") as rig:
            await rig.online()
            async with connect(url(broker.port)) as client:
                await client.home()
                run = await client.start("through")
                seen, signal = [], Signal()

                async def follow() -> None:
                    async for progress in run:
                        seen.append(progress)
                        signal.tell()

                following = asyncio.create_task(follow())
                ways = client.everything()
                await rig.diary.more_frames(5)
                await asyncio.to_thread(broker.kill)
                async with asyncio.timeout(20):
                    while not isinstance(await anext(ways), WayDown):
                        pass
                    await signal.until(lambda: not seen[-1].reachable)
                    await rig.diary.more_frames(3)
                    await asyncio.to_thread(broker.start)
                    while not isinstance(await anext(ways), WayUp):
                        pass
                result = await run.result(60)
                await following
                assert (result.outcome, result.frames) == ("complete", 45)
                assert seen[-1].frame == 45
                assert seen[-1].reachable
                assert len(rig.diary.done(ev.StartStack)) == 1
        whole_session(tmp_path, "through")

    with mosquitto(tmp_path) as broker:
        going(main(broker))
