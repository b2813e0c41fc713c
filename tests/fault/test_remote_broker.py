"""The broker killed again and again under a rig that captures and a client that commands: nothing is lost, done twice, done late or untrue."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from rigd.client import CommandRefused, RigClient, connect
from rigd.machine import events as ev
from rigd.machine.state import Mode
from rigd.messages.base import ErrorCode
from rigd.session import survey
from tests.brokers import HOST, Broker, mosquitto
from tests.remote import LONG, LONG_FRAMES, RIG, Bench, Somebody, bench, going, somebody, whole_session

T = TypeVar("T")
IN_TIME = timedelta(seconds=2)
"""For how long a command of the impatient one is worth anything."""


@dataclass
class Tally:
    """What whoever commands was told that was done."""

    names: list[str] = field(default_factory=list)
    starts: int = 0
    pauses: int = 0
    resumes: int = 0
    over: bool = False


async def patient(client: RigClient, rig: Bench, tally: Tally, moments: random.Random) -> None:
    """One stack after the other, each paused and gone on with now and then, each command asked for until it is answered."""
    await client.home()
    while not tally.over:
        name = f"stack-{len(tally.names)}"
        run = await unless_impossible(client.start(name))
        if run is None:  # somebody else moves the rail
            await rig.reached(Mode.IDLE)
            continue
        tally.starts += 1
        tally.names.append(name)
        while await busy_for(rig, moments.randrange(5, 40)):
            if await unless_impossible(paused(client)) is None:
                break  # it was complete meanwhile
            tally.pauses += 1
            await rig.reached(Mode.PAUSED)
            await client.resume()
            tally.resumes += 1
        result = await run.result()
        assert (result.outcome, result.frames) == ("complete", LONG_FRAMES)
        # The other one has its turn too.
        moves = len(rig.diary.done(ev.Goto))
        await rig.diary.until(lambda moves=moves: tally.over or len(rig.diary.done(ev.Goto)) > moves)


async def paused(client: RigClient) -> bool:
    await client.pause()
    return True


async def unless_impossible(command: Coroutine[Any, Any, T]) -> T | None:
    """What a command gives; None where the rig says that it is not possible now."""
    try:
        return await command
    except CommandRefused as refused:
        if refused.code != ErrorCode.NOT_POSSIBLE:
            raise
        return None


async def busy_for(rig: Bench, frames: int) -> bool:
    """Wait until so many frames more are there; False when no stack is under way, or is not any more."""
    enough = len(rig.diary.stored) + frames
    await rig.diary.until(lambda: len(rig.diary.stored) >= enough or rig.state.stack is None)
    return rig.state.mode is Mode.CAPTURING


class Impatient:
    """Sends moves to ever other places, each twice, and again whenever the way is open again, until it is answered."""

    def __init__(self, party: Somebody) -> None:
        self.party = party
        self.sent: dict[str, tuple[float, datetime]] = {}
        """Target and time limit of each transaction."""
        self._places = itertools.count(7000)

    async def command(self, tally: Tally) -> None:
        while not tally.over:
            target_um, not_after = next(self._places) * 1.25, datetime.now(UTC) + IN_TIME
            transaction = f"move-{target_um}"
            self.sent[transaction] = (target_um, not_after)
            since = self.party.mark
            while not self._answered(transaction) and not tally.over:
                news = self._news
                for _ in range(2):
                    self.party.request(
                        "goto",
                        {"position_um": target_um},
                        transaction=transaction,
                        not_after=not_after.isoformat(),
                    )
                await self.party.until(
                    lambda news=news, name=transaction: (
                        self._answered(name) or self._news != news or tally.over
                    )
                )
            # In no hurry while the rig is busy: with its next state.
            await self.party.until(
                lambda since=since: (
                    tally.over or self.party.state["mode"] == "idle" or self.party.on("state", since)
                )
            )

    @property
    def _news(self) -> tuple[int, int]:
        """Another one: the way to the broker is open again, or the rig has come back to it."""
        return self.party.ups, len(self.party.on("availability"))

    def _answered(self, transaction: str) -> bool:
        return len(self.party.answers_to(transaction)) > 0

    def check(self, rig: Bench) -> int:
        """Nothing was done twice or late, and what was said to be done was. How many were."""
        microstep_um = rig.rig.parts.rail.capabilities.microstep_um
        done = [(act.event.target * microstep_um, act.utc) for act in rig.diary.done(ev.Goto)]
        places = [where for where, _ in done]
        assert len(set(places)) == len(places), "a move was done twice"
        for transaction, (target_um, not_after) in self.sent.items():
            when = [at for where, at in done if where == target_um]
            assert all(at <= not_after for at in when), "a move was done late"
            answers = self.party.answers_to(transaction)
            accepted = [reply for reply in answers if reply["status"] == "accepted"]
            assert len([reply for reply in accepted if not reply["repeated"]]) <= 1
            assert not accepted or len(when) == 1
        return len(done)


@dataclass
class Returns:
    """How long after the broker's return the state on it was right, in seconds."""

    tried_s: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        ordered = sorted(self.tried_s)
        middle, worst = ordered[len(ordered) // 2], ordered[-1]
        within = sum(one <= 1.0 for one in ordered)
        return f"state right after {middle:.2f} s (median), {worst:.2f} s (worst); {within} of {len(ordered)} within 1 s"


class Witness:
    """Notes what the rig knows at the moment at which it is connected, and what is on the broker then."""

    def __init__(self, rig: Bench) -> None:
        self.payloads: list[bytes] = []
        self._rig = rig
        rig.reach.mqtt.on_up.append(self._note)

    def _note(self) -> None:
        payload = self._rig.reach.switchboard.retained["state"].payload
        self.payloads.append(payload)

    async def first_state(self, watcher: Somebody, since: int) -> None:
        """The first state that is heard after `online` is the machine's, or a newer one."""
        online = await watcher.hears("availability", lambda said: said == "online", since=since)
        at = watcher.heard.index(online)
        state = (await watcher.hears("state", since=at)).json
        assert state["boot_id"] == self._rig.reach.boot_id
        assert state["seq"] >= self.newest["seq"]
        assert [one.payload for one in watcher.heard[at:] if one.topic == "availability"] == [b"online"]

    @property
    def newest(self):
        """The state that was handed over at the newest connection."""
        return json.loads(self.payloads[-1])


async def true_state(rig: Bench, watcher: Somebody, since: int) -> None:
    """Wait until the newest state on the broker is what the machine is."""

    def right() -> bool:
        states = watcher.on("state", since)
        if not states:
            return False
        state, now = states[-1], rig.state
        session = state["session"]
        return (
            state["mode"] == now.mode
            and state["rail"]["homed"] == now.homed
            and (session is None) == (now.stack is None)
            and (session is None or abs(session["frame"] - now.stack.accepted) <= 3)
        )

    await watcher.until(right)


async def kill_often(folder: Path, broker: Broker, kills: int, seed: int) -> Returns:
    """Kill and restart under load, then let all of it come to its end."""
    moments, returns, tally = random.Random(seed), Returns(), Tally()
    url = f"mqtt://{HOST}:{broker.port}/{RIG}"
    async with (
        bench(folder, broker.port, LONG) as rig,
        somebody(broker.port, name="watcher") as watcher,
        somebody(broker.port, name="impatient") as second,
    ):
        await rig.online()
        async with connect(url, timeout_s=60) as client, asyncio.TaskGroup() as group:
            witness, mover = Witness(rig), Impatient(second)
            commanding = group.create_task(patient(client, rig, tally, random.Random(seed + 1)))
            moving = group.create_task(mover.command(tally))
            for _ in range(kills):
                await rig.diary.more_frames(moments.randrange(35, 60))
                since, losses = watcher.mark, rig.reach.mqtt.losses
                await asyncio.to_thread(broker.kill)
                await away(rig, moments, losses)
                await asyncio.to_thread(broker.start)
                back_s = asyncio.get_running_loop().time()
                await true_state(rig, watcher, since)
                returns.tried_s.append(asyncio.get_running_loop().time() - back_s)
                await witness.first_state(watcher, since)
            tally.over = True
            second._signal.tell()
            rig.diary._signal.tell()
            await asyncio.gather(commanding, moving)
        assert rig.reach.mqtt.losses == kills
        assert rig.reach.mqtt.dropped == 0
        assert len(rig.diary.done(ev.StartStack)) == tally.starts
        assert len(rig.diary.done(ev.Pause)) == tally.pauses
        assert len(rig.diary.done(ev.Resume)) == tally.resumes
        assert len(rig.diary.done(ev.Home)) == 1
        moves = mover.check(rig)
        # Each frame was stored once: nothing that happened to the broker made the rig take one again.
        assert rig.diary.stored == list(range(LONG_FRAMES)) * tally.starts
    assert len(survey(folder / "sessions")) == tally.starts
    for name in tally.names:
        whole_session(folder, name)
    assert tally.pauses > 0
    print(f"{kills} kills, {tally.starts} stacks, {tally.pauses} pauses, {moves} moves: {returns}")
    return returns


async def away(rig: Bench, moments: random.Random, losses: int) -> None:
    """How long the broker is away: not at all, until the rig has noticed, or some frames longer."""
    how_long = moments.randrange(4)
    if how_long >= 1:
        stored = len(rig.diary.stored)
        await rig.diary.until(lambda: rig.reach.mqtt.losses > losses or len(rig.diary.stored) > stored + 40)
    if how_long >= 2:
        # A stack that was paused just before goes on only when somebody can be heard again.
        enough = len(rig.diary.stored) + moments.randrange(1, 25)
        await rig.diary.until(lambda: len(rig.diary.stored) >= enough or rig.state.mode is not Mode.CAPTURING)


def test_eight_kills(tmp_path):
    with mosquitto(tmp_path) as broker:
        returns = going(kill_often(tmp_path, broker, 8, seed=1))
    assert len(returns.tried_s) == 8


@pytest.mark.soak
def test_fifty_kills(tmp_path):
    with mosquitto(tmp_path) as broker:
        returns = going(kill_often(tmp_path, broker, 50, seed=100), 1800)
    assert len(returns.tried_s) == 50
