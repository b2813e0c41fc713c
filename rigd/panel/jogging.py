"""The jog by a button that is held: begun, renewed for as long as it is, stopped when it is let go of."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Protocol

from rigd.config.panel import Role
from rigd.machine.state import Mode
from rigd.panel.heard import Heard

HOLD_S = 0.5
"""A jog that is not renewed for so long stops by itself: the panel's loop hangs, or the whole daemon did."""
RENEWALS = 4
"""In that time."""
_SIGNS: dict[Role, int] = {"jog_near": -1, "jog_far": 1}
JOGS = tuple(_SIGNS)
_RESTS = (Mode.UNHOMED, Mode.IDLE)
_ENDS = (Mode.MOVING, Mode.STOPPING)


class Ask(Protocol):
    """Puts a command to the desk."""

    def __call__(
        self,
        verb: str,
        params: dict[str, Any] | None = None,
        on_reply: Callable[[bool], None] | None = None,
        *,
        transaction: str | None = None,
    ) -> None:
        """Ask. `on_reply` is told whether it was taken, maybe before this returns; without it, a refusal is shown."""


class HeldJog:
    """Of the buttons `jog_near` and `jog_far`. On the loop's thread.

    Args:
        ask: puts commands to the desk.
        heard: what the rig says.
        refuse: shows that nothing is done, where the desk was not even asked.
        hold_s: how long a jog goes on unless it is renewed.
    """

    def __init__(self, ask: Ask, heard: Heard, refuse: Callable[[], None], hold_s: float) -> None:
        self._ask = ask
        self._heard = heard
        self._refuse = refuse
        self._hold_s = hold_s
        self._wanted: Role | None = None
        self._spoilt = False
        """Refused, or ended by somebody else: nothing more before the button is pressed anew."""
        self._fresh = False
        """Pressed, and not yet asked for."""
        self._stopped = False
        """Its own stop was asked for, and the rail does not stand yet."""
        self._transaction: str | None = None
        """Of the jog that is asked for or under way."""
        self._going = False
        self._renew_s = 0.0

    def want(self, role: Role | None, now_s: float) -> None:
        """Which of the two is held now; None: neither, or both. To be called again and again."""
        if self._heard.mode in _RESTS:
            self._stopped = False
        if role != self._wanted:
            self._let_go()
            self._wanted, self._spoilt, self._fresh = role, False, True
        if role is None or self._spoilt:
            return
        if self._transaction is None:
            self._begin(role)
        elif self._going and now_s >= self._renew_s:
            self._renew_s = now_s + self._hold_s / RENEWALS
            self._ask("jog.renew", {"hold_s": self._hold_s}, lambda _taken: None)

    def spoil(self) -> None:
        """Somebody stops everything."""
        self._spoilt = True

    def ended(self, transaction: str, well: bool) -> None:
        """An action is over; if it is the jog, and the button is still held, the next one is begun."""
        if transaction == self._transaction:
            self._transaction, self._going = None, False
            self._spoilt = self._spoilt or not well

    def _let_go(self) -> None:
        if self._transaction is not None:
            self._transaction, self._going, self._stopped = None, False, True
            self._ask("stop")

    def _begin(self, role: Role) -> None:
        """Ask for a jog. A rail that is in the middle of something else refuses; one that still brakes is waited for."""
        resting = self._heard.mode in _RESTS
        if not resting and (not self._fresh or (self._stopped and self._heard.mode in _ENDS)):
            return
        way_um = self._heard.way_um(_SIGNS[role])
        if way_um == 0:
            self._spoilt = True
            self._refuse()
            return
        self._fresh = False
        self._transaction = transaction = f"jog-{uuid.uuid4().hex}"

        def replied(taken: bool) -> None:
            if transaction != self._transaction:
                return  # the button was let go of meanwhile
            self._going = taken
            if not taken:
                self._transaction, self._spoilt = None, True
                self._refuse()

        params = {"distance_um": way_um, "hold_s": self._hold_s}
        self._ask("jog", params, replied, transaction=transaction)
