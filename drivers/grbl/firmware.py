"""A controller's settings, for `rigd firmware`: read, compared with the config, and written when that was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.clock import Clock
from drivers.grbl import settings
from drivers.grbl.conversation import Conversation
from drivers.grbl.options import GrblOptions
from drivers.grbl.port import Port
from drivers.grbl.protocol import Message
from drivers.grbl.settings import Difference, Firmware


@dataclass(frozen=True, slots=True)
class Findings:
    """What is on a controller."""

    firmware: Firmware
    differences: tuple[Difference, ...]


class _Deaf:
    """Nobody moves: what the controller says unasked matters to nobody."""

    def heard(self, message: Message, now_s: float) -> None:
        """Nothing."""

    def tick(self, now_s: float) -> None:
        """Nothing."""


def check(options: GrblOptions, clock: Clock) -> Findings:
    """Read the settings of the controller at the configured port. It is reset, and moves nothing. Raises `DriverError`."""
    return _visit(options, clock, write=False)


def apply(options: GrblOptions, clock: Clock) -> Findings:
    """Write what differs and may be written, then read everything again: what the findings name is what is left.

    Raises:
        AlarmResponse: the controller refused a setting; those written before stay written.
        DriverError: port, controller or firmware are not there.
    """
    return _visit(options, clock, write=True)


def _visit(options: GrblOptions, clock: Clock, *, write: bool) -> Findings:
    talk = Conversation(Port(options.port, options.baud), clock, _Deaf())
    try:
        talk.open()
        found = settings.read(talk, options)
        differing = settings.differences(found, options)
        if write and differing:
            settings.apply(talk, differing, options)
            found = settings.read(talk, options)
            differing = settings.differences(found, options)
    finally:
        talk.close()
    return Findings(found, tuple(differing))
