"""The slow, obvious version of the method `pyramid`, for frames that have not moved: whole arrays, no tiles, no threads."""

from __future__ import annotations

import cv2
import numpy as np

BLOCK = 64


def reduced(planes: np.ndarray) -> np.ndarray:
    return np.stack([cv2.pyrDown(plane) for plane in planes])


def expanded(planes: np.ndarray, like: np.ndarray) -> np.ndarray:
    size = (like.shape[2], like.shape[1])
    return np.stack([cv2.pyrUp(plane, dstsize=size) for plane in planes])


def cells(energy: np.ndarray, cell: int) -> np.ndarray:
    if cell == 1:
        return energy
    odd = [(0, n % 2) for n in energy.shape]
    padded = np.pad(energy, odd, mode="edge")
    return padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2).mean(axis=(1, 3))


def pooled(energy: np.ndarray, cell: int) -> np.ndarray:
    radius = 2 if cell == 1 else 1
    padded = np.pad(energy, radius, mode="edge")
    size = 2 * radius + 1
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size)).mean(axis=(2, 3))


def spread(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    if values.shape == like.shape:
        return values
    return values.repeat(2, 0).repeat(2, 1)[: like.shape[0], : like.shape[1]]


class NaivePyramid:
    def __init__(self, levels: int, full_scale: int, coring: float = 0.5) -> None:
        self.levels = levels
        self.full_scale = full_scale
        self.coring = coring
        self.count = 0
        self.state: list[dict] = []

    def luma(self, up: np.ndarray, cell: int) -> np.ndarray:
        mean = up[:, ::cell, ::cell].mean(axis=0) * 255 / self.full_scale
        return np.clip(mean, 0, 255).astype(int)

    def floor_of(self, level: dict, luma: np.ndarray) -> np.ndarray:
        least = 0.01 * level["kept"].shape[0] * (self.full_scale / 255) ** 2
        known = np.flatnonzero(np.isfinite(level["floor"]))
        if known.size == 0:
            return np.full(luma.shape, least)
        floor = np.minimum(level["floor"][known], 4 * level["floor"][known].min())
        return np.maximum(np.interp(luma, (known + 0.5) * 32, floor), least)

    def learn(self, level: dict, pool: np.ndarray, luma: np.ndarray, active: np.ndarray) -> None:
        grid = (slice(None, None, 4), slice(4, None, 8))
        energy, bins = pool[grid][active[grid]], luma[grid][active[grid]] // 32
        for k in range(8):
            here = energy[bins == k]
            if here.size >= max(20, 0.01 * energy.size):
                level["floor"][k] = min(level["floor"][k], np.quantile(here, 0.1, method="inverted_cdf"))

    def add(self, frame: np.ndarray) -> None:
        planes = np.atleast_3d(frame).transpose(2, 0, 1)
        # Half size is rounded to the frame's type, as OpenCV does for pixels.
        gaussian = [planes.astype(np.float32), reduced(planes).astype(np.float32)]
        while len(gaussian) <= self.levels:
            gaussian.append(reduced(gaussian[-1]))
        if not self.state:
            for k in range(self.levels):
                shape = cells(gaussian[k][0], 2 if k == 0 else 1).shape
                zeros = {"top": np.zeros(shape), "weight": np.zeros(shape), "floor": np.full(8, np.inf)}
                self.state.append({"kept": np.zeros(gaussian[k].shape), **zeros})
            self.base = np.zeros(gaussian[-1].shape)
            self.base_weight = np.zeros(gaussian[-1].shape[1:])
        self.add_base(gaussian)
        blocks = None
        for k in range(self.levels - 1, 0, -1):
            found = self.add_level(k, gaussian, None)
            blocks = found if k == 1 else None
        if blocks is None or self.count < 4:
            blocks = np.ones_like(planes[0], bool)
        self.add_level(0, gaussian, blocks)
        self.count += 1

    def add_base(self, gaussian: list[np.ndarray]) -> None:
        up = expanded(gaussian[-1], gaussian[-2])
        if self.levels == 1:
            weight = np.ones(self.base_weight.shape)
        else:
            energy = cv2.blur(((gaussian[-2] - up) ** 2).sum(axis=0), (5, 5))
            luma = self.luma(up, 1)
            weight = (energy + self.floor_of(self.state[-1], luma)) * (128 / (luma + 16)) ** 2
            size = self.base_weight.shape[::-1]
            weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
        self.base += gaussian[-1] * weight
        self.base_weight += weight

    def add_level(self, k: int, gaussian: list[np.ndarray], blocks: np.ndarray | None) -> np.ndarray:
        level, cell = self.state[k], 2 if k == 0 else 1
        up = expanded(gaussian[k + 1], gaussian[k])
        detail = gaussian[k] - up
        energy = cells((detail**2).sum(axis=0), cell)
        pool = pooled(energy, cell)
        luma = self.luma(up, cell)
        active = np.ones(energy.shape, bool) if blocks is None else blocks[::cell, ::cell]
        if self.count == 0:
            self.learn(level, pool, luma, active)
        floor, contrast = self.floor_of(level, luma), (128 / (luma + 16)) ** 2
        focus = 0.5 * (energy**2 / (energy + 30 * floor) + pool) * contrast
        added = 5 * floor * contrast
        highest = np.maximum(focus, level["top"]) + added
        old, new = (level["top"] + added) / highest, (focus + added) / highest
        old, new = np.where(old > 0.5, old, 0) ** 16, np.where(new > 0.5, new, 0) ** 16
        calls = (focus >= level["top"]) & (pool > 4 * floor)
        total = level["weight"] * old + new
        share = np.where(active, new / np.maximum(total, 1e-30), 0)
        level["kept"] += (detail - level["kept"]) * spread(share, detail[0])
        level["weight"] = np.where(active, total, level["weight"])
        level["top"] = np.where(active, np.maximum(level["top"], focus), level["top"])
        if 0 < self.count < 4 or (self.count and self.count % 4 == 0):
            self.learn(level, pool, luma, active)
        return self.called(calls, gaussian[0][0]) if k == 1 else active

    @staticmethod
    def called(calls: np.ndarray, finest: np.ndarray) -> np.ndarray:
        blocks = np.zeros(finest.shape, bool)
        for y in range(0, finest.shape[0], BLOCK):
            for x in range(0, finest.shape[1], BLOCK):
                some = calls[y // 2 : (y + BLOCK) // 2, x // 2 : (x + BLOCK) // 2].any()
                blocks[y : y + BLOCK, x : x + BLOCK] = some
        return blocks

    def picture(self) -> np.ndarray:
        """Float, (H, W) or (H, W, 3)."""
        planes = (self.base / self.base_weight).astype(np.float32)
        for k in range(self.levels - 1, -1, -1):
            level, cell = self.state[k], 2 if k == 0 else 1
            kept = level["kept"].astype(np.float32)
            up = expanded(planes, kept)
            signal = pooled(cells((kept**2).sum(axis=0), cell), cell) * np.maximum(level["weight"], 1)
            noise = self.coring * self.floor_of(level, self.luma(up, cell)) if self.count > 1 else 0
            share = np.maximum(signal - noise, 0) / np.maximum(signal, 1e-12)
            planes = (up + kept * spread(share, kept[0])).astype(np.float32)
        picture = np.clip(planes, 0, self.full_scale).transpose(1, 2, 0)
        return picture[..., 0] if picture.shape[2] == 1 else picture


def keys(values: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    """Cubic convolution with a = -1/2 (Keys 1981, equation 15) along one axis; the outermost values go on."""
    whole = np.floor(at).astype(int)
    t = at - whole
    weights = [
        -0.5 * t**3 + t**2 - 0.5 * t,
        1.5 * t**3 - 2.5 * t**2 + 1,
        -1.5 * t**3 + 2 * t**2 + 0.5 * t,
        0.5 * t**3 - 0.5 * t**2,
    ]
    shape = [1] * values.ndim
    shape[axis] = -1
    total = 0
    for k, weight in enumerate(weights):
        place = np.clip(whole - 1 + k, 0, values.shape[axis] - 1)
        total = total + np.take(values, place, axis).astype(float) * weight.reshape(shape)
    return np.asarray(total)
