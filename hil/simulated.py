"""Pins and supplies of a bench that is made of simulators: what would be wired to them is derived from the simulators' truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.base import Limit
from drivers.clock import Clock
from drivers.registry import Context
from drivers.sim.truth import LAMPS, POWER, WORLD, Lamps, Power
from hil.benchfile import Features
from hil.pins import Edge, PinError, Watch
from rigd.parts import Parts

PULSE_S = 10e-6
"""How long a simulated step pulse is high."""
LOOK_S = 20e-6
"""How closely the screw is looked at for its steps: less than one takes at the highest speed."""

Floats = NDArray[np.float64]


def inner(part: Any) -> Any:
    """The driver inside a companion's wrapper."""
    for name in ("rail", "camera"):
        part = getattr(part, name, part)
    return part


def step_times(times_s: Floats, microsteps: Floats) -> Floats:
    """When a motor that follows this path makes its steps: whenever it passes the middle between two microsteps.

    Args:
        times_s: (n,), ascending.
        microsteps: (n,), where it is, in microsteps.
    """
    cells = np.floor(microsteps + 0.5)
    found = []
    for at in np.flatnonzero(np.diff(cells)):
        first, last = microsteps[at], microsteps[at + 1]
        edges = np.arange(min(cells[at], cells[at + 1]) + 0.5, max(cells[at], cells[at + 1]))
        found.extend(times_s[at] + (edges - first) / (last - first) * (times_s[at + 1] - times_s[at]))
    return np.sort(np.asarray(found, dtype=np.float64))


class _Derived:
    """Edges that are worked out when they are asked for."""

    def __init__(self, clock: Clock, edges: Callable[[float, float], list[Edge]]) -> None:
        self._clock = clock
        self._begun_s = clock.now()
        self._edges = edges

    def edges(self) -> list[Edge]:
        return self._edges(self._begun_s, self._clock.now())


class SimulatedPins:
    """The pins of a simulated bench.

    Args:
        features: what is wired to which pin.
        parts: of the rig on the bench.
    """

    def __init__(self, features: Features, parts: Parts) -> None:
        assert parts.context is not None
        self._features = features
        self._parts = parts
        self._context: Context = parts.context
        self._clock = parts.context.clock
        self._driven: list[tuple[float, int, int]] = []
        if features.led is not None:
            self._context.shared.setdefault(LAMPS, Lamps())

    @contextmanager
    def watch(self, pin: int, pull: str = "off") -> Iterator[Watch]:
        """See what the simulators say would have been seen."""
        features = self._features
        if features.loopback is not None and pin == features.loopback.step_in:
            yield _Derived(self._clock, self._steps)
        elif features.sync_contact is not None and pin == features.sync_contact.pin:
            yield _Derived(self._clock, self._sync)
        elif features.pin_loop is not None and pin == features.pin_loop[1]:
            yield _Derived(self._clock, self._looped)
        else:
            raise PinError(f"GPIO{pin}: nothing is wired to it on this bench")

    def drive(self, pin: int, level: int) -> tuple[float, float]:
        """Do what would be wired to this output."""
        features, now_s = self._features, self._clock.now()
        if features.led is not None and pin == features.led.pin:
            lit = bool(level) != features.led.active_low
            self._context.shared[LAMPS].set(id(self), 1.0 if lit else 0.0, now_s)
        elif features.estop_drive is not None and pin == features.estop_drive.pin:
            self._press_estop(pressed=level == int(features.estop_drive.pressed == "high"))
        elif features.limit_drive is not None and pin == features.limit_drive.pin:
            self._press_limit(pressed=level == int(features.limit_drive.pressed == "high"))
        elif features.pin_loop is None or pin != features.pin_loop[0]:
            raise PinError(f"GPIO{pin}: nothing is wired to it on this bench")
        self._driven.append((now_s, pin, level))
        return now_s, self._clock.now()

    def close(self) -> None:
        """Nothing is held."""

    def _press_estop(self, *, pressed: bool) -> None:
        estop = inner(self._parts.switches["estop"])
        (estop.press if pressed else estop.let_go)()

    def _press_limit(self, *, pressed: bool) -> None:
        if pressed:
            inner(self._parts.rail).press(Limit.FAR)

    def _steps(self, first_s: float, last_s: float) -> list[Edge]:
        rail = inner(self._parts.rail)
        times_s = np.linspace(first_s, last_s, max(2, round((last_s - first_s) / LOOK_S)))
        screw = self._context.shared[WORLD].screw_track(times_s) / rail.capabilities.microstep_um
        return [
            edge
            for at_s in step_times(times_s, screw)
            for edge in (Edge(float(at_s), 1), Edge(float(at_s) + PULSE_S, 0))
        ]

    def _sync(self, first_s: float, last_s: float) -> list[Edge]:
        exposures = inner(self._parts.camera).world.exposures
        assert self._features.sync_contact is not None
        closed = int(self._features.sync_contact.closes_to == "supply")
        edges = [
            Edge(at_s, level)
            for exposure in exposures.all()
            for at_s, level in ((exposure.start_s, closed), (exposure.end_s, 1 - closed))
        ]
        return [edge for edge in edges if first_s <= edge.at_s <= last_s]

    def _looped(self, first_s: float, last_s: float) -> list[Edge]:
        assert self._features.pin_loop is not None
        found, before = [], 0
        for at_s, pin, level in self._driven:
            if pin == self._features.pin_loop[0] and level != before:
                before = level
                found.append(Edge(at_s, level))
        return [edge for edge in found if first_s <= edge.at_s <= last_s]


class SimulatedSupply:
    """The camera's supply on a simulated bench."""

    def __init__(self, context: Context) -> None:
        self._power: Power = context.shared.setdefault(POWER, Power())

    def off(self) -> None:
        """No power."""
        self._power.switch(on=False)

    def on(self) -> None:
        """Power again."""
        self._power.switch(on=True)
