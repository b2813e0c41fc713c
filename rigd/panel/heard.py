"""What the rig says, as far as a panel needs it: taken from the same messages that everybody gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rigd.machine.state import Mode
from rigd.messages import topics
from rigd.remote.bus import Outgoing

ACTION_FINISHED = f"{topics.EVENT}action_finished"


@dataclass(slots=True)
class Heard:
    """The newest of it."""

    mode: Mode = Mode.OFFLINE
    position_um: float | None = None
    session: bool = False
    """Whether a stack is under way or paused."""
    leased: bool = False
    """Whether somebody holds the rig's lease."""
    microstep_um: float = 1.0
    min_um: float = 0.0
    max_um: float = 0.0
    jog_max_um: float = 0.0
    stepped: bool = False
    """Whether a step or a number of frames is set for the next stack."""
    near_um: float | None = None
    far_um: float | None = None
    """The ends that are set for it."""
    on_mode: Callable[[Mode], None] = lambda _mode: None
    """Told of every new mode."""
    on_end: Callable[[str, bool], None] = lambda _transaction, _well: None
    """Told of every action that has ended: its transaction, and whether it went well."""

    def take(self, message: Outgoing) -> None:
        """One message of the rig."""
        match message.topic:
            case topics.STATE:
                self._state(json.loads(message.payload))
            case topics.INFO:
                info = json.loads(message.payload)
                self.microstep_um = info["rail"]["microstep_um"]
                limits = info["limits"]
                self.min_um, self.max_um = limits["min_um"], limits["max_um"]
                self.jog_max_um = limits["jog_max_um"]
            case topics.SETTINGS:
                settings = json.loads(message.payload)
                self.near_um, self.far_um = settings["near_um"], settings["far_um"]
                self.stepped = settings["step_um"] is not None or settings["frames"] is not None
            case other if other == ACTION_FINISHED:
                event = json.loads(message.payload)
                if event["transaction"] is not None:
                    self.on_end(event["transaction"], event["status"] == "ok")

    def _state(self, state: dict[str, Any]) -> None:
        self.position_um = state["rail"]["position_um"] if state["rail"]["homed"] else None
        self.session = state["session"] is not None
        self.leased = state["lease"] is not None
        mode = Mode(state["mode"])
        if mode is not self.mode:
            self.mode = mode
            self.on_mode(mode)

    def way_um(self, sign: int) -> float:
        """How far a jog may go: as long as one may be, and not beyond a limit. 0: no way at all."""
        far_um = self.jog_max_um
        if self.position_um is not None:
            left_um = self.max_um - self.position_um if sign > 0 else self.position_um - self.min_um
            # The position is told rounded; a hundredth of a microstep keeps that from counting as one more.
            whole = int(max(0.0, left_um) / self.microstep_um - 0.01)
            far_um = min(far_um, whole * self.microstep_um)
        return sign * far_um
