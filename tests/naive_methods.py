"""Slow, obvious twins of the fusion methods: whole stacks at once, double precision, no bands, no running anything."""

from __future__ import annotations

import numpy as np


def luma(frame: np.ndarray) -> np.ndarray:
    """Luma 0..1020, float64."""
    scale = 1020 / np.iinfo(frame.dtype).max
    if frame.ndim == 2:
        return frame.astype(np.float64) * scale
    return (frame.astype(np.float64) * [77, 150, 29]).sum(axis=2) / 256 * scale


def shifted(values: np.ndarray, down: int, across: int) -> np.ndarray:
    """The value `down` rows below and `across` columns right of every place; edge values repeated."""
    rows, columns = (np.arange(n) for n in values.shape)
    rows = np.clip(rows + down, 0, values.shape[0] - 1)
    columns = np.clip(columns + across, 0, values.shape[1] - 1)
    return values[rows][:, columns]


def windows(values: np.ndarray, radius: int) -> list[list[np.ndarray]]:
    """The part of each pixel's window that lies within the picture."""
    height, width = values.shape
    return [
        [
            values[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
            for x in range(width)
        ]
        for y in range(height)
    ]


def pool(values: np.ndarray, radius: int) -> np.ndarray:
    return np.array([[w.sum() for w in row] for row in windows(values, radius)])


def sobel(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    across = sum(k * (shifted(values, y, 1) - shifted(values, y, -1)) for y, k in ((-1, 1), (0, 2), (1, 1)))
    down = sum(k * (shifted(values, 1, x) - shifted(values, -1, x)) for x, k in ((-1, 1), (0, 2), (1, 1)))
    return across, down


def energy(name: str, values: np.ndarray, radius: int) -> np.ndarray:
    """Focus energy by name, float64."""
    if name == "sml":
        across = np.abs(2 * values - shifted(values, 0, -1) - shifted(values, 0, 1))
        down = np.abs(2 * values - shifted(values, -1, 0) - shifted(values, 1, 0))
        return pool((across + down) ** 2, radius)
    if name == "laplacian2":
        sides = ((0, 1), (0, -1), (1, 0), (-1, 0))
        return pool((4 * values - sum(shifted(values, y, x) for y, x in sides)) ** 2, radius)
    if name == "variance":
        return np.array([[((w - w.mean()) ** 2).sum() for w in row] for row in windows(values, radius)])
    gx, gy = sobel(values)
    if name == "tenengrad":
        return pool(gx**2 + gy**2, radius)
    xx, yy, xy = pool(gx * gx, 1), pool(gy * gy, 1), pool(gx * gy, 1)
    response = xx * yy - xy**2 - 0.04 * (xx + yy) ** 2
    return np.sqrt(pool(np.abs(response), radius))


def weighted(stack: np.ndarray, energies: np.ndarray, gamma: float) -> np.ndarray:
    """Sum of w I over sum of w, w = energy ^ gamma; the mean where no frame has energy."""
    top = energies.max(axis=0)
    weights = np.where(top > 0, (energies / np.where(top > 0, top, 1)) ** gamma, 1)
    if stack.ndim == 4:
        weights = weights[..., None]
    return (weights * stack).sum(axis=0) / weights.sum(axis=0)


def mirrored(at: int, size: int) -> int:
    """d c b a | a b c d | d c b a."""
    while not 0 <= at < size:
        at = -1 - at if at < 0 else 2 * size - 1 - at
    return at


def split(values: np.ndarray, smooth: np.ndarray, detail: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One level along the last axis: inner products with every second shift of the filters."""
    size = values.shape[-1]
    low = np.zeros((*values.shape[:-1], size // 2), complex)
    high = np.zeros_like(low)
    for k in range(size // 2):
        for tap in range(6):
            value = values[..., mirrored(2 * k + tap - 2, size)]
            low[..., k] += smooth[tap] * value
            high[..., k] += detail[tap] * value
    return low, high


def join(low: np.ndarray, high: np.ndarray, smooth: np.ndarray, detail: np.ndarray) -> np.ndarray:
    """The adjoint of `split` on the reflected row: smoothed values are even about the border, details odd."""
    n = low.shape[-1]
    values = np.zeros((*low.shape[:-1], 2 * n), complex)
    for k in range(-2, n + 2):
        odd = -1 if not 0 <= k < n else 1
        for tap in range(6):
            at = 2 * k + tap - 2
            if 0 <= at < 2 * n:
                values[..., at] += np.conj(smooth[tap]) * low[..., mirrored(k, n)]
                values[..., at] += np.conj(detail[tap]) * odd * high[..., mirrored(k, n)]
    return values


def transform(picture: np.ndarray, levels: int, smooth: np.ndarray, detail: np.ndarray) -> list[np.ndarray]:
    """Details of level 1, 2 ... as (3, H, W) complex (across, down, both), and the smoothed picture last."""
    step = 2**levels
    height, width = (-(-n // step) * step for n in picture.shape)
    rows = [mirrored(y, picture.shape[0]) for y in range(height)]
    columns = [mirrored(x, picture.shape[1]) for x in range(width)]
    current = picture[rows][:, columns].astype(complex)
    result = []
    for _ in range(levels):
        low, high = split(current.T, smooth, detail)
        low_low, low_high = split(low.T, smooth, detail)
        high_low, high_high = split(high.T, smooth, detail)
        result.append(np.stack([low_high, high_low, high_high]))
        current = low_low
    return [*result, current]


def back(
    parts: list[np.ndarray], shape: tuple[int, int], smooth: np.ndarray, detail: np.ndarray
) -> np.ndarray:
    current = parts[-1]
    for across, down, both in reversed(parts[:-1]):
        low = join(current, across, smooth, detail)
        high = join(down, both, smooth, detail)
        current = join(low.T, high.T, smooth, detail).T
    return current.real[: shape[0], : shape[1]]


def vote(frames: tuple[int, int, int], strengths: tuple[float, float, float]) -> int:
    for frame in frames:
        if frames.count(frame) >= 2:
            return frame
    return frames[int(np.argmax(strengths))]


def majority(frame: np.ndarray, size: int) -> np.ndarray:
    result = frame.copy()
    reach = size // 2
    height, width = frame.shape
    for y in range(height):
        for x in range(width):
            around = [
                frame[mirrored(y + v, height), mirrored(x + u, width)]
                for v in range(-reach, reach + 1)
                for u in range(-reach, reach + 1)
            ]
            values, counts = np.unique(around, return_counts=True)
            if counts.max() > size * size // 2:
                result[y, x] = values[counts.argmax()]
    return result


def wavelet(frames: list[np.ndarray], levels: int, smooth: np.ndarray, detail: np.ndarray) -> np.ndarray:
    """Fusion as `stackcore.methods.wavelet` documents it, before rounding."""
    lumas = [transform(luma(frame), levels, smooth, detail) for frame in frames]
    chosen = []
    for level in range(levels):
        strength = np.abs(np.stack([parts[level] for parts in lumas])) ** 2
        strength[strength <= (2e-6 * 1020 * 2 ** (level + 1)) ** 2] = 0
        best = strength.argmax(axis=0)
        top = strength.max(axis=0)
        voted = np.zeros(best.shape[1:], int)
        for y, x in np.ndindex(voted.shape):
            voted[y, x] = vote(tuple(best[:, y, x]), tuple(top[:, y, x]))
        chosen.append(majority(voted, 5))
    planes = [[frame] if frame.ndim == 2 else list(np.moveaxis(frame, 2, 0)) for frame in frames]
    results = []
    for channel in range(len(planes[0])):
        each = [transform(p[channel].astype(float), levels, smooth, detail) for p in planes]
        parts = []
        for level in range(levels + 1):
            stack = np.stack([e[level] for e in each])
            picked = chosen[min(level, levels - 1)]
            at = picked[None, None] if stack.ndim == 4 else picked[None]
            parts.append(np.take_along_axis(stack, at, axis=0)[0])
        results.append(back(parts, frames[0].shape[:2], smooth, detail))
    return results[0] if len(results) == 1 else np.stack(results, axis=2)
