"""Commands that only look."""

from __future__ import annotations

import argparse

from rigd.client import RigClient
from rigd.ctl.exits import Exit
from rigd.ctl.reach import reached
from rigd.ctl.saying import done, line, plain
from rigd.ctl.words import bytes_text, duration_text, readable, um_text
from rigd.messages.events import Event
from rigd.messages.reports import Health, SessionNow, Settings

EVENT_KEYS = frozenset({"event_type", "boot_id", "seq", "time"})


async def status(options: argparse.Namespace) -> int:
    """`rigctl status`."""
    async with reached(options) as rig:
        data = {
            "online": rig.online,
            "state": rig.state,
            "info": rig.info,
            "settings": rig.settings_now,
            "health": rig.health,
            "birth": rig.birth,
        }
        done(options, "\n".join(_lines(rig)), data)
    return Exit.DONE


async def events(options: argparse.Namespace) -> int:
    """`rigctl events`."""
    async with reached(options) as rig:
        count = 0
        async for event in rig.events():
            if options.json:
                line(event)
            else:
                print(readable(_event_line(event)), flush=True)
            count += 1
            if count == options.count:
                break
    return Exit.DONE


def session_text(session: SessionNow) -> str:
    """A stack under way, in a line."""
    words = f"{session.id}: {session.frame} of {session.frames} frames"
    if session.eta_s is not None:
        words += f", {duration_text(session.eta_s)} left"
    if not session.why:
        return words
    return f"{words}; {session.why if session.why.startswith('paused') else f'paused: {session.why}'}"


def settings_text(settings: Settings) -> str:
    """What the next stack is taken with, in a line."""
    many = "steps as planned"
    if settings.frames is not None:
        many = f"{settings.frames} frames"
    elif settings.step_um is not None:
        many = f"steps of {um_text(settings.step_um)}"
    return (
        f"{um_text(settings.near_um)} to {um_text(settings.far_um)}, {many}, settles {settings.settle_s:g} s"
    )


def _lines(rig: RigClient) -> list[str]:
    state, info = rig.state, rig.info
    found = [("mode", state.mode if rig.online else f"offline; was {state.mode}")]
    homed = "homed" if state.rail.homed else "not homed"
    where = "" if state.rail.position_um is None else f", at {um_text(state.rail.position_um)}"
    found.append(("rail", homed + where))
    if info is not None:
        limits = info.limits
        found.append(("limits", f"{um_text(limits.min_um)} to {um_text(limits.max_um)}"))
    if state.session is not None:
        found.append(("session", session_text(state.session)))
    if state.fault is not None:
        found.append(("fault", f"{state.fault.message}; next: {state.fault.next_step}"))
    if state.lease is not None:
        found.append(("lease", f"{state.lease.holder}, until {state.lease.expires:%H:%M:%S} UTC"))
    if not state.camera_connected:
        found.append(("camera", "not connected"))
    if rig.settings_now is not None:
        found.append(("next stack", settings_text(rig.settings_now)))
    if state.last_error:
        found.append(("last error", state.last_error))
    if rig.health is not None:
        found.append(("machine", _health_text(rig.health)))
    if rig.birth is not None:
        birth = rig.birth
        found.append(
            (
                "daemon",
                f"rigd {birth.version}, contract {birth.contract}, since {birth.started:%Y-%m-%d %H:%M} UTC",
            )
        )
    title = rig.where if info is None else f"{info.name or info.rig} ({info.rig}) at {rig.where}"
    return [title, *(f"  {name:11s} {words}" for name, words in found)]


def _health_text(health: Health) -> str:
    words = []
    if health.temperature_c is not None:
        words.append(f"{health.temperature_c:.0f} °C")
    if health.disk_free_bytes is not None:
        words.append(f"{bytes_text(health.disk_free_bytes)} free on disk")
    if health.throttling is not None and any(plain(health.throttling.now).values()):
        words.append("held back: " + ", ".join(key for key, on in plain(health.throttling.now).items() if on))
    if health.loop_lag_p99_s is not None:
        words.append(f"loop lag {1000 * health.loop_lag_p99_s:.1f} ms")
    return ", ".join(words) or "nothing known"


def _event_line(event: Event) -> str:
    said = plain(event)
    rest = []
    for key, value in said.items():
        if key in EVENT_KEYS or value in (None, "", {}, []):
            continue
        if isinstance(value, dict) and "message" in value:
            value = f"{value.get('code')}: {value['message']}"  # noqa: PLW2901
        rest.append(f"{key}={value}")
    return f"{event.time:%H:%M:%S}  {event.event_type:17s} {' '.join(rest)}".rstrip()
