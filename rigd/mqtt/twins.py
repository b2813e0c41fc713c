"""Another rig under our id.

The broker keeps two of one client id apart; two that were given client ids of their own both act on every command, which nobody means.
A rig hears its own `birth`. One of another start may be what an earlier start has left at the broker, so ours is said once more: whoever
is there says theirs in return, and a birth that comes twice on one connection is that of somebody who lives.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable

log = logging.getLogger(__name__)

MOST = 100
"""Births of others that are counted on one connection: somebody may make them up."""


class Twins:
    """Looks out for another rig of our id on one broker. On the loop's thread.

    Args:
        own: our boot id.
        say_again: publishes our birth.
        report: told in words, once for each other that is there.
    """

    def __init__(
        self, own: Callable[[], str], say_again: Callable[[], None], report: Callable[[str], None]
    ) -> None:
        self._own = own
        self._say_again = say_again
        self._report = report
        self._heard: Counter[str] = Counter()
        self._told: set[str] = set()

    def down(self) -> None:
        """The connection is lost: on the next one, what is retained comes anew."""
        self._heard.clear()

    def heard(self, payload: bytes) -> None:
        """A birth under our id, ours or not."""
        boot_id = boot_id_in(payload)
        if not boot_id or boot_id == self._own() or len(self._heard) >= MOST:
            return
        self._heard[boot_id] += 1
        if self._heard[boot_id] == 1:
            self._say_again()
        elif boot_id not in self._told:
            self._told.add(boot_id)
            self._report(
                "another rig has this one's id on this broker, and both act on every command: give one of them another `rig.id`"
            )


def boot_id_in(payload: bytes) -> str:
    """Of a birth; empty where it is none."""
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        return ""
    found = said.get("boot_id") if isinstance(said, dict) else None
    return found if isinstance(found, str) else ""
