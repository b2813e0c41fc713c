"""Commands about stacks: begin one, pause it, go on with it, end it."""

from __future__ import annotations

from pathlib import Path

from rigd.app import Refused
from rigd.machine import events as ev
from rigd.machine.kinds import Event
from rigd.machine.state import Mode
from rigd.machine.table import way_to_rest
from rigd.messages.base import ErrorCode
from rigd.messages.reports import SessionStarted
from rigd.messages.verbs import NoParams, SessionResume, SessionStart
from rigd.remote.actions import Action, Ending
from rigd.remote.bus import in_words
from rigd.remote.verbs import looking, motion
from rigd.remote.verbs.room import Answer, Job, Refusal, Room, error_of
from rigd.session import Session
from rigd.session.survey import Overview, overview


async def start(room: Room, job: Job, params: SessionStart) -> Answer:
    """Capture a stack. Answered when its session is on disk."""
    with room.starting() as stops:
        config, planned = await looking.plan(room, job, params)
        room.not_stopped_since(stops)
        action = room.action(job, _is_start)
        try:
            session = await room.rig.start(params.name or config.rig.id, planned.plan, config)
        except BaseException:
            room.actions.forget(action)
            raise
        return _started(room, action, session, stops)


async def pause(room: Room, job: Job, _: NoParams) -> Answer:
    """Stand still with the stack kept."""
    room.stops += 1
    await room.rig.command(ev.Pause(f"paused {in_words(job.source)}"))
    return Answer()


async def abort(room: Room, _job: Job, _: NoParams) -> Answer:
    """End the stack for good."""
    room.stops += 1
    await room.rig.command(ev.Abort())
    return Answer()


async def resume(room: Room, job: Job, params: SessionResume) -> Answer:
    """Go on with the paused stack, or with an unfinished one from disk."""
    state, paused = room.rig.state, room.session
    if state.mode is Mode.PAUSED and state.stack is not None and params.session in {None, paused}:
        answer = await motion.begin(room, job, ev.Resume())
        assert answer.action is not None
        answer.action.session = paused or ""
        plan, accepted = state.stack.plan, state.stack.accepted
        return Answer(SessionStarted(session=paused or "", frames=plan.frames, done=accepted), answer.action)
    if state.mode is not Mode.IDLE:
        raise Refused(f"a session cannot be resumed while {state.mode}: {way_to_rest(state)}")
    with room.starting() as stops:
        config = room.rig.config
        seen = await room.disk.run(_unfinished, config.storage.sessions, config.rig.id, params.session)
        room.not_stopped_since(stops)
        room.reconfigure()
        action = room.action(job, _is_start)
        action.session = seen.path.name
        if seen.frames >= seen.planned:
            # Only its results are lacking; they take a while, and the rail stands.
            room.spawn(_complete(room, action, seen.path))
            started = SessionStarted(session=seen.path.name, frames=seen.planned, done=seen.frames)
            return Answer(started, action)
        try:
            session = await room.rig.resume(seen.path)
        except BaseException:
            room.actions.forget(action)
            raise
        if not action.begun:  # every frame was there, though the journal was read otherwise before
            room.actions.finish(action, _completed(session))
        return _started(room, action, session, stops)


def _is_start(event: Event) -> bool:
    return isinstance(event, ev.StartStack)


def _started(room: Room, action: Action, session: Session, stops: int) -> Answer:
    action.session = session.id
    if room.stops != stops:
        # The stop came while the session was being opened, before there was anything to stop.
        room.rig.controller.post(ev.Stop("stopped before it had begun"))
    started = SessionStarted(session=session.id, frames=session.plan.frames, done=len(session.frames))
    return Answer(started, action)


async def _complete(room: Room, action: Action, path: Path) -> None:
    try:
        session = await room.rig.resume(path)
    except Exception as error:  # noqa: BLE001  (told to whoever asked; an unexpected one is logged there)
        room.actions.finish(action, Ending({"session": path.name}, error_of(error)))
        return
    if not action.begun:
        room.actions.finish(action, _completed(session))


def _completed(session: Session) -> Ending:
    return Ending({"session": session.id, "outcome": "complete", "frames": len(session.frames)})


def _unfinished(root: Path, rig: str, session: str | None) -> Overview:
    """The session to go on with: one of this rig's, for others may share its folder. Blocks. Raises `Refusal`."""
    if session is None:
        found = next((seen for seen in map(overview, looking.folders(root)) if _ours(seen, rig)), None)
        if found is None:
            raise Refusal(ErrorCode.SESSION, "there is no unfinished session to go on with")
        return found
    path = next((path for path in looking.folders(root) if path.name == session), None)
    if path is None:
        raise Refusal(ErrorCode.SESSION, "there is no such session", "params.session")
    seen = overview(path)
    if not seen.unfinished:
        what = f"it is {seen.outcome}" + (f": {seen.why}" if seen.why else "")
        raise Refusal(ErrorCode.SESSION, f"there is nothing to go on with, {what}", "params.session")
    if not seen.is_of(rig):
        message = f"the rig '{seen.rig}' took it, and its subject stands there: go on with it on that rig"
        raise Refusal(ErrorCode.SESSION, message, "params.session")
    return seen


def _ours(seen: Overview, rig: str) -> bool:
    return seen.unfinished and seen.is_of(rig)
