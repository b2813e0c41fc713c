"""Where a contract is run: a clock, and blocking verbs on threads of their own while time passes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from drivers.base import Rail, RailStatus
from drivers.clock import Clock, Interrupt, SystemClock, VirtualClock

T = TypeVar("T")
PATIENCE_S = 60.0
"""Real seconds after which a bench on virtual time gives up: nothing can take that long."""


class Running(Generic[T]):
    """A verb at work on its own thread."""

    def __init__(self, call: Callable[[], T], after: Callable[[], None]) -> None:
        self._call = call
        self._after = after
        self._done = threading.Event()
        self._result: T | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            self._result = self._call()
        except Exception as error:  # noqa: BLE001  (handed to whoever asks for the result)
            self._error = error
        finally:
            self._done.set()
            self._after()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def result(self) -> T:
        """What the verb returned or raised."""
        assert self._done.wait(PATIENCE_S), "the verb does not end"
        self._thread.join(PATIENCE_S)
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]


class Bench(Protocol):
    """A clock and the means to let time pass on it."""

    clock: Clock

    def start(self, call: Callable[[], T]) -> Running[T]:
        """Begin a blocking verb."""

    def pass_time(self, seconds: float) -> None:
        """Let time pass, for running verbs too."""

    def finish(self, running: Running[T]) -> T:
        """Let time pass until a verb has ended; its result."""

    def run(self, call: Callable[[], T]) -> T:
        """Begin a verb and finish it."""


def check_lasted(clock: Clock, seconds: float, expected_s: float, within_s: float) -> None:
    """Something took as long as expected; where time is real it may have taken longer, for whatever else the machine did."""
    assert seconds >= expected_s - within_s
    if isinstance(clock, VirtualClock):
        assert seconds <= expected_s + within_s


class VirtualBench:
    """On a clock that jumps."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self._idle = threading.Event()
        self.clock.on_idle = self._idle.set

    def start(self, call: Callable[[], T]) -> Running[T]:
        self.clock.work_begins()
        return Running(call, self.clock.work_ends)

    def pass_time(self, seconds: float) -> None:
        until_s = self.clock.now() + seconds
        while self.clock.now() < until_s:
            self._jump(until_s)

    def finish(self, running: Running[T]) -> T:
        while not running.done:
            self._jump(None, running)
        return running.result()

    def run(self, call: Callable[[], T]) -> T:
        return self.finish(self.start(call))

    def _jump(self, limit_s: float | None, running: Running[T] | None = None) -> None:
        self._idle.clear()
        if self.clock.advance(limit_s) or (running is not None and running.done):
            return
        assert self._idle.wait(PATIENCE_S), "a verb works without end"


class QuickClock(SystemClock):
    """The machine's clock, running faster."""

    def __init__(self, speed: float) -> None:
        self._speed = speed

    def now(self) -> float:
        return super().now() * self._speed

    def wait_until(self, when_s: float, interrupt: Interrupt | None = None) -> bool:
        flag = interrupt or Interrupt()
        return not flag.wait(max(0.0, when_s - self.now()) / self._speed)


class RealBench:
    """On the machine's clock, or on one that runs faster."""

    def __init__(self, speed: float = 1.0) -> None:
        self.clock = QuickClock(speed)

    def start(self, call: Callable[[], T]) -> Running[T]:
        return Running(call, lambda: None)

    def pass_time(self, seconds: float) -> None:
        self.clock.wait_until(self.clock.now() + seconds)

    def finish(self, running: Running[T]) -> T:
        return running.result()

    def run(self, call: Callable[[], T]) -> T:
        return call()


def rest(bench: Bench, rail: Rail, *, at_most_s: float = 120.0) -> RailStatus:
    """Poll until the rail stands still."""
    gives_up_s = bench.clock.now() + at_most_s
    while (status := rail.poll()).moving:
        assert bench.clock.now() < gives_up_s, "the rail does not come to rest"
        bench.pass_time(0.005)
    return status


def home(bench: Bench, rail: Rail) -> RailStatus:
    """Home the rail."""
    rail.start_home()
    status = rest(bench, rail)
    assert status.homed, status.alarm
    return status
