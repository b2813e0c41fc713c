"""The desk: takes every command, from wherever it comes, holds it against every rule, has it carried out once, and answers it.

The order of the checks is part of the contract: kept by the broker, too long, delivered again without a name, not to be understood,
known already, too late, not as expected, somebody else's turn, out of limits. Only then something is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from drivers.clock import Clock
from rigd.app import Rig
from rigd.control.testshot import TestPicture
from rigd.machine import events as ev
from rigd.messages import events, topics
from rigd.messages.base import Error, ErrorCode
from rigd.remote import gate
from rigd.remote.actions import Action, Actions, Ending
from rigd.remote.answers import Answers, Asker, lost, reply_of
from rigd.remote.bus import Incoming, in_words
from rigd.remote.chatter import Chatter
from rigd.remote.leases import Leases
from rigd.remote.ledger import Entry, Ledger
from rigd.remote.reading import Command, clean, read, transaction_in
from rigd.remote.reporter import Reporter
from rigd.remote.settings import LiveSettings
from rigd.remote.verbs import QUICK, WORKED
from rigd.remote.verbs.room import Answer, Job, Refusal, Room, error_of
from rigd.remote.vigil import Vigil
from rigd.session.files import explained
from rigd.workers import Worker

log = logging.getLogger(__name__)

AT_ONCE = 32
"""Commands that are worked on at the same time."""
PASSING = frozenset(
    {
        ErrorCode.BUSY,
        ErrorCode.LEASED,
        ErrorCode.NO_LEASE,
        ErrorCode.UNEXPECTED_STATE,
        ErrorCode.NOT_POSSIBLE,
        ErrorCode.NOT_ALLOWED,
        ErrorCode.PLAN_REFUSED,
        ErrorCode.SESSION,
        ErrorCode.STORAGE,
    }
)
"""Refusals that a later try may pass, also under the same transaction."""


@dataclass(eq=False, slots=True)
class _Work:
    """A command that is being carried out."""

    command: Command
    asker: Asker
    entry: Entry | None
    repeated_by: list[Asker] = field(default_factory=list)
    """Who asked for the same meanwhile."""


class Desk:
    """Takes the commands of one rig. On the loop's thread.

    Args:
        rig: the open rig; the desk listens to it.
        reporter: tells events.
        settings: what the next stack is taken with.
        ledger: which commands were acted on.
        leases: who commands.
        clock: of leases and jogs (monotonic), and of `not_after` (UTC).
        boot_id: of this start of the daemon.
    """

    def __init__(  # noqa: PLR0917
        self,
        rig: Rig,
        reporter: Reporter,
        settings: LiveSettings,
        ledger: Ledger,
        leases: Leases,
        clock: Clock,
        *,
        boot_id: str,
    ) -> None:
        self._rig = rig
        self._settings = settings
        self._ledger = ledger
        self._working: dict[asyncio.Task[None], _Work] = {}
        microstep_um = rig.parts.rail.capabilities.microstep_um
        self._actions = Actions(clock, microstep_um, self._action_ended, self._jog_begun)
        self._room = Room(
            rig=rig,
            settings=settings,
            leases=leases,
            actions=self._actions,
            reporter=reporter,
            clock=clock,
            boot_id=boot_id,
            disk=Worker("desk", clock),
        )
        self._answers = Answers(self._room)
        self._vigil = Vigil(self._room)
        self._closed = False
        self._acted = Chatter(log, clock)
        rig.controller.listen(self._actions)
        self._room.reconfigure()

    @property
    def on_test(self) -> Callable[[TestPicture], None]:
        """Shows test shots."""
        return self._room.on_test

    @on_test.setter
    def on_test(self, show: Callable[[TestPicture], None]) -> None:
        self._room.on_test = show

    # ------------------------------------------------------------------------------------------------------ from outside

    def take(self, incoming: Incoming) -> None:
        """Take one message. Never raises; each but a cleared retained one is answered, now or when it is done."""
        asker = Asker(incoming, clean(incoming.topic))
        try:
            if incoming.topic == topics.ESTOP:
                self._estop(asker)
            else:
                self._hear(asker)
        except Exception as error:  # noqa: BLE001  (a bug here must not take the transport down; it is logged there)
            self._answers.refuse(asker, error_of(error))

    def way_lost(self, source: str) -> None:
        """A transport is gone: nobody can hold the jog any more that came that way."""
        jog = self._actions.jog
        if jog is not None and jog.source == source:
            self._room.stop_jog("the way it was asked for is lost")
        for task, work in self._working.items():
            if jog is None and work.command.name == "jog" and work.asker.incoming.source == source:
                task.cancel()  # not put to the machine yet

    async def serve(self) -> None:
        """Stop jogs that are not renewed and end leases that lapse, until cancelled."""
        syncing = asyncio.create_task(self._vigil.sync(self._ledger, self._settings))
        try:
            await self._vigil.serve()
        finally:
            self._closed = True
            self._rig.controller.ignore(self._actions)  # whoever closes the desk closes the ledger next
            ending = (syncing, *self._working, *self._room.background)
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            self._room.disk.close()

    # ------------------------------------------------------------------------------------------------------------ checks

    def _estop(self, asker: Asker) -> None:
        """Before anything is looked at, whatever it is and however it came."""
        incoming = asker.incoming
        self._rig.controller.post(ev.EStop(f"e-stop {in_words(incoming.source)}"))
        self._room.stops += 1
        asker.transaction = transaction_in(incoming.payload)
        self._answers.say(asker, status="ok")

    def _hear(self, asker: Asker) -> None:
        incoming = asker.incoming
        if incoming.retained and not incoming.payload:
            return  # that is how a retained message is taken back
        heard = read(incoming.topic, incoming.payload)
        asker.name, asker.transaction = heard.name, heard.transaction
        self._vigil.lapse()
        try:
            command = gate.sound(incoming, heard)
            if self._known(command, asker):
                return
        except Refusal as refusal:
            self._answers.refuse(asker, refusal.error)
            return
        try:
            if self._closed:
                raise Refusal(ErrorCode.NOT_POSSIBLE, "rigd is being stopped")
            gate.check(self._room, command)
            if self._busy and not command.verb.always:
                raise Refusal(ErrorCode.BUSY, f"{AT_ONCE} commands are being worked on; try again")
            entry = self._write_down(command)
        except Refusal as refusal:
            self._remember(command, refusal.error)
            self._answers.refuse(asker, refusal.error)
            return
        self._carry_out(_Work(command, asker, entry))

    @property
    def _busy(self) -> bool:
        return sum(not work.asker.answered for work in self._working.values()) >= AT_ONCE

    def _known(self, command: Command, asker: Asker) -> bool:
        """Whether this command was acted on, or is being; it is answered as it was or will be then."""
        entry = self._ledger.find(command.transaction)
        if entry is None:
            return False
        if not entry.same(command.name, command.fingerprint):
            message = "transaction: it was used for another command"
            raise Refusal(ErrorCode.TRANSACTION_REUSED, message, "transaction")
        if work := self._work_on(entry):
            if len(work.repeated_by) >= AT_ONCE:
                raise Refusal(ErrorCode.BUSY, "this has been asked for too often; it is being worked on")
            work.repeated_by.append(asker)
            return True
        self._answers.say(asker, repeated=True, **(entry.answer or lost()))
        if entry.answer is not None and entry.answer["status"] == "accepted":
            self._tell_again(entry)
        return True

    def _work_on(self, entry: Entry) -> _Work | None:
        """The command as it is being worked on; None when it has been answered."""
        if entry.answer is not None:
            return None
        return next((work for work in self._working.values() if work.entry is entry), None)

    # -------------------------------------------------------------------------------------------------------- the ledger

    def _write_down(self, command: Command) -> Entry | None:
        """Before anything is done. Raises `Refusal` where it cannot be and the command can wait."""
        if command.transaction is None or not gate.acts(command):
            return None
        self._vigil.written.set()
        try:
            return self._ledger.begin(command.transaction, command.name, command.fingerprint)
        except OSError as error:
            log.warning("commands cannot be written down: %s", error)
            if command.verb.always:
                return None
            message = f"it cannot be written down that this was asked for: {explained(error)}"
            raise Refusal(ErrorCode.STORAGE, message) from error

    def _remember(self, command: Command, error: Error) -> None:
        """A refusal that no later try is to pass."""
        if error.code in PASSING or command.transaction is None or not gate.acts(command):
            return
        try:
            entry = self._ledger.begin(command.transaction, command.name, command.fingerprint)
        except OSError as failure:
            log.warning("a refusal cannot be written down: %s", failure)
        else:
            self._ledger.answer(entry, reply_of(error))

    def _tell_again(self, entry: Entry) -> None:
        """Whoever asks again may have missed the end. One that is under way tells it in its time."""
        if entry.end is not None:
            self._room.tell(events.ActionFinished, **entry.end)
        elif entry.before:
            error = Error(code=ErrorCode.INTERRUPTED, message="rigd was started anew before it was over")
            fields = {"verb": entry.verb, "transaction": entry.transaction, "status": "error"}
            self._room.tell(events.ActionFinished, **fields, error=error)

    # ------------------------------------------------------------------------------------------------------- carrying out

    def _carry_out(self, work: _Work) -> None:
        command = work.command
        job = Job(command, work.asker.incoming.source, self._settings.as_of_now())
        if gate.acts(command):
            self._acted.say("%s, %s", command.name, in_words(job.source))
        quick = QUICK.get(command.name)
        if quick is None:
            task = asyncio.get_running_loop().create_task(self._work(work, job))
            self._working[task] = work
            task.add_done_callback(self._left)
            return
        try:
            outcome: Answer | Error = quick(self._room, job, command.params)
        except Exception as error:  # noqa: BLE001  (answered; what is not expected is logged there)
            outcome = error_of(error)
        self._answer(work, outcome)
        self._vigil.wake.set()

    def _left(self, task: asyncio.Task[None]) -> None:
        """A task has ended; one that was cancelled has answered nothing, nor has one that never ran."""
        work = self._working.pop(task)
        if task.cancelled():
            message = "given up: its way was lost, or rigd is being stopped"
            self._answer(work, Error(code=ErrorCode.INTERRUPTED, message=message))

    async def _work(self, work: _Work, job: Job) -> None:
        try:
            outcome: Answer | Error = await WORKED[job.command.name](self._room, job, job.command.params)
        except Exception as error:  # noqa: BLE001  (answered; what is not expected is logged there)
            outcome = error_of(error)
        self._answer(work, outcome)

    def _answer(self, work: _Work, outcome: Answer | Error) -> None:
        """Write the answer down, give it to everyone who asked, and then let the action tell its end."""
        reply = reply_of(outcome)
        if work.entry is not None and isinstance(outcome, Error) and outcome.code in PASSING:
            self._ledger.void(work.entry)
        elif work.entry is not None:
            self._ledger.answer(work.entry, reply)
        self._vigil.written.set()
        if isinstance(outcome, Error):
            self._answers.refuse(work.asker, outcome)
        else:
            self._answers.say(work.asker, **reply)
        for asker in work.repeated_by:
            self._answers.say(asker, repeated=True, **reply)
        if isinstance(outcome, Answer) and outcome.action is not None:
            self._actions.answered(outcome.action)

    def _jog_begun(self) -> None:
        self._vigil.wake.set()

    def _action_ended(self, action: Action, ending: Ending) -> None:
        status = "ok" if ending.error is None else "error"
        end: dict[str, Any] = {
            "verb": action.verb,
            "transaction": action.transaction,
            "status": status,
            "data": ending.data,
            "error": None if ending.error is None else ending.error.model_dump(mode="json"),
        }
        if action.transaction is not None:
            self._ledger.end(action.transaction, end)
            self._vigil.written.set()
        self._room.tell(events.ActionFinished, **end)
