"""`rigctl watch`: the rig, live. It only looks: whatever ends it, the rig goes on."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rigd.client import Picture, RigClient, WayDown, WayUp
from rigd.client.hub import Feed
from rigd.ctl.exits import Exit
from rigd.ctl.halfblocks import half_blocks, shows_pictures
from rigd.ctl.reach import reached
from rigd.ctl.saying import line
from rigd.ctl.words import duration_text, readable, um_text
from rigd.messages.events import FrameRetried
from rigd.messages.reports import State

TEXT_ROWS = 11
"""Rows that are not for the picture."""
FRAME_S = 0.2
"""Shortest time between two pictures of the screen."""
COLOURS = {"capturing": "green", "paused": "yellow", "fault": "red", "estopped": "red", "idle": "cyan"}


async def watch(options: argparse.Namespace) -> int:
    """`rigctl watch`."""
    pictures = not options.no_preview and not options.json and shows_pictures()
    try:
        async with reached(options, preview=pictures) as rig:
            feed = rig.everything()
            with _view(options, rig) as show:
                await _follow(options, rig, feed, show)
    except (KeyboardInterrupt, asyncio.CancelledError):
        # Ctrl-C is how one stops watching.
        return Exit.DONE
    return Exit.DONE


async def _follow(
    options: argparse.Namespace, rig: RigClient, feed: Feed[object], show: Callable[[object], None]
) -> None:
    began = rig.state.session is not None
    show(rig.state)
    if options.until_over and not began:
        return
    async for said in feed:
        show(said)
        if options.until_over and isinstance(said, State) and said.session is None:
            return


def _view(options: argparse.Namespace, rig: RigClient) -> AbstractContextManager[Callable[[object], None]]:
    if options.json:
        return nullcontext(_Objects(rig))
    if sys.stdout.isatty():
        return _Screen(rig)
    return nullcontext(_Lines())


class _Objects:
    """One JSON object a line: each state, and whether the rig can be reached."""

    def __init__(self, rig: RigClient) -> None:
        self._rig = rig

    def __call__(self, said: object) -> None:
        match said:
            case State():
                line({"online": self._rig.online, "state": said})
            case WayDown():
                line({"online": False, "why": said.why})
            case WayUp():
                line({"online": True})


class _Lines:
    """A line whenever mode or frame have changed, for a file or a pipe."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, said: object) -> None:
        match said:
            case State():
                words = said.mode
                if said.session is not None:
                    words += f" {said.session.frame}/{said.session.frames}"
                    words += f" ({said.session.why})" if said.session.why else ""
                if said.fault is not None:
                    words += f": {said.fault.message}; next: {said.fault.next_step}"
            case FrameRetried():
                words = f"frame {said.index + 1} is taken again: {said.reason}"
            case WayDown():
                words = f"the way to the rig is lost: {said.why}"
            case WayUp():
                words = "the way to the rig is back"
            case _:
                return
        if words != self._said:
            self._said = words
            print(readable(words), flush=True)


class _Screen:
    """Bar, numbers and picture on a terminal."""

    def __init__(self, rig: RigClient) -> None:
        self._rig = rig
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._why = ""
        self._refusal = ""
        self._picture: RenderableType | None = None
        self._drawn_s = 0.0
        self._late: asyncio.TimerHandle | None = None

    def __enter__(self) -> Callable[[object], None]:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._late is not None:
            self._late.cancel()
        self._live.stop()

    def __call__(self, said: object) -> None:
        match said:
            case WayDown():
                self._why = said.why
            case WayUp():
                self._why = ""
            case FrameRetried():
                self._refusal = f"frame {said.index + 1}: {said.reason}"
            case Picture():
                size = self._console.size
                self._picture = half_blocks(said.data, size.width, max(2, size.height - TEXT_ROWS))
        self._draw_soon()

    def _draw_soon(self) -> None:
        """Now, or as soon as the last drawing is old enough."""
        loop = asyncio.get_running_loop()
        wait_s = self._drawn_s + FRAME_S - loop.time()
        if wait_s <= 0:
            self._draw()
        elif self._late is None:
            self._late = loop.call_later(wait_s, self._draw)

    def _draw(self) -> None:
        self._late = None
        self._drawn_s = asyncio.get_running_loop().time()
        self._live.update(screen(self._rig, self._why, self._refusal, self._picture), refresh=True)


def screen(rig: RigClient, why: str, refusal: str, picture: RenderableType | None) -> RenderableType:
    """What a terminal shows of a rig.

    Args:
        rig: whose state is shown.
        why: why there is no way to it; empty: there is.
        refusal: the last frame that was taken again, and why.
        picture: as half blocks.
    """
    state = rig.state
    colour = COLOURS.get(state.mode, "white") if not why else "red"
    mode = f"way lost: {why}" if why else state.mode
    rows: list[tuple[str, Any]] = [("mode", Text(mode, style=colour))]
    rows.append(
        ("rail", f"{'homed' if state.rail.homed else 'not homed'}, at {um_text(state.rail.position_um)}")
    )
    parts: list[RenderableType] = [Text(rig.where, style="bold")]
    session = state.session
    if session is not None:
        left = "" if session.eta_s is None else f", {duration_text(session.eta_s)} left"
        rows.append(("frame", f"{session.frame} of {session.frames}{left} ({session.phase})"))
        rows.append(("session", session.id))
        if session.why:
            rows.append(("paused", Text(session.why, style="yellow")))
        bar = Table.grid(expand=True)  # a bar alone does not end its line
        bar.add_row(ProgressBar(total=max(1, session.frames), completed=session.frame))
        parts.append(bar)
    if state.last_settle_s is not None:
        rows.append(("last settle", f"{state.last_settle_s:.2f} s"))
    if refusal:
        rows.append(("taken again", refusal))
    if state.last_error and (state.fault is None or state.last_error != state.fault.message):
        rows.append(("last error", state.last_error))
    if state.fault is not None:
        rows.append(("fault", Text(f"{state.fault.message}; next: {state.fault.next_step}", style="red")))
    table = Table.grid(padding=(0, 2))
    for name, words in rows:
        text = words if isinstance(words, Text) else Text(str(words))
        table.add_row(name, Text(readable(text.plain), style=text.style))
    parts.append(table)
    if picture is not None:
        parts.append(picture)
    return Group(*parts)
