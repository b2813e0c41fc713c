"""What really happened in a simulated rig, for the camera to show and for tests to prove claims against."""

from __future__ import annotations

import itertools
import threading
from bisect import bisect_right
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

WORLD = "sim.world"
"""Where the rail leaves its world in `Context.shared`."""
LAMPS = "sim.lamps"
"""Where lamps leave their light in `Context.shared`."""
POWER = "sim.power"
"""Where a switched supply of the camera leaves itself in `Context.shared`."""
KEPT_EXPOSURES = 16_384

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CarriageTruth:
    """The carriage at one instant."""

    position_um: float
    """Where the camera is, all effects included."""
    ring_um: float
    """Momentary displacement by ringing."""
    drift_um: float
    """Thermal drift."""
    screw_um: float
    """Where the motor has really turned the screw to: whole microsteps at rest."""
    moving: bool


@dataclass(frozen=True, slots=True)
class TrueExposure:
    """What one sensor frame really saw."""

    start_s: float
    end_s: float
    position_um: float
    """Mean carriage position during the exposure."""
    span_um: float
    """Highest minus lowest carriage position during the exposure, ringing included."""
    ring_um_max: float
    """Largest displacement by ringing during the exposure."""
    moving: bool
    """Whether the screw turned at any time during the exposure."""


@dataclass(frozen=True, slots=True)
class Track:
    """The carriage sampled over a time: positions and ringing, each (n,) in µm."""

    position_um: Floats
    ring_um: Floats
    moving: bool


@dataclass(slots=True)
class ExposureLog:
    """What was exposed, by sequence number; the oldest are forgotten beyond `kept`."""

    kept: int = KEPT_EXPOSURES
    _entries: OrderedDict[int, TrueExposure] = field(default_factory=OrderedDict)

    def add(self, sequence: int, exposure: TrueExposure) -> None:
        """Note what frame number `sequence` saw."""
        self._entries[sequence] = exposure
        while len(self._entries) > self.kept:
            self._entries.popitem(last=False)

    def __getitem__(self, sequence: int) -> TrueExposure:
        return self._entries[sequence]

    def __contains__(self, sequence: object) -> bool:
        return sequence in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def all(self) -> tuple[TrueExposure, ...]:
        """Those that are not forgotten, oldest first."""
        return tuple(self._entries.values())


class World(Protocol):
    """What a simulated camera needs to know about the rail that carries it."""

    exposures: ExposureLog

    @property
    def ring_coupling(self) -> float:
        """Sideways shift of the image in subject µm per µm of ringing."""

    def track(self, times_s: Floats) -> Track:
        """The carriage at these times."""

    def truth_at(self, time_s: float) -> CarriageTruth:
        """The carriage at one instant."""


class StillWorld:
    """The world of a simulated camera whose rail is not simulated: it stands where the camera is told."""

    ring_coupling = 0.0

    def __init__(self) -> None:
        self.exposures = ExposureLog()
        self.position_um = 0.0

    def track(self, times_s: Floats) -> Track:
        """Standing still."""
        return Track(np.full(times_s.shape, self.position_um), np.zeros(times_s.shape), moving=False)

    def truth_at(self, time_s: float) -> CarriageTruth:  # noqa: ARG002
        """Standing still."""
        return CarriageTruth(self.position_um, 0.0, 0.0, self.position_um, moving=False)


class Lamps:
    """The light on the subject over time, from all lamps of the rig."""

    AMBIENT = 0.003
    KEPT_CHANGES = 256

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lit: dict[int, float] = {}
        self._changes: deque[tuple[float, float]] = deque(maxlen=self.KEPT_CHANGES)

    def set(self, lamp: int, brightness: float, now_s: float) -> None:
        """One lamp gives this much light from now on."""
        with self._lock:
            self._lit[lamp] = brightness
            self._changes.append((now_s, self.AMBIENT + sum(self._lit.values())))

    def level_at(self, time_s: float) -> float:
        """Light on the subject at that time."""
        with self._lock:
            changes = list(self._changes)
        return self._level(changes, time_s)

    def mean_between(self, start_s: float, end_s: float) -> float:
        """Mean light on the subject from `start_s` to `end_s`, as an exposure sees it that a lamp is switched in."""
        with self._lock:
            changes = list(self._changes)
        moments = [start_s, *(at_s for at_s, _ in changes if start_s < at_s < end_s), end_s]
        total = sum(
            (last - first) * self._level(changes, first) for first, last in itertools.pairwise(moments)
        )
        return total / (end_s - start_s) if end_s > start_s else self._level(changes, start_s)

    def _level(self, changes: list[tuple[float, float]], time_s: float) -> float:
        at = bisect_right(changes, time_s, key=lambda change: change[0]) - 1
        return changes[at][1] if at >= 0 else self.AMBIENT


class Power:
    """The supply of a simulated camera, for a bench that switches it."""

    def __init__(self) -> None:
        self._on = threading.Event()
        self._on.set()

    @property
    def is_on(self) -> bool:
        """Whether the camera has power."""
        return self._on.is_set()

    def switch(self, *, on: bool) -> None:
        """Off, the camera hangs in whatever it does until it is cancelled, and cannot be opened. Any thread."""
        (self._on.set if on else self._on.clear)()
