"""The kernels of `unveil` against their slow twins and against what optics says."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from stackcore.methods import _blend
from stackcore.methods._blend_kernel import blend, divide
from stackcore.methods._levels_kernel import focus_energy
from stackcore.methods._rows import Bands
from stackcore.methods._veil import GAP, MAX_REACH, lain_over, surroundings
from stackcore.methods._veil_kernel import correct, spread
from tests import naive_unveil

DTYPES = (np.uint8, np.uint16)


def noise(rng, shape, dtype):
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def lines_of(picture):
    lines = np.ascontiguousarray(picture).reshape(picture.shape[0], -1).view()
    lines.flags.writeable = False
    return lines


def energy_of(picture, radius, scale, band_rows):
    height, width = picture.shape[:2]
    channels = 1 if picture.ndim == 2 else 3
    energy = np.full((height, width), np.nan, np.float32)
    for first in range(0, height, band_rows):
        rows = np.full((3, (width + 2) * channels), np.nan, np.float32)
        squares = np.full((2 * radius + 1, width), np.nan, np.float32)
        pooled = np.full((2, max(width * channels, width + 2 * radius)), np.nan, np.float32)
        focus_energy[picture.dtype](
            lines_of(picture),
            channels,
            radius,
            np.float32(scale),
            first,
            min(height, first + band_rows),
            energy,
            rows,
            squares,
            pooled,
        )
    return energy


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 7, 3), (9, 1), (2, 2, 3), (23, 31), (23, 31, 3), (40, 17), (41, 6, 3)]
)
def test_focus_energy(shape, dtype):
    picture = noise(np.random.default_rng(0), shape, dtype)
    scale = 255 / np.iinfo(dtype).max
    for radius in (1, 2, 3):
        wanted = naive_unveil.focus_energy(picture * scale, radius)
        whole = energy_of(picture, radius, scale, shape[0])
        np.testing.assert_allclose(whole, wanted, rtol=1e-5)
        for band_rows in (1, 7, 16):
            assert (energy_of(picture, radius, scale, band_rows) == whole).all()


STILL = np.eye(3)[:2]


def blended(frames, gains, sixteenths, weights, breadth, halvings, *, matrices=None, grainy=None):
    """As `Blend` does: part by part, a few at once."""
    height, width = frames[0].shape[:2]
    channels = 1 if frames[0].ndim == 2 else 3
    dtype = frames[0].dtype
    sums = np.zeros((height, width * channels), np.uint32 if dtype == np.uint16 else np.uint16)
    total = np.zeros(sixteenths.shape, np.uint16)
    starts = (range(0, cells, side) for cells, side in zip(sixteenths.shape, (4, 9), strict=True))
    rows, columns = (
        _blend._edges(start, size, cells, 1 << halvings)
        for start, size, cells in zip(starts, (height, width), sixteenths.shape, strict=True)
    )
    parts = np.array([[*row, *column] for row, column in itertools.product(rows, columns)])
    out = np.empty(int((parts[:, 3] - parts[:, 2]).max()) * channels, dtype)
    grainy = np.zeros(sixteenths.shape, np.uint8) if grainy is None else grainy
    for k, frame in enumerate(frames):
        gain = np.rint(np.atleast_1d(gains[k]) * 4096).astype(np.int64)
        numbers = np.concatenate([gain, [np.iinfo(dtype).max, 16 * k]]).astype(np.int64)
        matrix = STILL if matrices is None else matrices[k]
        how = (channels, halvings, matrix, not np.array_equal(matrix, STILL))
        for some in np.array_split(parts, 3):
            if len(some):
                tables = (sixteenths, breadth, grainy, weights, total)
                blend[dtype](lines_of(frame), *how, some, numbers, *tables, sums, out)
    picture = frames[0].copy()
    for first in range(0, height, 5):
        end = min(height, first + 5)
        divide[dtype](sums, total, channels, halvings, first, end, picture.reshape(height, -1))
    return picture


def most_off(total, shape):
    """Half a level at the end, a 16th of one for gains, and half a unit of the sum for every frame."""
    total = total if len(shape) == 2 else total[..., None]
    return 0.5 + 1 / 16 + 2.5 / np.maximum(total, 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (13, 18), (12, 17, 3), (21, 9, 3)])
@pytest.mark.parametrize("halvings", [0, 1])
def test_blend(shape, dtype, halvings):
    rng = np.random.default_rng(1)
    cells = tuple(max(1, n >> halvings) for n in shape[:2])
    frames = [noise(rng, shape, dtype) for _ in range(5)]
    sixteenths = rng.integers(0, 16 * 4 + 8, cells).astype(np.uint16)
    sixteenths[rng.random(cells) < 0.2] = 999  # of no frame
    weights = _blend._weights((0.3, 0.7, 1.1, 1.6))
    breadth = rng.integers(0, 4, cells).astype(np.uint8)
    shown = [np.ones(cells, np.uint8)] * 5
    for gains in (np.ones((5, *shape[2:])), np.rint(4096 * rng.uniform(0.5, 1.6, (5, *shape[2:]))) / 4096):
        got = blended(frames, gains, sixteenths, weights, breadth, halvings)
        wanted, total = naive_unveil.blend(frames, gains, shown, sixteenths, weights, breadth, 1 << halvings)
        counted = np.isfinite(wanted)
        assert (np.abs(got - wanted) <= most_off(total, shape))[counted].all()
        assert (got == frames[0])[~counted].all(), "where nothing counts the first frame shows"


def moved(shape, zoom, turn, shift):
    """About the middle; (2, 3)."""
    a, b = zoom * np.cos(turn), zoom * np.sin(turn)
    linear = np.array([[a, -b], [b, a]])
    middle = (np.array(shape[1::-1]) - 1) / 2
    return np.column_stack([linear, middle - linear @ middle + shift])


def cells_shown(matrix, shape, cells, side):
    height, width = shape[:2]
    y, x = np.mgrid[: cells[0], : cells[1]] * side + (side - 1) / 2
    u, v = np.tensordot(matrix, [x, y, np.ones_like(x)], 1)
    return ((u >= 2) & (u <= width - 3) & (v >= 2) & (v <= height - 3)).astype(np.uint8)


MOTIONS = [
    (1.0, 0.0, (0.4, -0.25)),
    (1.03, 0.0, (3.0, 2.0)),
    (0.97, 0.0003, (-1.3, 0.6)),
    (1.0, 0.007, (0.2, 5.7)),
    (0.99, -0.06, (-12.5, 0.1)),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("zoom", "turn", "shift"), MOTIONS)
@pytest.mark.parametrize(("shape", "halvings"), [((37, 61), 0), ((40, 53, 3), 1)])
def test_blend_of_moved_frames(zoom, turn, shift, shape, halvings, dtype):
    rng = np.random.default_rng(3)
    white = np.iinfo(dtype).max
    rough = [cv2.GaussianBlur(rng.random(shape), (0, 0), 1.5) for _ in range(3)]
    frames = [np.rint(white * (0.5 + 2 * (frame - 0.5))).clip(0, white).astype(dtype) for frame in rough]
    matrices = [moved(shape, zoom, turn, (part * shift[0], part * shift[1])) for part in (1, 0.6, 1.4)]
    cells = tuple(n >> halvings for n in shape[:2])
    sixteenths = rng.integers(0, 48, cells).astype(np.uint16)
    sixteenths[10:14, 5:20] = 999  # gaps that end a run, and some that do not
    weights = _blend._weights((0.3, 0.7, 1.1, 1.6))
    breadth = rng.integers(0, 4, cells).astype(np.uint8)
    gains = np.ones((3, *shape[2:]))
    got = blended(frames, gains, sixteenths, weights, breadth, halvings, matrices=matrices)
    resampled = [naive_unveil.bicubic(frame, matrix) for frame, matrix in zip(frames, matrices, strict=True)]
    shown = [cells_shown(matrix, shape, cells, 1 << halvings) for matrix in matrices]
    # The naive twin takes what is brought to the type: white is read off it.
    whole = [np.rint(frame).astype(dtype) for frame in resampled]
    wanted, total = naive_unveil.blend(whole, gains, shown, sixteenths, weights, breadth, 1 << halvings)
    counted = np.isfinite(wanted)
    steepest = max(
        np.abs(np.diff(frame.astype(float), axis=axis)).max() for frame in frames for axis in (0, 1)
    )
    # Rounded twice; and read a 64th of a pixel off its place at most, along the row and across.
    most = most_off(total, shape) + 0.51 + 1.5 * steepest / 64
    assert counted.mean() > 0.5
    assert (np.abs(got - wanted) <= most)[counted].all()
    assert (got == frames[0])[~counted].all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("zoom", "turn", "shift"), MOTIONS)
def test_grain_is_that_of_the_nearest_pixels(zoom, turn, shift, dtype):
    shape = (40, 53, 3)
    rng = np.random.default_rng(4)
    frame, first = noise(rng, shape, dtype), np.zeros(shape, dtype)
    matrix = moved(shape, zoom, turn, shift)
    cells = (20, 26)
    ones = np.ones(cells, np.uint8)
    sixteenths, weights = np.full(cells, 16, np.uint16), _blend._weights((0.0,))
    stack = {"matrices": [STILL, matrix], "grainy": ones}
    got = blended([first, frame], np.ones((2, 3)), sixteenths, weights, 0 * ones, 1, **stack)
    y, x = np.mgrid[:40, :53]
    places = np.tensordot(matrix, [x, y, np.ones_like(x)], 1)
    u, v = np.rint(places).astype(int)
    shown = cells_shown(matrix, shape, cells, 2).repeat(2, 0).repeat(2, 1)
    shown = np.column_stack([shown, shown[:, -1]]) > 0
    # Halfway between two pixels either is nearest.
    plain = (np.abs(np.abs(places - np.rint(places)) - 0.5) > 0.05).all(axis=0) & shown
    assert plain.sum() > 300
    assert (got[plain] == frame[v[plain], u[plain]]).all()
    assert (got[~shown] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("breadths", [_blend.BREADTHS, _blend.breadths(None, 0.9), _blend.breadths(5.0, 0.0)])
def test_sums_hold_white_at_every_phase_and_no_place_is_without_a_frame(dtype, breadths):
    weights = _blend._weights(breadths)
    sixteenths = np.arange(16 * 9 + 1, dtype=np.uint16)[None, :]
    white = np.iinfo(dtype).max
    shape = sixteenths.shape
    for row in range(len(breadths)):
        breadth = np.full(shape, row, np.uint8)
        # Only the first frame is dark: what it shows alone would stay dark.
        frames = [np.full(shape, white if k else 0, dtype) for k in range(10)]
        picture = blended(frames, np.ones(10), sixteenths, weights, breadth, 0)
        assert (picture[:, 16 * 6 :] == white).all()
        frames[0][:] = white
        assert (blended(frames, np.full(10, 1.5), sixteenths, weights, breadth, 0) == white).all()


def steps(rng, h, w, depths):
    """Piecewise flat places."""
    place = np.full((h, w), depths[-1], np.float32)
    for depth in depths[-2::-1]:
        y, x = rng.integers(0, h), rng.integers(0, w)
        place[y : y + h // 3, x : x + w // 4] = depth
    return place


@pytest.mark.parametrize("seed", [0, 1])
def test_veil_and_spread(seed):
    rng = np.random.default_rng(seed)
    h, w, blur = 19, 23, 0.7
    place = steps(rng, h, w, [0.5, 2.1, 4.3, 5.0, 8.6])
    colour, other = (rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for _ in range(2))
    around = surroundings(place, blur, 10)
    cells, cover, light = lain_over(colour.reshape(h, -1), around, blur, Bands(1))
    wanted_cover, wanted_light = naive_unveil.lain_over(place, colour, np.ones((h, w)), blur, GAP)
    beside = np.zeros(h * w, bool)
    beside[cells] = True
    assert 0 < cells.size < h * w
    assert wanted_cover.ravel()[~beside].max(initial=0) == 0, (
        "nothing lies over the cells that are not looked at"
    )
    np.testing.assert_allclose(cover, wanted_cover.ravel()[cells], atol=1e-5)
    np.testing.assert_allclose(light, wanted_light.reshape(-1, 3)[cells], atol=2e-3)

    out = np.empty((cells.size, 6), np.float32)
    pictures = colour.reshape(h, -1), other.reshape(h, -1)
    half = cells.size // 2
    for part in ((0, half), (half, cells.size)):
        spread(place, *pictures, around.nearest, np.float32(blur), np.float32(GAP), cells, *part, out)
    mask = beside.reshape(h, w)
    for k, picture in enumerate((colour, other)):
        wanted = naive_unveil.spread(place, picture, around.nearest, mask, blur, GAP)
        np.testing.assert_allclose(out[:, 3 * k : 3 * k + 3], wanted.reshape(-1, 3)[cells], atol=1e-3)


@pytest.mark.parametrize("radius", [3.0, 7.5, 12.0, 20.0, 33.0])
def test_a_straight_edge_covers_the_segment_of_the_disc_that_is_beyond_it(radius):
    """Of any size: far-reaching blur is only sampled."""
    h, w, edge, blur = 120, 130, 50, 1.0
    place = np.full((h, w), radius, np.float32)
    place[:, :edge] = 0
    around = surroundings(place, blur, 40)
    colour = np.full((h, 3 * w), 200, np.uint8)
    cells, cover, light = lain_over(colour, around, blur, Bands(1))
    y, x = np.divmod(cells, w)
    inside = (y >= MAX_REACH) & (y < h - MAX_REACH)
    distance = np.clip((x - edge + 0.5) / radius, 0, 1)
    segment = (np.arccos(distance) - distance * np.sqrt(1 - distance**2)) / np.pi
    assert np.abs(cover - segment)[inside].max() <= (0.015 if radius <= 8 else 0.045)
    assert np.abs(np.mean((cover - segment)[inside])) <= 0.01
    np.testing.assert_allclose(light[inside], 200 * cover[inside, None].repeat(3, 1), rtol=1e-4)
    looked_at = np.zeros(h * w, bool)
    looked_at[cells] = True
    assert looked_at.reshape(h, w)[:, edge : edge + int(radius)].all()
    assert not looked_at.reshape(h, w)[:, :edge].any(), "nothing is nearer than the near thing"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "cell"), [((12, 15, 3), 1), ((13, 17, 3), 2), ((13, 16), 2), ((1, 1), 2)])
def test_correct(shape, cell, dtype):
    rng = np.random.default_rng(2)
    picture = noise(rng, shape, dtype)
    grid = tuple(max(1, n // cell) for n in shape[:2])
    wanted = rng.random(grid) < 0.6
    factor = rng.uniform(-0.3, 1.5, grid).astype(np.float32)
    offset = rng.uniform(-90, 60, (*grid, 3)).astype(np.float32)
    exact = naive_unveil.correct(picture, wanted, factor, offset, cell)
    cells = np.flatnonzero(wanted).astype(np.int32)
    arguments = cells, factor.ravel()[cells], np.ascontiguousarray(offset.reshape(-1, 3)[cells])
    lines = picture.reshape(shape[0], -1)
    half = cells.size // 2
    white = np.float32(np.iinfo(dtype).max)
    for part in ((0, half), (half, cells.size)):
        correct[dtype](*arguments, *part, 1 if len(shape) == 2 else 3, cell, white, lines)
    assert np.abs(picture - exact).max() <= (0.501 if dtype == np.uint8 else 0.52), "rounded, not cut off"
