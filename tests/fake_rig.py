"""A rig that only talks: it keeps the contract of `rigd.messages`, moves nothing, and does what a test tells it to.

`FakeRig` is what a desk and a status are to a transport: `take`, `way_lost`, and a switchboard. It lives on the loop's thread.
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from rigd.messages import events, reports, topics
from rigd.messages.base import CONTRACT, Error, ErrorCode
from rigd.messages.verbs import SETTINGS, VERBS, Request
from rigd.remote.bus import Incoming, Outgoing, Switchboard

WAIT_S = 20.0
FRAMES = 5


class FakeRig:
    """One rig.

    Attributes:
        hold: long verbs that stay `accepted` until `finish`.
        silent: verbs that are heard and not answered.
        refuse: verbs that are refused, and how.
        clock_ahead_s: of the rig's clock against this machine's.
    """

    def __init__(self, rig: str = "fake", contract: str = CONTRACT) -> None:
        self.rig = rig
        self.contract = contract
        self.switchboard = Switchboard()
        self.hold: set[str] = set()
        self.silent: set[str] = set()
        self.refuse: dict[str, Error] = {}
        self.heard: list[tuple[str, dict[str, Any], str]] = []
        self.acted: list[str] = []
        """Verbs that were really done, once each time."""
        self.ways_lost: list[str] = []
        self.clock_ahead_s = 0.0
        self.extra: dict[str, Any] = {}
        """Keys that this version of the contract does not know, put into every message."""
        self.mode = "idle"
        self.position_um: float | None = 1000.0
        self.homed = True
        self.home_error_um: float | None = None
        self.session: reports.SessionNow | None = None
        self.fault: reports.Fault | None = None
        self.lease: reports.LeaseNow | None = None
        self.lease_token: str | None = None
        self.lease_ttl_s = 30.0
        self.settings: dict[str, Any] = {"settle_s": 0.2, "end": "park", "jog_um": 500.0}
        self.answers: dict[str, bytes] = {}
        self.ends: dict[str | None, dict[str, Any]] = {}
        self.forgets_ends = False
        """The end of a command is not told again to who asks again."""
        self.under_way: dict[str, str | None] = {}
        self._changed = asyncio.Event()
        self.boot()

    # ---------------------------------------------------------------------------------------------------- what it says

    def boot(self) -> None:
        """A start of the daemon: nothing is under way, answers are remembered."""
        self.boot_id = str(uuid.uuid4())
        self.seq = 0
        self.session = None
        self.under_way.clear()
        started = self.now()
        self.publish(
            topics.BIRTH,
            reports.Birth(boot_id=self.boot_id, version="0.1.0", contract=self.contract, started=started),
        )
        self.publish(topics.INFO, self.info())
        self.publish(topics.SETTINGS, reports.Settings(**self.settings))
        self.say_state()

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.clock_ahead_s)

    def publish(self, topic: str, message: Any, *, retain: bool = True) -> None:
        said = {**json.loads(message.model_dump_json()), **self.extra}
        self.switchboard.publish(Outgoing(topic, json.dumps(said).encode(), retain=retain))

    def info(self) -> reports.Info:
        return reports.Info(
            rig=self.rig,
            name="A rig that only talks",
            contract=self.contract,
            version="0.1.0",
            config_hash="0" * 64,
            rail=reports.RailInfo(
                name="none",
                travel_um=20000,
                microstep_um=0.5,
                max_speed_um_per_s=5000,
                backlash_um=10,
                can_release=True,
            ),
            camera=reports.CameraInfo(name="none", width=96, height=64, suffix=".png", exposure_s=0.01),
            light=True,
            limits=reports.Limits(
                min_um=0, max_um=20000, jog_max_um=2000, jog_speed_um_per_s=500, jog_hold_max_s=5.0
            ),
            verbs=list(VERBS),
            settings=list(SETTINGS),
            profiles=["fine"],
        )

    def say_state(self, *, seq: int | None = None, **changed: Any) -> None:
        self.seq += 1
        for name, value in changed.items():
            setattr(self, name, value)
        state = reports.State(
            boot_id=self.boot_id,
            seq=self.seq if seq is None else seq,
            time=self.now(),
            mode=self.mode,
            rail=reports.Rail(
                homed=self.homed, position_um=self.position_um, moving=self.mode in {"moving", "homing"}
            ),
            session=self.session,
            fault=self.fault,
            lease=self.lease,
            last_settle_s=0.2 if self.session else None,
        )
        self.publish(topics.STATE, state)

    def event(self, kind: type[events.Event], **fields: Any) -> None:
        self.seq += 1
        message = kind(
            event_type=kind.model_fields["event_type"].default,
            boot_id=self.boot_id,
            seq=self.seq,
            time=self.now(),
            **fields,
        )
        self.publish(f"{topics.EVENT}{message.event_type}", message, retain=False)

    # ------------------------------------------------------------------------------------------------- what it is told

    def way_lost(self, source: str) -> None:
        self.ways_lost.append(source)
        self._note()

    def take(self, incoming: Incoming) -> None:
        if incoming.topic == topics.ESTOP:
            self.heard.append((topics.ESTOP, {}, incoming.source))
            self.estopped(incoming)
            self._note()
            return
        verb = incoming.topic.removeprefix(topics.REQUEST)
        try:
            said = json.loads(incoming.payload or b"{}")
            request = Request.model_validate(said)
        except ValueError as error:
            self.heard.append((verb, {}, incoming.source))
            self.answer(incoming, verb, Request(), error=Error(code=ErrorCode.MALFORMED, message=str(error)))
            self._note()
            return
        self.heard.append((verb, said, incoming.source))
        if verb not in self.silent:
            self._obey(incoming, verb, request)
        self._note()

    def estopped(self, incoming: Incoming) -> None:
        self.say_state(mode="estopped")
        self.event(events.EStopped, why=f"over {incoming.source}")
        try:
            request = Request.model_validate_json(incoming.payload)
        except ValueError:
            request = Request()
        self.answer(incoming, "estop", request)

    async def told(self, verb: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until a verb was heard so often; the requests."""
        async with asyncio.timeout(WAIT_S):
            while len(self.requests(verb)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.requests(verb)

    async def until(self, true: Callable[[FakeRig], object]) -> None:
        """Wait for something that it hears to make this true."""
        async with asyncio.timeout(WAIT_S):
            while not true(self):
                self._changed.clear()
                await self._changed.wait()

    def requests(self, verb: str) -> list[dict[str, Any]]:
        return [said for heard, said, _ in self.heard if heard == verb]

    def finish(
        self, verb: str, *, error: Error | None = None, data: dict[str, Any] | None = None, tell: bool = True
    ) -> None:
        """A long verb is over. `tell` False: the event gets lost."""
        transaction = self.under_way.pop(verb)
        self.ends[transaction] = {
            "verb": verb,
            "transaction": transaction,
            "status": "error" if error else "ok",
            "data": data or {},
            "error": error,
        }
        if tell:
            self.event(events.ActionFinished, **self.ends[transaction])
        self.say_state(mode="idle")

    def answer(
        self,
        incoming: Incoming,
        verb: str,
        request: Request,
        *,
        status: str = "ok",
        data: Any = None,
        error: Error | None = None,
    ) -> bytes:
        reply = reports.Reply(
            transaction=request.transaction,
            verb=verb,
            status="error" if error else status,
            data={} if data is None else json.loads(data.model_dump_json()),
            error=error,
            time=self.now(),
        )
        raw = json.dumps({**json.loads(reply.model_dump_json()), **self.extra}).encode()
        incoming.reply(raw)
        return raw

    # ------------------------------------------------------------------------------------------------------- inside

    def _obey(self, incoming: Incoming, verb: str, request: Request) -> None:
        known = self.answers.get(request.transaction or "")
        if known is not None:
            incoming.reply(json.dumps({**json.loads(known), "repeated": True}).encode())
            if request.transaction in self.ends and not self.forgets_ends:
                self.event(events.ActionFinished, **self.ends[request.transaction])
            return
        error = self.refuse.get(verb) or self._refusal(verb, request)
        if error is not None:
            self.answer(incoming, verb, request, error=error)
            self.event(
                events.CommandRefused, topic=incoming.topic, transaction=request.transaction, error=error
            )
            return
        self.acted.append(verb)
        data = self._data(verb, request)
        long = verb in VERBS and VERBS[verb].long
        if long:
            self._begin(verb, request)
        raw = self.answer(incoming, verb, request, status="accepted" if long else "ok", data=data)
        if request.transaction and (verb not in VERBS or VERBS[verb].acts):
            self.answers[request.transaction] = raw
        if long and verb not in self.hold:
            asyncio.get_running_loop().call_soon(self._end, verb, request)

    def _refusal(self, verb: str, request: Request) -> Error | None:
        if verb not in VERBS and not verb.startswith(topics.SET):
            return Error(code=ErrorCode.UNKNOWN_VERB, message=f"there is no {verb}")
        if request.not_after is not None and request.not_after < self.now():
            return Error(
                code=ErrorCode.EXPIRED,
                message=f"{request.not_after} is over, it is {self.now()}",
                field="not_after",
            )
        if request.not_after is not None and request.not_after > self.now() + timedelta(hours=1):
            return Error(code=ErrorCode.NOT_AFTER_TOO_FAR, message="a clock is wrong", field="not_after")
        acting = verb in VERBS and VERBS[verb].acts and not VERBS[verb].always
        if acting and self.lease_token not in {None, request.lease} and verb != "lease.take":
            assert self.lease is not None
            return Error(code=ErrorCode.LEASED, message=f"{self.lease.holder} commands", field="lease")
        position = request.params.get("position_um", 0)
        if position > 20000:
            return Error(
                code=ErrorCode.OUT_OF_LIMITS,
                message="20000 um is the end",
                field="params.position_um",
            )
        return None

    def _data(self, verb: str, request: Request) -> Any:
        if verb.startswith(topics.SET):
            return self._change({verb.removeprefix(topics.SET): request.params["value"]})
        match verb:
            case "ping":
                return reports.Pong(boot_id=self.boot_id, contract=self.contract, mode=self.mode)
            case "jog.renew":
                return reports.JogHeld(stops_in_s=request.params.get("hold_s", 1.5))
            case "mark_near" | "mark_far":
                where = request.params.get("position_um", self.position_um)
                return self._change({"near_um" if verb == "mark_near" else "far_um": where})
            case "settings":
                return self._change(request.params)
            case "plan.validate":
                return plan_report(request.params.get("frames", FRAMES))
            case "session.list":
                return reports.SessionList(sessions=[entry("one", "complete")], total=1)
            case "session.start" | "session.resume":
                return self._session(request.params)
            case "lease.take" | "lease.renew":
                return self._lease(request)
            case _:
                self._do(verb)
                return None

    def _do(self, verb: str) -> None:
        match verb:
            case "lease.release":
                self.lease_token = self.lease = None
                self.say_state()
            case "stop":
                for moving in {"jog", "goto", "home", "sweep"} & set(self.under_way):
                    self.finish(moving, error=Error(code=ErrorCode.INTERRUPTED, message="stopped"))
            case "fault.clear":
                self.say_state(mode="idle", fault=None)

    def _change(self, settings: dict[str, Any]) -> reports.Settings:
        self.settings.update(settings)
        report = reports.Settings(**{key: value for key, value in self.settings.items() if value is not None})
        self.publish(topics.SETTINGS, report)
        return report

    def _lease(self, request: Request) -> reports.LeaseGranted:
        if "holder" in request.params:
            self.lease_token = str(uuid.uuid4())
            self.lease_ttl_s = request.params.get("ttl_s", 30.0)
            self.lease = reports.LeaseNow(holder=request.params["holder"], expires=self.now())
            self.say_state()
        assert self.lease is not None
        assert self.lease_token is not None
        return reports.LeaseGranted(
            lease=self.lease_token,
            holder=self.lease.holder,
            expires=self.now(),
            ttl_s=self.lease_ttl_s,
        )

    def _session(self, params: dict[str, Any]) -> reports.SessionStarted:
        frames = params.get("frames", FRAMES)
        session = params.get("session") or f"20260101T000000Z-{params.get('name', self.rig)}"
        self.session = reports.SessionNow(
            id=session, name=params.get("name", self.rig), phase="moving", frame=0, frames=frames, eta_s=9.0
        )
        return reports.SessionStarted(session=session, frames=frames)

    def _begin(self, verb: str, request: Request) -> None:
        self.under_way[verb] = request.transaction
        modes = {"home": "homing", "capture.test": "testing"}
        mode = modes.get(verb, "capturing" if verb.startswith("session.") else "moving")
        self.say_state(mode=mode)

    def _end(self, verb: str, request: Request) -> None:
        match verb:
            case "goto":
                self.position_um = request.params["position_um"]
            case "home":
                self.homed, self.position_um = True, 0.0
            case "session.start" | "session.resume":
                assert self.session is not None
                for index in range(self.session.frames):
                    self.frame(index)
                self.left(verb, "complete")
                return
        data = {"capture.test": test_shot, "sweep": sweep_found}.get(verb)
        self.finish(verb, data=None if data is None else json.loads(data().model_dump_json()))

    def frame(self, index: int) -> None:
        """A frame of the session under way is on disk."""
        assert self.session is not None
        self.session = self.session.model_copy(update={"frame": index + 1})
        self.say_state()

    def left(
        self, verb: str, outcome: str, *, why: str = "", error: Error | None = None, tell: bool = True
    ) -> None:
        """The session under way is left. `tell` False: the events get lost, what is retained does not."""
        session = self.session
        assert session is not None
        self.session = None
        summary = reports.Summary(
            session=session.id,
            name=session.name,
            outcome=outcome,
            why=why,
            created="20260101T000000Z",
            finished=self.now().isoformat(),
            frames=session.frame,
            planned=session.frames,
            rejected=1,
            coverage="near and far reached",
            home_error_um=self.home_error_um,
            files=session.frame + 3,
        )
        self.publish(topics.session_summary(session.id), summary)
        if tell:
            self.event(
                events.SessionFinished,
                session=session.id,
                outcome=outcome,
                why=why,
                frame=session.frame,
                frames=session.frames,
            )
        self.finish(verb, error=error, tell=tell)

    def _note(self) -> None:
        self._changed.set()


def plan_report(frames: int) -> reports.PlanReport:
    return reports.PlanReport(
        frames=frames,
        near_um=5000,
        far_um=6000,
        first_um=5000,
        last_um=6000,
        step_um=100,
        approach_um=50,
        overshoot_um=0,
        margin_frames=0,
        seconds=125.0,
        motion_s=60,
        settle_s=40,
        exposure_s=20,
        waiting_s=5,
        bytes=120_000_000,
        free_bytes=9_000_000_000,
    )


def test_shot() -> reports.TestShot:
    return reports.TestShot(
        width=96, height=64, bytes=1234, sha256="ab" * 32, suffix=".png", metrics={"sharpness": 12.5}
    )


def sweep_found(**changed: Any) -> reports.SweepFound:
    found = reports.SweepFound(
        near_um=5012.5,
        best_um=5400,
        far_um=6100,
        step_um=100,
        open_near=False,
        open_far=False,
        tiles=70,
        of_tiles=96,
        positions_um=[5000, 5100, 5200],
        focus=[0.1, 1.0, 0.5],
    )
    return found.model_copy(update=changed)


test_shot.__test__ = False  # type: ignore[attr-defined]


def entry(session: str, outcome: str) -> reports.SessionEntry:
    return reports.SessionEntry(
        session=session, name=session, created="2026-01-01T00:00:00Z", outcome=outcome, frames=5, planned=5
    )


class Serving:
    """A fake rig on a loop and a thread of its own, for commands that run a loop themselves."""

    def __init__(self, rig: FakeRig, loop: asyncio.AbstractEventLoop) -> None:
        self.rig = rig
        self._loop = loop

    def call(self, act: Callable[[FakeRig], Any]) -> Any:
        """Run something on the rig's thread."""

        async def on_loop() -> Any:
            result = act(self.rig)
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result(WAIT_S)


@contextmanager
def served(reach: Callable[[FakeRig], AbstractAsyncContextManager[Any]]) -> Iterator[Serving]:
    """A fake rig that can be reached as `reach` says, beside the block."""
    ready: Future[Serving] = Future()
    ended: list[asyncio.Event] = []

    async def main() -> None:
        over = asyncio.Event()
        ended.append(over)
        rig = FakeRig()
        async with reach(rig):
            ready.set_result(Serving(rig, asyncio.get_running_loop()))
            await over.wait()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        serving = ready.result(WAIT_S)
        yield serving
        serving.call(lambda _: ended[0].set())
    finally:
        thread.join(WAIT_S)
