"""Between the rail's verbs and the wire: what is sent when, what is made of what is heard.

Three threads come here: that of the verbs, that of `stop` and `halt`, and the conversation's reader. `Conversation.changed` guards
the tracker; whoever waits lets go of it meanwhile.
"""

from __future__ import annotations

import math

from drivers.base import AlarmResponse, DriverError, NoResponse, NotOpen
from drivers.clock import Clock
from drivers.grbl import codes, protocol
from drivers.grbl.conversation import RESET_LIMIT_S, Conversation, Overtaken, Pending
from drivers.grbl.counting import Scale, number_text
from drivers.grbl.options import GrblOptions
from drivers.grbl.protocol import Alarm, Banner, Message, Mode, Report
from drivers.grbl.tracking import Kind, Motion, Tracker, Wish

RESET_TRIES = 3
WATCH_MOVING_S = 0.05
WATCH_RESTING_S = 0.2
"""How often reports are asked for when nobody polls: Grbl takes 5 to 20 ms for one."""
DROPPED_S = 0.3
"""A line that is not answered in this time when a stop has overtaken it was dropped."""
HELD = frozenset({Mode.HOLD, Mode.DOOR})
RESUME_S = 1.0
SETTLE_RATE = 60.0
"""mm/min of the last fraction of a micrometre: a few milliseconds."""


class Pilot:
    """Sends motions, stops and resets, and keeps the tracker fed.

    Args:
        options: port, axis and time limits.
        clock: of all times.
    """

    def __init__(self, options: GrblOptions, clock: Clock) -> None:
        self.talk: Conversation | None = None
        """Set once the controller is known to be what it should be."""
        self.tracker = Tracker(Scale(options.steps_per_mm, 1), travel=0)
        self.highest_um_per_s = options.declared().max_speed_um_per_s
        self.reset_pending = False
        """A soft reset was sent and its banner has not come."""
        self.critical = False
        """Nothing is answered until the next reset."""
        self.halts = 0
        """How often it was halted: a motion that was wanted before the last of them does not start any more."""
        self._options = options
        self._clock = clock
        self._asked_s = 0.0

    def opened(self) -> Conversation:
        """The conversation. Raises `NotOpen`, or why the port was lost."""
        if self.talk is None:
            raise NotOpen(self._options.port)
        if self.talk.lost is not None:
            raise self.talk.lost
        return self.talk

    def ready(self) -> Conversation:
        """The conversation of a rail that stands. Raises `AlarmResponse` while it moves."""
        talk = self.opened()
        self.await_reset(talk)
        if self.tracker.motion is not None:
            raise AlarmResponse(talk.port.name, "busy", "the rail is moving: stop it or wait for its end")
        return talk

    # --------------------------------------------------------------------------------------------------------- sending

    def feed(self, speed_um_per_s: float | None) -> str:
        """A speed as a feed rate, at most the highest."""
        highest = self.highest_um_per_s
        speed = highest if speed_um_per_s is None else min(abs(speed_um_per_s), highest)
        if speed <= 0:
            raise DriverError(self._options.port, "speed must be more than 0")
        return number_text(speed * 60.0 / 1000.0)

    def line_to(self, step: int, feed: str) -> str:
        """The jog to a step of the controller."""
        try:
            place = self.tracker.scale.target_text(step)
        except ValueError as error:
            raise DriverError(self._options.port, str(error)) from error
        return f"$J=G53G21G90{self._options.axis}{place}F{feed}"

    def wake(self, talk: Conversation) -> None:
        """Make a controller that sleeps, or waits to be reset, or holds, listen again. Raises `AlarmResponse` with an open door."""
        if self.critical:
            self.reset(talk)
            self.await_reset(talk)
        mode = self.mode(talk) if talk.report is None else talk.report.mode
        if mode is Mode.SLEEP:
            self.reset(talk)
            self.await_reset(talk)
        elif mode in HELD:
            # Nothing can be left in the controller's queue: a hold ends a jog for good.
            talk.realtime(protocol.RESUME, "resume")
            talk.wait_for(lambda: talk.report is not None and talk.report.mode not in HELD, RESUME_S)
            if talk.report is not None and talk.report.mode is Mode.DOOR:
                # It hears no line until then, and would be taken for dead.
                words = "its door input is open: close it, or look at its wire"
                raise AlarmResponse(talk.port.name, "Door", words)

    @staticmethod
    def mode(talk: Conversation) -> Mode | None:
        """The controller's state, asked for now."""
        report = talk.fresh_report()
        return None if report is None else report.mode

    def begin(self, talk: Conversation, motion: Motion, line: str, halts: int) -> Pending | None:
        """Send a motion; None when a halt has come since there were so many `halts`. Raises as `Conversation.begin`."""
        with talk.changed:
            if self.halts != halts or self.reset_pending:
                return None
            self.tracker.begin(motion)
            try:
                return talk.begin(line, lambda error: self._answered(talk, motion, error))
            except DriverError:
                self.tracker.stand(self._clock.now())
                raise

    def acknowledge(self, talk: Conversation, motion: Motion, pending: Pending) -> None:
        """Wait for the answer to a jog.

        Raises:
            AlarmResponse: refused, or the controller was reset.
            NoResponse: no answer; the controller is reset, for nobody knows what it does.
        """
        try:
            talk.wait_for(lambda: pending.over or motion.stopping, self._options.response_timeout_s)
            talk.finish(pending, DROPPED_S if motion.stopping else 0.0)
        except Overtaken:
            if self.tracker.status.alarm is not None:
                raise AlarmResponse(talk.port.name, "reset", self.tracker.status.alarm) from None
            # A halt from another thread: whoever halted knows.
        except NoResponse:
            if motion.stopping and self.mode(talk) is Mode.IDLE:
                # grblHAL drops the lines that wait when a jog is cancelled, this one too.
                with talk.changed:
                    self.tracker.stand(self._clock.now())
                return
            self.reset(talk, f"no answer to {pending.line}: home the rail")
            raise

    def stop(self, talk: Conversation) -> None:
        """Cancel the jog under way, or reset out of a homing."""
        with talk.changed:
            motion = self.tracker.stop()
        if motion is None:
            return
        if motion.kind is Kind.HOME:
            self.halt(talk)
        else:
            talk.realtime(protocol.JOG_CANCEL, "jog cancel")

    def halt(self, talk: Conversation) -> None:
        """Reset, and let no motion start that was wanted before."""
        with talk.changed:
            self.halts += 1
        self.reset(talk)

    def reset(self, talk: Conversation, alarm: str | None = None) -> None:
        """Soft reset: the position is unknown."""
        with talk.changed:
            self.tracker.forget(self._clock.now(), alarm)
            self.reset_pending = True
            self.critical = False
        talk.realtime(protocol.SOFT_RESET, "reset")

    def await_reset(self, talk: Conversation) -> None:
        """Wait until the last reset is confirmed: before that the rail may still move. Raises `NoResponse`.

        Grbl forgets a reset that comes in the half second after `ALARM:1` or `ALARM:2`, so it is said again.
        """
        for _ in range(RESET_TRIES):
            if talk.wait_for(lambda: not self.reset_pending, RESET_LIMIT_S):
                return
            talk.realtime(protocol.SOFT_RESET, "reset")
        raise NoResponse(talk.port.name, "reset")

    # ----------------------------------------------------------------------------------------------------- what is heard

    def heard(self, message: Message, now_s: float) -> None:
        """On the reader's thread, under the conversation's lock."""
        match message:
            case Banner():
                self._reset_seen(now_s)
            case _ if self.reset_pending:
                return  # what was said before the reset was heard
            case Report():
                wish = self.tracker.report(message, now_s)
                if self.talk is not None:
                    self._grant(self.talk, wish, now_s)
            case Alarm(code):
                self.critical = code in codes.CRITICAL
                self.tracker.forget(now_s, f"ALARM:{code} ({codes.alarm_words(code)}): home the rail")

    def tick(self, now_s: float) -> None:
        """Ask for reports where nobody polls; end what takes too long."""
        talk, motion = self.talk, self.tracker.motion
        if talk is None or self.reset_pending or self.critical:
            return
        # Nobody waits for the answer to these two.
        limits_s = {Kind.HOME: self._options.homing_timeout_s, Kind.SETTLE: self._options.response_timeout_s}
        if motion is not None and now_s - motion.start_s > limits_s.get(motion.kind, math.inf):
            self.reset(
                talk, f"{motion.kind.value} took longer than {limits_s[motion.kind]:g} s: home the rail"
            )
            return
        if now_s - self._asked_s >= (WATCH_RESTING_S if motion is None else WATCH_MOVING_S):
            self._asked_s = now_s
            talk.ask(now_s)

    def _reset_seen(self, now_s: float) -> None:
        self.critical = False
        if self.reset_pending:
            self.reset_pending = False
        elif self.talk is not None:
            self.tracker.forget(now_s, "the controller was reset or lost its power: home the rail")

    def _answered(self, talk: Conversation, motion: Motion, error: DriverError | None) -> None:
        """The controller's answer to a motion, on the reader's thread or on that of whoever gives it up."""
        if self.tracker.motion is not motion:
            return
        now_s = self._clock.now()
        if error is None:
            self._grant(talk, self.tracker.acknowledged(), now_s)
        elif motion.kind in {Kind.HOME, Kind.SETTLE}:
            self.tracker.forget(now_s, f"{motion.kind.value} failed: {error}")
        elif isinstance(error, AlarmResponse):
            self.tracker.refused(now_s)

    def _grant(self, talk: Conversation, wish: Wish | None, now_s: float) -> None:
        motion, step = self.tracker.motion, self.tracker.settle_at
        if wish is Wish.CANCEL and motion is not None:
            motion.cancelled_s = now_s
            talk.realtime(protocol.JOG_CANCEL, "jog cancel")
        elif wish is Wish.SETTLE and motion is not None and step is not None:
            motion.start_s = now_s
            feed = number_text(min(SETTLE_RATE, self.highest_um_per_s * 0.06))
            talk.begin(self.line_to(step, feed), lambda error: self._answered(talk, motion, error))
