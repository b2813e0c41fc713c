"""Focus measured tile by tile, against the position of the rail: where each part of the picture is sharpest.

A tile's curve rises and falls once where there is detail at one depth. The nearest and farthest of those tops are the ends of the subject, as far as it has
detail there; a top at the first or last picture says that the subject goes on beyond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stackcore.focus_measures import luma_of, measure_named

Floats = npt.NDArray[np.float64]

TILES_ACROSS = 64
LEAST_TILE_PX = 8
RISES = 3.0
"""A top stands out when it is so many times the lower quarter of its curve."""
OF_THE_BEST = 0.002
"""Tops with less energy than this share of the strongest are noise."""
TOGETHER = 3
"""So many tiles at least must have their tops at an end: one alone may be noise, or a reflection."""
BESIDE = 2
"""Of the eight tiles around one, so many must have their tops near its own: surfaces and hairs go on, noise does not."""
MOSTLY = 0.6
"""Where fewer of the tiles that stand out have such neighbours, what stands out is noise: by chance it would be a third."""
ALIKE_STEPS = 1.5
"""Tops no farther apart than so many steps are near each other."""


class NothingSharp(ValueError):
    """No part of any picture was sharper than in the others. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a sweep found, in micrometres from home."""

    near_um: float
    best_um: float
    """Where most of the picture is sharp at once."""
    far_um: float
    step_um: float
    """Of the sweep: what was found may be off by as much."""
    tiles: int
    """Parts of the picture that had a depth."""
    of_tiles: int
    open_near: bool
    """The first picture was the sharpest of some parts: the subject begins before it."""
    open_far: bool
    """The same at the other end."""


def energies_of(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(tiles down, tiles across) mean focus energy.

    Args:
        picture: (H, W, 3) or (H, W).
    """
    luma = luma_of(picture, 255)
    energy = measure_named("sml").energy(luma, 1)
    height, width = energy.shape
    side = max(LEAST_TILE_PX, round(max(height, width) / TILES_ACROSS))
    rows, columns = height // side, width // side
    tiles = energy[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.asarray(tiles.mean(axis=(1, 3)), np.float32)


def find_ends(positions_um: Sequence[float], energies: Sequence[npt.NDArray[np.float32]]) -> Found:
    """Near, best and far from the energies of each position.

    Args:
        positions_um: rising, five or more.
        energies: as `energies_of` gives them, one for each position.

    Raises:
        NothingSharp: no tile stands out.
        ValueError: too few positions, or not rising.
    """
    places = np.asarray(positions_um, np.float64)
    if len(places) < 5 or (np.diff(places) <= 0).any() or len(places) != len(energies):
        raise ValueError("a sweep needs five or more rising positions, and a picture at each")
    curves = np.stack([one.ravel() for one in energies], axis=1).astype(np.float64)
    step_um = float(np.median(np.diff(places)))
    tops, at = _tops(places, curves)
    going_on = _going_on(tops, at, energies[0].shape, ALIKE_STEPS * step_um)
    tops, at = tops[going_on], at[going_on]
    if len(tops) < TOGETHER or going_on.mean() < MOSTLY:
        raise NothingSharp(
            "nothing was sharper at one position than at the others: sweep farther, put on the light, or come closer"
        )
    order = np.argsort(tops)
    near_um = _end(tops[order], step_um)
    far_um = -_end(-tops[order][::-1], step_um)
    return Found(
        near_um=near_um,
        best_um=_best(places, curves[at]),
        far_um=far_um,
        step_um=step_um,
        tiles=len(tops),
        of_tiles=len(curves),
        open_near=int((tops <= places[0]).sum()) >= TOGETHER,
        open_far=int((tops >= places[-1]).sum()) >= TOGETHER,
    )


def _tops(places: Floats, curves: Floats) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Where the tiles that stand out are sharpest, and which tiles these are."""
    best = curves.argmax(axis=1)
    height = curves.max(axis=1)
    floor = np.quantile(curves, 0.25, axis=1)
    lowest = np.quantile(curves, 0.05)
    stands_out = (height > RISES * floor) & (height - floor > OF_THE_BEST * (height.max() - lowest))
    tiles = np.flatnonzero(stands_out)
    tops = np.array([_top(places, curves[tile], int(best[tile])) for tile in tiles])
    return tops, tiles


def _going_on(
    tops: Floats, at: npt.NDArray[np.intp], shape: tuple[int, ...], near_um: float
) -> npt.NDArray[np.bool_]:
    """Which tiles have others around them with tops near their own."""
    rows, columns = shape
    map_um = np.full((rows + 2, columns + 2), np.nan)
    row, column = np.divmod(at, columns)
    map_um[row + 1, column + 1] = tops
    around = np.zeros(len(tops), np.int64)
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            if (down, across) != (0, 0):
                around += np.abs(map_um[row + 1 + down, column + 1 + across] - tops) <= near_um
    return np.asarray(around >= BESIDE)


def _top(places: Floats, curve: Floats, at: int) -> float:
    """Where a curve has its top: of the Gaussian through three points."""
    if at in {0, len(places) - 1}:
        return float(places[at])
    left, middle, right = np.log(np.maximum(curve[at - 1 : at + 2], 1e-9))
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    side = places[at + 1] - places[at] if shift > 0 else places[at] - places[at - 1]
    return float(places[at] + shift * side)


def _end(rising: Floats, step_um: float) -> float:
    """The lowest top that others are near to."""
    for index in range(len(rising) - TOGETHER + 1):
        if rising[index + TOGETHER - 1] - rising[index] <= 2 * step_um:
            return float(rising[index])
    return float(rising[0])


def _best(places: Floats, curves: Floats) -> float:
    """Where most tiles are sharp at once, each counted alike."""
    together = (curves / curves.max(axis=1, keepdims=True)).mean(axis=0)
    return _top(places, together, int(together.argmax()))
