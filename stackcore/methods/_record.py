"""What is known of focus while a stack goes by: the energy of every pixel in its sharpest frame and in that frame's neighbours.

From it comes the depth between frames (`stackcore.depth`), in the same way as from the live preview.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame, Pixels
from stackcore.depth import DepthMap, depth_map
from stackcore.focus_measures import LUMA_MAX, Measure, luma_of
from stackcore.methods import Setting
from stackcore.methods._record_kernel import PREVIOUS, record_rows
from stackcore.methods._rows import shown_rows, warped_rows
from stackcore.scores import Merged, NoiseFloor

Floats = npt.NDArray[np.float32]

MAX_RADIUS = 5
"""As of the live preview, whose 16-bit scores are used."""

MAX_FRAMES = 65_535

_UINT16_GAIN = np.float32(16)
"""Energies of 16-bit frames count so many times: texture of 2 levels of 65535 is still above nothing, and what saturates is a
chequerboard from black to half of white."""


class FocusRecord:
    """Scores of a stack of one size.

    Attributes:
        state: (H, 5, W) uint16, the planes of `stackcore.methods._record_kernel`.
        indices: the index of every frame so far.
    """

    def __init__(self, setting: Setting, measure: Measure, radius: int) -> None:
        """Reserve the state: 10 bytes a pixel, and one for luma. Raises `ValueError` when `radius` is out of range."""
        if not 1 <= radius <= MAX_RADIUS:
            raise ValueError(f"radius {radius} px is not within 1..{MAX_RADIUS}")
        self.state = np.zeros((setting.height, 5, setting.width), np.uint16)
        self.indices: list[int] = []
        self._measure = measure
        self._radius = radius
        self._eight_bits = np.dtype(setting.dtype) == np.dtype(np.uint8)
        self._gain = np.float32(1) if self._eight_bits else _UINT16_GAIN
        self._luma = np.zeros((setting.height, setting.width), np.uint8)
        self._floor = NoiseFloor()

    def begin(self, index: int) -> int:
        """A frame comes: its ordinal. Raises `ValueError` when it is out of order or one too many; nothing is changed."""
        if self.indices and index <= self.indices[-1]:
            raise ValueError(f"frame {index} comes after frame {self.indices[-1]}")
        if len(self.indices) == MAX_FRAMES:
            raise ValueError(f"a stack has at most {MAX_FRAMES} frames")
        return len(self.indices)

    def look(
        self, frame: AlignedFrame, first: int, end: int
    ) -> tuple[Floats, Floats, npt.NDArray[np.bool_] | None]:
        """Pixels (rows, W[, 3]), energies (rows, W) and where the frame shows anything, of some rows of a frame."""
        halo = self._measure.reach + self._radius
        top, bottom = max(0, first - halo), min(frame.shape[0], end + halo)
        values = warped_rows(frame, top, bottom)
        luma = luma_of(values, frame.full_scale)
        inner = slice(first - top, end - top)
        energy = self._measure.energy(luma, self._radius)[inner]
        inside = shown_rows(frame, first, end)
        if inside is not None:
            energy[~inside] = 0
        self._luma[first:end] = np.clip(luma[inner] * np.float32(255 / LUMA_MAX), 0, 255)
        return values[inner], energy, inside

    def add(self, energy: Floats, ordinal: int, first: int, end: int) -> npt.NDArray[np.uint16]:
        """Take the energies of rows of a frame; (rows, W), not 0 where it is sharper than all before."""
        mask = np.empty(energy.shape, np.uint16)
        scratch = np.empty(energy.shape[1], np.uint16)
        scores = np.ascontiguousarray(energy * self._gain, np.float32)
        record_rows(scores, np.uint16(ordinal), self.state[first:end], mask, scratch)
        return mask

    def end(self, index: int, pixels: npt.NDArray[np.uint8] | None = None) -> None:
        """All rows of a frame have been taken; `pixels` when they did not come through `look`."""
        self.indices.append(index)
        self._floor.add(self._luma if pixels is None else pixels, self.state[:, PREVIOUS])

    def depth(self, picture: Pixels) -> DepthMap:
        """Depth in units of the frame index.

        Args:
            picture: what was fused; its brightness says how much noise there is to expect.
        """
        eight_bits = picture if self._eight_bits else (picture >> 8).astype(np.uint8)
        state = self.state
        return depth_map(
            Merged(
                picture=np.asarray(eight_bits, np.uint8),
                frame=state[:, 4],
                best=state[:, 0],
                before=state[:, 1],
                after=state[:, 2],
                indices=tuple(self.indices),
                noise_floor=self._floor.by_luma(),
                radius=max(1, self._radius - self._measure.noise_radius),
            )
        )
