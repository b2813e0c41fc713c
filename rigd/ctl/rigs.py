"""All rigs: those of a broker, and those on this machine."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rigd.client import NotReachable, RigError, Seen, connect, fleet, local_sockets, parse
from rigd.client.address import rig_of
from rigd.ctl.exits import Exit
from rigd.ctl.reach import LOCALHOST, asked_for, credentials, tls_files
from rigd.ctl.saying import aside, done, plain
from rigd.ctl.words import duration_text, table, um_text

HEAD = ("rig", "there", "mode", "position", "session", "version", "contract", "last seen", "way")


async def rigs(options: argparse.Namespace) -> int:
    """`rigctl rigs`."""
    url = asked_for(options)
    found: list[tuple[str, Seen]] = []
    if url is None or url.startswith("unix:"):
        paths = local_sockets(os.environ) if url is None else [_path(url)]
        found = [(str(path), await _local(path, options)) for path in paths]
    if url is None or not url.startswith("unix:"):
        found += await _on_broker(url, options, needed=url is not None or not found)
    now = datetime.now(UTC)
    rows = [_row(way, seen, now) for way, seen in found]
    done(
        options, table(HEAD, rows) if rows else "no rigs", {"rigs": [_data(way, seen) for way, seen in found]}
    )
    return Exit.DONE


def _path(url: str) -> Path:
    path = parse(url).path
    assert path is not None
    return path


async def _local(path: Path, options: argparse.Namespace) -> Seen:
    seen = Seen(rig_of(path))
    try:
        async with connect(f"unix:{path}", timeout_s=options.timeout) as rig:
            seen.online = True
            seen.birth, seen.state, seen.info, seen.health = rig.birth, rig.state, rig.info, rig.health
            if rig.info is not None:
                seen.rig = rig.info.rig
    except RigError as error:
        aside(str(error))
    return seen


async def _on_broker(url: str | None, options: argparse.Namespace, *, needed: bool) -> list[tuple[str, Seen]]:
    address = parse(url or LOCALHOST)
    try:
        async with fleet(address, credentials=credentials(options), tls=tls_files(options)) as seen:
            rigs = await seen.settled(options.quiet_for)
    except NotReachable as error:
        if not needed:
            return []
        raise type(error)(f"no broker: {error}") from None
    wanted = options.rig or address.rig
    return [(str(address.of(rig)), rigs[rig]) for rig in sorted(rigs) if wanted in {None, rig}]


def _row(way: str, seen: Seen, now: datetime) -> tuple[str, ...]:
    state = seen.state
    session = "-"
    if state is not None and state.session is not None:
        session = f"{state.session.frame}/{state.session.frames}"
    return (
        seen.rig,
        "online" if seen.online else "offline",
        "-" if state is None else state.mode,
        "-" if state is None or state.rail.position_um is None else um_text(state.rail.position_um),
        session,
        "-" if seen.birth is None else seen.birth.version,
        "-" if seen.birth is None else seen.birth.contract,
        _ago(seen, now),
        way,
    )


def _ago(seen: Seen, now: datetime) -> str:
    last = seen.last_seen
    if last is None:
        return "-"
    past_s = (now - last).total_seconds()
    return f"{duration_text(past_s)} ago" if 0 <= past_s < 86_400 else f"{last:%Y-%m-%d %H:%M}"


def _data(way: str, seen: Seen) -> dict[str, Any]:
    last = seen.last_seen
    return {
        "rig": seen.rig,
        "way": way,
        "online": seen.online,
        "last_seen": None if last is None else last.isoformat(),
        "birth": plain(seen.birth) or None,
        "state": plain(seen.state) or None,
        "info": plain(seen.info) or None,
        "health": plain(seen.health) or None,
    }
