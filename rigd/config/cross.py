"""What sections must agree on: limits with the rail, the plan with both, the drivers with each other.

Each check is one function of `Parts` that yields what it objects to; a check whose sections are missing or wrong says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from drivers import registry
from drivers.base import CameraCapabilities, DriverError, RailCapabilities
from rigd.config.model import Capture, DriverConfig, Jog, Limits, PlanSection, Preview, Settle
from rigd.config.problems import Problem
from rigd.config.source import Source, dotted
from rigd.config.units import plain_number as number

ROUNDING_UM = 1e-6
"""Lengths closer than this are equal."""
OVERSHOOT_PER_BACKLASH = 1.5
"""Default overshoot; less than about this much is not reliably more than the backlash of a home-made rail."""
MICROSTEP_ERROR = 0.04
"""Error of a microstep as a share of a full step, where the rail does not declare its own."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The sections that are right by themselves, and where they came from."""

    source: Source
    sections: dict[str, Any]
    broken: frozenset[str] = frozenset()
    """Sections that are there and wrong."""

    def get[T](self, name: str, kind: type[T]) -> T | None:
        """A section, or None when it is missing or wrong."""
        section = self.sections.get(name)
        return section if isinstance(section, kind) else None

    def problem(self, path: str, message: str, fix: str) -> Problem:
        """A problem at the value of a dotted path, or at the nearest thing around it that is in the file."""
        return Problem.at(self.source.value_place(tuple(path.split("."))), path, message, fix)
