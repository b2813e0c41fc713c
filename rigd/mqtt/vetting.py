"""Whether a command was published to be kept, where the broker does not say so.

To a client that is connected, MQTT 3.1.1 brings a retained message like any other. But a broker must send what it keeps once more to
whoever subscribes again, marked as kept (MQTT 3.1.1, section 3.8.4). So before the rail moves, the broker is asked: a motion
command on whose topic something is kept is taken for that, and refused as retained. It costs one round trip.

What comes behind a command that waits waits too, so that all is done in order; what only makes the rig safer waits for nobody, and what
has waited until then does not begin any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from rigd.messages import topics
from rigd.messages.base import ErrorCode
from rigd.messages.verbs import VERBS
from rigd.remote.bus import Incoming

log = logging.getLogger(__name__)

ANSWER_S = 2.0
"""A broker that has not sent what it keeps by then keeps nothing."""
MOST = 100
"""Commands that wait; a further one is not vetted but refused."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    incoming: Incoming
    moves: bool


class Vetting:
    """Lets commands through in order, motion only when the broker keeps nothing on its topic. On the loop's thread.

    Args:
        ask: subscribes once more, to the commands and then to a topic on which the broker keeps something of ours.
        hand_on: takes commands, as they are or marked as retained.
        refuse: takes those that a stop, or too many others, came before.
    """

    def __init__(
        self,
        ask: Callable[[], None],
        hand_on: Callable[[Incoming], None],
        refuse: Callable[[Incoming, ErrorCode, str], None],
    ) -> None:
        self._ask = ask
        self._hand_on = hand_on
        self._refuse = refuse
        self._waiting: list[_Waiting] = []
        self._asked = 0
        """How many of those that wait were there when the broker was asked; 0: it is not being asked."""
        self._kept: set[str] = set()
        self._overdue: asyncio.TimerHandle | None = None

    def take(self, incoming: Incoming) -> None:
        """A command, from a broker that marks as retained only what it kept from before."""
        verb = VERBS.get(incoming.topic.removeprefix(topics.REQUEST))
        if incoming.topic == topics.ESTOP or (verb is not None and verb.always):
            self._hand_on(incoming)
            self._drop("something was stopped before this could begin")
        elif incoming.retained:
            self._hear_kept(incoming)
        elif len(self._waiting) >= MOST:
            self._refuse(incoming, ErrorCode.BUSY, "too many commands at once; try again")
        elif self._waiting or (verb is not None and verb.moves):
            self._waiting.append(_Waiting(incoming, verb is not None and verb.moves))
            self._go_on()
        else:
            self._hand_on(incoming)

    def answered(self) -> None:
        """The broker has sent what it keeps: our own, which it was asked for last, is here."""
        if not self._asked:
            return
        self._stop_waiting()
        done, self._waiting = self._waiting[: self._asked], self._waiting[self._asked :]
        kept, self._kept, self._asked = self._kept, set(), 0
        for one in done:
            retained = one.moves and one.incoming.topic in kept
            self._hand_on(replace(one.incoming, retained=True) if retained else one.incoming)
        self._go_on()

    def down(self) -> None:
        """The connection is lost, and who asked over it: nothing of that is done."""
        self._stop_waiting()
        self._waiting.clear()
        self._kept.clear()
        self._asked = 0

    def _hear_kept(self, incoming: Incoming) -> None:
        if self._asked:
            self._kept.add(incoming.topic)  # what it kept from before was refused when the connection began
        else:
            self._hand_on(incoming)

    def _go_on(self) -> None:
        """Ask for those that wait, unless it is being asked already: they came behind the question."""
        if self._asked:
            return
        while self._waiting and not self._waiting[0].moves:
            self._hand_on(self._waiting.pop(0).incoming)
        if self._waiting:
            self._asked = len(self._waiting)
            self._overdue = asyncio.get_running_loop().call_later(ANSWER_S, self.answered)
            self._ask()

    def _drop(self, why: str) -> None:
        waiting, self._waiting = self._waiting, []
        self.down()
        for one in waiting:
            if one.moves:
                self._refuse(one.incoming, ErrorCode.INTERRUPTED, why)
            else:
                self._hand_on(one.incoming)

    def _stop_waiting(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
