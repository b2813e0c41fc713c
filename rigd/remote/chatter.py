"""A log that a flood of messages does not fill."""

from __future__ import annotations

import logging

from drivers.clock import Clock

LINES = 20
SPAN_S = 10.0
"""So many lines in so long; the rest is counted."""


class Chatter:
    """Lines of one kind, at a bounded rate.

    Args:
        log: where they go, at level info.
        clock: of the rate.
    """

    def __init__(self, log: logging.Logger, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._since_s = clock.now()
        self._said = 0
        self._unsaid = 0

    def say(self, message: str, *args: object) -> None:
        """Log a line, unless there were too many of late."""
        now = self._clock.now()
        if now - self._since_s >= SPAN_S:
            if self._unsaid:
                self._log.info("%d more like it in %.0f s", self._unsaid, now - self._since_s)
            self._since_s, self._said, self._unsaid = now, 0, 0
        if self._said >= LINES:
            self._unsaid += 1
            return
        self._said += 1
        self._log.info(message, *args)
