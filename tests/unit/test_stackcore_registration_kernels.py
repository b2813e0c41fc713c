"""The compiled kernels of the registration against slow and obvious twins."""

from __future__ import annotations

import numpy as np
import pytest

from stackcore.registration._agreement_kernel import agree
from stackcore.registration._matching_kernel import SUMS, match_tiles
from stackcore.registration._reading_kernels import reader
from stackcore.registration.reduced import CELL, DETAIL_CELL, reduce, rows_of
from stackcore.registration.tiles import window
from tests.unit._scenes import texture


def luma_of(picture: np.ndarray) -> np.ndarray:
    planes = picture.astype(float)
    return planes if picture.ndim == 2 else (planes[..., 0] + 2 * planes[..., 1] + planes[..., 2]) / 4


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(90, 121, 3), (733, 1501, 3), (40, 50)], ids=["small", "large", "gray"])
def test_reduced_frame(shape, dtype):
    white = np.iinfo(dtype).max
    frame = np.random.default_rng(0).integers(0, white + 1, shape).astype(dtype)
    frame[:16, :16] = white
    reduced = reduce(frame)
    factor = max(1, -(-max(shape[:2]) // 700))
    assert reduced.factor == factor
    height, width = shape[0] // factor, shape[1] // factor
    cut = frame[: height * factor, : width * factor].reshape(height, factor, width, factor, -1).astype(float)
    rows = {1: [0], 2: [0, 1], 3: [1]}[factor]
    blocks = cut[:, rows].mean(axis=(1, 3)) * 255 / white
    luma = luma_of(blocks if blocks.shape[2] == 3 else blocks[..., 0])
    np.testing.assert_allclose(reduced.luma, luma, atol=0.01)

    cells = blocks[: height // CELL * CELL, : width // CELL * CELL]
    cells = cells.reshape(height // CELL, CELL, width // CELL, CELL, -1)
    means = cells.mean(axis=(1, 3))
    np.testing.assert_allclose(
        reduced.cells[..., :3], np.broadcast_to(means, (*means.shape[:2], 3)), atol=0.02
    )
    clipped = (cells >= 250).any(axis=4).mean(axis=(1, 3))
    assert clipped[0, 0] > 0.9
    np.testing.assert_allclose(reduced.cells[..., 3], clipped, atol=1e-6)

    detail = np.zeros_like(reduced.detail, np.float64)
    for y in range(2, height - 1, 2):
        for x in range(1, width - 1):
            dx, dy = luma[y, x + 1] - luma[y, x - 1], luma[y + 1, x] - luma[y - 1, x]
            detail[y // DETAIL_CELL, x // DETAIL_CELL] += dx * dx, dx * dy, dy * dy
    if factor == 1:
        np.testing.assert_allclose(reduced.detail, detail, rtol=1e-3, atol=1)
    else:
        assert np.corrcoef(reduced.detail.ravel(), detail.ravel())[0, 1] > 0.99


def test_tiles_are_smoothed_luma_with_repeated_edges():
    rng = np.random.default_rng(1)
    frame = rng.integers(0, 65536, (40, 50, 3), dtype=np.uint16)
    corners = np.array([[3, 5], [-4, -2], [44, 36]], np.int64)
    tiles = np.empty((3, 9, 9), np.float32)
    values, channels = rows_of(frame)
    reader(frame.dtype)(values, channels, 255 / 65535, corners, tiles)
    padded = np.pad(luma_of(frame), 20, mode="edge") * 255 / 65535
    for (x, y), tile in zip(corners + 20, tiles, strict=True):
        part = padded[y - 1 : y + 10, x - 1 : x + 10]
        down = part[:-2] + 2 * part[1:-1] + part[2:]
        smooth = (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]) / 16
        np.testing.assert_allclose(tile, smooth, rtol=1e-4, atol=1e-2)


def matched(tile: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """By least squares: the information on a shift, its pull, and the mean squared residual, all nuisances taken out."""
    size = len(tile)
    inner = (slice(1, -1), slice(1, -1))
    weight = np.outer(window(size), window(size))[inner].astype(float)
    t, s = tile[inner], seen[inner]
    mean_t, mean_s = np.average(t, weights=weight), np.average(s, weights=weight)
    gain = np.average((t - mean_t) * (s - mean_s), weights=weight) / np.average(
        (t - mean_t) ** 2, weights=weight
    )
    fitted = gain * (tile - mean_t) + mean_s
    mean = (fitted + seen) / 2
    dx = (mean[1:-1, 2:] - mean[1:-1, :-2]) / 2
    dy = (mean[2:, 1:-1] - mean[:-2, 1:-1]) / 2
    around = mean[1:-1, 2:] + mean[1:-1, :-2] + mean[2:, 1:-1] + mean[:-2, 1:-1]
    laplacian = around - 4 * mean[inner]
    ramp = np.arange(1, size - 1) * 2 / size - 1
    bent_x = ramp[None, :] * laplacian + 4 / size * dx
    bent_y = ramp[:, None] * laplacian + 4 / size * dy
    nuisances = [bent_x, bent_y, laplacian, mean[inner] - mean_s, np.ones_like(dx)]
    root = np.sqrt(weight).ravel()
    basis = np.stack([n.ravel() * root for n in nuisances], axis=1)
    clean = []
    for part in (dx, dy, (fitted - seen)[inner]):
        column = part.ravel() * root
        clean.append(column - basis @ np.linalg.lstsq(basis, column, rcond=None)[0])
    gradient = np.stack(clean[:2], axis=1)
    return gradient.T @ gradient, gradient.T @ clean[2], float((clean[2] ** 2).sum() / weight.sum())


def test_tiles_compared():
    rng = np.random.default_rng(2)
    light = texture(rng, 80, 80).mean(axis=2)
    tile = light[20:52, 20:52].astype(np.float32)
    patch = (1.1 * light[14:58, 14:58] + 4 + rng.standard_normal((44, 44))).astype(np.float32)
    corners, origins = np.array([[20, 20], [20, 20]], np.int64), np.array([[14, 14], [400, 14]], np.int64)
    motion = np.array([[1, 0, 1.0], [0, 1, -2.0]])
    sums = np.empty((2, SUMS))
    tiles, patches = np.stack([tile, tile]), np.stack([patch, patch])
    match_tiles(tiles, corners, patches, origins, motion, window(32), sums)
    information, pull, residual = matched(tile.astype(float), patch[4:36, 7:39].astype(float))
    np.testing.assert_allclose(sums[0, :3], information[[0, 0, 1], [0, 1, 1]], rtol=1e-3)
    np.testing.assert_allclose(sums[0, 3:5], pull, rtol=2e-3, atol=1e-3 * np.abs(pull).max())
    np.testing.assert_allclose(sums[0, 5], residual, rtol=1e-3)
    assert not sums[1].any()  # it does not lie in its patch


def test_blur_moves_nothing_and_half_a_pixel_does():
    import cv2

    rng = np.random.default_rng(3)
    light = texture(rng, 120, 120).mean(axis=2)
    blurred = cv2.GaussianBlur(light, (0, 0), 1.3)
    tile = cv2.GaussianBlur(light, (0, 0), 0.8)[40:72, 40:72].astype(np.float32)
    shifted = cv2.warpAffine(
        blurred, np.array([[1, 0, 0.5], [0, 1, -0.25]]), (120, 120), flags=cv2.INTER_CUBIC
    )
    for seen, wanted in ((blurred, (0, 0)), (shifted, (0.5, -0.25))):
        sums = np.empty((1, SUMS))
        patch = seen[36:76, 36:76].astype(np.float32)[None].copy()
        corners, origins = np.array([[40, 40]], np.int64), np.array([[36, 36]], np.int64)
        match_tiles(tile[None], corners, patch, origins, np.eye(3)[:2].copy(), window(32), sums)
        found = np.linalg.solve([[sums[0, 0], sums[0, 1]], [sums[0, 1], sums[0, 2]]], sums[0, 3:5])
        np.testing.assert_allclose(found, wanted, atol=0.08)


def test_agreement_is_weighted_least_squares_without_the_outliers():
    rng = np.random.default_rng(4)
    count = 60
    places = rng.uniform(-0.8, 0.8, (count, 2))
    true = np.array([0.3, -0.2, 0.5, 0.1])
    jacobian = np.zeros((count, 2, 4))
    jacobian[:, 0] = np.stack([places[:, 0], -places[:, 1], np.ones(count), np.zeros(count)], axis=1)
    jacobian[:, 1] = np.stack([places[:, 1], places[:, 0], np.zeros(count), np.ones(count)], axis=1)
    halves = rng.standard_normal((count, 2, 3))
    hessians = halves @ halves.transpose(0, 2, 1)
    shifts = jacobian @ true + 1e-3 * rng.standard_normal((count, 2))
    shifts[:9] += rng.uniform(2, 5, (9, 2))
    pulls = (hessians @ shifts[..., None])[..., 0]
    tiles = np.concatenate([hessians[:, [0, 0, 1], [0, 1, 1]], pulls, places], axis=1)
    weights = rng.uniform(0.5, 2, count)

    def run(rounds: int, zoom: float = 0.0, sigma: float = 0.0):
        step, normal, figures = np.zeros(4), np.zeros((4, 4)), np.zeros(2)
        agree(np.ascontiguousarray(tiles), weights, rounds, 2.0, zoom, sigma, step, normal, figures)
        return step, normal, figures

    plain = np.einsum("n,nji,njk,nkl->il", weights, jacobian, hessians, jacobian)
    right = np.einsum("n,nji,nj->i", weights, jacobian, pulls)
    np.testing.assert_allclose(run(1)[0], np.linalg.solve(plain, right), rtol=1e-6)
    step, normal, figures = run(5)
    np.testing.assert_allclose(step, true, atol=3e-3)
    assert 0.6 < figures[1] < 0.9
    assert np.all(np.diag(normal) > 0)
    assert abs(run(5, zoom=0.31, sigma=1e-9)[0][0] - 0.31) < 1e-6
