"""Ways to make one picture of a stack, each by its name. A module is imported only when its method is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame, Pixels
from stackcore.depth import DepthMap


@dataclass(frozen=True)
class Fused:
    """What a method ends with.

    Attributes:
        picture: (H, W, 3) RGB or (H, W), of the frames' type.
        depth: in units of the frame index, holes NaN; None where the method knows none.
    """

    picture: Pixels
    depth: DepthMap | None


@dataclass(frozen=True)
class Setting:
    """What a method is made for.

    Attributes:
        height: px.
        width: px.
        channels: 3 or 1.
        dtype: uint8 or uint16.
        threads: at most so many work at once; the result does not depend on it.
        expected: how many frames will come, if known.
        depth: whether a depth map is wanted; where it costs extra it may be left out.
    """

    height: int
    width: int
    channels: int = 3
    dtype: npt.DTypeLike = np.uint8
    threads: int = 2
    expected: int | None = None
    depth: bool = True


class Method(Protocol):
    """Fuses one stack. Made as `Name(setting, **options)`; not for use by two threads at once."""

    passes: int
    """How often the whole stack has to come by, in the same order: 1 (as it arrives) or 2."""
    first_look: Callable[[int, int], int] | None
    """For frames of this height and width: the side of the blocks whose means are enough for its first pass. None: it wants all pixels."""

    def add(self, frame: AlignedFrame, pass_number: int = 0) -> None:
        """Take the next frame of a pass (0 or 1)."""

    def preview(self) -> Pixels | None:
        """The picture so far, or None where there is none before the end."""

    def finish(self) -> Fused:
        """The result, after the last frame of the last pass; once."""

    def close(self) -> None:
        """End threads, free memory; safe to call again."""
