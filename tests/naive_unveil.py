"""Slow, obvious twins of the kernels of `stackcore.methods.unveil`: one pixel at a time, nothing clever."""

from __future__ import annotations

import math

import numpy as np

from tests.naive import box_sum, modified_laplacian


def focus_energy(picture: np.ndarray, radius: int) -> np.ndarray:
    """Squared modified Laplacian of every channel, summed over channels (a gray one three times) and the window."""
    planes = [picture] * 3 if picture.ndim == 2 else [picture[..., k] for k in range(3)]
    return box_sum(sum(modified_laplacian(plane.astype(float)) ** 2 for plane in planes), radius)


def cell_of(shape: tuple[int, ...], cells: tuple[int, ...], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the cell of every pixel; an odd last one belongs to the cell before."""
    rows, columns = np.indices(shape[:2]) // side
    return np.minimum(rows, cells[0] - 1), np.minimum(columns, cells[1] - 1)


def blend(
    frames: list[np.ndarray],
    gains: np.ndarray,
    shown: list[np.ndarray],
    sixteenths: np.ndarray,
    weights: np.ndarray,
    breadth: np.ndarray,
    side: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The weighted mean (NaN where nothing counts) and the sum of the weights, for every pixel.

    Depth in 16ths of a frame, breadth and `shown` (of each frame) are by cell of `side` px; weights by breadth and distance in 16ths.
    """
    rows, columns = cell_of(frames[0].shape, sixteenths.shape, side)
    picture = np.full(frames[0].shape, np.nan)
    total = np.zeros(frames[0].shape[:2])
    white = np.iinfo(frames[0].dtype).max
    for y, x in np.ndindex(total.shape):
        cell = rows[y, x], columns[y, x]
        table = weights[breadth[cell]]
        sums = 0.0
        for k, frame in enumerate(frames):
            distance = abs(int(sixteenths[cell]) - 16 * k)
            share = float(table[distance]) if distance < table.size and shown[k][cell] else 0.0
            sums = sums + share * np.minimum(frame[y, x] * gains[k], white)
            total[y, x] += share
        if total[y, x] > 0:
            picture[y, x] = sums / total[y, x]
    return picture, total


def bicubic(frame: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A frame on the reference, pixel by pixel (Keys 1981, a = -3/4); beyond its border it goes on as its outermost pixels."""

    def weight(distance: float) -> float:
        x, a = abs(distance), -0.75
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0

    height, width = frame.shape[:2]
    result = np.zeros(frame.shape)
    for y, x in np.ndindex(height, width):
        u, v = matrix @ (x, y, 1)
        for row in range(int(np.floor(v)) - 1, int(np.floor(v)) + 3):
            for column in range(int(np.floor(u)) - 1, int(np.floor(u)) + 3):
                at = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
                result[y, x] += weight(v - row) * weight(u - column) * frame[at]
    return np.clip(result, 0, np.iinfo(frame.dtype).max)


def lain_over(
    place: np.ndarray, colour: np.ndarray, wanted: np.ndarray, blur: float, gap: float
) -> tuple[np.ndarray, np.ndarray]:
    """Share (h, w) and light (h, w, 3) of all nearer things, each spread over its disc."""
    h, w = place.shape
    cover, light = np.zeros((h, w)), np.zeros((h, w, 3))
    for y, x in zip(*np.nonzero(wanted), strict=True):
        for v in range(h):
            for u in range(w):
                nearer = place[y, x] - place[v, u]
                if nearer < gap:
                    continue
                radius = blur * nearer
                share = min(max(radius + 0.5 - math.hypot(v - y, u - x), 0), 1) / (math.pi * radius**2 + 0.26)
                cover[y, x] += share
                light[y, x] += share * colour[v, u]
        if cover[y, x] > 1:
            light[y, x] /= cover[y, x]
            cover[y, x] = 1
    return cover, light


def spread(
    place: np.ndarray, picture: np.ndarray, nearest: np.ndarray, wanted: np.ndarray, blur: float, gap: float
) -> np.ndarray:
    """The mean of what is not nearer, within the disc that the nearest thing around would have."""
    h, w = place.shape
    out = np.zeros((h, w, 3))
    for y, x in zip(*np.nonzero(wanted), strict=True):
        radius = blur * (place[y, x] - nearest[y, x])
        within = [
            picture[v, u].astype(float)
            for v in range(h)
            for u in range(w)
            if (v - y) ** 2 + (u - x) ** 2 <= radius**2 + 0.5 and place[v, u] >= place[y, x] - gap
        ]
        out[y, x] = np.mean(within, axis=0)
    return out


def correct(
    picture: np.ndarray, wanted: np.ndarray, factor: np.ndarray, offset: np.ndarray, side: int
) -> np.ndarray:
    """Pixels of wanted cells times 1 + factor (by cell), plus offset (by cell and channel, in 255ths of white), float."""
    cells = cell_of(picture.shape, wanted.shape, side)
    white = np.iinfo(picture.dtype).max
    offset = offset * (white / 255)
    change = (1 + factor, offset[..., 0]) if picture.ndim == 2 else (1 + factor[..., None], offset)
    changed = np.clip(picture * change[0][cells] + change[1][cells], 0, white)
    here = wanted[cells]
    return np.where(here if picture.ndim == 2 else here[..., None], changed, picture)
