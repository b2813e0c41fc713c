"""Time, injected: the machine's own clock, or a virtual one that jumps.

Virtual time moves only when nothing in the process can still happen at the present instant: every piece of work announced
with `work_begins` has ended or waits in `wait_until`, and whoever drives the clock (an event loop that has run dry, or a
test) calls `advance`. It then jumps to the earliest moment that anybody waits for. So a simulated hour takes as long as its
arithmetic, and things happen in the order of their times, on any machine.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

VIRTUAL_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""Wall-clock time at virtual second 0. Fixed, so that simulated records are the same on every run."""


class Interrupt:
    """A flag that ends a wait from another thread, as `threading.Event`, on any clock."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], None]] = []

    def set(self) -> None:
        """Raise the flag and wake whoever waits under it."""
        with self._lock:
            self._event.set()
            wakers = tuple(self._wakers)
        for wake in wakers:
            wake()

    def clear(self) -> None:
        """Lower the flag."""
        self._event.clear()

    def is_set(self) -> bool:
        """Whether the flag is raised."""
        return self._event.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Block in real time; True when the flag was raised."""
        return self._event.wait(timeout_s)

    def call_when_set(self, wake: Callable[[], None]) -> None:
        """Have `wake` called by `set`; at once when the flag is already raised."""
        with self._lock:
            self._wakers.append(wake)
            raised = self._event.is_set()
        if raised:
            wake()

    def forget(self, wake: Callable[[], None]) -> None:
        """Take `wake` back."""
        with self._lock:
            if wake in self._wakers:
                self._wakers.remove(wake)


class Clock(Protocol):
    """A monotonic clock that driver threads can wait on."""

    def now(self) -> float:
        """Seconds on the monotonic clock that all evidence is given in."""

    def utc(self) -> datetime:
        """Wall-clock time, for records only."""

    def wait_until(self, when_s: float, interrupt: Interrupt | None = None) -> bool:
        """Block this thread until `now() >= when_s`; False, at once, when `interrupt` is set."""

    def work_begins(self) -> None:
        """Announce a piece of work (before it is handed to its thread): virtual time stands still until it ends or waits."""

    def work_ends(self) -> None:
        """The announced piece of work is over, and what follows from it has been posted."""


class SystemClock:
    """The machine's own monotonic clock (CLOCK_MONOTONIC)."""

    def now(self) -> float:
        """Seconds, as `time.monotonic`."""
        return time.monotonic()

    def utc(self) -> datetime:
        """The wall clock."""
        return datetime.now(UTC)

    def wait_until(self, when_s: float, interrupt: Interrupt | None = None) -> bool:
        """Sleep until `when_s`, or until `interrupt` is set."""
        flag = interrupt or Interrupt()
        return not flag.wait(max(0.0, when_s - self.now()))

    def work_begins(self) -> None:
        """Real time moves by itself."""

    def work_ends(self) -> None:
        """Real time moves by itself."""


class _Waiter:
    """One thread inside `VirtualClock.wait_until`."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.reached = False


class VirtualClock:
    """A clock that stands still while anything works and jumps when everything waits.

    Args:
        start_s: the first value of `now()`.
    """

    def __init__(self, start_s: float = 1000.0) -> None:
        self._lock = threading.Lock()
        self._now_s = start_s
        self._working = 0
        self._waiters: list[tuple[float, int, _Waiter]] = []
        self._tie = itertools.count()
        self._changes = 0
        self.on_idle: Callable[[], None] | None = None
        """Called, from any thread, when the last piece of work has ended or begun to wait."""

    def now(self) -> float:
        """Virtual seconds."""
        with self._lock:
            return self._now_s

    def utc(self) -> datetime:
        """Virtual wall-clock time, counted from `VIRTUAL_EPOCH`."""
        return VIRTUAL_EPOCH + timedelta(seconds=self.now())

    def wait_until(self, when_s: float, interrupt: Interrupt | None = None) -> bool:
        """Block this thread until virtual time has reached `when_s`, or until `interrupt` is set."""
        if interrupt is not None and interrupt.is_set():
            return False
        waiter = _Waiter()

        def give_up() -> None:
            self._release(waiter, reached=False)

        # Before this thread counts as waiting: an interrupt that came in between would find time jumped past it.
        if interrupt is not None:
            interrupt.call_when_set(give_up)
        try:
            if self._begin_to_wait(when_s, waiter):
                return True
            waiter.released.wait()
        finally:
            if interrupt is not None:
                interrupt.forget(give_up)
        return waiter.reached

    def _begin_to_wait(self, when_s: float, waiter: _Waiter) -> bool:
        """Count this thread as waiting; True when there is nothing to wait for."""
        with self._lock:
            if when_s <= self._now_s:
                if waiter.released.is_set():
                    self._count(-1)  # given up and counted as working again, and it never waited
                waiter.released.set()
                return True
            heapq.heappush(self._waiters, (when_s, next(self._tie), waiter))
            idle = self._count(-1)
        if idle and self.on_idle is not None:
            self.on_idle()
        return False

    def work_begins(self) -> None:
        """Virtual time stands still from here."""
        with self._lock:
            self._count(1)

    def work_ends(self) -> None:
        """One piece of work less."""
        with self._lock:
            idle = self._count(-1)
        if idle and self.on_idle is not None:
            self.on_idle()

    def quiet(self) -> int | None:
        """A token for `advance` when nothing works now, else None."""
        with self._lock:
            return self._changes if self._working <= 0 else None

    def advance(self, limit_s: float | None = None, quiet: int | None = None) -> bool:
        """Jump to the earliest moment waited for, at most to `limit_s`.

        `quiet` is the token of a look around that found nothing to do: when any work began or ended since, what it left
        behind may not have been seen, and time stands still.

        Returns:
            False, and time stands still, while anything works or when nothing is waited for.
        """
        with self._lock:
            if self._working > 0 or quiet not in (None, self._changes):
                return False
            while self._waiters and self._waiters[0][2].released.is_set():
                heapq.heappop(self._waiters)
            moments = [
                when for when in (limit_s, self._waiters[0][0] if self._waiters else None) if when is not None
            ]
            if not moments:
                return False
            self._now_s = max(self._now_s, min(moments))
            while self._waiters and self._waiters[0][0] <= self._now_s:
                self._let_go(heapq.heappop(self._waiters)[2], reached=True)
            return True

    def _count(self, change: int) -> bool:
        """Change how much works; True when nothing does now."""
        self._changes += 1
        self._working += change
        return self._working <= 0

    def _release(self, waiter: _Waiter, *, reached: bool) -> None:
        with self._lock:
            self._let_go(waiter, reached=reached)

    def _let_go(self, waiter: _Waiter, *, reached: bool) -> None:
        """Count the thread as working before it runs, so that time cannot jump in between."""
        if not waiter.released.is_set():
            waiter.reached = reached
            self._count(1)
            waiter.released.set()
