"""A small simulated rig on the real clock, reachable over a real broker, and somebody who commands and watches it from there.

The rig runs in the test's own process (`bench`), so that a test can look at the machine behind what it says, or as `rigd run` in a
process of its own (`daemon`), so that it can be killed. Nobody sleeps: whatever is waited for is an event with a time limit.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from drivers.clock import SystemClock
from rigd.app import Rig, open_rig
from rigd.config import RigConfig
from rigd.control.notices import Accepted, Changed, Closed, Notice
from rigd.link import Endpoint, Link, Packet, Received
from rigd.machine import events as ev
from rigd.machine.kinds import Event
from rigd.machine.state import Mode, State
from rigd.serving import Reach, reachable
from rigd.session import survey, verify
from rigd.session.store import frame_records
from tests.brokers import HOST, Lines
from tests.rigs import small_rig

LIMIT_S = 60.0
"""What has not happened by then never will."""
RIG = "bench"
PREFIX = f"rigd/{RIG}/"
QUICK = """
rig: {id: bench, seed: 3}
rail:
  driver: sim
  travel_um: 20000
  start_um: 400
  backlash_um: 20
  ring_hz: 200
  profile: trapezoid
  max_speed_um_per_s: 50000
  homing_speed_um_per_s: 50000
  acceleration_um_per_s2: 2000000
  pull_off_um: 100
camera:
  driver: sim
  scene: tilt
  width: 96
  height: 64
  near_um: 5000
  far_um: 6100
  f_number: 4
  pixel_pitch_um: 60
  exposure_s: 0.002
  frame_period_s: 0.01
  threads: 1
light: {driver: sim}
limits: {max_um: 20000}
plan: {near_um: 5000, far_um: 6100, step_um: 100}
settle: {fixed_s: 0.01}
jog: {max_distance_um: 15000, speed_um_per_s: 500}
preview: {threads: 1}
finish: {enabled: false}
remote: {local: false, jog_hold_max_s: 60}
"""
FRAMES = 12
LONG = "plan.step_um=20"
"""A stack of 56 frames."""
LONG_FRAMES = 56
COMMANDS = (
    ev.Home,
    ev.Jog,
    ev.Goto,
    ev.TestShot,
    ev.StartStack,
    ev.Pause,
    ev.Resume,
    ev.Abort,
    ev.Suspend,
    ev.Stop,
    ev.EStop,
    ev.ClearFault,
    ev.Release,
)


def going(test: Coroutine[Any, Any, Any], limit_s: float = 4 * LIMIT_S) -> Any:
    """Run an asynchronous test on a real loop, for a bounded time."""

    async def bounded() -> Any:
        async with asyncio.timeout(limit_s):
            return await test

    return asyncio.run(bounded())


class Signal:
    """Waits for conditions that are looked at whenever something happens."""

    def __init__(self) -> None:
        self._news = asyncio.Event()

    def tell(self) -> None:
        """Something happened."""
        self._news.set()
        self._news = asyncio.Event()

    async def until(self, true: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
        """Wait until it is true; what it gave."""
        async with asyncio.timeout(limit_s):
            while not (found := true()):
                await self._news.wait()
            return found


class SetClock(SystemClock):
    """The machine's clock, whose wall-clock time can be set."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def utc(self) -> datetime:
        return super().utc() + self.ahead


# ------------------------------------------------------------------------------------------------------------------ the rig


@dataclass(frozen=True)
class Act:
    """A command that the machine has taken."""

    event: Event
    mode: Mode
    """After it."""
    utc: datetime


class Diary:
    """What the machine really did."""

    def __init__(self, clock: SystemClock) -> None:
        self.acts: list[Act] = []
        self.modes: list[Mode] = []
        self.stored: list[int] = []
        """Frames on disk, of all sessions, in order."""
        self.closed: list[Closed] = []
        self._clock = clock
        self._signal = Signal()

    def __call__(self, notice: Notice) -> None:
        match notice:
            case Changed():
                if isinstance(notice.event, COMMANDS):
                    self.acts.append(Act(notice.event, notice.state.mode, self._clock.utc()))
                if not self.modes or self.modes[-1] is not notice.state.mode:
                    self.modes.append(notice.state.mode)
            case Accepted():
                self.stored.append(notice.record.frame)
            case Closed():
                self.closed.append(notice)
        self._signal.tell()

    def follow_losses(self, reach: Reach) -> None:
        """That the broker is lost is worth a look too."""
        lost = reach.desk.way_lost

        def way_lost(source: str) -> None:
            lost(source)
            self._signal.tell()

        reach.desk.way_lost = way_lost  # type: ignore[method-assign]

    def done(self, kind: type[Event]) -> list[Act]:
        """Commands of one kind that were taken."""
        return [act for act in self.acts if isinstance(act.event, kind)]

    async def until(self, true: Callable[[], Any]) -> Any:
        """Wait for something about the machine."""
        return await self._signal.until(true)

    async def more_frames(self, count: int) -> None:
        """Wait until so many more are on disk."""
        enough = len(self.stored) + count
        await self.until(lambda: len(self.stored) >= enough)


@dataclass
class Bench:
    """A rig that is open and reachable."""

    rig: Rig
    reach: Reach
    clock: SystemClock
    diary: Diary

    @property
    def state(self) -> State:
        return self.rig.state

    @property
    def position_um(self) -> float | None:
        position = self.state.position
        return None if position is None else position * self.rig.parts.rail.capabilities.microstep_um

    async def reached(self, *modes: Mode) -> State:
        async with asyncio.timeout(LIMIT_S):
            return await self.rig.controller.reached(*modes)

    async def online(self) -> None:
        """Wait until the broker is there."""
        mqtt = self.reach.mqtt
        assert mqtt is not None
        if mqtt.connected:
            return
        up = asyncio.Event()
        mqtt.on_up.append(up.set)
        async with asyncio.timeout(LIMIT_S):
            await up.wait()
        mqtt.on_up.remove(up.set)


def quick_rig(folder: Path, port: int | None, *overrides: str, text: str = QUICK) -> RigConfig:
    """The config of a rig whose stacks take a second or so; on the broker at that port, or on none."""
    folder.mkdir(parents=True, exist_ok=True)
    broker = [f"mqtt.host={HOST}", f"mqtt.port={port}"] if port is not None else []
    return small_rig(folder, *broker, *overrides, text=text)


@asynccontextmanager
async def bench(
    folder: Path, port: int | None, *overrides: str, clock: SystemClock | None = None, text: str = QUICK
) -> AsyncIterator[Bench]:
    """Open a rig in this process and make it reachable, until the block ends."""
    clock = clock or SystemClock()
    async with open_rig(quick_rig(folder, port, *overrides, text=text), clock) as rig:
        diary = Diary(clock)
        diary.modes.append(rig.state.mode)
        rig.controller.listen(diary)
        async with reachable(rig, clock) as reach:
            diary.follow_losses(reach)
            yield Bench(rig, reach, clock, diary)


def whole_session(folder: Path, name: str | None = None, *, outcome: str = "complete") -> Path:
    """The one session of that name, on whose disk everything is as it should be; each frame once. Returns its folder."""
    found = [seen for seen in survey(folder / "sessions") if name in {None, seen.name}]
    (seen,) = found
    checked = verify(seen.path)
    assert checked.whole, checked.problems
    assert (checked.overview.outcome, checked.overview.frames) == (outcome, seen.frames)
    if outcome == "complete":
        assert sorted(frame_records(seen.path)) == list(range(seen.planned))
    return seen.path


# ----------------------------------------------------------------------------------------------------------------- somebody


@dataclass(frozen=True)
class Heard:
    """A message, as somebody heard it."""

    topic: str
    """Relative to the rig's, or whole if it is outside of that."""
    payload: bytes
    retain: bool
    at_s: float
    correlation: bytes | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.payload)

    @functools.cached_property
    def said(self) -> Any:
        """JSON where it is JSON, text otherwise."""
        try:
            return json.loads(self.payload)
        except ValueError:
            return self.payload.decode("utf-8", "replace")


@dataclass
class Somebody:
    """Who hears everything that the rig says, and can say anything to it."""

    name: str
    link: Link = field(init=False)
    heard: list[Heard] = field(default_factory=list)
    ups: int = 0

    def __post_init__(self) -> None:
        self._signal = Signal()
        self._numbers = itertools.count(1)
        self.answers = f"rigd/clients/{self.name}/response"

    # what is heard

    async def until(self, true: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
        """Wait for something about what was heard."""
        return await self._signal.until(true, limit_s)

    async def hears(
        self, topic: str, wanted: Callable[[Any], Any] = lambda _: True, *, since: int = 0
    ) -> Heard:
        """The first message on a topic that is wanted (a function of its text or JSON), when it comes."""

        def found() -> Heard | None:
            fits = (one for one in self.heard[since:] if one.topic == topic)
            return next((one for one in fits if wanted(one.said)), None)

        heard: Heard = await self.until(found)
        return heard

    def on(self, topic: str, since: int = 0) -> list[Any]:
        """What was heard on a topic."""
        return [one.said for one in self.heard[since:] if one.topic == topic]

    async def mode(self, *modes: str, since: int = 0) -> Any:
        """Wait until the newest state has one of these modes; that state."""

        def there() -> Any:
            newest = next((one for one in reversed(self.heard[since:]) if one.topic == "state"), None)
            return newest.said if newest is not None and newest.said["mode"] in modes else None

        return await self.until(there)

    @property
    def state(self) -> Any:
        """The newest."""
        return next(one.said for one in reversed(self.heard) if one.topic == "state")

    @property
    def mark(self) -> int:
        """How much was heard so far, for `since`."""
        return len(self.heard)

    # what is said

    def say(self, topic: str, payload: bytes | str | None = b"", **more: Any) -> None:
        """Publish on one of the rig's topics."""
        data = payload.encode() if isinstance(payload, str) else payload or b""
        self.link.send(Packet(PREFIX + topic, data, **more))

    def request(
        self,
        verb: str,
        params: dict[str, Any] | None = None,
        *,
        packet: dict[str, Any] | None = None,
        **envelope: Any,
    ) -> str:
        """Publish a request whose answer comes here; its transaction."""
        transaction = envelope.setdefault("transaction", f"{self.name}-{next(self._numbers)}")
        body = {"params": params or {}, **envelope}
        self.say(f"request/{verb}", json.dumps(body), response_topic=self.answers, **(packet or {}))
        return str(transaction)

    async def answer(self, transaction: str, since: int = 0) -> Any:
        """The first answer to a transaction."""
        heard = await self.hears(self.answers, lambda reply: reply["transaction"] == transaction, since=since)
        return heard.json

    def answers_to(self, transaction: str) -> list[Any]:
        """All of them so far."""
        return [reply for reply in self.on(self.answers) if reply["transaction"] == transaction]

    async def ask(self, verb: str, params: dict[str, Any] | None = None, **envelope: Any) -> Any:
        """A request, and its answer."""
        since = self.mark
        return await self.answer(self.request(verb, params, **envelope), since)

    async def do(self, verb: str, params: dict[str, Any] | None = None, **envelope: Any) -> Any:
        """A request that is not refused; its answer."""
        reply = await self.ask(verb, params, **envelope)
        assert reply["status"] != "error", reply
        return reply

    async def refused(self, verb: str, params: dict[str, Any] | None = None, **envelope: Any) -> Any:
        """A request that is refused; the error."""
        reply = await self.ask(verb, params, **envelope)
        assert reply["status"] == "error", reply
        return reply["error"]

    async def end_of(self, transaction: str, since: int = 0) -> Any:
        """How an action ended."""
        ended = await self.hears(
            "event/action_finished", lambda event: event["transaction"] == transaction, since=since
        )
        return ended.json

    async def run(self, verb: str, params: dict[str, Any] | None = None, **envelope: Any) -> Any:
        """A long action that is accepted, to its end."""
        reply = await self.do(verb, params, **envelope)
        return await self.end_of(reply["transaction"])

    def _note(self, received: Received) -> None:
        now_s = asyncio.get_running_loop().time()
        topic = received.topic.removeprefix(PREFIX)
        self.heard.append(Heard(topic, received.payload, received.retain, now_s, received.correlation))
        self._signal.tell()

    def _up(self) -> None:
        self.ups += 1
        self._signal.tell()


@asynccontextmanager
async def somebody(
    port: int, *topics: str, name: str = "somebody", **endpoint: Any
) -> AsyncIterator[Somebody]:
    """Somebody on a broker, subscribed to all of the rig's topics but those it takes, until the block ends."""
    one = Somebody(name)
    heard = topics or (
        *(PREFIX + topic for topic in ("availability", "birth", "info", "settings", "state", "health")),
        *(PREFIX + topic for topic in ("event/+", "response/#", "session/+/frame", "session/+/summary")),
    )
    one.link = Link(
        Endpoint(HOST, port, name, **{"reconnect_min_s": 0.02, "reconnect_max_s": 0.05, **endpoint}),
        subscriptions=[*heard, one.answers],
        on_message=one._note,
        on_up=one._up,
        on_down=lambda _why: one._signal.tell(),
    )
    running = asyncio.create_task(one.link.run())
    try:
        await one.until(lambda: one.ups)
        yield one
    finally:
        await one.link.close()
        await running


# --------------------------------------------------------------------------------------------------------------- the daemon


class Daemon:
    """`rigd run` in a process of its own."""

    def __init__(self, config: Path, *arguments: str) -> None:
        self._command = [sys.executable, "-m", "rigd", "run", "--config", str(config), "-v", *arguments]
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self.lines = Lines()

    def start(self) -> None:
        """Start (again), and wait until it is ready."""
        assert self._process is None, "it runs"
        since = len(self.lines.all)
        self._process = subprocess.Popen(
            self._command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        self._reader = self.lines.follow(self._process.stderr)
        self.lines.wait(lambda line: "ready: " in line, since, LIMIT_S)

    def kill(self) -> None:
        """Without a word."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """In good order; its exit code."""
        return self._end(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Until it has ended; its exit code."""
        assert self._process is not None
        assert self._reader is not None
        code = self._process.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        self._process = None
        return code

    def _end(self, number: signal.Signals) -> int:
        self.signal(number)
        return self.wait()

    def close(self) -> None:
        """Kill it if it runs."""
        if self._process is not None:
            self._process.kill()
            self.wait()


@contextmanager
def daemon(
    folder: Path, *overrides: str, arguments: tuple[str, ...] = (), text: str = QUICK
) -> Iterator[Daemon]:
    """`rigd run` on a quick rig; not started yet, killed at the end."""
    config = folder / "rig.yaml"
    config.write_text(text)
    kept = (f"storage.sessions={folder / 'sessions'}", f"service.state={folder / 'state'}", *overrides)
    one = Daemon(config, *(part for override in kept for part in ("--set", override)), *arguments)
    try:
        yield one
    finally:
        one.close()


def environment(**more: str) -> dict[str, str]:
    """That of a process that finds the programs of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, **more}
