"""The contacts of a panel's buttons: looked at in turn, on a thread of their own. One that fails is tried again."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping

from drivers.base import DriverError, Switch
from drivers.clock import Clock
from rigd.config.panel import ROLES, Role

log = logging.getLogger(__name__)

AGAIN_S = 2.0
"""A contact that failed is opened anew after so long."""


class Contacts:
    """Blocks: for a worker's thread.

    Args:
        switches: the drivers, by what they are for.
        clock: of tries.
    """

    def __init__(self, switches: Mapping[Role, Switch], clock: Clock) -> None:
        # Stop comes first: the contacts before it may be bouncing.
        self._switches = {role: switches[role] for role in ROLES if role in switches}
        self._clock = clock
        self._again_s: dict[Role, float] = {}
        """Of those that failed: when they are tried again."""

    def open(self) -> None:
        """Take all into use, or none. Raises `DriverError`."""
        try:
            for switch in self._switches.values():
                switch.open()
        except DriverError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of all of them, each whatever becomes of the others."""
        for role, switch in self._switches.items():
            try:
                switch.close()
            except DriverError as error:
                log.warning("the panel's button %s could not be closed: %s", role, error)

    def closed(self) -> dict[Role, bool | None]:
        """Which are closed now; None for one that cannot be read."""
        return {role: self._read(role, switch) for role, switch in self._switches.items()}

    def _read(self, role: Role, switch: Switch) -> bool | None:
        again_s = self._again_s.get(role)
        if again_s is not None and self._clock.now() < again_s:
            return None
        try:
            if again_s is not None:
                switch.open()
            pressed = switch.pressed()
        except DriverError as error:
            if again_s is None:
                log.warning("the panel's button %s cannot be read: %s", role, error)
            with contextlib.suppress(DriverError):
                switch.close()
            self._again_s[role] = self._clock.now() + AGAIN_S
            return None
        if again_s is not None:
            log.info("the panel's button %s can be read again", role)
            del self._again_s[role]
        return pressed
