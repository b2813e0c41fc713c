"""Commands that look: at the rig, at a plan, at sessions on disk, at one picture."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rigd.app import Refused, RigFault
from rigd.config import RigConfig
from rigd.control.testshot import TestPicture
from rigd.machine import events as ev
from rigd.messages import reports
from rigd.messages.base import CONTRACT, ErrorCode
from rigd.messages.verbs import Identify, NoParams, PlanParams
from rigd.planning import Planned
from rigd.remote.actions import Action, Ending
from rigd.remote.verbs.room import Answer, Job, Refusal, Room, error_of
from rigd.session.journal import NAME as JOURNAL
from rigd.session.store import MANIFEST
from rigd.session.survey import Overview, overview

LISTED = 100
"""Sessions in one answer."""


def ping(room: Room, _job: Job, _: NoParams) -> Answer:
    """A sign of life."""
    return Answer(reports.Pong(boot_id=room.boot_id, contract=CONTRACT, mode=room.rig.state.mode))


# ---------------------------------------------------------------------------------------------------------------- plans


async def validate(room: Room, job: Job, params: PlanParams) -> Answer:
    """What a stack would be."""
    _, planned = await plan(room, job, params)
    return Answer(_plan_report(planned))


async def plan(room: Room, job: Job, params: PlanParams) -> tuple[RigConfig, Planned]:
    """A stack by the settings that a command came on and what is given over them, and the config it is of.

    Raises:
        SettingsError: they make no stack.
        PlanError: rail, camera or disk cannot do it.
    """
    config = job.settings.config(params)
    if config.plan is None:
        message = "there is no nearest plane: mark near, set near_um, or give it"
        raise Refusal(ErrorCode.PLAN_REFUSED, message, "params.near_um")
    return config, await room.disk.run(room.rig.plan, config)


def _plan_report(planned: Planned) -> reports.PlanReport:
    made, predicted = planned.plan, planned.prediction
    return reports.PlanReport(
        frames=made.frames,
        near_um=made.um(made.near),
        far_um=made.um(made.far),
        first_um=made.um(made.positions[0]),
        last_um=made.um(made.positions[-1]),
        step_um=made.step_um,
        depth_of_field_um=None if planned.setup is None else planned.setup.depth_of_field_um,
        approach_um=made.um(made.approach),
        overshoot_um=made.um(made.overshoot),
        margin_frames=made.margin_frames,
        seconds=round(predicted.seconds, 3),
        motion_s=round(predicted.motion_s, 3),
        settle_s=round(predicted.settle_s, 3),
        exposure_s=round(predicted.exposure_s, 3),
        waiting_s=round(predicted.waiting_s, 3),
        bytes=predicted.bytes,
        free_bytes=planned.free_bytes,
        reasons=[reason.text for reason in planned.reasons],
        warnings=[
            reports.PlanWarning(code=one.code, message=one.message, fix=one.fix) for one in planned.warnings
        ],
    )


# ------------------------------------------------------------------------------------------------------------- sessions


async def sessions(room: Room, _job: Job, _: NoParams) -> Answer:
    """The sessions on disk, newest first."""
    return Answer(await room.disk.run(_listed, room.rig.config.storage.sessions))


def folders(root: Path) -> list[Path]:
    """The folders of all sessions, newest first: their names begin with the time. Blocks."""
    if not root.is_dir():
        return []
    found = (path for path in root.iterdir() if any((path / name).exists() for name in (MANIFEST, JOURNAL)))
    return sorted(found, reverse=True)


def _listed(root: Path) -> reports.SessionList:
    found = folders(root)
    entries = [_entry(overview(path)) for path in found[:LISTED]]
    return reports.SessionList(sessions=entries, total=len(found))


def _entry(seen: Overview) -> reports.SessionEntry:
    return reports.SessionEntry(
        session=seen.path.name,
        name=seen.name,
        created=seen.created,
        outcome=seen.outcome,
        frames=seen.frames,
        planned=seen.planned,
        why=seen.why,
        rig=seen.rig,
    )


# -------------------------------------------------------------------------------------------------------------- pictures


async def shoot(room: Room, job: Job, _: NoParams) -> Answer:
    """Take one picture outside of any session. Answered when the machine has taken the command."""
    room.reconfigure()
    ours = asyncio.Event()  # of two who ask at once, one is taken
    action = room.action(job, lambda event: ours.is_set() and isinstance(event, ev.TestShot))
    taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    action.on_begun = lambda: _settle(taken)
    room.spawn(_shoot(room, action, ours, taken))
    await taken
    return Answer(action=action)


async def _shoot(room: Room, action: Action, ours: asyncio.Event, taken: asyncio.Future[None]) -> None:
    try:
        picture = await room.rig.test_shot(ours.set)
    except Exception as error:  # noqa: BLE001  (told to whoever asked; an unexpected one is logged there)
        if not action.begun:
            room.actions.forget(action)
            _settle(taken, error)
        else:
            stopped = isinstance(error, Refused)
            told = Refusal(ErrorCode.INTERRUPTED, str(error)) if stopped else error
            room.actions.finish(action, Ending(error=error_of(told)))
    else:
        room.actions.finish(action, Ending(_shot_report(picture).model_dump(mode="json")))
        room.on_test(picture)
    finally:
        taken.cancel()  # where the desk closes before it was taken; else it is settled already


def _settle(taken: asyncio.Future[None], error: Exception | None = None) -> None:
    if taken.done():
        return
    if error is None:
        taken.set_result(None)
    else:
        taken.set_exception(error)


def _shot_report(picture: TestPicture) -> reports.TestShot:
    return reports.TestShot(
        width=picture.width,
        height=picture.height,
        bytes=len(picture.data.payload),
        sha256=picture.sha256,
        suffix=picture.data.suffix,
        metrics=dict(picture.metrics),
        settings=dict(picture.settings),
        note=picture.note,
    )


def identify_limits(room: Room, _: Identify) -> None:
    """There is a light to blink."""
    if room.rig.parts.light is None:
        raise Refusal(ErrorCode.NOT_ALLOWED, "this rig has no light to blink")


async def identify(room: Room, _job: Job, params: Identify) -> Answer:
    """Blink the light. Answered when it has begun to."""
    begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    room.spawn(_blink(room, params.seconds, begun))
    # The rig refuses in its first step, before it waits for anything.
    asyncio.get_running_loop().call_soon(_settle, begun)
    await begun
    return Answer()


async def _blink(room: Room, seconds: float, begun: asyncio.Future[None]) -> None:
    try:
        await room.rig.identify(seconds)
    except (Refused, RigFault) as error:
        _settle(begun, error)
