"""Slow, obvious twins of the numerical kernels: whole stacks at once, plain NumPy, no cleverness."""

from __future__ import annotations

import numpy as np


def luma4(frame: np.ndarray) -> np.ndarray:
    """Luma of 0..1020, int64."""
    if frame.ndim == 2:
        return frame.astype(np.int64) * 4
    r, g, b = (frame[..., k].astype(np.int64) for k in range(3))
    return (77 * r + 150 * g + 29 * b) // 64


def modified_laplacian(luma: np.ndarray) -> np.ndarray:
    p = np.pad(luma, 1, mode="edge")
    centre = p[1:-1, 1:-1]
    across = np.abs(2 * centre - p[1:-1, :-2] - p[1:-1, 2:])
    down = np.abs(2 * centre - p[:-2, 1:-1] - p[2:, 1:-1])
    return across + down


def box_sum(values: np.ndarray, radius: int) -> np.ndarray:
    """Sum over a window of 2 radius + 1 px, of the part that lies within the picture."""
    height, width = values.shape
    p = np.pad(values, radius)
    total = np.zeros_like(values)
    for dy in range(2 * radius + 1):
        for dx in range(2 * radius + 1):
            total += p[dy : dy + height, dx : dx + width]
    return total


def encode(energy: np.ndarray) -> np.ndarray:
    """Energy as a short float: 11 bits of fraction, score 1 for energy 1, score 0 for 0."""
    fraction, exponent = np.frexp(energy.astype(np.float32))
    code = (
        1
        + 2048 * (exponent.astype(np.int64) - 1)
        + np.floor((2 * fraction.astype(np.float64) - 1) * 2048).astype(np.int64)
    )
    return np.where(energy > 0, code, 0).astype(np.uint16)


def decode(score: np.ndarray) -> np.ndarray:
    exponent, fraction = np.divmod(score.astype(np.int64) - 1, 2048)
    return np.where(score > 0, (1 + fraction / 2048) * 2.0**exponent, 0.0)


def focus_score(frame: np.ndarray, radius: int) -> np.ndarray:
    return encode(box_sum(modified_laplacian(luma4(frame)) ** 2, radius))


def merge(frames: list[np.ndarray], radius: int) -> dict[str, np.ndarray]:
    """All that a merge keeps, from all frames at once: the first of the sharpest frames wins."""
    scores = np.stack([focus_score(f, radius) for f in frames])
    stack = np.stack(frames)
    best = scores.argmax(axis=0)
    rows, columns = np.indices(best.shape)
    around = np.pad(scores, ((1, 1), (0, 0), (0, 0)))
    return {
        "picture": stack[best, rows, columns],
        "frame": best.astype(np.uint16),
        "best": around[best + 1, rows, columns],
        "before": around[best, rows, columns],
        "after": around[best + 2, rows, columns],
    }


def frame_figures(strips: list[np.ndarray]) -> dict[str, float]:
    """Brightness, clipping and sharpness of strips of a frame; luma is averaged two by two, odd columns are left out."""
    lumas, squares, clipped = [], [], []
    for strip in strips:
        rgb = strip if strip.ndim == 3 else np.repeat(strip[..., None], 3, axis=2)
        clipped.append((strip == 255).any(axis=2) if strip.ndim == 3 else strip == 255)
        luma = (rgb * np.array([77, 150, 29])).sum(axis=2) / 256
        rows, columns = (n // 2 for n in luma.shape)
        blocks = luma[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
        lumas.append(blocks.ravel())
        c = blocks[1:-1, 1:-1]
        across = np.abs(2 * c - blocks[1:-1, :-2] - blocks[1:-1, 2:])
        down = np.abs(2 * c - blocks[:-2, 1:-1] - blocks[2:, 1:-1])
        squares.append(((across + down) ** 2).ravel())
    luma = np.floor(np.concatenate(lumas) + 0.5)
    return {
        "mean": float(luma.mean()),
        "p99": float(np.quantile(luma, 0.99)),
        "sharpness": float(np.concatenate(squares).mean()),
        "clipped_share": float(np.concatenate([c.ravel() for c in clipped]).mean()),
    }


def unsquared(frames: list[np.ndarray], radius: int) -> np.ndarray:
    """The classic mistake: the signed Laplacian is pooled, and the absolute value comes last."""
    scores = []
    for frame in frames:
        p = np.pad(luma4(frame), 1, mode="edge")
        laplacian = 4 * p[1:-1, 1:-1] - p[1:-1, :-2] - p[1:-1, 2:] - p[:-2, 1:-1] - p[2:, 1:-1]
        scores.append(np.abs(box_sum(laplacian, radius)))
    rows, columns = np.indices(scores[0].shape)
    return np.stack(frames)[np.stack(scores).argmax(axis=0), rows, columns]
