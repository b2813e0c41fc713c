"""The two kinds of event: what happened or was asked for, and answers to effects."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened or was asked for."""


@dataclass(frozen=True, slots=True)
class Answer(Event):
    """Base of all answers: to the effect with this serial number."""

    serial: int
