"""The rail driver for controllers that speak Grbl 1.1. How it moves and why: `docs/adr/0011`.

Moves are jogs (`$J=`) to machine positions; a stop cancels the jog (0x85), a halt is a soft reset (0x18). A reader thread takes
reports in; verbs wait for the answer to their line and no longer, and `stop` and `halt` wait for nothing.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace

from drivers.base import AlarmResponse, DriverError, NoResponse, NotOpen, RailCapabilities, RailStatus
from drivers.grbl import codes, protocol, settings
from drivers.grbl.conversation import RESET_LIMIT_S, Conversation, Overtaken, Pending
from drivers.grbl.counting import Scale, number_text
from drivers.grbl.options import GrblOptions
from drivers.grbl.port import Port
from drivers.grbl.protocol import Alarm, Banner, Message, Mode, Report
from drivers.grbl.tracking import Kind, Motion, Tracker, Wish
from drivers.registry import Context

log = logging.getLogger(__name__)

RESET_TRIES = 3
WATCH_MOVING_S = 0.05
WATCH_RESTING_S = 0.2
"""How often reports are asked for when nobody polls: Grbl takes 5 to 20 ms for one."""
REFUSAL_S = 0.05
"""A homing that is refused is refused at once; one that is begun answers when it is done."""
CLOSE_LIMIT_S = 1.0
DROPPED_S = 0.3
"""A line that is not answered in this time when a stop has overtaken it was dropped."""
SETTLE_RATE = 60.0
"""mm/min of the last fraction of a micrometre: a few milliseconds."""


class GrblRail:
    """A rail on a Grbl controller.

    Args:
        options: port, axis, and what the controller's settings should be.
        context: its clock.
    """

    def __init__(self, options: GrblOptions, context: Context) -> None:
        self._options = options
        self._clock = context.clock
        self._able = options.declared()
        self._talk: Conversation | None = None
        self._tracker = Tracker(Scale(options.steps_per_mm, 1), travel=0)
        self._single_axis_homing = False
        self._reset_pending = False
        """A soft reset was sent and its banner has not come."""
        self._critical = False
        """Nothing is answered until the next reset."""
        self._asked_s = 0.0

    @property
    def capabilities(self) -> RailCapabilities:
        """As the options declare; after `open()` with the controller's own speed, acceleration and travel."""
        return self._able

    # ------------------------------------------------------------------------------------------------ opening, closing

    def open(self) -> None:
        """Open the port, reset the controller, and compare its settings with the options.

        Raises:
            DriverError: no such port, in use, or no Grbl 1.1 behind it; steps/mm or homing are not as the config says.
            NoResponse: nothing answers.
        """
        if self._talk is not None and self._talk.lost is None:
            return
        self.close()
        talk = Conversation(Port(self._options.port, self._options.baud), self._clock, self)
        self._reset_pending = True
        self._critical = False
        try:
            talk.open()
            self._reset_pending = False
            self._adopt(settings.read(talk, self._options))
        except Exception:
            talk.close()
            raise
        self._talk = talk

    def _adopt(self, firmware: settings.Firmware) -> None:
        """Take over what the controller is set to. Raises `DriverError` when positions would be wrong."""
        options = self._options
        differing = settings.differences(firmware, options)
        if grave := [str(check) for check in differing if check.must]:
            raise DriverError(
                options.port, f"{'; '.join(grave)}. See rigd firmware check, or change the config"
            )
        for check in differing:
            log.warning("%s: %s", options.port, check)
        axis = settings.axis_index(options)
        rate = firmware.get(settings.MAX_RATE + axis, options.max_rate_mm_per_min)
        acceleration = firmware.get(settings.ACCELERATION + axis, options.acceleration_mm_per_s2)
        self._able = replace(
            options.declared(),
            name=f"{firmware.banner.split('[')[0].strip() or 'Grbl'} on {options.port}",
            travel_um=settings.reach_um(firmware, options),
            max_speed_um_per_s=rate * 1000.0 / 60.0,
            acceleration_um_per_s2=acceleration * 1000.0,
        )
        self._single_axis_homing = firmware.single_axis_homing
        self._tracker = Tracker(
            Scale(options.steps_per_mm, settings.direction(firmware, options)),
            travel=self._last(),
            axis=axis,
            axis_letter=options.axis,
            inches=bool(firmware.get(settings.INCHES, 0.0)),
            zeros=settings.zeros(firmware, options),
        )

    def close(self) -> None:
        """Stop, and let go of the port. The motor stays as `$1` has it."""
        talk = self._talk
        if talk is None:
            return
        try:
            with talk.changed:
                moving = self._tracker.motion is not None
            if moving and talk.lost is None:
                self._stop(talk)
                if not talk.wait_for(lambda: self._tracker.motion is None, CLOSE_LIMIT_S):
                    talk.realtime(protocol.SOFT_RESET, "reset")
        except DriverError as error:
            log.info("closing: %s", error)
        finally:
            self._talk = None
            talk.close()
            self._tracker.forget(None)

    # ----------------------------------------------------------------------------------------------------------- verbs

    def start_home(self) -> None:
        """Begin the controller's homing cycle.

        Raises:
            AlarmResponse: moving already, or homing is off.
            DriverError: the rail is not open, or the controller is gone.
        """
        talk = self._ready()
        if not self._options.homing:
            raise AlarmResponse(talk.port.name, "homing", "the config says that homing is not set up")
        self._wake(talk)
        line = f"$H{self._options.axis}" if self._single_axis_homing else "$H"
        pending = self._begin(talk, Motion(Kind.HOME, self._clock.now()), line)
        talk.wait_for(lambda: pending.over, REFUSAL_S)
        if pending.over and isinstance(pending.error, AlarmResponse):
            raise pending.error

    def start_move(self, target: int, speed_um_per_s: float | None = None) -> None:
        """Begin a move to an absolute position.

        Raises:
            AlarmResponse: not homed, outside the travel, already moving, or refused by the controller.
            NoResponse: the controller does not answer; it is reset, and the position is unknown.
            DriverError: the rail is not open, or the controller is gone.
        """
        talk = self._ready()
        position = self._tracker.status.position
        if position is None:
            raise AlarmResponse(talk.port.name, "not homed", "home the rail before it can go to a position")
        if not 0 <= target <= self._last():
            um = self._able.microstep_um
            place = f"{target * um:.1f} um lies outside the travel, 0 to {self._last() * um:.1f} um"
            raise AlarmResponse(talk.port.name, "out of travel", place)
        feed = self._feed(speed_um_per_s)
        self._wake(talk)
        if target == position:
            with talk.changed:
                self._tracker.stand(self._clock.now())
            return
        step = self._tracker.machine_step(target)
        self._jog(talk, Motion(Kind.MOVE, self._clock.now(), target), self._line(step, feed))

    def start_jog(self, distance: int, speed_um_per_s: float) -> None:
        """Begin a relative move. Before homing it is bounded by the switches and the controller's soft limits only."""
        talk = self._ready()
        position = self._tracker.status.position
        if position is not None:
            self.start_move(position + distance, speed_um_per_s)
            return
        feed = self._feed(speed_um_per_s)
        self._wake(talk)
        if self._mode(talk) is Mode.ALARM:
            talk.command("$X", self._options.response_timeout_s)
        way_mm = self._tracker.scale.direction * distance / self._options.steps_per_mm
        line = f"$J=G91G21{self._options.axis}{number_text(way_mm)}F{feed}"
        self._jog(talk, Motion(Kind.FREE, self._clock.now()), line)

    def move_time_s(self, distance: int) -> float:
        """Duration of a move at full speed: speed up, go, slow down."""
        way_um = abs(distance) * self._able.microstep_um
        speed, acceleration = self._able.max_speed_um_per_s, self._able.acceleration_um_per_s2
        if way_um <= speed**2 / acceleration:
            return 2 * math.sqrt(way_um / acceleration)
        return way_um / speed + speed / acceleration

    def poll(self) -> RailStatus:
        """Where the rail is by the controller's count, asked for now; while homing Grbl does not answer, and nobody waits.

        Raises:
            NoResponse: no report came.
            DriverError: the rail is not open, or the controller is gone.
        """
        talk = self._opened()
        with talk.changed:
            self._await_reset(talk)
            motion = self._tracker.motion
            if not self._critical and (motion is None or motion.kind is not Kind.HOME or motion.acknowledged):
                talk.fresh_report(unless=lambda: self._critical)
            return self._tracker.status

    def stop(self) -> None:
        """Cancel the jog: it slows down as it should, and the position stays known. Homing knows no gentler stop than a reset.

        Nothing happens at rest or when closed. Raises `Unplugged`.
        """
        talk = self._talk
        if talk is not None and talk.lost is None:
            self._stop(talk)

    def halt(self) -> None:
        """Soft reset: no step after it. The position is unknown afterwards. Nothing happens when closed. Raises `Unplugged`."""
        talk = self._talk
        if talk is not None and talk.lost is None:
            self._reset(talk)

    def release(self) -> None:
        """Put the controller to sleep, which switches the motor off whatever `$1` says; the position is unknown afterwards."""
        talk = self._opened()
        with talk.changed:
            busy = self._tracker.motion is not None or self._critical
        if busy:
            self._reset(talk)
        self._await_reset(talk)
        if self._mode(talk) is not Mode.SLEEP:
            talk.command("$SLP", self._options.response_timeout_s)
        with talk.changed:
            self._tracker.forget(self._tracker.status.ended_s)

    # --------------------------------------------------------------------------------------------------------- sending

    def _opened(self) -> Conversation:
        if self._talk is None:
            raise NotOpen(self._options.port)
        if self._talk.lost is not None:
            raise self._talk.lost
        return self._talk

    def _ready(self) -> Conversation:
        talk = self._opened()
        self._await_reset(talk)
        if self._tracker.motion is not None:
            raise AlarmResponse(talk.port.name, "busy", "the rail is moving: stop it or wait for its end")
        return talk

    def _last(self) -> int:
        """The farthest position."""
        return math.floor(self._able.travel_um / self._able.microstep_um + 1e-9)

    def _feed(self, speed_um_per_s: float | None) -> str:
        highest = self._able.max_speed_um_per_s
        speed = highest if speed_um_per_s is None else min(abs(speed_um_per_s), highest)
        if speed <= 0:
            raise DriverError(self._options.port, "speed must be more than 0")
        return number_text(speed * 60.0 / 1000.0)

    def _line(self, step: int, feed: str) -> str:
        try:
            place = self._tracker.scale.target_text(step)
        except ValueError as error:
            raise DriverError(self._options.port, str(error)) from error
        return f"$J=G53G21G90{self._options.axis}{place}F{feed}"

    def _wake(self, talk: Conversation) -> None:
        """Make a controller that sleeps, or waits to be reset, or holds, listen again."""
        if self._critical:
            self._reset(talk)
            self._await_reset(talk)
        mode = self._mode(talk) if talk.report is None else talk.report.mode
        if mode is Mode.SLEEP:
            self._reset(talk)
            self._await_reset(talk)
        elif mode is Mode.HOLD:
            # Nothing can be left in the controller's queue: a hold ends a jog for good.
            talk.realtime(protocol.RESUME, "resume")
            talk.wait_for(lambda: talk.report is not None and talk.report.mode is not Mode.HOLD, 1.0)

    @staticmethod
    def _mode(talk: Conversation) -> Mode | None:
        report = talk.fresh_report()
        return None if report is None else report.mode

    def _begin(self, talk: Conversation, motion: Motion, line: str) -> Pending:
        with talk.changed:
            self._tracker.begin(motion)
            try:
                return talk.begin(line, lambda error: self._answered(talk, motion, error))
            except DriverError:
                self._tracker.stand(self._clock.now())
                raise

    def _answered(self, talk: Conversation, motion: Motion, error: DriverError | None) -> None:
        """The controller's answer to a motion, on the reader's thread or on that of whoever gives it up."""
        if self._tracker.motion is not motion:
            return
        now_s = self._clock.now()
        if error is None:
            self._grant(talk, self._tracker.acknowledged(), now_s)
        elif motion.kind in {Kind.HOME, Kind.SETTLE}:
            self._tracker.forget(now_s, f"{motion.kind.value} failed: {error}")
        elif isinstance(error, AlarmResponse):
            self._tracker.refused(now_s)

    def _jog(self, talk: Conversation, motion: Motion, line: str) -> None:
        pending = self._begin(talk, motion, line)
        try:
            talk.wait_for(lambda: pending.over or motion.stopping, self._options.response_timeout_s)
            talk.finish(pending, DROPPED_S if motion.stopping else 0.0)
        except Overtaken:
            if self._tracker.status.alarm is not None:
                raise AlarmResponse(talk.port.name, "reset", self._tracker.status.alarm) from None
            # A halt from another thread: whoever halted knows.
        except NoResponse:
            if motion.stopping and self._mode(talk) is Mode.IDLE:
                # grblHAL drops the lines that wait when a jog is cancelled, this one too.
                with talk.changed:
                    self._tracker.stand(self._clock.now())
                return
            self._reset(talk, f"no answer to {line}: home the rail")
            raise

    def _stop(self, talk: Conversation) -> None:
        with talk.changed:
            motion = self._tracker.stop()
        if motion is None:
            return
        if motion.kind is Kind.HOME:
            self._reset(talk)
        else:
            talk.realtime(protocol.JOG_CANCEL, "jog cancel")

    def _reset(self, talk: Conversation, alarm: str | None = None) -> None:
        with talk.changed:
            self._tracker.forget(self._clock.now(), alarm)
            self._reset_pending = True
            self._critical = False
        talk.realtime(protocol.SOFT_RESET, "reset")

    def _await_reset(self, talk: Conversation) -> None:
        """A rail whose reset has not been confirmed may still move.

        Grbl forgets a reset that comes in the half second after `ALARM:1` or `ALARM:2`, so it is said again.
        """
        for _ in range(RESET_TRIES):
            if talk.wait_for(lambda: not self._reset_pending, RESET_LIMIT_S):
                return
            talk.realtime(protocol.SOFT_RESET, "reset")
        raise NoResponse(talk.port.name, "reset")

    # ----------------------------------------------------------------------------------------------------- what is heard

    def heard(self, message: Message, now_s: float) -> None:
        """On the reader's thread, under the conversation's lock."""
        match message:
            case Banner():
                self._reset_seen(now_s)
            case _ if self._reset_pending:
                return  # what was said before the reset was heard
            case Report():
                talk = self._talk
                wish = self._tracker.report(message, now_s)
                if talk is not None:
                    self._grant(talk, wish, now_s)
            case Alarm(code):
                self._critical = code in codes.CRITICAL
                self._tracker.forget(now_s, f"ALARM:{code} ({codes.alarm_words(code)}): home the rail")

    def _reset_seen(self, now_s: float) -> None:
        self._critical = False
        if self._reset_pending:
            self._reset_pending = False
        elif self._talk is not None:
            self._tracker.forget(now_s, "the controller was reset or lost its power: home the rail")

    def tick(self, now_s: float) -> None:
        """Ask for reports where nobody polls; end a homing that takes too long."""
        talk, motion = self._talk, self._tracker.motion
        if talk is None or self._reset_pending or self._critical:
            return
        homing = motion is not None and motion.kind is Kind.HOME
        if homing and motion is not None and now_s - motion.start_s > self._options.homing_timeout_s:
            self._reset(talk, f"homing took longer than {self._options.homing_timeout_s:g} s")
            return
        if now_s - self._asked_s >= (WATCH_RESTING_S if motion is None else WATCH_MOVING_S):
            self._asked_s = now_s
            talk.ask(now_s)

    def _grant(self, talk: Conversation, wish: Wish | None, now_s: float) -> None:
        motion, step = self._tracker.motion, self._tracker.settle_at
        if wish is Wish.CANCEL and motion is not None:
            motion.cancelled_s = now_s
            talk.realtime(protocol.JOG_CANCEL, "jog cancel")
        elif wish is Wish.SETTLE and motion is not None and step is not None:
            feed = number_text(min(SETTLE_RATE, self._able.max_speed_um_per_s * 0.06))
            talk.begin(self._line(step, feed), lambda error: self._answered(talk, motion, error))
