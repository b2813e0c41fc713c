"""The driver's end of the camera process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from drivers.apart.child import Child as AnyChild
from drivers.apart.child import Died, GivenUp, Hangs, Reply
from drivers.gphoto2 import messages as m

__all__ = ["Child", "Died", "GivenUp", "Hangs", "Reply"]

ROOT = Path(__file__).resolve().parents[2]


class Child(AnyChild):
    """A camera process. It ends with this object's process, whatever it does at that moment."""

    def __init__(self) -> None:
        super().__init__(
            lambda talk, life: [sys.executable, "-P", "-m", "drivers.gphoto2.worker", str(talk), str(life)],
            m.CODEC,
            _environment(),
        )


def _environment() -> dict[str, str]:
    """English words from libgphoto2, whatever the machine speaks: settings are chosen by them."""
    paths = [path for path in (os.environ.get("PYTHONPATH"), str(ROOT)) if path]
    return os.environ | {"LC_ALL": "C.UTF-8", "LANGUAGE": "C", "PYTHONPATH": os.pathsep.join(paths)}
