"""Focus of every frame of a stack on a grid of cells: what the two methods that look at all frames at once keep of them.

Per cell and frame 2 bytes of energy, and if asked for one byte a channel of colour. The memory is bounded: when it would pass the
limit, cells are made twice as large, and what is already there with them.

Energies are the squared modified Laplacian of `stackcore.focus_measures` after a Gaussian blur. Measured on rendered stacks: where there is
little texture and much noise, a blur of 1.5 px instead of none is worth 5 dB in the fused picture, since without it noise chooses the
frames. Without noise a blur of 0.7 px gains 0.3 dB at depth edges over one of 0.4 px; one of 1 px gains a little more there, but
makes the depth of a finely textured hill a quarter less exact.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from stackcore.aligned import AlignedFrame
from stackcore.focus_measures import LUMA_MAX, luma_of, sml
from stackcore.methods import Setting
from stackcore.methods._rows import Bands, check_frame, shown, warped_rows
from stackcore.scores import NoiseFloor, energy_of

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

CELLS = (1, 2, 4, 8)
ENERGY_GAIN = np.float32(16)
"""The blur takes most of a faint texture's energy; scores need at least 1."""

_LARGE_PX = 4_000_000
_NOISY_SIGMA = 1.5
"""Levels of luma (of 255) from which a frame counts as noisy."""

_CLEAN_BLUR_PX, _NOISY_BLUR_PX = 0.7, 1.5
_CLEAN_WINDOW_PX, _NOISY_WINDOW_PX = 7, 13
_NOISE_RADIUS = 3
"""A blur makes neighbours alike: the highest of 24 energies of pure noise is 3.6 times the floor or less in all but 3 % of the cells,
as of windows of this radius without a blur, though the windows here are larger."""

_BAND_ROWS = 96
_MAX_FRAMES = 65_535


class TooManyFrames(ValueError):
    """A stack does not fit the memory that it may take, even on the coarsest grid."""


class FocusVolume:
    """The grid of one stack.

    Attributes:
        cell_px: side of a cell; known after the first frame.
        radius: of the pooling window, cells; known after the first frame.
        indices: the index of every frame so far.
        scores: one (h, w) uint16 a frame, as of `stackcore.scores`; 0 where the frame does not show all of a cell.
        colours: one (h, w, channels) uint8 a frame; empty when not asked for.
        hidden: by ordinal, (h, w) bool: the cells that a frame does not show. Only of frames that hide some.
        guide: (h, w) uint8, luma of each cell in its sharpest frame.
    """

    def __init__(
        self,
        setting: Setting,
        bands: Bands,
        *,
        colours: bool,
        cell_px: int,
        largest_cell_px: int,
        memory_mb: int,
    ) -> None:
        """Nothing is reserved before the first frame.

        Args:
            setting: of the stack.
            bands: the threads.
            colours: whether to keep colours.
            cell_px: side of a cell to begin with: 1, 2, 4 or 8; 0 for 1 px, or 2 px when frames are noisy or large.
            largest_cell_px: up to which it may grow.
            memory_mb: what all of it may take.

        Raises:
            ValueError: when a number is out of range.
        """
        if cell_px not in {0, *CELLS}:
            raise ValueError(f"cells of {cell_px} px; they can be 1, 2, 4 or 8, or 0 for a usual size")
        if memory_mb < 1:
            raise ValueError(f"at least 1 MB is needed, not {memory_mb}")
        self.cell_px = cell_px
        self.radius = 1
        self.indices: list[int] = []
        self.scores: list[npt.NDArray[np.uint16]] = []
        self.colours: list[Bytes] = []
        self.hidden: dict[int, npt.NDArray[np.bool_]] = {}
        self.guide = np.zeros((0, 0), np.uint8)
        self.noise_sigma = 0.0
        self._setting = setting
        self._bands = bands
        self._with_colours = colours
        self._largest = max(largest_cell_px, cell_px)
        self._limit = memory_mb * 2**20
        self._best = np.zeros((0, 0), np.uint16)
        self._floor = NoiseFloor()
        self._sigma_px = _CLEAN_BLUR_PX

    @property
    def shape(self) -> tuple[int, int]:
        """Cells down and across."""
        return -(-self._setting.height // self.cell_px), -(-self._setting.width // self.cell_px)

    def add(self, frame: AlignedFrame) -> None:
        """Take the next frame.

        Raises:
            ValueError: when it is of another kind than the setting says or out of order; nothing is changed.
            TooManyFrames: when there is no room for it.
        """
        check_frame(self._setting, frame)
        if self.indices and frame.index <= self.indices[-1]:
            raise ValueError(f"frame {frame.index} comes after frame {self.indices[-1]}")
        if len(self.indices) == _MAX_FRAMES:
            raise ValueError(f"a stack has at most {_MAX_FRAMES} frames")
        if not self.indices:
            self._begin(frame)
        self._make_room()
        energy = np.zeros(self.shape, np.float32)
        luma = np.zeros(self.shape, np.uint8)
        colour = np.zeros((*self.shape, self._setting.channels), np.uint8) if self._with_colours else None
        self._bands.run(
            self._setting.height,
            lambda first, end: self._look(frame, (first, end), energy, luma, colour),
            _BAND_ROWS,
        )
        size = 2 * self.radius + 1
        score = score_of(cv2.blur(energy, (size, size), borderType=cv2.BORDER_REPLICATE))
        hidden = self._hidden(frame)
        if hidden is not None:
            score[hidden] = 0
            self.hidden[len(self.indices)] = hidden
        sharper = score >= self._best if not self.indices else score > self._best
        self.guide[sharper] = luma[sharper]
        np.maximum(self._best, score, out=self._best)
        self._floor.add(luma, score)
        self.indices.append(frame.index)
        self.scores.append(score)
        if colour is not None:
            self.colours.append(colour)

    def noise_floor(self) -> npt.NDArray[np.float32]:
        """Energy of noise alone, by range of luma."""
        return self._floor.by_luma()

    def forbidden(self) -> npt.NDArray[np.bool_] | None:
        """(n, h, w): cells that a frame does not show, of those that any frame shows; None where all show all."""
        if not self.hidden:
            return None
        mask = np.zeros((len(self.scores), *self.shape), np.bool_)
        for ordinal, hidden in self.hidden.items():
            mask[ordinal] = hidden
        mask &= ~mask.all(axis=0)
        return mask

    @property
    def noise_radius(self) -> int:
        """Radius of the window, px, of energies without a blur that vary by noise as much as these do."""
        return _NOISE_RADIUS

    def _begin(self, frame: AlignedFrame) -> None:
        self.noise_sigma = noise_sigma(frame)
        noisy = self.noise_sigma >= _NOISY_SIGMA
        if self.cell_px == 0:
            large = frame.shape[0] * frame.shape[1] > _LARGE_PX
            self.cell_px = 2 if noisy or large else 1
        self._sigma_px = _NOISY_BLUR_PX if noisy else _CLEAN_BLUR_PX
        window_px = _NOISY_WINDOW_PX if noisy else _CLEAN_WINDOW_PX
        self.radius = max(1, round((window_px / self.cell_px - 1) / 2))
        self._reserve()

    def _reserve(self) -> None:
        self._best = np.zeros(self.shape, np.uint16)
        self.guide = np.zeros(self.shape, np.uint8)

    def _make_room(self) -> None:
        expected = max(self._setting.expected or 0, len(self.indices) + 1)
        bytes_each = 2 + (self._setting.channels if self._with_colours else 0)
        while expected * self.shape[0] * self.shape[1] * bytes_each > self._limit:
            if self.cell_px * 2 > self._largest:
                need_mb = -(-expected * self.shape[0] * self.shape[1] * bytes_each // 2**20)
                raise TooManyFrames(
                    f"{expected} frames of {self._setting.height} x {self._setting.width} px take {need_mb} MB on cells of "
                    f"{self.cell_px} px, allowed are {self._limit // 2**20}: set memory_mb, or use a method of one pass"
                )
            self._coarsen()

    def _coarsen(self) -> None:
        self.cell_px *= 2
        self.radius = max(1, self.radius // 2)
        best, guide = self._best, self.guide
        self._reserve()
        self._best[:] = _halved(best).max(axis=(1, 3))
        self.guide[:] = _halved(guide).mean(axis=(1, 3))
        for k, score in enumerate(self.scores):
            self.scores[k] = score_of(
                _halved(energy_of(score)).mean(axis=(1, 3), dtype=np.float32) / ENERGY_GAIN
            )
        for k, colour in enumerate(self.colours):
            self.colours[k] = _halved(colour).mean(axis=(1, 3)).astype(np.uint8)
        self.hidden = {k: np.asarray(_halved(hidden).any(axis=(1, 3))) for k, hidden in self.hidden.items()}

    def _look(
        self,
        frame: AlignedFrame,
        rows: tuple[int, int],
        energy: Floats,
        luma_out: Bytes,
        colour: Bytes | None,
    ) -> None:
        first, end = rows
        halo = int(np.ceil(3 * self._sigma_px)) + 1
        top, bottom = max(0, first - halo), min(frame.shape[0], end + halo)
        values = warped_rows(frame, top, bottom)
        luma = luma_of(values, frame.full_scale)
        smooth = cv2.GaussianBlur(luma, (0, 0), self._sigma_px, borderType=cv2.BORDER_REPLICATE)
        inner = slice(first - top, end - top)
        cells = slice(first // self.cell_px, -(-end // self.cell_px))
        energy[cells] = self._reduced(sml(np.asarray(smooth, np.float32), 0)[inner])
        luma_out[cells] = np.clip(self._reduced(luma[inner]) * np.float32(255 / LUMA_MAX), 0, 255)
        if colour is not None:
            small = self._reduced(values[inner]).reshape(luma_out[cells].shape[0], -1, self._setting.channels)
            colour[cells] = np.clip(small * np.float32(255 / frame.full_scale), 0, 255)

    def _reduced(self, values: Floats) -> Floats:
        """Means over cells; what lies beyond the picture is as its outermost pixels."""
        cell = self.cell_px
        if cell == 1:
            return values
        height, width = values.shape[:2]
        below, right = -height % cell, -width % cell
        if below or right:
            values = cv2.copyMakeBorder(values, 0, below, 0, right, cv2.BORDER_REPLICATE)
        size = (values.shape[1] // cell, values.shape[0] // cell)
        return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)

    def _hidden(self, frame: AlignedFrame) -> npt.NDArray[np.bool_] | None:
        if not frame.moved:
            return None
        height, width = frame.shape
        cell = self.cell_px
        hidden = np.zeros(self.shape, np.bool_)
        # What a frame shows is convex, so a cell is shown when its corners are.
        for bottom in (0, cell - 1):
            for right in (0, cell - 1):
                rows = np.minimum(np.arange(self.shape[0]) * cell + bottom, height - 1).astype(np.float64)
                columns = np.minimum(np.arange(self.shape[1]) * cell + right, width - 1).astype(np.float64)
                inside = shown(frame, rows, columns)
                if inside is not None:
                    hidden |= ~inside
        return hidden if hidden.any() else None


def score_of(energy: npt.NDArray[np.floating]) -> npt.NDArray[np.uint16]:
    """The 16-bit score of an energy, any shape, times `ENERGY_GAIN`; what `stackcore.scores.energy_of` undoes but for the gain."""
    bounded = np.clip(np.asarray(energy, np.float32) * ENERGY_GAIN, 0, np.float32(4.2e9))
    code = (np.ascontiguousarray(bounded).view(np.int32) >> np.int32(12)) - np.int32((0x3F800000 >> 12) - 1)
    return np.asarray(np.maximum(code, 0), np.uint16)


def noise_sigma(frame: AlignedFrame) -> float:
    """Standard deviation of a frame's noise in luma, levels of 255: from the flattest tenth of blocks of 16 x 16 px.

    The operator cancels whatever is linear: Immerkaer, "Fast Noise Variance Estimation" (Computer Vision and Image Understanding
    64, 1996).
    """
    height = frame.shape[0]
    rows = slice(height // 4, max(height // 4 + 1, height - height // 4))
    luma = luma_of(frame.pixels[rows], frame.full_scale) * np.float32(255 / LUMA_MAX)
    operator = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    rough = cv2.filter2D(luma, cv2.CV_32F, operator, borderType=cv2.BORDER_REFLECT)
    blocks = cv2.resize(
        rough * rough,
        (max(1, luma.shape[1] // 16), max(1, luma.shape[0] // 16)),
        interpolation=cv2.INTER_AREA,
    )
    return float(np.sqrt(np.quantile(blocks, 0.1)))


def _halved(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(h, w, ...) as (h / 2, 2, w / 2, 2, ...), the last row and column repeated where they are odd."""
    odd = [(0, -size % 2) for size in values.shape[:2]] + [(0, 0)] * (values.ndim - 2)
    even = np.pad(values, odd, mode="edge")
    return even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2, *even.shape[2:])
