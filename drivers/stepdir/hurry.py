"""Python threads hand over to each other quickly while pulses are being sent.

A thread that wants to run waits, by default, up to 5 ms for each other thread that computes in Python. The feeder of the pulses has 12 ms
in all. The setting is the process's, and so is the count of those who want it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SWITCH_S = 0.0005


class _Hurry:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = 0
        self._before_s = SWITCH_S

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """In a `with` statement: hand over quickly."""
        with self._lock:
            if self._wanted == 0:
                self._before_s = sys.getswitchinterval()
                sys.setswitchinterval(min(SWITCH_S, self._before_s))
            self._wanted += 1
        try:
            yield
        finally:
            with self._lock:
                self._wanted -= 1
                if self._wanted == 0:
                    sys.setswitchinterval(self._before_s)


hurry = _Hurry()
