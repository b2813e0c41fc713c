"""Settings, and who commands."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

from rigd.client import Lease, RigClient
from rigd.ctl.exits import Exit
from rigd.ctl.failures import NEXT, Failure, Stopped
from rigd.ctl.reach import reached
from rigd.ctl.saying import aside, done, plain
from rigd.ctl.words import length_um
from rigd.messages.reports import Settings
from rigd.messages.verbs import SETTINGS


async def settings(options: argparse.Namespace) -> int:
    """`rigctl settings`."""
    async with reached(options) as rig:
        found = await rig.settings()
        done(options, _settings_lines(found), found)
    return Exit.DONE


async def change(options: argparse.Namespace) -> int:
    """`rigctl set`."""
    values = dict(_assignment(text) for text in options.changes)
    async with reached(options) as rig:
        resets = [name for name, value in values.items() if value is None]
        wanted = {name: value for name, value in values.items() if value is not None}
        found = await rig.change(**wanted) if wanted else await rig.settings()
        for name in resets:
            found = await rig.set(name, None)
        done(options, _settings_lines(found), found)
    return Exit.DONE


async def lease(options: argparse.Namespace) -> int:
    """`rigctl lease`."""
    if options.what in {"take", "hold"} and not options.holder:
        raise Stopped(Failure(Exit.USAGE, f"who? rigctl lease {options.what} NAME"))
    async with reached(options) as rig:
        await _LEASES[options.what](rig, options)
    return Exit.DONE


async def _show(rig: RigClient, options: argparse.Namespace) -> None:
    held = rig.state.lease
    words = "nobody has the lease" if held is None else f"{held.holder}, until {held.expires:%H:%M:%S} UTC"
    done(options, words, {"holder": held.holder if held else None, "lease": held})


async def _take(rig: RigClient, options: argparse.Namespace) -> None:
    granted = await rig.take_lease(options.holder, ttl_s=options.ttl, force=options.force or None)
    done(options, granted.lease, granted)
    aside(f"for {granted.ttl_s:g} s, unless renewed: RIGD_LEASE={granted.lease} rigctl lease renew")


async def _renew(rig: RigClient, options: argparse.Namespace) -> None:
    granted = await rig.renew_lease()
    done(options, f"until {granted.expires:%H:%M:%S} UTC", granted)


async def _release(rig: RigClient, options: argparse.Namespace) -> None:
    await rig.give_back()
    done(options, "given back")


async def _hold(rig: RigClient, options: argparse.Namespace) -> None:
    ttl_s = options.ttl if options.ttl is not None else 30.0
    held: Lease | None = None
    try:
        async with rig.lease(options.holder, ttl_s=ttl_s, force=options.force) as held:
            done(options, held.token, held.granted)
            sys.stdout.flush()
            aside("held until Ctrl-C; commands elsewhere need it as RIGD_LEASE")
            await held.lost.wait()
    except asyncio.CancelledError:
        # Ctrl-C is how one lets go.
        if held is None:
            raise
        _let_go(held)
        return
    why = "the lease is lost: it has lapsed, somebody took it by force, or rigd was started anew"
    raise Stopped(Failure(Exit.STOPPED, why, "no_lease", next_step=NEXT["no_lease"]))


def _let_go(held: Lease) -> None:
    if held.given_back:
        aside("the lease is given back; the rig goes on with what it does (rigctl stop stops it)")
        return
    within = f"it lapses by itself within {held.granted.ttl_s:g} s"
    message = f"there was no way to the rig to give the lease back; {within}"
    raise Stopped(Failure(Exit.INTERRUPTED, message, next_step="rigctl lease shows who has it"))


_LEASES = {"show": _show, "take": _take, "renew": _renew, "release": _release, "hold": _hold}


def _settings_lines(found: Settings) -> str:
    said = plain(found)
    changed = set(found.changed)
    return "\n".join(
        f"{name:14s} {'-' if said.get(name) is None else said.get(name)}"
        + ("   (changed; the config says otherwise)" if name in changed else "")
        for name in SETTINGS
    )


def _assignment(text: str) -> tuple[str, Any]:
    """`step_um=20`: numbers are numbers, lengths may have a unit, nothing goes back to the config's."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Stopped(Failure(Exit.USAGE, f"{text!r}: write SETTING=VALUE, e.g. step_um=20"))
    value = value.strip()
    if not value:
        return name, None
    if name.endswith("_um"):
        try:
            return name, length_um(value)
        except argparse.ArgumentTypeError as error:
            raise Stopped(Failure(Exit.USAGE, f"{name}: {error}")) from None
    try:
        return name, json.loads(value, parse_constant=str)
    except ValueError:
        return name, value
