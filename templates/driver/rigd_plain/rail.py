"""The rail. Its verbs are short: they start something and return. Waiting is rigd's business.

All verbs come from one thread, except `stop` and `halt`, which come from any thread at any time and wait for nobody: that is why
they send a single byte and take no lock. Every failure is a `DriverError` with the port's name in it.
"""

from __future__ import annotations

from typing import Any

from drivers import serialport
from drivers.base import DriverError, Limit, NoResponse, NotOpen, RailCapabilities, RailStatus, Unplugged
from drivers.registry import Context
from rigd_plain.options import PlainOptions
from rigd_plain.protocol import BRAKE, HALT, IDENTITY, Report, line_of, report_of, text_of

READ_WAIT_S = 0.02
LONGEST_LINE = 200


class PlainRail:
    """A rail on a made-up controller.

    Args:
        options: as the config says.
        context: the clock, and what is shared by the drivers of one rig.
    """

    def __init__(self, options: PlainOptions, context: Context) -> None:
        self._options = options
        self._clock = context.clock
        self._serial: Any = None
        self._failures: tuple[type[Exception], ...] = ()
        self._number = 0
        self._trusted = False
        """Whether the controller's count may be believed: not before the first homing, and not after a halt."""
        self._target: int | None = None
        self._halts = 0
        """How often `halt` was called: a motion that was begun meanwhile must not go on."""
        self._stops = 0

    @property
    def capabilities(self) -> RailCapabilities:
        """As the options say."""
        return self._options.declared()

    # ------------------------------------------------------------------------------------------------- open and close

    def open(self) -> None:
        """Take the port and see who is there. Raises `DriverError`, and then the port is free again."""
        if self._serial is not None:
            return
        self._trusted, self._target = False, None
        self._serial, self._failures = serialport.opened(
            "rail", "plain", self._options.port, 115_200, read_wait_s=READ_WAIT_S, write_wait_s=1.0
        )
        try:
            self._send(HALT, "halt")  # whatever it was doing when somebody else let go of it
            said = self._ask("id")
            if said != IDENTITY:
                raise DriverError(self._options.port, f"is no plain controller: it says {said!r}")
        except DriverError:
            self.close()
            raise

    def close(self) -> None:
        """Stand still, and let go of the port. Idempotent, and works after everything that went wrong."""
        port, self._serial = self._serial, None
        self._trusted, self._target = False, None
        if port is None:
            return
        try:
            port.write(HALT)
        except self._failures:
            pass  # it is gone, and cannot be told
        finally:
            serialport.close(port, self._failures)

    # --------------------------------------------------------------------------------------------------------- motions

    def start_home(self) -> None:
        """Begin homing."""
        self._refuse_while_moving()
        self._target = None
        self._begin("home")

    def start_move(self, target: int, speed_um_per_s: float | None = None) -> None:
        """Begin a move to a position in microsteps."""
        report = self._refuse_while_moving()
        if not (self._trusted and report.homed):
            raise DriverError(self._options.port, "not homed")
        self._check(target)
        self._begin(f"move {target} {self._speed(speed_um_per_s)}")
        self._target = target

    def start_jog(self, distance: int, speed_um_per_s: float) -> None:
        """Begin a relative move, also before homing."""
        report = self._refuse_while_moving()
        if self._trusted and report.homed:
            self._check(report.position + distance)
        self._begin(f"jog {distance} {self._speed(speed_um_per_s)}")

    def move_time_s(self, distance: int) -> float:
        """How long a move takes: this controller knows no ramps."""
        return abs(distance) * self._options.microstep_um / self._options.max_speed_um_per_s

    def poll(self) -> RailStatus:
        """Where the rail is now. An alarm is told in words, and ends what is known of the position."""
        report = self._report()
        moving = report.state in {"moving", "homing"}
        homed = self._trusted and report.homed
        return RailStatus(
            moving=moving,
            homed=homed,
            position=report.position if homed else None,
            target=self._target if moving and homed else None,
            limit=Limit.NONE,
            alarm=report.alarm or None,
            home_error=report.home_error,
        )

    def stop(self) -> None:
        """Brake; the position stays known. Any thread, at once."""
        self._stops += 1
        self._shout(BRAKE)

    def halt(self) -> None:
        """Stop dead; the position is not known any more. Any thread, at once."""
        self._halts += 1
        self._trusted = False
        self._shout(HALT)

    def release(self) -> None:
        """Switch the motor off: the screw may turn by hand, and the position is not known any more."""
        self._trusted = False
        self._command("off")

    # -------------------------------------------------------------------------------------------------------- the wire

    def _begin(self, text: str) -> None:
        """Have a motion begun. Where the answer does not come, it may have begun all the same: it is stopped."""
        halts, stops = self._halts, self._stops
        try:
            self._command(text)
        except DriverError:
            self.halt()
            raise
        self._trusted = self._trusted or text == "home"
        if self._halts != halts:
            self._trusted = False
            self._shout(HALT)
        elif self._stops != stops:
            self._shout(BRAKE)

    def _refuse_while_moving(self) -> Report:
        report = self._report()
        if report.state in {"moving", "homing"}:
            raise DriverError(self._options.port, "is moving")
        return report

    def _check(self, target: int) -> None:
        last = int(self._options.travel_um / self._options.microstep_um)
        if not 0 <= target <= last:
            raise DriverError(self._options.port, f"{target} is outside of 0 to {last} microsteps")

    def _speed(self, um_per_s: float | None) -> int:
        most = self._options.max_speed_um_per_s
        return max(1, round(min(um_per_s or most, most) / self._options.microstep_um))

    def _report(self) -> Report:
        said = self._ask("?")
        report = report_of(said)
        if report is None:
            raise DriverError(self._options.port, f"says {said!r} when asked for its state")
        return report

    def _command(self, text: str) -> None:
        said = self._ask(text)
        if said != "ok":
            raise DriverError(self._options.port, f"{text}: {said}")

    def _ask(self, text: str) -> str:
        """Send a line and wait for its answer. Raises `NotOpen`, `NoResponse` or `Unplugged`."""
        port = self._serial
        if port is None:
            raise NotOpen(self._options.port)
        try:
            self._number = number = (self._number + 1) % 1000
            port.reset_input_buffer()
            port.write(line_of(number, text))
            ends_s, heard = self._clock.now() + self._options.response_timeout_s, b""
            while self._clock.now() < ends_s:
                heard = (heard + port.read(max(1, port.in_waiting)))[-LONGEST_LINE:]
                *lines, heard = heard.split(b"\n")
                for line in lines:
                    said = text_of(line)
                    if said is not None and said[0] == number:
                        return said[1]
        except self._failures as error:
            raise Unplugged(self._options.port, text) from error
        raise NoResponse(self._options.port, text)

    def _send(self, data: bytes, what: str) -> None:
        try:
            self._serial.write(data)
        except self._failures as error:
            raise Unplugged(self._options.port, what) from error

    def _shout(self, byte: bytes) -> None:
        """A byte that is obeyed at once; where nobody is, nothing moves that could be told to stop."""
        port = self._serial
        if port is None:
            return
        try:
            port.write(byte)
        except self._failures:
            return  # the next poll says that it is gone
