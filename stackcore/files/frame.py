"""A frame as it was read, and what its file said about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from stackcore.aligned import in_cells
from stackcore.files import exif

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""(H, W, 3) RGB or (H, W), as decoded and as the sensor lay: never rotated by the EXIF orientation."""

Cells = Callable[[int, int], int]
"""For frames of this height and width, px: the side of the blocks whose means are all that is wanted of them. 1, 2, 4 or 8."""


@dataclass(frozen=True)
class Metadata:
    """What is kept beside the pixels.

    Attributes:
        exif: a block of TIFF structure (it begins with the byte order, not with `Exif`), as in the file; None without.
        icc: the colour profile; None means sRGB, as everywhere.
    """

    exif: bytes | None = None
    icc: bytes | None = None

    @cached_property
    def taken_at(self) -> str | None:
        """When the camera's clock says it was taken, as `2026-11-21T18:03:11.25`; such texts sort by time."""
        return None if self.exif is None else exif.taken_at(exif.reader(self.exif))

    @cached_property
    def orientation(self) -> int:
        """EXIF orientation, 1 to 8: how a viewer turns the picture. The pixels here are not turned."""
        return 1 if self.exif is None else exif.orientation(exif.reader(self.exif))


@dataclass(frozen=True)
class Kind:
    """What all frames of a stack must share.

    Attributes:
        height: px.
        width: px.
        channels: 3 or 1.
        bits: 8 or 16 a channel.
    """

    height: int
    width: int
    channels: int
    bits: int

    @classmethod
    def of(cls, pixels: Pixels) -> Kind:
        """Of an array."""
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        return cls(pixels.shape[0], pixels.shape[1], channels, pixels.dtype.itemsize * 8)

    @property
    def nbytes(self) -> int:
        """Of the pixels of one frame."""
        return self.height * self.width * self.channels * self.bits // 8

    def __str__(self) -> str:
        colour = "gray" if self.channels == 1 else "RGB"
        return f"{self.width} x {self.height} px, {colour}, {self.bits} bit"


@dataclass(frozen=True)
class Frame:
    """One picture of a stack.

    Attributes:
        index: its place in the stack.
        name: of its file.
        pixels: (H, W, 3) RGB or (H, W), uint8 or uint16. Read only.
        metadata: EXIF and colour profile.
        notes: what was dropped in reading, for the user.
        position_um: of the rail, where a session knows it.
        prepared: what the `prepare` of `ahead` made of it.
        cell: more than 1 where `pixels` are only means of `cell` x `cell` px, which is quicker to decode.
        size: height and width of the whole picture, px, where `pixels` are such means.
    """

    index: int
    name: str
    pixels: Pixels
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()
    position_um: float | None = None
    prepared: Any = None
    cell: int = 1
    size: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole picture: (H, W, 3) or (H, W)."""
        return (*(self.size or self.pixels.shape[:2]), *self.pixels.shape[2:])

    def in_cells(self, cells: Cells) -> Frame:
        """The frame made as small as that; itself where it is so already."""
        if self.cell > 1:
            return self
        cell = cells(*self.pixels.shape[:2])
        if cell == 1:
            return self
        height, width = self.pixels.shape[:2]
        return replace(self, pixels=in_cells(self.pixels, cell), cell=cell, size=(height, width))
