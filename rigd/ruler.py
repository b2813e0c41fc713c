"""The distance of a ruler's marks in a photograph, in pixels, or the reason why there is no telling.

The direction of the marks comes from the strongest wave in the picture's spectrum; the picture is turned so that they stand upright and cut into
bands. A band's autocorrelation says after how many pixels it repeats; bands that cross long marks only repeat later than those that cross all of
them, so the least distance that enough bands agree on is that of the marks. It is then refined by the phase of that wave along each band: a straight line, where
the marks are regular.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LONGEST_PX = 2400
"""Pictures are shrunk to this for the search; the phase is read from the shrunk picture, whose error a mark's distance averages out."""
BANDS = 48
LEAST_MARKS = 6
"""Fewer are no ruler."""
LEAST_PERIOD_PX = 4.0
REPEATS = 0.35
"""Of a band's variance, that comes back after one distance."""
LEAST_BANDS = 3
AGREE = 0.02
"""Bands whose distances differ by less see the same marks."""
MOST_WANDER = 0.12
"""Of a distance, RMS: marks farther from where they should be are not regular."""


class NotARuler(ValueError):
    """The picture shows no regular marks, or too few. The message says which."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Regular marks."""

    spacing_px: float
    """From mark to mark, at right angles to them, in pixels of the picture as given."""
    error_px: float
    """Standard error of that."""
    marks: float
    """How many fit along the part that was measured."""
    angle_deg: float
    """Of the ruler against the picture's horizontal."""
    wander: float
    """RMS of where marks are against where they should be, as a share of the spacing."""


def find_marks(luma: npt.NDArray[np.uint8] | npt.NDArray[np.floating]) -> Marks:
    """The marks in a picture.

    Args:
        luma: (H, W) gray, any scale.

    Raises:
        NotARuler: there are none that are regular.
    """
    if min(luma.shape) < 64:
        raise NotARuler(f"the picture is only {luma.shape[1]} x {luma.shape[0]} pixels")
    shrink = max(1.0, max(luma.shape) / LONGEST_PX)
    small = np.asarray(luma, np.float32)
    if shrink > 1:
        size = (round(luma.shape[1] / shrink), round(luma.shape[0] / shrink))
        small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_AREA), np.float32)
    shrink = luma.shape[1] / small.shape[1]
    flat = _flattened(small)
    angle_deg = _direction(flat)
    bands = _bands(flat, angle_deg)
    spacing = _agreed_spacing(bands)
    return _refined(bands, spacing, angle_deg, shrink)


def _flattened(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Without shading, and with about the same contrast everywhere."""
    sigma = max(picture.shape) / 40
    shade = cv2.GaussianBlur(picture, (0, 0), sigma)
    flat = picture - shade
    contrast = np.sqrt(cv2.GaussianBlur(flat * flat, (0, 0), sigma))
    return np.asarray(flat / (contrast + 0.25 * float(contrast.mean()) + 1e-6), np.float32)


def _direction(flat: npt.NDArray[np.float32]) -> float:
    """Along which the strongest wave runs, degrees, -90 to 90."""
    side = min(1024, *(2 ** int(math.log2(size)) for size in flat.shape))
    height, width = flat.shape
    window = np.outer(np.hanning(side), np.hanning(side))
    power = np.zeros((side, side // 2 + 1))
    for top in {0, (height - side) // 2, height - side}:
        for left in {0, (width - side) // 2, width - side}:
            tile = flat[top : top + side, left : left + side] * window
            power += np.abs(np.fft.rfft2(tile)) ** 2
    fy = np.fft.fftfreq(side)[:, np.newaxis]
    fx = np.fft.rfftfreq(side)[np.newaxis, :]
    radius = np.hypot(fx, fy)
    power[(radius < LEAST_MARKS / side) | (radius > 1 / LEAST_PERIOD_PX)] = 0.0
    row, column = np.unravel_index(int(np.argmax(power)), power.shape)
    return float(np.degrees(np.arctan2(fy[row, 0], fx[0, column]))) if power.any() else 0.0


def _bands(flat: npt.NDArray[np.float32], angle_deg: float) -> Floats:
    """(BANDS, N) means over strips along the ruler; zero where a strip leaves the picture."""
    height, width = flat.shape
    side = math.ceil(math.hypot(height, width))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle_deg, 1.0)
    turn[:, 2] += (side - width) / 2, (side - height) / 2
    turned = cv2.warpAffine(flat, turn, (side, side))
    inside = cv2.warpAffine(np.ones_like(flat), turn, (side, side))
    edges = np.linspace(0, side, BANDS + 1).astype(int)
    means = np.zeros((BANDS, side))
    for index, (top, bottom) in enumerate(itertools.pairwise(edges)):
        weight = inside[top:bottom].sum(axis=0)
        full = weight > 0.5 * (bottom - top)
        means[index, full] = turned[top:bottom, full].sum(axis=0) / weight[full]
    return means


def _agreed_spacing(bands: Floats) -> float:
    """The least distance after which enough bands repeat. Raises `NotARuler`."""
    found = [spacing for band in bands if (spacing := _repeats_after(band)) is not None]
    if len(found) < LEAST_BANDS:
        raise NotARuler(
            "no regular marks were found: is the ruler sharp, and does it lie across the picture?"
        )
    spacings = np.sort(np.array(found))
    for spacing in spacings:
        alike = spacings[np.abs(spacings / spacing - 1) < AGREE]
        if len(alike) >= max(LEAST_BANDS, 0.15 * len(spacings)):
            whole = np.round(spacings / np.median(alike))
            fits = np.abs(spacings / np.median(alike) / whole - 1) < AGREE
            if fits.mean() >= 0.6:
                return float(np.median(alike))
    raise NotARuler(
        "parts of the picture repeat at distances that do not go together: only the ruler may be in it"
    )


def _repeats_after(band: Floats) -> float | None:
    """The distance after which a strip repeats, by its autocorrelation; None where it does not."""
    used = np.flatnonzero(band)
    if len(used) < 32:
        return None
    values = band[used[0] : used[-1] + 1]
    values = values - values.mean()
    size = len(values)
    spectrum = np.abs(np.fft.rfft(values, 2 * size)) ** 2
    repeat = np.fft.irfft(spectrum)[:size]
    if repeat[0] <= 0:
        return None
    repeat = repeat / repeat[0] * size / np.arange(size, 0, -1)  # fewer pairs at longer distances
    most = size // LEAST_MARKS
    below = np.flatnonzero(repeat[:most] < 0.1)
    if len(below) == 0:
        return None
    first = int(below[0])
    inner = np.arange(max(first, int(LEAST_PERIOD_PX)), most - 1)
    peaks = [
        lag
        for lag in inner.tolist()
        if repeat[lag] >= REPEATS and repeat[lag] >= repeat[lag - 1] and repeat[lag] > repeat[lag + 1]
    ]
    if not peaks:
        return None
    # Of peaks nearly as high as the best, the first: later ones are its multiples.
    best = max(repeat[lag] for lag in peaks)
    lag = next(one for one in peaks if repeat[one] > 0.6 * best)
    again = [n * lag for n in range(2, LEAST_MARKS) if n * lag < size - 2]
    if any(
        repeat[max(0, at - n // 2 - 1) : at + n // 2 + 2].max() < 0.5 * REPEATS
        for n, at in enumerate(again, 2)
    ):
        return None
    return _vertex(repeat, lag)


def _vertex(values: Floats, at: int) -> float:
    """Where the parabola through three values has its top."""
    left, middle, right = values[at - 1 : at + 2]
    bend = left - 2 * middle + right
    return at + (0.5 * (left - right) / bend if bend < 0 else 0.0)


def _refined(bands: Floats, spacing: float, angle_deg: float, shrink: float) -> Marks:
    """The spacing by the phase along each band, and how regular the marks are. Raises `NotARuler`."""
    slopes, wanders, lengths, weights = [], [], [], []
    for band in bands:
        found = _phase_line(band, spacing)
        if found is not None:
            slope, wander, length = found
            slopes.append(slope)
            wanders.append(wander)
            lengths.append(length)
            weights.append(length**3 / (wander + 0.005) ** 2)
    if len(slopes) < LEAST_BANDS:
        raise NotARuler("the marks are not regular enough over the picture")
    weight = np.array(weights)
    cycles = float(np.average(slopes, weights=weight))
    wander = float(np.average(wanders, weights=weight))
    length = float(np.average(lengths, weights=weight))
    scatter = math.sqrt(float(np.average((np.array(slopes) - cycles) ** 2, weights=weight)))
    marks = cycles * length
    if marks < LEAST_MARKS:
        raise NotARuler(f"only {marks:.1f} marks: at least {LEAST_MARKS} are needed, more are better")
    # Of a line through so many marks, each that far from its place.
    by_wander = wander * math.sqrt(12 / marks) / marks
    error = max(scatter / cycles / math.sqrt(len(slopes)), by_wander)
    return Marks(shrink / cycles, error * shrink / cycles, marks, angle_deg, wander)


def _phase_line(band: Floats, spacing: float) -> tuple[float, float, float] | None:
    """Cycles per pixel along a band, how far marks are from their places (share of a spacing), and over what length; None without marks."""
    x = np.arange(len(band))
    wave = band * np.exp(-2j * np.pi * x / spacing)
    sigma = 1.5 * spacing
    half = int(3 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    if len(band) <= len(kernel):
        return None
    smooth = np.convolve(wave, kernel, mode="same")
    strength = np.abs(smooth)
    level = np.sqrt(np.convolve(band * band, kernel, mode="same"))
    good = (strength > 0.12 * level) & (band != 0)
    good &= level > 0.3 * float(np.median(level[level > 0])) if (level > 0).any() else good
    start, end = _longest(good)
    if end - start < LEAST_MARKS * spacing:
        return None
    phase = np.unwrap(np.angle(smooth[start:end])) / (2 * np.pi)
    places = x[start:end].astype(np.float64)
    slope, offset = np.polyfit(places, phase, 1)
    wander = float(np.sqrt(np.mean((phase - slope * places - offset) ** 2)))
    if wander > MOST_WANDER:
        return None
    return float(1 / spacing + slope), wander, float(end - start)


def _longest(good: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """The longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], good.astype(np.int8), [0]))))
    if len(edges) == 0:
        return 0, 0
    starts, ends = edges[::2], edges[1::2]
    best = int(np.argmax(ends - starts))
    return int(starts[best]), int(ends[best])
