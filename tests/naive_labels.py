"""Slow, obvious twins of what finds labels and refines depth: loops over pixels, all choices tried, dense matrices."""

from __future__ import annotations

import itertools

import numpy as np

from stackcore.graphcut import FORBIDDEN, Grid


def seam_cost(grid: Grid, one: int, other: int, first: tuple[int, int], second: tuple[int, int]) -> int:
    if one == other:
        return 0
    total = 0
    for cell in (first, second):
        total += sum(
            abs(int(a) - int(b))
            for a, b in zip(grid.colours[(one, *cell)], grid.colours[(other, *cell)], strict=True)
        )
    return grid.seam + grid.colour_weight * total


def energy(grid: Grid, labels: np.ndarray) -> int:
    height, width = labels.shape
    total = 0
    for y, x in np.ndindex(height, width):
        label = int(labels[y, x])
        total += grid.data_weight * int(grid.data[label, y, x])
        if grid.forbidden is not None and grid.forbidden[label, y, x]:
            total += FORBIDDEN
        for yy, xx in ((y, x + 1), (y + 1, x)):
            if yy < height and xx < width:
                total += seam_cost(grid, label, int(labels[yy, xx]), (y, x), (yy, xx))
    return total


def best_expansion(grid: Grid, labels: np.ndarray, label: int, candidates: np.ndarray) -> int:
    """The least energy of all ways in which the candidates can take the label or not."""
    cells = np.argwhere(candidates)
    least = energy(grid, labels)
    for choice in itertools.product((False, True), repeat=len(cells)):
        tried = labels.copy()
        for takes, (y, x) in zip(choice, cells, strict=True):
            if takes:
                tried[y, x] = label
        least = min(least, energy(grid, tried))
    return least


def cheapest_cut(stay, change, first, second, costs) -> int:
    """The least cost of all 2^n choices."""
    neither, only_second, only_first = costs
    least = None
    for choice in itertools.product((0, 1), repeat=len(stay)):
        total = sum(int(change[k] if x else stay[k]) for k, x in enumerate(choice))
        for p, q, a, b, c in zip(first, second, neither, only_second, only_first, strict=True):
            total += [[int(a), int(b)], [int(c), 0]][choice[p]][choice[q]]
        least = total if least is None else min(least, total)
    return least


def screened_poisson(
    colours: np.ndarray, across: np.ndarray, down: np.ndarray, screening: float
) -> np.ndarray:
    """Least squares with one dense row for each wanted gradient and each colour."""
    height, width = colours.shape
    place = np.arange(height * width).reshape(height, width)
    rows, wanted = [], []
    for first, second, gradient in (
        (place[:, :-1], place[:, 1:], across),
        (place[:-1], place[1:], down),
    ):
        for p, q, g in zip(first.ravel(), second.ravel(), gradient.ravel(), strict=True):
            row = np.zeros(place.size)
            row[p], row[q] = -1, 1
            rows.append(row)
            wanted.append(g)
    if screening > 0:
        rows.extend(np.sqrt(screening) * np.eye(place.size))
        wanted.extend(np.sqrt(screening) * colours.ravel())
    else:
        rows.append(np.ones(place.size))
        wanted.append(colours.sum())
    solution = np.linalg.lstsq(np.array(rows), np.array(wanted, np.float64), rcond=None)[0]
    return solution.reshape(height, width)


def _mirrored(array: np.ndarray, y: int, x: int, radius: int) -> np.ndarray:
    padded = np.pad(array, radius, mode="symmetric")
    return padded[y : y + 2 * radius + 1, x : x + 2 * radius + 1].astype(np.float64)


def guided_filter(
    guide: np.ndarray, value: np.ndarray, weight: np.ndarray, radius: int, epsilon: float
) -> np.ndarray:
    """A weighted straight-line fit in every window, then the weighted mean of the lines of all windows over a pixel."""
    slope, offset = np.zeros(guide.shape), np.zeros(guide.shape)
    for y, x in np.ndindex(guide.shape):
        w, g, v = (_mirrored(a, y, x, radius) for a in (weight, guide, value))
        total = w.sum()
        g_mean, v_mean = (w * g).sum() / total, (w * v).sum() / total
        covariance = (w * (g - g_mean) * (v - v_mean)).sum() / total
        variance = (w * (g - g_mean) ** 2).sum() / total
        slope[y, x] = covariance / (variance + epsilon)
        offset[y, x] = v_mean - slope[y, x] * g_mean
    result = np.zeros(guide.shape)
    for y, x in np.ndindex(guide.shape):
        w, a, b = (_mirrored(array, y, x, radius) for array in (weight, slope, offset))
        result[y, x] = ((w * a).sum() * guide[y, x] + (w * b).sum()) / w.sum()
    return result


def semi_global(cost: np.ndarray, guide: np.ndarray, step: int, jumps: np.ndarray) -> np.ndarray:
    """Sums of path costs, each direction by itself, each path from its start: (h, w, n)."""
    height, width, depths = cost.shape
    total = np.zeros(cost.shape, np.int64)
    for dy, dx in ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)):
        path = np.zeros(cost.shape, np.int64)
        for y in range(height) if dy >= 0 else range(height - 1, -1, -1):
            for x in range(width) if dx >= 0 else range(width - 1, -1, -1):
                yy, xx = y - dy, x - dx
                path[y, x] = cost[y, x]
                if not (0 <= yy < height and 0 <= xx < width):
                    continue
                before = path[yy, xx]
                jump = int(jumps[abs(int(guide[y, x]) - int(guide[yy, xx]))])
                for k in range(depths):
                    ways = [before[k], before.min() + jump]
                    if k > 0:
                        ways.append(before[k - 1] + step)
                    if k < depths - 1:
                        ways.append(before[k + 1] + step)
                    path[y, x, k] += min(ways) - before.min()
        total += path
    return total


def collect(
    frames: list[np.ndarray], labels: np.ndarray, margin: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The picked picture and the wanted gradients across and down, of labels of pixels and frames that show everything."""
    height, width = labels.shape

    def around(y: int, x: int) -> set[int]:
        places = ((y, x), (y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
        return {int(labels[p]) for p in places if 0 <= p[0] < height and 0 <= p[1] < width}

    stack = np.stack(frames).astype(np.int64)
    rows, columns = np.indices(labels.shape)
    picked = stack[labels, rows, columns]
    gradients = []
    for dy, dx in ((0, 1), (1, 0)):
        wanted = np.zeros((height - dy, width - dx, stack.shape[-1]), np.int64)
        for y, x in np.ndindex(height - dy, width - dx):
            here, there = (y, x), (y + dy, x + dx)
            own = {int(labels[here]), int(labels[there])}
            best = -1
            for k in sorted(around(*here) | around(*there)):
                gradient = stack[(k, *there)] - stack[(k, *here)]
                size = int(np.abs(gradient).sum()) + (margin if k in own else 0)
                if size > best:
                    best, wanted[y, x] = size, gradient
        gradients.append(wanted)
    return picked, gradients[0], gradients[1]


def blend_slices(frames: list[np.ndarray], depth: np.ndarray, half_width: np.ndarray) -> np.ndarray:
    """The weighted mean of the frames around each pixel's depth (in ordinals)."""
    weights = np.stack([np.maximum(0, 1 - np.abs(k - depth) / half_width) for k in range(len(frames))])
    weights /= weights.sum(axis=0)
    return (weights[..., None] * np.stack(frames).astype(np.float64)).sum(axis=0)
