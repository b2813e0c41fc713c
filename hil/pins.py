"""The bench's own pins: edges seen with the kernel's time, levels set at a known time. Apart from those that the rig's drivers use.

All times are seconds on the bench's clock, which on a real bench is CLOCK_MONOTONIC.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

NANO = 1e-9
LATE_S = 0.05
"""The library's thread may hand an edge on so late, on a busy Pi; its time is the kernel's all the same."""


class PinError(Exception):
    """A pin cannot be had or does not do what it should."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One change of level."""

    at_s: float
    level: int


class Watch(Protocol):
    """What an input saw."""

    def edges(self) -> list[Edge]:
        """All changes since the watch began, in the order of their times."""


class Pins(Protocol):
    """Some pins to measure with."""

    def watch(self, pin: int, pull: str = "off") -> AbstractContextManager[Watch]:
        """See every edge on an input while the block lasts. `pull`: `up`, `down` or `off`. Raises `PinError`."""

    def drive(self, pin: int, level: int) -> tuple[float, float]:
        """Set an output. Returns times between which its level changed. Raises `PinError`."""

    def close(self) -> None:
        """Let go of every pin. Idempotent."""


class _Seen:
    """Edges as the library's thread hands them on."""

    def __init__(self, origin_ns: int) -> None:
        self._origin_ns = origin_ns
        self._lock = threading.Lock()
        self._edges: list[Edge] = []

    def note(self, _chip: int, _pin: int, level: int, timestamp: int) -> None:
        if level in {0, 1}:
            with self._lock:
                self._edges.append(Edge((timestamp - self._origin_ns) * NANO, level))

    def edges(self) -> list[Edge]:
        with self._lock:
            return sorted(self._edges, key=lambda edge: edge.at_s)


class LgpioPins:
    """Pins of a Linux gpiochip.

    Args:
        chip: its number.
        library: in place of lgpio.
    """

    def __init__(self, chip: int = 0, library: ModuleType | Any | None = None) -> None:
        self._lgpio = library if library is not None else _library()
        self._chip = chip
        self._handle: int | None = self._try(f"/dev/gpiochip{chip}", lambda: self._lgpio.gpiochip_open(chip))
        self._outputs: set[int] = set()

    @contextmanager
    def watch(self, pin: int, pull: str = "off") -> Iterator[Watch]:
        """Claim an input and see its edges. A line remembers 16 edges or so until the library's thread has taken them."""
        lgpio, handle, name = self._lgpio, self._open(), f"GPIO{pin}"
        flags = {"up": lgpio.SET_PULL_UP, "down": lgpio.SET_PULL_DOWN, "off": lgpio.SET_PULL_NONE}[pull]
        self._try(name, lambda: lgpio.gpio_claim_alert(handle, pin, lgpio.BOTH_EDGES, flags))
        seen = _Seen(self._origin_ns())
        callback = self._try(name, lambda: lgpio.callback(handle, pin, lgpio.BOTH_EDGES, seen.note))
        try:
            yield seen
        finally:
            callback.cancel()
            self._try(name, lambda: lgpio.gpio_free(handle, pin))

    def drive(self, pin: int, level: int) -> tuple[float, float]:
        """Claim the output where it is not claimed yet, and set it."""
        lgpio, handle, name = self._lgpio, self._open(), f"GPIO{pin}"
        before_s = time.monotonic()
        if pin in self._outputs:
            self._try(name, lambda: lgpio.gpio_write(handle, pin, level))
        else:
            self._try(name, lambda: lgpio.gpio_claim_output(handle, pin, level))
            self._outputs.add(pin)
        return before_s, time.monotonic()

    def close(self) -> None:
        """Outputs become inputs again; what hangs on them is at rest by its own resistors."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        for pin in self._outputs:
            # A pin whose chip is gone is let go of already.
            with contextlib.suppress(self._lgpio.error):
                self._lgpio.gpio_claim_input(handle, pin)
                self._lgpio.gpio_free(handle, pin)
        self._outputs.clear()
        self._lgpio.gpiochip_close(handle)

    def _open(self) -> int:
        if self._handle is None:
            raise PinError("the pins are closed")
        return self._handle

    def _try(self, name: str, verb: Any) -> Any:
        try:
            return verb()
        except (self._lgpio.error, OSError) as error:
            raise PinError(f"{name}: {error}") from error

    @staticmethod
    def _origin_ns() -> int:
        """Kernels before 5.7 stamped edges with the time of day; then this is what lies between the two clocks."""
        return 0 if _stamps_are_monotonic() else time.time_ns() - time.monotonic_ns()


def _stamps_are_monotonic() -> bool:
    import platform  # noqa: PLC0415  (only a real bench asks)

    numbers = platform.release().split("-")[0].split(".")
    return tuple(int(number) for number in numbers[:2] if number.isdigit()) >= (5, 7)


def _library() -> Any:
    try:
        import lgpio  # noqa: PLC0415  (not on every machine)
    except ImportError as error:
        raise PinError(f"{error}: install python3-lgpio") from error
    return lgpio
