"""From what contacts say to presses: pure, so that every order of events can be tried.

Only a change counts. A contact that is closed when it is first looked at (a button that hangs, a wire to ground) does nothing
before it was open once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from rigd.config.panel import Role

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """A button was pressed, or let go of."""

    role: Role
    pressed: bool


@dataclass(slots=True)
class Presses:
    """The buttons of one panel, as they were last seen."""

    _seen: dict[Role, bool] = field(default_factory=dict)
    """Whether it was closed, of those that can be read."""
    _since_s: dict[Role, float] = field(default_factory=dict)
    """When each of those was pressed that are held; not those that were closed from the first look."""

    def look(self, closed: Mapping[Role, bool | None], now_s: float) -> list[Change]:
        """What has changed. One that cannot be read (None) is let go of, and is new when it comes back."""
        changes = []
        for role, now in closed.items():
            before = self._seen.get(role)
            if now is None:
                self._seen.pop(role, None)
            else:
                self._seen[role] = now
            if now and before is None:
                log.warning(
                    "the panel's button %s is closed already: it does nothing before it was open", role
                )
            if now and before is False:
                self._since_s[role] = now_s
                changes.append(Change(role, pressed=True))
            elif not now and self._since_s.pop(role, None) is not None:
                changes.append(Change(role, pressed=False))
        return changes

    def held_s(self, role: Role, now_s: float) -> float | None:
        """How long a button has been held; None: it is not."""
        since_s = self._since_s.get(role)
        return None if since_s is None else now_s - since_s
