"""What this process has cost so far."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path


def cost() -> tuple[float, float]:
    """CPU seconds of all threads, and the most memory that was resident, MB."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, _peak_rss_mb(usage.ru_maxrss)


def _peak_rss_mb(maxrss: int) -> float:
    """Of this program: what `getrusage` says includes what the parent had when it started it."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    return maxrss / 1e6 if sys.platform == "darwin" else maxrss * 1024 / 1e6
