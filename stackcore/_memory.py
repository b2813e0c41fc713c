"""Freed memory back to the machine."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Have the C library return what is free; it keeps freed blocks of up to 32 MB, which here is a third of the peak.

    Only glibc can, and only there is it needed.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
