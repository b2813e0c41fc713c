"""The names that a config may use, and the drivers behind them.

A driver is an `Entry`: its options (importable anywhere) and where its class lives. The class is imported only when a config
that names it is opened, so a laptop without one hardware library can check every config. Other people's drivers come in
through the entry point group `rigd.drivers`: each entry point loads an `Entry`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from drivers.base import DriverNotAvailable, Entry, Options, UnknownDriver
from drivers.catalogue import ENTRIES
from drivers.clock import Clock

ENTRY_POINT_GROUP = "rigd.drivers"
KINDS = ("rail", "motor", "camera", "shutter", "light", "switch")


@dataclass(slots=True)
class Context:
    """What every driver is handed beside its options."""

    clock: Clock
    seed: int = 0
    """Of all simulated randomness."""
    shared: dict[str, Any] = field(default_factory=dict)
    """Where drivers of one rig meet: the simulated rail leaves its world here for the simulated camera."""


def entries(kind: str | None = None) -> tuple[Entry, ...]:
    """All drivers known on this machine, of one kind or of every kind, built-in ones first."""
    found = [*ENTRIES] + [point.load() for point in entry_points(group=ENTRY_POINT_GROUP)]
    return tuple(entry for entry in found if kind in (None, entry.kind))


def find(kind: str, name: str) -> Entry:
    """The entry of this kind and name. Raises `UnknownDriver`, which lists the names there are."""
    known = entries(kind)
    for entry in known:
        if entry.name == name:
            return entry
    raise UnknownDriver(kind, name, tuple(entry.name for entry in known))


def options_class(entry: Entry) -> type[Options]:
    """The declared options of a driver, without importing the driver."""
    loaded: type[Options] = _load(entry.options)
    return loaded


def create(entry: Entry, options: Options, context: Context) -> Any:
    """Make the driver, closed. Raises `DriverNotAvailable` when this release only declares it."""
    if entry.target is None:
        raise DriverNotAvailable(entry.kind, entry.name, entry.why_not)
    try:
        driver = _load(entry.target)
    except ImportError as error:
        raise DriverNotAvailable(entry.kind, entry.name, f"{error} (is its extra installed?)") from error
    return driver(options, context)


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
