"""Ctrl-C, SIGTERM and a closed terminal, so that nothing is half-written."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

AGAIN_S = 0.005
"""After this a signal is sent again that was raised where nothing can be."""


class Interrupts:
    """Signals of a command: each raises KeyboardInterrupt, except where something must come to its end first.

    Attributes:
        seen: the first signal, or None.
    """

    def __init__(self) -> None:
        self.seen: signal.Signals | None = None
        self._held = False
        self._first: Callable[[], bool] | None = None

    @contextmanager
    def installed(self) -> Iterator[Interrupts]:
        """Take the signals while the block runs. Outside the main thread signals stay as they are."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        before_hook, sys.unraisablehook = sys.unraisablehook, self._swallowed(sys.unraisablehook)
        try:
            yield self
        finally:
            sys.unraisablehook = before_hook
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let the block come to its end, and raise then what came meanwhile: for writing files."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self.check()

    def check(self) -> None:
        """Raise what came while it was held."""
        if self.seen is not None:
            raise KeyboardInterrupt

    def first(self, ask: Callable[[], bool] | None) -> None:
        """Ask this on the next signal; where it says True, the signal is dealt with and nothing is raised. None: no more."""
        self._first = ask

    def _handle(self, number: int, _frame: FrameType | None) -> Any:
        if self._first is not None:
            ask, self._first = self._first, None
            if ask():
                return
        self.seen = signal.Signals(number)
        if not self._held:
            raise KeyboardInterrupt

    def _swallowed(self, otherwise: Callable[[Any], object]) -> Callable[[Any], object]:
        """A hook for what is raised where nothing can be: a signal that came inside a finalizer, and would be lost.

        It is sent once more, a moment later. Anything else is left to the hook there was.
        """

        def hook(unraisable: Any) -> object:
            number = self.seen
            if number is None or not issubclass(unraisable.exc_type, KeyboardInterrupt):
                return otherwise(unraisable)
            again = threading.Timer(AGAIN_S, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
            return None

        return hook
