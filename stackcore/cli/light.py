"""What libraries would do unasked: load what nobody needs, use all cores."""

from __future__ import annotations

import contextlib
import sys
from typing import Any


def limit_threads(most: int) -> None:
    """OpenCV would use all cores for each of its own loops, whatever was asked for."""
    import cv2

    cv2.setNumThreads(most)


def load_numba() -> None:
    """Load Numba without SciPy.

    Where SciPy is installed Numba loads it, to look at its version: what a short run would notice. Whoever needs SciPy can import it
    afterwards as ever, and Numba does so when it has to compile.
    """
    if "scipy" in sys.modules or "numba" in sys.modules:
        return
    modules: dict[str, Any] = sys.modules
    modules["scipy"] = None  # importing it raises ImportError, for which Numba is prepared
    try:
        with contextlib.suppress(ImportError):
            import numba  # noqa: F401
    finally:
        del modules["scipy"]
