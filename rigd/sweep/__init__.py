"""Where a subject begins and ends: focus against position, looked at with small pictures. What is found is proposed, never taken."""

from __future__ import annotations

from rigd.sweep.curves import Found, NothingSharp, energies_of, find_ends
from rigd.sweep.running import Range, Sweep, sweep

__all__ = ["Found", "NothingSharp", "Range", "Sweep", "energies_of", "find_ends", "sweep"]
