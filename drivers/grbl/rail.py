"""The rail driver for controllers that speak Grbl 1.1. How it moves and why: `docs/adr/0011`.

Moves are jogs (`$J=`) to machine positions; a stop cancels the jog (0x85), a halt is a soft reset (0x18). A reader thread takes
reports in; verbs wait for the answer to their line and no longer, and `stop` and `halt` wait for nothing.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace

from drivers.base import AlarmResponse, DriverError, RailCapabilities, RailStatus
from drivers.grbl import protocol, settings
from drivers.grbl.conversation import Conversation
from drivers.grbl.counting import Scale, number_text
from drivers.grbl.options import GrblOptions
from drivers.grbl.pilot import Pilot
from drivers.grbl.port import Port
from drivers.grbl.protocol import Mode
from drivers.grbl.tracking import Kind, Motion, Tracker
from drivers.registry import Context

log = logging.getLogger(__name__)

REFUSAL_S = 0.05
"""A homing that is refused is refused at once; one that is begun answers when it is done."""
CLOSE_LIMIT_S = 1.0


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
        self._pilot = Pilot(options, context.clock)
        self._single_axis_homing = False

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
        pilot = self._pilot
        if pilot.talk is not None and pilot.talk.lost is None:
            return
        self.close()
        talk = Conversation(Port(self._options.port, self._options.baud), self._clock, pilot)
        pilot.reset_pending, pilot.critical = True, False
        try:
            talk.open()
            pilot.reset_pending = False
            self._adopt(settings.read(talk, self._options))
        except Exception:
            talk.close()
            raise
        pilot.talk = talk

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
        self._pilot.highest_um_per_s = self._able.max_speed_um_per_s
        self._pilot.tracker = Tracker(
            Scale(options.steps_per_mm, settings.direction(firmware, options)),
            travel=self._last(),
            axis=axis,
            axis_letter=options.axis,
            inches=bool(firmware.get(settings.INCHES, 0.0)),
            zeros=settings.zeros(firmware, options),
        )

    def close(self) -> None:
        """Stop, and let go of the port. The motor stays as `$1` has it."""
        pilot, talk = self._pilot, self._pilot.talk
        if talk is None:
            return
        try:
            with talk.changed:
                moving = pilot.tracker.motion is not None
            if moving and talk.lost is None:
                pilot.stop(talk)
                if not talk.wait_for(lambda: pilot.tracker.motion is None, CLOSE_LIMIT_S):
                    talk.realtime(protocol.SOFT_RESET, "reset")
        except DriverError as error:
            log.info("closing: %s", error)
        finally:
            pilot.talk = None
            talk.close()
            pilot.tracker.forget(None)

    # ----------------------------------------------------------------------------------------------------------- verbs

    def start_home(self) -> None:
        """Begin the controller's homing cycle.

        Raises:
            AlarmResponse: moving already, or homing is off.
            DriverError: the rail is not open, or the controller is gone.
        """
        pilot = self._pilot
        halts, talk = pilot.halts, pilot.ready()
        if not self._options.homing:
            raise AlarmResponse(talk.port.name, "homing", "the config says that homing is not set up")
        pilot.wake(talk)
        line = f"$H{self._options.axis}" if self._single_axis_homing else "$H"
        pending = pilot.begin(talk, Motion(Kind.HOME, self._clock.now()), line, halts)
        if pending is None:
            return
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
        pilot = self._pilot
        halts, talk = pilot.halts, pilot.ready()
        self._check_target(target)
        feed = pilot.feed(speed_um_per_s)
        pilot.wake(talk)
        with talk.changed:
            position = self._check_target(target)
            motion = Motion(Kind.MOVE, self._clock.now(), target)
            if target == position:
                pilot.tracker.stand(self._clock.now())
                return
            line = pilot.line_to(pilot.tracker.machine_step(target), feed)
            pending = pilot.begin(talk, motion, line, halts)
        if pending is not None:
            pilot.acknowledge(talk, motion, pending)

    def start_jog(self, distance: int, speed_um_per_s: float) -> None:
        """Begin a relative move. Before homing it is bounded by the switches and the controller's soft limits only."""
        pilot = self._pilot
        halts, talk = pilot.halts, pilot.ready()
        position = pilot.tracker.status.position
        if position is not None:
            self.start_move(position + distance, speed_um_per_s)
            return
        feed = pilot.feed(speed_um_per_s)
        pilot.wake(talk)
        if pilot.mode(talk) is Mode.ALARM:
            talk.command("$X", self._options.response_timeout_s)
        way_mm = pilot.tracker.scale.direction * distance / self._options.steps_per_mm
        motion = Motion(Kind.FREE, self._clock.now())
        line = f"$J=G91G21{self._options.axis}{number_text(way_mm)}F{feed}"
        pending = pilot.begin(talk, motion, line, halts)
        if pending is not None:
            pilot.acknowledge(talk, motion, pending)

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
        pilot, talk = self._pilot, self._pilot.opened()
        with talk.changed:
            pilot.await_reset(talk)
            motion = pilot.tracker.motion
            if not pilot.critical and (motion is None or motion.kind is not Kind.HOME or motion.acknowledged):
                talk.fresh_report(unless=lambda: pilot.critical)
            return pilot.tracker.status

    def stop(self) -> None:
        """Cancel the jog: it slows down as it should, and the position stays known. Homing knows no gentler stop than a reset.

        Nothing happens at rest or when closed. Raises `Unplugged`.
        """
        talk = self._pilot.talk
        if talk is not None and talk.lost is None:
            self._pilot.stop(talk)

    def halt(self) -> None:
        """Soft reset: no step after it. The position is unknown afterwards. Nothing happens when closed. Raises `Unplugged`."""
        talk = self._pilot.talk
        if talk is not None and talk.lost is None:
            self._pilot.halt(talk)

    def release(self) -> None:
        """Put the controller to sleep, which switches the motor off whatever `$1` says; the position is unknown afterwards."""
        pilot, talk = self._pilot, self._pilot.opened()
        with talk.changed:
            busy = pilot.tracker.motion is not None or pilot.critical
        if busy:
            pilot.reset(talk)
        pilot.await_reset(talk)
        if pilot.mode(talk) is not Mode.SLEEP:
            talk.command("$SLP", self._options.response_timeout_s)
        with talk.changed:
            pilot.tracker.forget(pilot.tracker.status.ended_s)

    # --------------------------------------------------------------------------------------------------------- targets

    def _last(self) -> int:
        """The farthest position."""
        return math.floor(self._able.travel_um / self._able.microstep_um + 1e-9)

    def _check_target(self, target: int) -> int:
        """Whether the rail can go there; where it is. Raises `AlarmResponse`."""
        port, position = self._options.port, self._pilot.tracker.status.position
        if position is None:
            raise AlarmResponse(port, "not homed", "home the rail before it can go to a position")
        if not 0 <= target <= self._last():
            um = self._able.microstep_um
            place = f"{target * um:.1f} um lies outside the travel, 0 to {self._last() * um:.1f} um"
            raise AlarmResponse(port, "out of travel", place)
        return position
