"""What a fusion is asked for, what it tells on the way, and what it ends with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stackcore.aligned import Matrix, Pixels
from stackcore.catalogue import DEFAULT
from stackcore.depth import DepthMap, depth_um

if TYPE_CHECKING:
    from stackcore.alignment import Alignment
    from stackcore.files import Metadata

_BAND_ROWS = 256

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FuseOptions:
    """How a stack is fused.

    Attributes:
        method: a name of `stackcore.catalogue`.
        settings: the method's own options.
        threads: at most so many work at once; the result does not depend on it.
        align: find out how each frame lies on the first; otherwise they are taken to lie on each other.
        even: even out exposure and colour from frame to frame.
        alignment: known already, from an earlier run; nothing is measured then.
        orthographic: scale every depth to the same size, instead of the first frame's perspective.
        slab_frames: fuse so many frames at a time into a picture each, then those; None: all at once.
        slab_overlap: how many frames a slab shares with the one before; None: a quarter.
        positions_um: where each frame was taken; None: as the source knows, or not at all.
        step_um: distance from frame to frame, where positions are not given.
        preview_s: a preview is handed out at most this often.
        depth: whether a depth map is wanted; without it some methods are quicker.
    """

    method: str = DEFAULT
    settings: Mapping[str, object] = field(default_factory=dict)
    threads: int = 2
    align: bool = True
    even: bool = True
    alignment: Alignment | None = None
    orthographic: bool = False
    slab_frames: int | None = None
    slab_overlap: int | None = None
    positions_um: tuple[float, ...] | None = None
    step_um: float | None = None
    preview_s: float = 2.0
    depth: bool = True

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError(f"threads must be 1 or more, not {self.threads}")
        if self.slab_frames is not None and self.slab_frames < 2:
            raise ValueError(f"a slab has 2 frames or more, not {self.slab_frames}")
        if self.slab_frames is not None and not 0 <= self.overlap < self.slab_frames:
            raise ValueError(
                f"slabs of {self.slab_frames} frames share 0 to {self.slab_frames - 1}, not {self.overlap}"
            )
        if self.step_um is not None and self.step_um == 0:
            raise ValueError("step_um must not be 0")

    @property
    def overlap(self) -> int:
        """Frames that a slab shares with the one before."""
        if self.slab_overlap is not None:
            return self.slab_overlap
        return (self.slab_frames or 0) // 4


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fusion is.

    Attributes:
        phase: what is being done, in a word or two.
        done: frames that have been dealt with, over all passes.
        total: of how many; None where nobody knows, in a folder that is watched.
        seconds_left: estimated; None before there is a rate.
    """

    phase: str
    done: int
    total: int | None
    seconds_left: float | None = None


@dataclass(frozen=True)
class FrameReport:
    """What became of one frame.

    Attributes:
        index: its place in the stack.
        name: of its file.
        used: whether it is in the result.
        reason: why not; or, used all the same, what was odd about it.
        matrix: 2 x 3, pixels of the reference to pixels of this frame; None when it was left out.
        gain: (3,), pixels times gain are as bright as the reference; None when it was left out.
        correlation: how well it agrees with its neighbours where it was registered, up to 1.
    """

    index: int
    name: str
    used: bool
    reason: str = ""
    matrix: Matrix | None = None
    gain: npt.NDArray[np.float32] | None = None
    correlation: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "index": self.index,
            "name": self.name,
            "used": self.used,
            "reason": self.reason,
            "matrix": None if self.matrix is None else self.matrix.tolist(),
            "gain": None if self.gain is None else [round(float(value), 6) for value in self.gain],
            "correlation": None if self.correlation is None else round(float(self.correlation), 4),
        }


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went, s. Decoding goes on beside the rest; what is counted of it is how long the rest waited."""

    total_s: float
    waiting_s: float
    """For decoded frames, or for frames at all."""
    register_s: float
    fuse_s: float
    finish_s: float
    cpu_s: float
    """Of all threads of the process, from the first frame to the result."""


@dataclass(frozen=True)
class Result:
    """A fused stack.

    Attributes:
        picture: (H, W, 3) RGB or (H, W), of the frames' type.
        depth: in units of the frame index, holes NaN; None where the method knows none.
        positions_um: of each index of the stack, where known.
        frames: what became of each frame, in order.
        alignment: how they lie on the reference, to be kept.
        metadata: of the first frame that was used.
        timings: where the time went.
        near_first: whether the first frames are of what is nearer; None where nobody found out.
    """

    picture: Pixels
    depth: DepthMap | None
    positions_um: tuple[float, ...] | None
    frames: tuple[FrameReport, ...]
    alignment: Alignment
    metadata: Metadata
    timings: Timings
    near_first: bool | None = None

    @property
    def used(self) -> tuple[FrameReport, ...]:
        """The frames that are in the picture."""
        return tuple(frame for frame in self.frames if frame.used)

    @property
    def left_out(self) -> tuple[FrameReport, ...]:
        """The frames that are not, each with its reason."""
        return tuple(frame for frame in self.frames if not frame.used)

    def heights_um(self) -> Floats | None:
        """(H, W) depth in um, holes NaN; None without a depth map or without positions."""
        if self.depth is None or self.positions_um is None:
            return None
        heights = np.empty_like(self.depth.frame_index)
        for top in range(0, len(heights), _BAND_ROWS):
            rows = slice(top, top + _BAND_ROWS)
            heights[rows] = depth_um(self.depth.frame_index[rows], self.positions_um)
        return heights
