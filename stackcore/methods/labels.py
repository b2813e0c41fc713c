"""Each pixel from one frame, seams where they show least, blended in the gradient domain; in two passes.

The recipe of Agarwala et al., "Interactive Digital Photomontage" (SIGGRAPH 2004), for extended depth of field: labels that make the
sum of focus costs and seam costs least, found by graph cuts (`stackcore.graphcut`); then a picture with the gradients of the chosen
frames (`stackcore.poisson`). Three things differ, all measured on rendered stacks:

- The equation is screened. Without screening the picture drifts from its colours (`SCREENING`).
- Along seams the larger of the two frames' gradients is taken, not their mean: 0.1 to 0.2 dB more; and 0.1 to 0.4 dB again when the
  frames of neighbours 1 px farther are tried too.
- Labels are those of cells of 2 px, not of pixels, which takes half the time and loses less than 0.1 dB.

What regularised labels give are few and quiet seams. In decibels they gain 0.4 on a noisy stack over the sharpest frame of each cell, and
lose 0.05 on clean ones: it is the blending that gains there.

The method is for tens of frames: memory grows with their number, up to a limit that is checked.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stackcore import graphcut, poisson
from stackcore.aligned import AlignedFrame, Pixels
from stackcore.methods import Fused, Setting
from stackcore.methods._focus_volume import FocusVolume
from stackcore.methods._labels_kernel import NONE, collect_rows, mark_seams
from stackcore.methods._rows import check, shown_rows, warped_rows
from stackcore.methods._two_looks import TwoLooks
from stackcore.methods._volume_depth import costs_of, depth_of

SCREENING = 0.15
"""1 / px^2. Measured on twelve rendered scenes with occlusion, mean in dB: 27.4 at 0, 34.4 at 0.05, 34.6 at 0.15, 34.4 at 0.5; the
sharpest frame of each pixel 32.4."""

SEAM_COST, DATA_COST = 4, 16
"""Costs are whole numbers: what a seam costs for each level of colour, and what a unit of focus cost does. So a factor e in energy
outweighs 320 levels, summed over channels and both sides."""

MARGIN_SIGMAS = 6
"""By how many standard deviations of noise a gradient of a neighbour's label must be larger, for each three channels. Measured: on a
noisy stack 0.2 dB more than without, on a clean one 0.03 dB less."""

_COST_ROWS = 64


class Labels(TwoLooks):
    """Picks by graph cut and blends. Memory: 12 to 40 bytes a pixel, more for more seams, and before that what `memory_mb` allows.

    Attributes:
        passes: 2.
    """

    def __init__(
        self,
        setting: Setting,
        *,
        seam: float = 1.0,
        screening: float = SCREENING,
        sweeps: int = 1,
        cell_px: int = 2,
        memory_mb: int = 256,
    ) -> None:
        """Start the threads.

        Args:
            setting: of the stack.
            seam: what seams cost against focus; 0 takes the sharpest frame of each cell.
            screening: 1 / px^2, how strongly the picture keeps to the colours of the chosen frames; 0 keeps only their mean.
            sweeps: how often every frame gets its expansion move, at most.
            cell_px: side of the cells that have one label: 1, 2, 4 or 8 px.
            memory_mb: what focus and colours of all frames may take; cells grow to at most 8 px to stay within.

        Raises:
            ValueError: when an argument is out of range.
            ImportError: OR-tools or SciPy is not installed; the message says how to get it.
        """
        check(setting)
        if not 0 <= seam <= 100:
            raise ValueError(f"seam {seam} is not within 0..100")
        if not 0 <= screening <= 100:
            raise ValueError(f"screening {screening} is not within 0..100")
        if not 0 <= sweeps <= 20:
            raise ValueError(f"sweeps {sweeps} is not within 0..20")
        graphcut.solver_class()
        poisson.transforms()
        super().__init__(setting, colours=True, cell_px=cell_px, memory_mb=memory_mb)
        self._seam = seam
        self._screening = screening
        self._sweeps = sweeps
        self._labels = np.zeros((0, 0), np.uint16)
        self._seams = np.zeros((0, 0), np.uint8)
        self._starts = np.zeros(0, np.int64)
        self._gradients = np.zeros((0, 2, 1), np.int16)
        # Gradients of 16-bit frames are kept at half their size, and so to 2 levels of 65535.
        self._scale = np.float32(1 if np.dtype(setting.dtype) == np.dtype(np.uint8) else 0.5)
        self._margin = np.int32(0)
        self._picture = np.zeros((0, 0, setting.channels), np.dtype(setting.dtype))

    def finish(self) -> Fused:
        """The picture, and the depth of the chosen frames.

        Raises:
            ValueError: when there was no frame, or no second pass.
        """
        self._check_it_came_twice()
        rows, columns = np.nonzero(self._seams)
        full_scale = np.iinfo(self._picture.dtype).max
        for channel in range(self._setting.channels if rows.size else 0):
            plane = self._picture[..., channel]
            excess = self._excess(plane, rows, columns, channel)
            change = poisson.solve(excess, self._screening, workers=self._setting.threads)
            change += plane
            plane[:] = np.clip(np.rint(change, out=change), 0, full_scale, out=change)
        picture = self._picture
        self._gradients = np.zeros((0, 2, 1), np.int16)
        return self._fused(picture)

    def _begin_again(self) -> None:
        volume = self._given_up()
        setting = self._setting
        size = (setting.height, setting.width)
        self._labels = choose(volume, seam=self._seam, sweeps=self._sweeps)
        self._found = depth_of(volume, self._labels, agreed=self._seam > 0)[1]
        levels = MARGIN_SIGMAS * volume.noise_sigma * setting.channels / 3
        self._margin = np.int32(levels * np.iinfo(self._picture.dtype).max / 255 * self._scale)
        del volume
        self._seams = np.zeros(size, np.uint8)
        counts = np.zeros(setting.height, np.int64)
        mark_seams(self._labels, self._cell_px, self._seams, counts)
        self._starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
        self._gradients = np.full((int(counts.sum()), 2, setting.channels), NONE, np.int16)
        self._picture = np.zeros((*size, setting.channels), np.dtype(setting.dtype))

    def _take_rows(self, frame: AlignedFrame, ordinal: int, first: int, end: int) -> None:
        cells = slice(max(0, first - 1) // self._cell_px, (end + 1) // self._cell_px + 1)
        if not (self._labels[cells] == ordinal).any():
            return
        setting = self._setting
        below = min(end + 1, setting.height)
        shape = (below - first, setting.width, setting.channels)
        values = warped_rows(frame, first, below).reshape(shape)
        inside = shown_rows(frame, first, below)
        picked = self._picture[first:end].astype(np.float32)
        collect_rows(
            values,
            np.ones(shape[:2], np.uint8) if inside is None else inside.view(np.uint8),
            first,
            end,
            np.uint16(ordinal),
            self._labels,
            self._cell_px,
            self._scale,
            self._margin,
            self._seams,
            self._starts,
            picked,
            self._gradients,
        )
        full_scale = np.iinfo(self._picture.dtype).max
        self._picture[first:end] = np.clip(np.rint(picked), 0, full_scale)

    def _excess(
        self, plane: Pixels, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], channel: int
    ) -> npt.NDArray[np.float32]:
        """What the gradients along seams differ from those of the picked pixels, brought to each pixel."""
        excess = np.zeros(plane.shape, np.float32)
        for axis, (down, right) in enumerate(((0, 1), (1, 0))):
            wanted = self._gradients[:, axis, channel]
            given = self._gradients[:, axis, 0] != NONE
            here = rows[given], columns[given]
            there = here[0] + down, here[1] + right
            difference = wanted[given] / self._scale - plane[there].astype(np.float32) + plane[here]
            excess[there] += difference
            excess[here] -= difference
        return excess


def choose(volume: FocusVolume, *, seam: float, sweeps: int) -> graphcut.Labels:
    """(h, w): the ordinal of the frame that each cell is taken from.

    Args:
        volume: focus and colours of all frames; the colours are taken out.
        seam: what seams cost against focus.
        sweeps: of expansion moves.
    """
    frames = len(volume.scores)
    data = np.empty((frames, *volume.shape), np.uint8)
    for first in range(0, volume.shape[0], _COST_ROWS):
        end = min(volume.shape[0], first + _COST_ROWS)
        data[:, first:end] = costs_of(volume, first, end)
    forbidden = volume.forbidden()
    if forbidden is not None:
        data[forbidden] = 255
    labels = np.asarray(data.argmin(axis=0), np.uint16)
    weight = round(seam * SEAM_COST)
    if weight == 0 or sweeps == 0 or frames == 1:
        return labels
    volume.hidden.clear()
    colours = _stacked(volume.colours)
    grid = graphcut.Grid(
        data=data,
        colours=colours,
        colour_weight=weight,
        seam=2 * weight,
        data_weight=DATA_COST,
        forbidden=forbidden,
    )
    return graphcut.optimise(grid, labels, sweeps=sweeps)


def _stacked(parts: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """As `np.stack`; each part is given up as it goes in, so that they are not all in memory twice."""
    whole = np.empty((len(parts), *parts[0].shape), np.uint8)
    for k in reversed(range(len(parts))):
        whole[k] = parts.pop()
    return whole
