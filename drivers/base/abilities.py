"""What only some parts can do beyond their Protocol: rails that shape their moves, cameras that give fast small frames.

`isinstance(part, ShapingRail)` and the like ask whether a part can. A wrapper round a part (`drivers.attended`, `drivers.fired`)
hands on what its part can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from drivers.base.protocols import Camera, Rail

if TYPE_CHECKING:  # a config is checked without arrays
    import numpy as np
    from numpy.typing import NDArray

ShapeKind = Literal["trapezoid", "quintic", "zv", "zvd", "mzv", "ei"]
"""`trapezoid`: as fast as the rail can; `quintic`: the fifth-order polynomial; the others are input shapers on a trapezoid."""


@dataclass(frozen=True, slots=True)
class Shaping:
    """How moves are shaped, so that what the rail carries rings little when they end."""

    kind: ShapeKind
    frequency_hz: float = 0.0
    """Natural frequency that a shaper is made for, and that a quintic is long enough for. 0: not known."""
    damping: float = 0.0
    """Damping ratio that a shaper is made for."""
    quintic_periods: float = 3.0
    """A quintic lasts at least so many periods of `frequency_hz`."""


@runtime_checkable
class ShapingRail(Rail, Protocol):
    """A rail whose moves can be given another shape, because its driver times each step itself."""

    @property
    def shaping(self) -> Shaping:
        """How moves are shaped now."""

    def shape_moves(self, shaping: Shaping) -> None:
        """Shape moves like this from the next one on; `move_time_s` follows. Raises `DriverError` when it cannot."""


@dataclass(frozen=True, slots=True)
class BurstCapabilities:
    """The fast small frames that a camera can give."""

    rates_hz: tuple[float, ...]
    """Frame rates, highest first. Two that differ tell a true frequency from its alias."""
    width: int
    height: int
    still_px: float
    """Pixels of a still that lie along one pixel of a burst frame."""


@dataclass(frozen=True, slots=True)
class BurstFrame:
    """One small frame and when it was exposed, on the injected clock."""

    start_s: float
    end_s: float
    image: NDArray[np.uint8]
    """(height, width), gray."""


@runtime_checkable
class BurstCamera(Camera, Protocol):
    """A camera that can watch a motion: many small frames in quick succession."""

    @property
    def burst_capabilities(self) -> BurstCapabilities:
        """What bursts it can give. Valid after `open()`."""

    def burst(
        self, frames: int, rate_hz: float, not_before_s: float, position_um: float
    ) -> Sequence[BurstFrame]:
        """Take this many small frames at one of its rates, the first exposed at `not_before_s` or later.

        Blocks until the last is in; the rail may move meanwhile, which is what it is for: call it on the camera's thread. Stills are possible again
        when it returns. Raises `CameraTimeout` after `cancel()`, `DriverError` when the camera fails.
        """
