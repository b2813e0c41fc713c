"""A rig, for a program: what it can be told, and what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, TypeVar

from rigd.client.actions import Action
from rigd.client.asking import ANSWER_S
from rigd.client.connection import Connection
from rigd.client.errors import ActionFailed, CommandRefused, RigError
from rigd.client.holding import RENEW_TIMEOUT_S, Lease, ended_well, held, keep_jog, keep_lease
from rigd.client.runs import Run
from rigd.client.sweeping import SweepProgress, Tracker, tracked
from rigd.client.transport import Transport
from rigd.messages import reports
from rigd.messages.base import Outward
from rigd.messages.verbs import Expect

M = TypeVar("M", bound=Outward)

ESTOP_S = 3.0
JOG_HOLD_S = 1.5
"""A jog of this client stops so soon after the client, or its way to the rig, is gone."""
STOPPED_S = 10.0
"""A sweep that is stopped is over within this time."""
WELCOME_S = 5.0


class RigClient(Connection):
    """One rig. Made by `connect`.

    Every command may raise `CommandRefused`, `CommandTimeout`, `RigOffline` and `NotReachable`; those that wait for an end also
    `ActionFailed`. Commands that were under way when the connection was lost are asked again when it is back, within their time.
    """

    # ---------------------------------------------------------------------------------------------------- short ones

    async def ping(self) -> reports.Pong:
        """A sign of life."""
        return _data(await self.ask("ping"), reports.Pong)

    async def estop(self, timeout_s: float = ESTOP_S) -> None:
        """Stop everything, now. Returns when the rig has said that it did."""
        await self._asker.estop(timeout_s)

    async def stop(self) -> None:
        """Stop the rail gently; a stack is paused."""
        await self.ask("stop")

    async def release(self) -> None:
        """Switch the motor off; home is lost."""
        await self.ask("release")

    async def clear_fault(self) -> None:
        """The cause of a fault or an e-stop is gone."""
        await self.ask("fault.clear")

    async def identify(self, seconds: float | None = None) -> None:
        """Blink the light."""
        await self.ask("identify", seconds=seconds)

    async def mark_near(self, position_um: float | None = None) -> reports.Settings:
        """The nearest plane of the next stack: there, or where the rail stands."""
        return _data(await self.ask("mark_near", position_um=position_um), reports.Settings)

    async def mark_far(self, position_um: float | None = None) -> reports.Settings:
        """The farthest plane of the next stack."""
        return _data(await self.ask("mark_far", position_um=position_um), reports.Settings)

    async def settings(self) -> reports.Settings:
        """What the next stack is taken with."""
        return self._view.settings or _data(await self.ask("settings"), reports.Settings)

    async def change(self, **settings: Any) -> reports.Settings:
        """Change settings, all or none; what is None stays."""
        return _data(await self.ask("settings", **settings), reports.Settings)

    async def set(self, setting: str, value: float | int | str | None) -> reports.Settings:
        """Change one setting; None goes back to the config's."""
        return _data(await self._ask(f"set/{setting}", {"value": value}, keep_none=True), reports.Settings)

    async def plan(self, **params: Any) -> reports.PlanReport:
        """What a stack would be, with the settings and these on top. Nothing moves."""
        return _data(await self.ask("plan.validate", **params), reports.PlanReport)

    async def sessions(self) -> reports.SessionList:
        """The sessions on disk, newest first."""
        return _data(await self.ask("session.list"), reports.SessionList)

    async def pause(self) -> None:
        """Pause the stack."""
        await self.ask("session.pause")

    async def abort(self) -> None:
        """End the stack for good; what was taken stays."""
        await self.ask("session.abort")

    # ----------------------------------------------------------------------------------------------------- long ones

    async def home(self, timeout_s: float | None = None) -> None:
        """Find home."""
        await (await self.begin("home")).finished(timeout_s)

    async def goto(self, position_um: float, timeout_s: float | None = None) -> None:
        """Move to a position and wait until the rail stands there."""
        await (await self.begin("goto", position_um=position_um)).finished(timeout_s)

    async def jog(self, distance_um: float) -> bool:
        """Jog all the way. False: something stopped it before its end."""
        async with self.jogging(distance_um) as action:
            return await ended_well(action)

    async def nudge(self, direction: Literal["toward", "away"]) -> bool:
        """Jog as far as the setting `jog_um` says. False: something stopped it before its end."""
        async with self._jogging(JOG_HOLD_S, nudge=direction) as action:
            return await ended_well(action)

    @asynccontextmanager
    async def jogging(self, distance_um: float, hold_s: float = JOG_HOLD_S) -> AsyncIterator[Action]:
        """Jog for as long as the block lasts, at most by `distance_um`; then stop, and wait until it stands."""
        async with self._jogging(hold_s, distance_um=distance_um) as action:
            yield action

    @asynccontextmanager
    async def _jogging(self, hold_s: float, **params: Any) -> AsyncIterator[Action]:
        if self._view.info is not None:
            hold_s = min(hold_s, self._view.info.limits.jog_hold_max_s)

        async def renew() -> None:
            await self.ask("jog.renew", hold_s=hold_s, timeout_s=RENEW_TIMEOUT_S)

        action = await self.begin("jog", hold_s=hold_s, **params)
        try:
            async with held(keep_jog(action, hold_s, renew)):
                yield action
        finally:
            if not action.over:
                await self.stop()
                with suppress(ActionFailed):
                    await action.finished()

    async def test_shot(self, timeout_s: float | None = None) -> reports.TestShot:
        """One picture here, outside of any session."""
        action = await self.begin("capture.test")
        return reports.TestShot.model_validate(await action.finished(timeout_s))

    async def sweep(
        self,
        from_um: float,
        to_um: float,
        step_um: float,
        *,
        on_progress: Callable[[SweepProgress], None] | None = None,
        timeout_s: float | None = None,
    ) -> reports.SweepFound:
        """Look for near, far and best focus. What is found is a proposal: no setting changes.

        A sweep that is not waited for any more (cancelled, or `timeout_s` is over) is stopped: nobody would hear what it finds.

        Args:
            from_um: where to begin.
            to_um: where to end, above that.
            step_um: from picture to picture, at most.
            on_progress: called with each picture that is begun, of those that this client hears of.
            timeout_s: for all of it.
        """
        tracker = None if on_progress is None else Tracker(from_um, to_um, step_um, on_progress)
        with tracked(self._hub, tracker):
            beginning = asyncio.ensure_future(
                self.begin("sweep", from_um=from_um, to_um=to_um, step_um=step_um)
            )
            try:
                action = await asyncio.shield(beginning)
                return reports.SweepFound.model_validate(await action.finished(timeout_s))
            finally:
                with suppress(RigError, TimeoutError):
                    # Given up before the answer was here: only that tells whether there is something to stop.
                    if not (action := await beginning).over:
                        await self.stop()
                        await action.finished(STOPPED_S)

    async def start(
        self,
        name: str | None = None,
        *,
        near_um: float | None = None,
        far_um: float | None = None,
        step_um: float | None = None,
        frames: int | None = None,
        margin_frames: int | None = None,
        direction: Literal["near_to_far", "far_to_near"] | None = None,
        settle_s: float | None = None,
        end: Literal["park", "return", "release", "stay"] | None = None,
        profile: str | None = None,
        expect: Expect | None = None,
    ) -> Run:
        """Capture a stack, with the settings and these on top; given back when the session is on disk."""
        return await self._run(
            "session.start",
            expect,
            name=name,
            near_um=near_um,
            far_um=far_um,
            step_um=step_um,
            frames=frames,
            margin_frames=margin_frames,
            direction=direction,
            settle_s=settle_s,
            end=end,
            profile=profile,
        )

    async def resume(self, session: str | None = None) -> Run:
        """Go on with the paused stack, or with an unfinished one from disk."""
        return await self._run("session.resume", None, session=session)

    def run(self) -> Run | None:
        """The stack under way, whoever began it; None: there is none."""
        now = self.state.session
        if now is None:
            return None
        started = reports.SessionStarted(session=now.id, frames=now.frames, done=now.frame)
        return Run(None, started, self._view, self._hub)

    async def _run(self, verb: str, expect: Expect | None, **params: Any) -> Run:
        action = await self.begin(verb, expect=expect, **params)
        started = reports.SessionStarted.model_validate(action.data)
        return Run(action, started, self._view, self._hub)

    # --------------------------------------------------------------------------------------------------------- lease

    @asynccontextmanager
    async def lease(self, holder: str, *, ttl_s: float = 30.0, force: bool = False) -> AsyncIterator[Lease]:
        """Be the one who commands: every command in the block carries the lease, which is renewed, and given back at the end."""
        granted = await self.take_lease(holder, ttl_s=ttl_s, force=force)
        lease = Lease(granted)

        async def renew() -> reports.LeaseGranted:
            return await self.renew_lease(lease.token)

        before, self._lease = self._lease, lease
        try:
            async with held(keep_lease(lease, renew)):
                yield lease
        finally:
            self._lease = before
            if not lease.lost.is_set():
                with suppress(RigError):
                    await self.give_back(lease.token)
                    lease.given_back = True

    async def take_lease(
        self, holder: str, *, ttl_s: float | None = None, force: bool | None = None
    ) -> reports.LeaseGranted:
        """Take the lease, and renew it yourself. `use_lease` makes commands carry it."""
        return _data(
            await self.ask("lease.take", holder=holder, ttl_s=ttl_s, force=force), reports.LeaseGranted
        )

    async def renew_lease(self, token: str | None = None) -> reports.LeaseGranted:
        """Keep a lease: that of `use_lease` by default."""
        reply = await self._ask("request/lease.renew", {"lease": token}, lease=token)
        return _data(reply, reports.LeaseGranted)

    async def give_back(self, token: str | None = None) -> None:
        """Release a lease: that of `use_lease` by default."""
        await self._ask("request/lease.release", {"lease": token}, lease=token)


@asynccontextmanager
async def serving(
    transport: Transport, *, timeout_s: float = ANSWER_S, welcome_s: float | None = WELCOME_S
) -> AsyncIterator[RigClient]:
    """A rig over this transport; its connection lasts as long as the block.

    Args:
        transport: the way.
        timeout_s: for answers.
        welcome_s: wait so long until the rig is known; None: do not wait, and do not look which contract it speaks.
    """
    rig = RigClient(transport, timeout_s=timeout_s)
    task = asyncio.create_task(rig._serve())  # noqa: SLF001
    try:
        if welcome_s is not None:
            await rig._welcome(welcome_s)  # noqa: SLF001
        yield rig
    finally:
        await rig._close(task)  # noqa: SLF001


def _data(reply: reports.Reply, kind: type[M]) -> M:
    """What an answer carries. Raises `CommandRefused` when it is not that."""
    try:
        return kind.model_validate(reply.data)
    except ValueError as error:
        raise CommandRefused(reply.verb, "malformed", f"the answer is not readable: {error}") from None
