"""Memory that was freed, given back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import sys


def give_back() -> None:
    """Have the C library return what it holds back for later: 90 MB after a stack of 12 megapixels. Nothing where it is not glibc."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
