"""A picture outside of any session: taken where the rail stands, looked at as a frame is, and kept nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import FrameData
from rigd.pictures import Image


@dataclass(frozen=True, slots=True)
class TestPicture:
    """A test shot. Times are seconds on the rig's monotonic clock."""

    __test__ = False

    data: FrameData
    """As the camera gave it."""
    metrics: Mapping[str, float]
    """Levels and sharpness of the reduced image; empty where the format is not decoded or the data are damaged."""
    settings: Mapping[str, Any]
    """As read back from the camera; what it does not tell is left away."""
    width: int
    height: int
    """Of the picture as taken, in pixels."""
    sha256: str
    """Of the data."""
    image: Image | None
    """RGB uint8, shape (H, W, 3), reduced to preview size; None where the format is not decoded or the data are damaged."""
    note: str = ""
    """Why a stack would refuse it: damaged, black, another exposure than was set. Empty: it would not."""
    position_um: float | None = None
    """Where it was taken, from home; None when not known."""
    settled_s: float = 0.0
    """End of the settle."""
    start_s: float = 0.0
    """Of the exposure."""
