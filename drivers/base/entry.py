"""A driver's name, and where its parts live."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One driver name of one kind."""

    kind: str
    name: str
    options: str
    """`module:Class` of its `Options`; the module imports no hardware library."""
    target: str | None
    """`module:Class` of the driver, called as `Class(options, context)`. None: declared, not to be opened yet."""
    summary: str
    why_not: str = ""
    """Why it cannot be opened, where `target` is None."""
