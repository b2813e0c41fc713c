"""The Python client against a rig that only talks, over a Unix socket, on the real clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rigd.client import (
    ActionFailed,
    CommandRefused,
    CommandTimeout,
    ContractMismatch,
    NotReachable,
    RigClient,
    RigRestarted,
    connect,
)
from rigd.local import LocalServer
from rigd.messages import topics
from rigd.messages.base import Error, ErrorCode
from tests.fake_rig import FRAMES, WAIT_S, FakeRig, sweep_found
from tests.fake_rig import test_shot as fake_shot


def talk(
    folder: Path, body: Callable[[RigClient, FakeRig], Awaitable[Any]], contract: str | None = None, **options
) -> Any:
    async def main() -> Any:
        fake = FakeRig() if contract is None else FakeRig(contract=contract)
        async with asyncio.timeout(WAIT_S), reachable(folder, fake), connect(url(folder), **options) as rig:
            return await body(rig, fake)

    return asyncio.run(main())


@asynccontextmanager
async def reachable(folder: Path, fake: FakeRig):
    async with LocalServer(folder / "s", fake.rig, fake, fake.switchboard) as server:
        yield server


def url(folder: Path) -> str:
    return f"unix:{folder / 's'}"


def test_it_knows_the_rig_as_soon_as_it_is_connected(tmp_path):
    async def body(rig, fake):
        assert rig.online
        assert (rig.state.mode, rig.state.boot_id) == ("idle", fake.boot_id)
        assert rig.birth.boot_id == fake.boot_id
        assert rig.info.limits.max_um == 20000
        assert (await rig.settings()).jog_um == 500
        assert (await rig.ping()).mode == "idle"

    talk(tmp_path, body)


def test_every_acting_command_carries_a_transaction_and_a_limit_in_the_rigs_time(tmp_path):
    async def body(rig, fake):
        fake.clock_ahead_s = -86_400.0
        await rig.goto(5000)
        await rig.release()
        for verb in ("goto", "release"):
            (said,) = fake.requests(verb)
            assert said["transaction"]
            ahead = datetime.fromisoformat(said["not_after"]) - fake.now()
            assert abs(ahead) < timedelta(hours=1)
        return fake.acted

    assert talk(tmp_path, body).count("goto") == 1


def test_a_clock_that_is_set_meanwhile_does_not_cost_a_command(tmp_path):
    async def body(rig, fake):
        await rig.goto(1000)
        fake.clock_ahead_s = 7200.0
        await rig.goto(2000)
        fake.clock_ahead_s = -7200.0
        await rig.goto(3000)
        assert fake.acted.count("goto") == 3
        assert len(fake.requests("goto")) == 5

    talk(tmp_path, body)


def test_long_commands_end_when_the_rig_says_so(tmp_path):
    async def body(rig, fake):
        fake.hold = {"home"}
        homing = asyncio.create_task(rig.home())
        await fake.told("home")
        await rig.ping()
        assert not homing.done()
        fake.finish("home")
        await homing
        shot = await rig.test_shot()
        assert (shot.width, shot.metrics["sharpness"]) == (96, 12.5)

    talk(tmp_path, body)


def test_a_sweep_tells_how_far_it_is_and_what_it_found(tmp_path):
    async def body(rig, fake):
        fake.hold = {"sweep"}
        heard = []
        sweeping = asyncio.create_task(rig.sweep(5000, 6000, 300, on_progress=heard.append))
        await fake.told("sweep")
        for mode, at_um in (
            ("moving", 4900.0),
            ("testing", 5000.0),
            ("moving", 5600.0),
            ("testing", 5250.0),
            ("testing", 5249.6),
            ("testing", None),
            ("testing", 6000.0),
        ):
            fake.say_state(mode=mode, position_um=at_um)
            await rig.ping()
        fake.finish("sweep", data=json.loads(sweep_found().model_dump_json()))
        found = await sweeping
        assert (found.near_um, found.best_um, found.far_um) == (5012.5, 5400, 6100)
        assert [(one.picture, one.pictures) for one in heard] == [(1, 5), (2, 5), (5, 5)]
        assert heard[1].position_um == 5250
        (asked,) = fake.requests("sweep")
        assert asked["params"] == {"from_um": 5000, "to_um": 6000, "step_um": 300}
        assert fake.requests("stop") == []

    talk(tmp_path, body)


def test_a_sweep_that_nobody_waits_for_is_stopped(tmp_path):
    async def body(rig, fake):
        fake.hold = {"sweep"}
        sweeping = asyncio.create_task(rig.sweep(5000, 6000, 100))
        await fake.until(lambda fake: "sweep" in fake.under_way)
        sweeping.cancel()  # the answer is still on its way
        with pytest.raises(asyncio.CancelledError):
            await sweeping
        assert len(fake.requests("stop")) == 1
        assert "sweep" not in fake.under_way
        with pytest.raises(TimeoutError):
            await rig.sweep(5000, 6000, 100, timeout_s=0.05)
        assert len(fake.requests("stop")) == 2
        refusal = Error(code=ErrorCode.NOT_POSSIBLE, message="a sweep begins from idle, with home known")
        fake.refuse["sweep"] = refusal
        with pytest.raises(CommandRefused, match="from idle"):
            await rig.sweep(5000, 6000, 100)
        assert len(fake.requests("stop")) == 2, "what was refused needs no stop"

    talk(tmp_path, body)


def test_a_refusal_has_code_message_and_field(tmp_path):
    async def body(rig, fake):
        with pytest.raises(CommandRefused, match="20000 um is the end") as refused:
            await rig.goto(99_999)
        assert (refused.value.code, refused.value.field) == ("out_of_limits", "params.position_um")
        fake.refuse["home"] = Error(code=ErrorCode.BUSY, message="too much")
        with pytest.raises(CommandRefused) as refused:
            await rig.home()
        assert refused.value.code == ErrorCode.BUSY

    talk(tmp_path, body)


def test_what_fails_after_it_was_accepted_is_another_error(tmp_path):
    async def body(rig, fake):
        fake.hold = {"goto"}
        moving = asyncio.create_task(rig.goto(4000))
        await fake.told("goto")
        fake.finish("goto", error=Error(code=ErrorCode.HARDWARE, message="stalled"))
        with pytest.raises(ActionFailed, match="stalled") as failed:
            await moving
        assert failed.value.code == ErrorCode.HARDWARE

    talk(tmp_path, body)


@pytest.mark.parametrize("nowhere", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_know_is_not_sent(tmp_path, nowhere):
    async def body(rig: RigClient, fake: FakeRig) -> None:
        with pytest.raises(ValueError, match="JSON compliant"):
            await rig.goto(nowhere)
        await rig.goto(2000)
        assert [params["params"]["position_um"] for params in fake.requests("goto")] == [2000]

    talk(tmp_path, body)


def test_no_answer_in_time(tmp_path):
    async def body(rig, fake):
        fake.silent = {"home", "ping"}
        with pytest.raises(CommandTimeout, match="no answer"):
            await rig.home()

    talk(tmp_path, body, timeout_s=0.05)


def test_codes_keys_and_events_of_a_newer_rig_are_no_trouble(tmp_path):
    async def body(rig, fake):
        events = rig.events()
        fake.extra = {"colour": "green", "nested": {"more": [1, 2]}}
        await rig.goto(3000)
        raw = b'{"event_type":"moonrise","boot_id":"b","seq":9,"time":"2026-01-01T00:00:00Z","phase":"full"}'
        fake.switchboard.publish(_passing("event/moonrise", raw))
        seen = [(await anext(events)).event_type for _ in range(2)]
        assert seen == ["action_finished", "moonrise"]
        refused = (
            b'{"transaction":"%s","verb":"home","status":"error","time":"2026-01-01T00:00:00Z",'
            b'"error":{"code":"too_romantic","message":"look at the moon"}}'
        )
        fake.silent = {"home"}
        homing = asyncio.create_task(rig.home())
        (said,) = await fake.told("home")
        fake.switchboard.publish(_passing("response/home", refused % said["transaction"].encode()))
        with pytest.raises(CommandRefused, match="moon") as error:
            await homing
        assert error.value.code == "too_romantic"

    talk(tmp_path, body)


def _passing(topic: str, payload: bytes):
    from rigd.remote.bus import Outgoing

    return Outgoing(topic, payload)


def test_another_major_contract_is_refused_but_stopping_is_not(tmp_path):
    async def body(rig, fake):
        raise AssertionError("connected")

    with pytest.raises(ContractMismatch, match="renew rigctl"):
        talk(tmp_path, body, contract="2.0")

    async def stops(rig, fake):
        await rig.estop()
        await rig.stop()
        with pytest.raises(ContractMismatch):
            await rig.home()
        return fake.acted, fake.mode

    assert talk(tmp_path, stops, contract="2.0", welcome_s=None) == (["stop"], "estopped")


def test_a_newer_minor_contract_is_fine(tmp_path):
    async def body(rig, fake):
        await rig.home()

    talk(tmp_path, body, contract="1.99")


def test_an_older_state_of_the_same_start_is_not_believed(tmp_path):
    async def body(rig, fake):
        states = rig.states()
        fake.seq = 100
        fake.say_state(mode="moving")
        assert (await anext(states)).mode == "moving"
        fake.say_state(mode="homing", seq=50)
        fake.say_state(mode="unhomed", seq=102)
        assert (await anext(states)).mode == "unhomed"
        fake.boot()
        assert (await anext(states)).seq == 1
        assert rig.state.boot_id == fake.boot_id

    talk(tmp_path, body)


def test_progress_of_a_stack_and_its_result(tmp_path):
    async def body(rig, fake):
        fake.hold = {"session.start"}
        run = await rig.start("beetle", frames=3)
        seen = []
        async for progress in run:
            seen.append((progress.frame, progress.mode))
            if progress.frame < 3:
                fake.frame(progress.frame)
            elif len(seen) == 4:
                fake.left("session.start", "complete")
        result = await run.result()
        assert [frame for frame, _ in seen][:4] == [0, 1, 2, 3]
        assert result.complete
        assert (result.frames, result.planned, result.rejected) == (3, 3, 1)
        assert result.coverage == "near and far reached"
        assert result.summary is not None

    talk(tmp_path, body)


def test_a_stack_that_is_over_before_the_answer_is_read(tmp_path):
    async def body(rig, fake):
        run = await rig.start("quick")
        result = await run.result()
        assert (result.outcome, result.frames) == ("complete", FRAMES)
        assert (await _last(run)).frame == FRAMES

    talk(tmp_path, body)


def test_an_old_summary_is_not_the_end_of_a_resumed_stack(tmp_path):
    async def body(rig, fake):
        fake.hold = {"session.start", "session.resume"}
        run = await rig.start("beetle", frames=3)
        fake.frame(0)
        fake.left("session.start", "suspended", why="rigd was stopped")
        result = await run.result()
        assert (result.outcome, result.why, result.frames) == ("suspended", "rigd was stopped", 1)
        again = await rig.resume(run.session)
        old = fake.switchboard.retained[topics.session_summary(run.session)]
        fake.switchboard.publish(old)
        await rig.ping()
        assert not again.over
        fake.frame(2)
        fake.left("session.resume", "complete")
        assert (await again.result()).complete

    talk(tmp_path, body)


def test_a_restart_of_the_daemon_ends_actions_and_progress_clearly(tmp_path):
    async def body(rig, fake):
        fake.hold = {"session.start"}
        run = await rig.start("beetle")
        fake.frame(0)
        progress = aiter(run)
        assert (await anext(progress)).frame in {0, 1}
        fake.boot()
        with pytest.raises(RigRestarted, match="can be resumed"):
            await _last(progress)
        with pytest.raises(RigRestarted):
            await run.result()
        fake.hold = {"goto"}
        moving = asyncio.create_task(rig.goto(4000))
        await fake.told("goto")
        await rig.ping()
        fake.boot()
        with pytest.raises(RigRestarted, match="started anew"):
            await moving

    talk(tmp_path, body)


async def _last(progress):
    async for one in progress:
        last = one
    return last


def _lossy(folder, body):
    """A body that can take the socket away and bring it back."""

    async def main():
        fake = FakeRig()
        server = LocalServer(folder / "s", fake.rig, fake, fake.switchboard)
        await server.open()
        try:
            async with asyncio.timeout(WAIT_S), connect(url(folder)) as rig:
                await body(rig, fake, server)
        finally:
            await server.close()

    asyncio.run(main())


def test_a_command_without_an_answer_is_asked_again_when_the_way_is_back(tmp_path):
    async def body(rig, fake, server):
        await rig.ping()
        fake.silent = {"goto"}
        moving = asyncio.create_task(rig.goto(4000))
        await fake.told("goto")
        await server.close()
        fake.silent = set()
        await server.open()
        await moving
        first, second = fake.requests("goto")
        assert first == second
        assert fake.acted.count("goto") == 1

    _lossy(tmp_path, body)


def test_a_command_given_while_the_way_is_lost_goes_out_when_it_is_back(tmp_path):
    async def body(rig, fake, server):
        await server.close()
        homing = asyncio.create_task(rig.home())
        await server.open()
        await homing

    _lossy(tmp_path, body)


async def _missed(rig, fake, server, verb, task, **data):
    """A verb comes to its end while the way is lost."""
    await fake.until(lambda fake: verb in fake.under_way)
    await rig.ping()
    await server.close()
    fake.finish(verb, tell=False, **data)
    await server.open()
    return await task


def test_an_end_that_was_missed_is_asked_for(tmp_path):
    async def body(rig, fake, server):
        fake.hold = {"goto", "capture.test"}
        moving = asyncio.create_task(rig.goto(4000))
        stalled = Error(code=ErrorCode.HARDWARE, message="stalled")
        with pytest.raises(ActionFailed, match="stalled"):
            await _missed(rig, fake, server, "goto", moving, error=stalled)
        shooting = asyncio.create_task(rig.test_shot())
        data = json.loads(fake_shot().model_dump_json())
        shot = await _missed(rig, fake, server, "capture.test", shooting, data=data)
        assert shot.width == 96
        assert fake.acted.count("goto") == fake.acted.count("capture.test") == 1

    _lossy(tmp_path, body)


def test_a_sweep_between_two_pictures_is_not_taken_for_one_that_is_over(tmp_path, monkeypatch):
    monkeypatch.setattr("rigd.client.actions.MISSED_S", 0.05)

    async def body(rig, fake, server):
        fake.hold = {"sweep"}
        data = json.loads(sweep_found().model_dump_json())
        sweeping = asyncio.create_task(rig.sweep(5000, 6000, 100))
        await fake.until(lambda fake: "sweep" in fake.under_way)
        await rig.ping()
        await server.close()
        fake.say_state(mode="idle")
        await server.open()
        await fake.told("sweep", 2)
        await asyncio.wait({sweeping}, timeout=0.2)
        assert not sweeping.done(), "it is under way"
        fake.finish("sweep", data=data)
        assert (await sweeping).best_um == 5400
        sweeping = asyncio.create_task(rig.sweep(5000, 6000, 100))
        assert (await _missed(rig, fake, server, "sweep", sweeping, data=data)).far_um == 6100

    _lossy(tmp_path, body)


def test_an_end_that_nobody_remembers_is_judged_by_where_the_rig_is(tmp_path, monkeypatch):
    monkeypatch.setattr("rigd.client.actions.MISSED_S", 0.05)

    async def body(rig, fake, server):
        fake.forgets_ends = True
        fake.hold = {"goto", "capture.test"}
        moving = asyncio.create_task(rig.goto(4000))
        fake.position_um = 4000.0
        await _missed(rig, fake, server, "goto", moving)
        shooting = asyncio.create_task(rig.test_shot())
        with pytest.raises(ActionFailed, match="missed"):
            await _missed(rig, fake, server, "capture.test", shooting)

    _lossy(tmp_path, body)


def test_the_end_of_a_stack_that_was_missed_is_found_in_its_summary(tmp_path):
    async def body(rig, fake, server):
        fake.hold = {"session.start"}
        run = await rig.start("beetle")
        fake.frame(0)
        progress = aiter(run)
        assert (await anext(progress)).reachable
        await server.close()
        while (await anext(progress)).reachable:
            pass
        fake.frame(4)
        fake.left("session.start", "complete", tell=False)
        await server.open()
        assert (await run.result()).complete

    _lossy(tmp_path, body)


def test_progress_goes_on_when_the_way_is_back(tmp_path):
    async def body(rig, fake, server):
        fake.hold = {"session.start"}
        run = await rig.start("beetle")
        await server.close()
        fake.frame(2)
        await server.open()
        async for progress in run:
            if progress.frame == 3:
                break
        assert not run.over

    _lossy(tmp_path, body)


def test_a_jog_is_renewed_while_it_is_held_and_stopped_afterwards(tmp_path):
    async def body(rig, fake):
        fake.hold = {"jog"}
        async with rig.jogging(500, hold_s=0.03) as jog:
            renewals = await fake.told("jog.renew", 3)
            assert not jog.over
        assert renewals[0]["params"] == {"hold_s": 0.03}
        assert jog.over
        assert fake.acted.count("stop") == 1
        assert await rig.ping()
        fake.hold = set()
        assert await rig.jog(200)
        assert fake.acted.count("stop") == 1

    talk(tmp_path, body)


def test_a_lease_is_carried_renewed_and_given_back(tmp_path):
    async def body(rig, fake):
        async with rig.lease("me", ttl_s=0.06) as lease:
            await fake.told("lease.renew", 2)
            await rig.goto(2000)
            assert fake.requests("goto")[0]["lease"] == lease.token == fake.lease_token
        assert fake.lease_token is None
        await rig.goto(3000)
        assert "lease" not in fake.requests("goto")[1]

    talk(tmp_path, body)


def test_a_lost_lease_is_noticed_and_stopping_needs_none(tmp_path):
    async def body(rig, fake):
        async with rig.lease("me", ttl_s=0.06) as lease:
            fake.refuse["lease.renew"] = Error(code=ErrorCode.NO_LEASE, message="it has lapsed")
            await lease.lost.wait()
            with pytest.raises(CommandRefused) as refused:
                await rig.goto(2000)
            assert refused.value.code == ErrorCode.NO_LEASE
            await rig.stop()
        assert "goto" not in fake.acted
        assert "lease.release" not in fake.acted

    talk(tmp_path, body)


def test_settings_marks_and_plan(tmp_path):
    async def body(rig, fake):
        assert (await rig.mark_near()).near_um == 1000
        assert (await rig.mark_far(7000)).far_um == 7000
        assert (await rig.change(step_um=20.0)).step_um == 20
        await rig.set("settle_s", 0.5)
        assert (await rig.settings()).settle_s == 0.5
        assert (await rig.plan(frames=7)).frames == 7
        assert (await rig.sessions()).total == 1

    talk(tmp_path, body)


def test_no_socket_says_what_to_look_at(tmp_path):
    async def main(address):
        async with connect(address):
            raise AssertionError("connected")

    with pytest.raises(NotReachable, match="does rigd run"):
        asyncio.run(main(f"unix:{tmp_path}/none"))
    with pytest.raises(NotReachable, match="107 bytes"):
        asyncio.run(main("unix:/" + "x" * 120))
    (tmp_path / "folder").mkdir()
    with pytest.raises(NotReachable, match="folder"):
        asyncio.run(main(f"unix:{tmp_path}/folder"))


def test_nothing_is_left_running(tmp_path):
    async def main():
        fake = FakeRig()
        async with reachable(tmp_path, fake) as server:
            async with connect(url(tmp_path)) as rig:
                fake.hold = {"home"}
                homing = asyncio.create_task(rig.home())
                await fake.told("home")
            with pytest.raises(NotReachable, match="closed by this program"):
                await homing
            with pytest.raises(NotReachable):
                await rig.ping()
            await fake.until(lambda fake: fake.ways_lost)
        del server
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(main()) == set()
