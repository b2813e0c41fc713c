"""From linear light to the 8-bit picture a camera hands out: exposure, shot and read noise, sRGB, clipping."""

# ruff: noqa: PLR0917 - compiled functions take their arguments by position
from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from drivers.sim.render_jit import helper, kernel, over_rows
from drivers.sim.render_kernels import WHITE

TABLE_END = 20480
"""Table index (linear light 1.25) beyond which a pixel is so far overexposed that noise cannot bring it back."""
ROWS_A_TASK = 128

Float32 = NDArray[np.float32]


def encode_srgb(linear: NDArray[np.floating]) -> NDArray[np.float64]:
    """IEC 61966-2-1: linear light (1 is white) to 0..255, not rounded, carried on above white."""
    value = np.asarray(linear, dtype=np.float64)
    return np.asarray(
        255.0
        * np.where(value <= 0.0031308, 12.92 * value, 1.055 * np.maximum(value, 1e-9) ** (1 / 2.4) - 0.055)
    )


def decode_srgb(level: NDArray[np.floating]) -> NDArray[np.float64]:
    """The other way: 0..255 to linear light."""
    value = np.asarray(level, dtype=np.float64) / 255.0
    return np.asarray(
        np.where(value <= 0.04045, value / 12.92, ((np.maximum(value, 0.04045) + 0.055) / 1.055) ** 2.4)
    )


@functools.lru_cache(maxsize=16)
def _tables(read_noise: float, photons_full_scale: float | None) -> tuple[Float32, Float32]:
    """Level and standard deviation of the noise in levels, by linear light."""
    light = np.arange(TABLE_END + 1) / WHITE
    level = encode_srgb(light)
    variance = np.full(light.shape, read_noise**2)
    if photons_full_scale is not None:
        slope = np.gradient(level, light)
        variance += slope**2 * light / photons_full_scale
    return level.astype(np.float32), np.sqrt(variance).astype(np.float32)


@helper
def _mix64(value: np.uint64) -> np.uint64:
    """SplitMix64's finaliser: every bit of the input moves half the bits of the output."""
    z = np.uint64(value)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@helper
def _normals(key: np.uint64, out: Float32) -> None:
    """Nearly normal numbers, mean 0, deviation 1: four bytes of a hash of the counter, summed (tails end at 3.45)."""
    low = np.uint32(key)
    high = np.uint32(key >> np.uint64(32)) | np.uint32(1)
    scale = np.float32(1.0 / np.sqrt(4.0 * (256.0**2 - 1.0) / 12.0))
    for i in range(out.size):
        h = np.uint32(np.uint32(i) * np.uint32(0x9E3779B9) + low)
        h = np.uint32(h ^ (h >> np.uint32(16)))
        h = np.uint32(h * np.uint32(0x85EBCA6B))
        h = np.uint32(h ^ (h >> np.uint32(13)) ^ high)
        h = np.uint32(h * np.uint32(0xC2B2AE35))
        h = np.uint32(h ^ (h >> np.uint32(16)))
        total = np.int32(h & np.uint32(255)) + np.int32((h >> np.uint32(8)) & np.uint32(255))
        total += np.int32((h >> np.uint32(16)) & np.uint32(255)) + np.int32(h >> np.uint32(24))
        out[i] = (np.float32(total) - np.float32(510.0)) * scale


@helper
def _develop_row(
    linear: NDArray[np.uint16],
    gain: float,
    level: Float32,
    deviation: Float32,
    normal: Float32,
    out: NDArray[np.uint8],
) -> None:
    for i in range(out.size):
        at = min(int(np.float32(linear[i]) * np.float32(gain) + np.float32(0.5)), TABLE_END)
        value = level[at] + deviation[at] * normal[i] + np.float32(0.5)
        out[i] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)))


@kernel
def _develop_rows(
    linear: NDArray[np.uint16], gain: float, level: Float32, deviation: Float32, seed: np.uint64, noisy: bool,
    out: NDArray[np.uint8], first: int, last: int,
) -> None:  # fmt: skip
    normal = np.zeros(out.shape[1], np.float32)
    for y in range(first, last):
        if noisy:
            _normals(_mix64(np.uint64(seed) + np.uint64(y) * np.uint64(0x9E3779B97F4A7C15)), normal)
        _develop_row(linear[y], gain, level, deviation, normal, out[y])


def develop(
    linear: NDArray[np.uint16],
    *,
    gain: float = 1.0,
    read_noise: float = 0.0,
    photons_full_scale: float | None = None,
    seed: int = 0,
    threads: int = 2,
) -> NDArray[np.uint8]:
    """The sRGB-encoded picture (H, W, 3) of a rendered one (H, W, 3; `WHITE` is linear light 1).

    `gain` multiplies the light (exposure). `read_noise` is a standard deviation in 8-bit levels of the encoded picture.
    `photons_full_scale` is the number of photons that make white; shot noise then has the deviation sqrt(light / photons),
    carried through the slope of the encoding; None: no shot noise. Clipping comes last, so a saturated pixel stays at 255
    unless it is within the noise of white. The same seed gives the same noise, whatever the number of threads.
    Raises `ValueError` for negative gain or noise, or another kind of array.
    """
    if linear.dtype != np.uint16 or linear.ndim != 3 or linear.shape[2] != 3:
        raise ValueError(f"expected (H, W, 3) uint16, not {linear.shape} {linear.dtype}")
    if gain < 0 or read_noise < 0 or (photons_full_scale is not None and photons_full_scale <= 0):
        raise ValueError("gain and read_noise must not be negative, photons_full_scale must be positive")
    level, deviation = _tables(float(read_noise), photons_full_scale)
    rows = linear.shape[0]
    source = np.ascontiguousarray(linear).reshape(rows, -1)
    out = np.empty(source.shape, np.uint8)
    noisy = read_noise > 0 or photons_full_scale is not None
    key = np.uint64(seed % (1 << 64))

    def work(first: int, last: int) -> None:
        _develop_rows(source, float(gain), level, deviation, key, noisy, out, first, last)

    over_rows(work, rows, ROWS_A_TASK, threads)
    return out.reshape(linear.shape)
