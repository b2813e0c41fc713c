"""What the bench's machine is, for the report."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rigd.health import HealthReader

MODEL = Path("/proc/device-tree/model")


def facts(repository: Path) -> dict[str, Any]:
    """Machine, system and versions. What cannot be told is left out."""
    health = HealthReader(repository).read()
    found: dict[str, Any] = {
        "machine": model() or platform.machine(),
        "kernel": platform.release(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "rigd": _version("rigd"),
        "commit": commit(repository),
    }
    found |= {
        name: _version(name) for name in ("numba", "numpy", "opencv-python-headless", "gpiozero", "lgpio")
    }
    if health.temperature_c is not None:
        found["processor"] = f"{health.temperature_c:.0f} °C at the start"
    if health.throttling is not None:
        now, past = bool(health.throttling.now), bool(health.throttling.since_boot)
        found["throttled"] = "now" if now else "since boot" if past else "no"
    return {name: value for name, value in found.items() if value not in {None, ""}}


def model(path: Path = MODEL) -> str | None:
    """As the firmware names it: `Raspberry Pi 5 Model B Rev 1.0`. None on other machines."""
    try:
        return path.read_bytes().rstrip(b"\0").decode("ascii", "replace").strip() or None
    except OSError:
        return None


def commit(repository: Path) -> str | None:
    """Which commit is checked out, and whether files differ from it; None where git is not there."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=repository,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
