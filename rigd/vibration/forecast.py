"""What a stack takes, by its ringing: moves as they will be shaped, and the wait after each."""

from __future__ import annotations

from typing import Protocol

from drivers.base import RailCapabilities
from rigd.config.settle import Settle
from rigd.vibration.amplitude import move_time_s
from rigd.vibration.choice import Chosen
from rigd.vibration.known import Note
from rigd.vibration.model import Vibration, audited


class RailTimes(Protocol):
    """A rail that tells how long its moves take as they are shaped now."""

    @property
    def capabilities(self) -> RailCapabilities:
        """What it can do."""

    def move_time_s(self, distance: int) -> float:
        """How long a move over so many microsteps takes."""


class Forecast:
    """Times of one stack.

    Args:
        vibration: of the rig.
        settle: the section in force.
        rail: the rail.
        step_um: length of the stack's steps, for which the shape of moves is chosen.
    """

    def __init__(self, vibration: Vibration, settle: Settle, rail: RailTimes, step_um: float) -> None:
        self._vibration = vibration
        self._settle = settle
        self._rail = rail
        self._microstep_um = rail.capabilities.microstep_um
        self.step_um = step_um
        self.chosen: Chosen = vibration.motion(step_um)
        self._shaping = vibration.shaping(step_um)

    def move_time_s(self, distance: int) -> float:
        """How long a move over so many microsteps will take."""
        if self.chosen.shaping is None:
            return self._rail.move_time_s(distance)
        return move_time_s(self.chosen.shaping, self._vibration.drive, distance * self._microstep_um)

    def settle_s(self, distance: int) -> float:
        """The wait after it."""
        move_um = distance * self._microstep_um
        return self._vibration.wait_alone(self._settle, self._shaping, move_um).settle_s

    def audits_s(self, frames: int, shot_s: float) -> float:
        """What the pictures that are taken twice cost a stack, each the longer wait and an exposure of `shot_s`, all told."""
        audits = sum(audited(self._settle, taken) for taken in range(frames))
        present = self._vibration.surely(self._settle, 1.0)
        if not audits or not present:
            return 0.0
        still_s = self._vibration.wait(self._settle, present, 0.0).settle_s
        step = round(self.step_um / self._microstep_um)
        return audits * (max(0.0, still_s - self.settle_s(step)) + shot_s)

    @property
    def motion_text(self) -> str:
        """The shape of moves and why; or which acceleration would be better."""
        advised = self._vibration.advice(self.step_um)
        return _sentence(self.chosen.why if advised is None else f"{self.chosen.why}: {advised.text}")

    @property
    def settle_text(self) -> str:
        """How long a frame settles after a step and why."""
        wait = self._vibration.wait_alone(self._settle, self._shaping, self.step_um)
        return _sentence(f"the rig settles for {wait.settle_s:.3f} s after each step: {wait.why}")

    @property
    def warnings(self) -> tuple[Note, ...]:
        """What is in the way of a better settle."""
        return self._vibration.notes


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
