"""The shooting range: a broker, a guarded rig behind it, and somebody who sends it whatever there is and keeps count of what comes back."""

from __future__ import annotations

import itertools
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rigd.messages import topics
from rigd.messages.contract import PUBLISHED, Channel
from rigd.messages.reports import Reply, TestShot
from rigd.messages.verbs import VERBS
from tests.brokers import HOST, free_port, running
from tests.fuzz.messages import Shot
from tests.fuzz.rifle import Came, Guarded, Rifle, Wrong
from tests.remote import LIMIT_S, PREFIX, RIG

DISCOVERY = f"homeassistant/device/{RIG}/config"
PICTURED = "capture.test"
LATER = (PICTURED, "sweep")
"""Verbs whose data come with the end of the action."""
"""Its data come with its end."""
LONGEST_TOPIC = 65_535
"""Bytes; MQTT's own bound."""
BROKER = (
    *("max_queued_messages 100000", "set_tcp_nodelay true", "user root", "log_dest stderr"),
    *(f"log_type {kind}" for kind in ("error", "warning", "notice", "information")),
)
"""Nothing is to be lost because somebody reads slowly."""


class Range:
    """Both, and the count."""

    def __init__(self, rifle: Rifle, target: Guarded, *, old: bool) -> None:
        self.rifle, self.rig = rifle, target
        self._old = old
        """The rig speaks MQTT 3.1.1: it hears no properties."""
        self.sent = 0
        self.shooting_s = 0.0
        self.replies: Counter[str] = Counter()
        """By status, or code of the error."""
        self.done: Counter[str] = Counter()
        """Commands that were answered `ok` or `accepted`, not again, by verb."""
        self.events: Counter[str] = Counter()
        self.announced = 0
        """How often the rig told Home Assistant of itself."""
        self.mode, self.position_um = "", 0.0
        self.ended: dict[str, Any] = {}
        """The `action_finished` of commands of the test's own."""
        self._numbers = itertools.count(1)
        self._due: Counter[tuple[str, bytes | None]] = Counter()
        self._sound: dict[tuple[str, bytes | None], Shot] = {}
        self._named: dict[str, Shot] = {}
        """Those that only their transaction tells apart."""
        self._owed_old: Counter[tuple[str, bytes]] = Counter()
        """What the client of the older MQTT said, which is heard as if the rig had."""
        self._told: dict[str, Reply] = {}
        self._absorb()

    # ----------------------------------------------------------------------------------------------------------- shooting

    def volley(self, shots: Sequence[Shot]) -> None:
        """Send these, and wait until each has the one answer that it should have, where it should be."""
        began_s = time.monotonic()
        for shot in shots:
            self._one(shot)
        self.settle()
        self.shooting_s += time.monotonic() - began_s

    def _one(self, shot: Shot) -> None:
        number = next(self._numbers)
        correlation = b"%d." % number + shot.correlation[: 1024 - 12] if shot.correlation else None
        payload = shot.payload.numbered(number)
        shot = replace(shot, payload=payload, correlation=correlation)
        if self._old:
            shot = bare(shot)
        answered_on, correlation = shot.answered_on, shot.correlation
        if answered_on is not None and len(answered_on.encode("utf-8", "surrogatepass")) <= LONGEST_TOPIC:
            key = (answered_on, correlation)
            self._due[key] += 1
            if correlation is not None:
                self._sound[key] = shot
            elif payload.transaction is not None and str(number) in payload.transaction:
                self._named[payload.transaction] = shot
        if shot.way == "straight":
            self.rig.hand(shot)
        else:
            if shot.way == "3.1.1":
                self._owed_old[shot.whole_topic, payload.data] += 1
            self.rifle.fire(shot)
        self.sent += 1

    def settle(self) -> None:
        """Until every answer is there, and not one more: a sign of life is asked for behind them."""
        self.until(lambda: not self._due)
        self.ask("ping")
        if self._due:
            raise Wrong(f"answers that nobody waits for: {dict(self._due)}")

    # ---------------------------------------------------------------------------------------------------------- commanding

    def ask(self, verb: str, params: dict[str, Any] | None = None, **envelope: Any) -> Reply:
        """A right request, and its answer."""
        transaction = f"mine-{next(self._numbers)}"
        answer_on = f"{PREFIX}response/{verb}" if self._old else f"rigd/clients/fuzz/{transaction}"
        self._due[answer_on, None] += 1
        self.rifle.command(verb, params or {}, transaction, answer_on, **envelope)
        self.until(lambda: transaction in self._told)
        return self._told.pop(transaction)

    def run(self, verb: str, params: dict[str, Any] | None = None) -> Any:
        """A long command; how it ended, or None when it was refused."""
        reply = self.ask(verb, params)
        return self.end_of(reply) if reply.status == "accepted" else None

    def end_of(self, accepted: Reply, *, or_in: Sequence[str] = ()) -> Any:
        """How it ended; None where the rig came to one of these modes instead."""
        self.until(lambda: accepted.transaction in self.ended or self.mode in or_in)
        return self.ended.pop(str(accepted.transaction), None)

    def until(self, true: Callable[[], Any]) -> None:
        """Hear what comes until it is true. Raises `Wrong` when it does not become so."""
        until_s = time.monotonic() + LIMIT_S
        while True:
            self._absorb()
            if true():
                return
            try:
                self.rifle.wait(until_s)
            except Wrong as wrong:
                raise Wrong(
                    f"{wrong}; due: {list(self._due)[:5]}, mode {self.mode}; {self.rig.report()}"
                ) from None

    # ------------------------------------------------------------------------------------------------------------- hearing

    def _absorb(self) -> None:
        for came in self.rifle.taken():
            self._hear(came)

    def _hear(self, came: Came) -> None:
        key, said = (came.topic, came.correlation), (came.topic, came.payload)
        if self._owed_old[said]:
            self._owed_old -= Counter([said])
        elif key in self._due:
            self._due[key] -= 1
            if not self._due[key]:
                del self._due[key]
            self._answered(came, self._sound.pop(key, None))
        elif came.topic.startswith(PREFIX):
            self._said(came)
        elif came.topic == DISCOVERY and came.retain:
            self.announced += 1
        else:
            raise Wrong(f"said where it should not be, or once too often: {came}")

    def _answered(self, came: Came, shot: Shot | None) -> None:
        reply = Reply.model_validate_json(came.payload, strict=False)
        if came.retain or reply.model_dump_json().encode() != came.payload:
            raise Wrong(f"not as the contract has it: {came}")
        verb = VERBS.get(reply.verb)
        if reply.status != "error":
            if verb is not None and verb.data is not None and reply.verb not in LATER:
                verb.data.model_validate(reply.data)
            if not reply.repeated:
                self.done[reply.verb] += 1
        self.replies[reply.error.code if reply.error else reply.status] += 1
        shot = shot or self._named.pop(reply.transaction or "", None)
        if shot is None:
            if reply.transaction is not None and reply.transaction.startswith("mine-"):
                self._told[reply.transaction] = reply
            return
        if shot.refused and reply.status != "error" and not reply.repeated:
            raise Wrong(f"{shot} was acted on: {reply}")
        if shot.right and (reply.verb, reply.transaction) != (
            shot.topic.partition("/")[2],
            shot.payload.transaction,
        ):
            raise Wrong(f"{shot} was answered with {reply}")
        if (
            shot.right
            and reply.error is not None
            and reply.error.code in {"malformed", "oversized", "unknown_verb", "internal"}
        ):
            raise Wrong(f"{shot} was answered with {reply}")

    def _said(self, came: Came) -> None:
        topic = came.topic.removeprefix(PREFIX)
        one = channel(topic)
        if one is None or topic.startswith(topics.RESPONSE) or came.retain != one.retained:
            raise Wrong(f"said where it should not be, or once too often: {came}")
        if isinstance(one.carries, str) or not came.payload:
            return
        said: Any = one.carries.model_validate_json(came.payload, strict=False)
        if said.model_dump_json().encode() != came.payload:
            raise Wrong(f"not as the contract has it: {came}")
        if topic == topics.STATE:
            self.mode, self.position_um = said.mode, said.rail.position_um or 0.0
        elif topic.startswith(topics.EVENT):
            self.events[said.event_type] += 1
            if said.event_type == "action_finished" and (said.verb, said.status) == (PICTURED, "ok"):
                TestShot.model_validate(said.data)
            if said.event_type == "action_finished" and (said.transaction or "").startswith("mine-"):
                self.ended[said.transaction] = said


def bare(shot: Shot) -> Shot:
    """As somebody hears it who speaks MQTT 3.1.1: no properties, and a retained message is seen to be one only when it comes later."""
    way = "5" if shot.way == "straight" else shot.way
    return replace(
        shot,
        way=way,
        response_topic=None,
        goes=True,
        correlation=None,
        retain=False,
        dup=False,
        user=(),
        expiry_s=None,
    )


def channel(topic: str) -> Channel | None:
    """What the contract says of a topic."""
    found = [each for each in PUBLISHED if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each.topic), topic)]
    return next((each for each in found if each.topic == topic), found[0] if found else None)


@contextmanager
def shooting(folder: Path, *overrides: str, old: bool = False) -> Iterator[Range]:
    """A broker, a rig behind it, and somebody to shoot, until the block ends; the rig ends in good order."""
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text("\n".join([f"listener {port} {HOST}", "allow_anonymous true", *BROKER]))
    with running(config, port):
        rifle = Rifle(port)
        try:
            versions = ["mqtt.protocol=3.1.1"] if old else []
            target = Guarded(folder, port, *overrides, *versions)
            try:
                yield Range(rifle, target, old=old)
                target.leave()
            finally:
                target.close()
        finally:
            rifle.close()
