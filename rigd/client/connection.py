"""One connection to a rig: what it says, kept, and commands in general. The typed commands are in `rigd.client.rig`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from rigd.client.actions import Action, Actions
from rigd.client.asking import ANSWER_S, Asker
from rigd.client.errors import NoSuchRig, NotLetIn, NotReachable, RigError, RigOffline
from rigd.client.holding import Lease
from rigd.client.hub import Feed, Hub, WayDown
from rigd.client.transport import Transport
from rigd.client.view import View
from rigd.messages import reports
from rigd.messages.events import Event
from rigd.messages.verbs import VERBS, Expect


class Connection:
    """What is the same for every command."""

    def __init__(self, transport: Transport, *, timeout_s: float = ANSWER_S) -> None:
        self.where = transport.where
        self._hub = Hub()
        self._view = View(self._hub)
        self._transport = transport
        self._tasks: set[asyncio.Task[Any]] = set()
        self._asker = Asker(transport, self._view, self._hub, timeout_s)
        self._actions = Actions(self._asker, self._view, self._hub, self._spawn)
        self._lease: Lease | None = None
        self._given_token: str | None = None

    # ------------------------------------------------------------------------------------------------- what it says

    @property
    def online(self) -> bool:
        """Whether the rig can be reached now."""
        return self._view.open and self._view.online is True

    @property
    def state(self) -> reports.State:
        """The newest. Raises `RigOffline` when none was heard yet."""
        if self._view.state is None:
            raise RigOffline(f"{self.where}: the rig has not said how it is")
        return self._view.state

    @property
    def info(self) -> reports.Info | None:
        """What the rig is; None: not heard yet."""
        return self._view.info

    @property
    def health(self) -> reports.Health | None:
        """The machine and the daemon; None: not heard yet."""
        return self._view.health

    @property
    def settings_now(self) -> reports.Settings | None:
        """What the next stack is taken with, as it was said last; None: not heard yet."""
        return self._view.settings

    @property
    def birth(self) -> reports.Birth | None:
        """Which daemon; None: not heard yet."""
        return self._view.birth

    @property
    def preview(self) -> tuple[reports.PreviewMeta | None, bytes | None]:
        """The newest picture (JPEG) and what it shows, where `connect` was told to fetch them."""
        picture = self._view.picture
        return self._view.preview, None if picture is None else picture.data

    def events(self) -> Feed[Event]:
        """What happens from now on, for `async for`."""
        return self._hub.feed(Event)

    def states(self) -> Feed[reports.State]:
        """The states from now on."""
        return self._hub.feed(reports.State)

    def everything(self) -> Feed[object]:
        """Whatever is heard: states, events, frames, pictures, and `WayUp`, `WayDown`, `Restarted` of the way itself."""
        return self._hub.feed(object)

    async def reached(
        self, wanted: Callable[[reports.State], bool], timeout_s: float | None = None
    ) -> reports.State:
        """Wait for a state. Raises TimeoutError."""
        feed = self._hub.feed(reports.State)
        async with asyncio.timeout(timeout_s):
            if self._view.state is not None and wanted(self._view.state):
                return self._view.state
            async for state in feed:
                if wanted(state):
                    return state
        raise AssertionError("a feed does not end")

    async def ask(
        self,
        verb: str,
        *,
        expect: Expect | None = None,
        timeout_s: float | None = None,
        **params: Any,
    ) -> reports.Reply:
        """Any verb, and its answer; what is None is left away."""
        known = VERBS.get(verb)
        acts = known is None or known.acts
        always = known is not None and known.always
        return await self._ask(
            f"request/{verb}", params, acts=acts, always=always, expect=expect, timeout_s=timeout_s
        )

    async def begin(
        self, verb: str, *, expect: Expect | None = None, timeout_s: float | None = None, **params: Any
    ) -> Action:
        """Any long verb, accepted; `finished()` of what this gives waits for its end."""
        self._view.check_contract()
        given = {key: value for key, value in params.items() if value is not None}
        return await self._actions.begin(verb, given, expect=expect, lease=self._token(), timeout_s=timeout_s)

    # -------------------------------------------------------------------------------------------------------- inside

    def use_lease(self, token: str | None) -> None:
        """Commands carry this token from now on; for one that is renewed elsewhere."""
        self._given_token = token

    async def _ask(
        self,
        topic: str,
        params: dict[str, Any],
        *,
        acts: bool = True,
        always: bool = False,
        expect: Expect | None = None,
        lease: str | None = None,
        timeout_s: float | None = None,
        keep_none: bool = False,
    ) -> reports.Reply:
        """What only makes a rig safer (`always`) is sent whatever contract it speaks and whoever has the lease."""
        if not always:
            self._view.check_contract()
        given = {key: value for key, value in params.items() if value is not None or keep_none}
        token = lease or self._token(check=acts and not always)
        return await self._asker.ask(topic, given, acts=acts, expect=expect, lease=token, timeout_s=timeout_s)

    def _token(self, *, check: bool = True) -> str | None:
        if self._lease is None:
            return self._given_token
        if check:
            self._lease.check()
        return self._lease.token

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _welcome(self, timeout_s: float) -> None:
        """Wait until the rig is known. Raises `NotReachable` (`NotLetIn`), `NoSuchRig`, `RigOffline`, `ContractMismatch`."""
        feed = self._hub.feed(object)
        try:
            async with asyncio.timeout(timeout_s):
                while not self._known():
                    said = await anext(feed)
                    if isinstance(said, WayDown):
                        raise self._no_way(said)
        except TimeoutError:
            if not self._known(wholly=False):
                raise self._strange() from None

    def _known(self, *, wholly: bool = True) -> bool:
        view = self._view
        view.check_contract()
        told = [view.birth, view.state, *([view.info, view.settings] if wholly else [])]
        return view.open and view.online is True and None not in told

    def _no_way(self, said: WayDown) -> RigError:
        if self._view.open:
            return RigOffline(self._at(said.why))
        return (NotLetIn if said.unwelcome else NotReachable)(self._at(said.why))

    def _strange(self) -> RigError:
        view = self._view
        if not view.open:
            return NotReachable(self._at(view.why or "no answer"))
        if view.online is None and view.birth is None:
            return NoSuchRig(f"{self.where}: no such rig has ever been here")
        if view.online is False:
            return RigOffline(f"{self.where}: the rig is offline")
        return RigOffline(f"{self.where}: the rig is there, but has not said how it is")

    def _at(self, why: str) -> str:
        return why if self.where in why else f"{self.where}: {why}"

    async def _serve(self) -> None:
        await self._transport.run(self._view)

    async def _close(self, serving: asyncio.Task[None]) -> None:
        error = NotReachable("the connection was closed by this program")
        self._asker.end(error)
        self._actions.end(error)
        self._hub.end(error)
        for task in (serving, *self._tasks):
            task.cancel()
        await asyncio.gather(serving, *self._tasks, return_exceptions=True)
