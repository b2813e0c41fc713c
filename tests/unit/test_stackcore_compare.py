"""A result held against the truth: each figure against its naive formula, registration against known motion."""

from __future__ import annotations

import itertools
import json

import cv2
import numpy as np
import pytest

from stackcore import _judge
from stackcore._similarity import corner_shift_px, register
from stackcore.aligned import AlignedFrame
from stackcore.compare import CompareError, compare, sml_ratio
from tests import naive
from tests.unit._scenes import psnr_db, texture

LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """Large enough to move about in; with shapes, since texture alone has nothing for features to hold on to."""
    rng = np.random.default_rng(0)
    picture = texture(rng, 420, 560)
    for _ in range(40):
        x, y, radius = int(rng.uniform(0, 560)), int(rng.uniform(0, 420)), int(rng.uniform(6, 40))
        cv2.circle(picture, (x, y), radius, rng.uniform(20, 235, 3).tolist(), -1, cv2.LINE_AA)
    return np.clip(np.rint(cv2.GaussianBlur(picture, (0, 0), 0.8)), 0, 255).astype(np.uint8)


def noisy(picture: np.ndarray, sigma: float = 4.0, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def similarity(
    zoom: float, turn_deg: float, shift: tuple[float, float], shape: tuple[int, ...]
) -> np.ndarray:
    """From pixels of a result to pixels of the reference of the same shape, about its middle."""
    angle = np.radians(turn_deg)
    linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (np.array(shape[1::-1]) - 1) / 2
    return np.hstack([linear, (middle - linear @ middle + shift)[:, None]])


def seen_through(picture: np.ndarray, matrix: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
    size = size or (picture.shape[1], picture.shape[0])
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def naive_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of planes 0..1, the window as a double loop."""
    place = np.arange(-5, 6)
    window = np.exp(-(place**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2

    def mean(plane: np.ndarray) -> np.ndarray:
        p = np.pad(plane, 5, mode="reflect")
        total = np.zeros(plane.shape)
        for dy, dx in itertools.product(range(11), range(11)):
            total += window[dy, dx] * p[dy : dy + plane.shape[0], dx : dx + plane.shape[1]]
        return total

    ma, mb = mean(a), mean(b)
    va, vb, vab = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    return (2 * ma * mb + 1e-4) * (2 * vab + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))


def test_figures_are_those_of_the_naive_formulae(truth: np.ndarray) -> None:
    result = noisy(truth)
    found = compare(truth, result)
    assert found.psnr_db == pytest.approx(psnr_db(result, truth, border=33), abs=1e-4)
    assert found.psnr_fitted_db == pytest.approx(found.psnr_db, abs=0.02)
    assert found.gain == pytest.approx([1, 1, 1], abs=0.01)
    inner = (slice(33, -33), slice(33, -33))
    fitted = result / 255 * np.array(found.gain) + np.array(found.offset)
    ssim = naive_ssim(truth / 255 @ LUMA, fitted @ LUMA)[inner].mean()
    assert found.ssim == pytest.approx(ssim, abs=2e-4)
    spread = [cv2.Laplacian(plane @ LUMA, cv2.CV_64F)[inner].std() for plane in (fitted, truth / 255)]
    assert found.sharpness == pytest.approx(spread[0] / spread[1], rel=1e-3)
    assert found.covered_share == pytest.approx((420 - 66) * (560 - 66) / (420 * 560))


def test_the_same_picture_is_perfect(truth: np.ndarray) -> None:
    found = compare(truth, truth)
    assert (found.psnr_db, found.psnr_fitted_db) == (120.0, pytest.approx(120.0, abs=10))
    assert found.ssim == pytest.approx(1)
    assert found.sharpness == pytest.approx(1, abs=1e-3)
    assert json.loads(json.dumps(found.to_dict()))["scale"] == pytest.approx(1)
    assert "near_jumps_db" not in found.to_dict()


def test_gain_and_offset_are_fitted_away_and_noise_is_not(truth: np.ndarray) -> None:
    gain, offset = np.array([0.8, 0.9, 1.02]), np.array([8.0, 3.0, -12.0])
    base = noisy((truth * 0.7 + 30).astype(np.uint8))
    result = np.clip(np.rint(base * gain + offset), 0, 255).astype(np.uint8)
    reference = (truth * 0.7 + 30).astype(np.uint8)
    found, plain = compare(reference, result), compare(reference, base)
    assert found.psnr_db < plain.psnr_db - 5
    assert found.psnr_fitted_db == pytest.approx(plain.psnr_fitted_db, abs=0.1)
    assert found.gain == pytest.approx(1 / gain, abs=0.01)
    assert found.offset == pytest.approx(-offset / gain / 255, abs=0.006)
    strong = noisy(reference, sigma=25.0)
    assert compare(reference, strong).gain == pytest.approx([1, 1, 1], abs=0.03)


@pytest.mark.parametrize(
    ("zoom", "turn", "shift"),
    [(1.0, 0.0, (0.3, -0.6)), (0.96, 0.4, (5.2, -3.7)), (1.03, -1.5, (-14.0, 9.5))],
)
def test_known_motion_is_found_and_taken_out(
    truth: np.ndarray, zoom: float, turn: float, shift: tuple[float, float]
) -> None:
    matrix = similarity(zoom, turn, shift, truth.shape)
    result = noisy(seen_through(truth, matrix))
    found = compare(truth, result)
    assert found.scale == pytest.approx(zoom, abs=2e-4)
    assert found.rotation_deg == pytest.approx(turn, abs=0.01)
    assert found.shift_px == pytest.approx(shift, abs=0.03)
    aligned = compare(truth, noisy(truth)).psnr_db
    assert found.psnr_db == pytest.approx(aligned, abs=0.35)
    flat = [np.asarray(picture @ LUMA / 255, np.float32) for picture in (truth, result)]
    refined = register(*flat)
    assert refined is not None
    assert corner_shift_px(refined, matrix, result.shape) < 0.05


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.6])
def test_pictures_of_different_sizes(truth: np.ndarray, factor: float) -> None:
    size = (round(560 * factor), round(420 * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    found = compare(truth, cv2.resize(truth, size, interpolation=method), border_px=16)
    assert found.scale == pytest.approx(1 / factor, rel=1e-3)
    assert found.shift_px == pytest.approx((0, 0), abs=0.1)
    assert found.psnr_db > 30
    assert found.ssim > 0.95


def test_a_cut_out_is_judged_where_it_shows_anything(truth: np.ndarray) -> None:
    found = compare(truth[40:380, 100:500], noisy(truth))
    assert found.covered_share == pytest.approx((340 - 64) * (400 - 64) / (420 * 560), rel=0.03)
    assert found.psnr_db == pytest.approx(compare(truth, noisy(truth)).psnr_db, abs=0.1)


def test_eight_and_sixteen_bit_gray_and_colour(truth: np.ndarray) -> None:
    result = noisy(truth)
    plain = compare(truth, result)
    deep = compare(truth.astype(np.uint16) * 257, result)
    for name in ("psnr_db", "psnr_fitted_db", "ssim", "sharpness", "gain", "offset"):
        assert getattr(deep, name) == pytest.approx(getattr(plain, name), abs=1e-3)
    gray = np.rint(result @ LUMA).astype(np.uint8)
    found = compare(truth, gray)
    assert len(found.gain) == 1
    exact = naive_psnr(truth / 255 @ LUMA, gray / 255, border=33)
    assert found.psnr_db == pytest.approx(exact, abs=1e-3)
    assert compare(gray, truth).psnr_db == pytest.approx(exact, abs=1e-3)
    assert compare(gray, gray.astype(np.uint16) * 257).psnr_db > 100


def naive_psnr(a: np.ndarray, b: np.ndarray, border: int) -> float:
    inner = (slice(border, -border), slice(border, -border))
    return float(-10 * np.log10(((a - b)[inner] ** 2).mean()))


def test_near_jumps_is_within_a_disc_of_them() -> None:
    depth = np.zeros((90, 120), np.float32)
    depth[:, 60:] = 2.5
    depth[:30, :] = np.nan
    depth[70:75, 20:24] = 1.9
    near = _judge.near_jumps(depth)
    jumps = [(y, x) for y in range(31, 90) for x in (59, 60)] + [(30, 59), (30, 60)]
    y, x = np.indices(depth.shape)
    expected = np.zeros(depth.shape, bool)
    for row, column in jumps:
        expected |= (y - row) ** 2 + (x - column) ** 2 <= 24.5**2
    # A jump is seen one row into a hole, since the neighbourhood reaches there.
    np.testing.assert_array_equal(near[32:], expected[32:])
    assert not _judge.near_jumps(np.zeros((40, 40), np.float32)).any()


def test_psnr_near_jumps_and_elsewhere(truth: np.ndarray) -> None:
    depth = np.full(truth.shape[:2], 3.0, np.float32)
    depth[:, 280:] = 9.0
    result = truth.copy()
    result[:, 270:290] = noisy(truth, 30.0)[:, 270:290]
    result[:, :200] = noisy(truth, 2.0)[:, :200]
    found = compare(truth, result, reference_depth=depth)
    near = _judge.near_jumps(depth)
    fitted = result / 255 * np.array(found.gain) + np.array(found.offset)
    square = (fitted - truth / 255) ** 2
    inner = np.zeros(near.shape, bool)
    inner[33:-33, 33:-33] = True
    assert found.near_jumps_db == pytest.approx(-10 * np.log10(square[inner & near].mean()), abs=1e-3)
    assert found.elsewhere_db == pytest.approx(-10 * np.log10(square[inner & ~near].mean()), abs=1e-3)
    assert found.near_jumps_share == pytest.approx(near[inner].mean())
    without = compare(truth, result, reference_depth=np.full_like(depth, 3.0))
    assert without.near_jumps_db is None
    assert without.elsewhere_db == pytest.approx(without.psnr_fitted_db)


def test_depth_errors(truth: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    depth = np.linspace(0, 20, 560, dtype=np.float32)[None].repeat(420, axis=0)
    found = depth + rng.normal(0, 0.4, depth.shape).astype(np.float32)
    found[::3] += 3
    found[:, ::5] = np.nan
    holes = depth.copy()
    holes[200:210] = np.nan
    errors = compare(truth, truth, reference_depth=holes, result_depth=found).depth
    assert errors is not None
    inner = (slice(33, -33), slice(33, -33))
    difference = np.abs(found - holes)[inner]
    known = difference[np.isfinite(difference)].astype(float)
    assert errors.mae == pytest.approx(known.mean())
    assert errors.median == pytest.approx(np.median(known))
    assert errors.rmse == pytest.approx(np.sqrt((known**2).mean()))
    assert errors.within_1 == pytest.approx((known < 1).mean())
    assert errors.known_share == pytest.approx(known.size / np.isfinite(holes[inner]).sum())
    empty = compare(truth, truth, reference_depth=depth, result_depth=np.full_like(depth, np.nan))
    assert empty.depth is None


def test_the_true_depth_is_moved_with_the_truth(truth: np.ndarray) -> None:
    depth = np.indices(truth.shape[:2])[1].astype(np.float32) / 20
    matrix = similarity(0.97, 0.0, (6.0, 0.0), truth.shape)
    moved = seen_through(truth, matrix)
    x = np.arange(560) * matrix[0, 0] + matrix[0, 2]
    expected = (x / 20)[None].repeat(420, axis=0).astype(np.float32)
    errors = compare(truth, moved, reference_depth=depth, result_depth=expected).depth
    assert errors is not None
    assert errors.mae < 0.02
    assert errors.known_share == 1


def test_a_mask_leaves_out_what_the_result_does_not_show(truth: np.ndarray) -> None:
    result = noisy(truth)
    result[:, :100] = 0
    mask = np.ones(truth.shape[:2], bool)
    mask[:, :100] = False
    found = compare(truth, result, result_mask=mask)
    assert found.psnr_db == pytest.approx(compare(truth, noisy(truth)).psnr_db, abs=0.1)
    assert found.psnr_db > compare(truth, result).psnr_db + 10


def test_pictures_of_different_things_are_refused(truth: np.ndarray) -> None:
    other = texture(np.random.default_rng(9), 420, 560).astype(np.uint8)
    with pytest.raises(CompareError, match="cannot be registered"):
        compare(truth, other)
    with pytest.raises(CompareError, match="cannot be registered"):
        compare(truth, np.full_like(truth, 128))
    found = compare(truth, other, registered=True)
    assert found.psnr_db < 25


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"reference_depth": np.zeros((5, 6), np.float32)}, "depth of the reference is 6 x 5 px"),
        ({"result_depth": np.zeros((420, 6), np.float32)}, "depth of the result is 6 x 420 px"),
        ({"result_mask": np.ones((5, 6), bool)}, "mask is 6 x 5 px"),
        ({"border_px": 220}, "nothing to compare"),
    ],
)
def test_what_does_not_fit_is_refused(truth: np.ndarray, arguments: dict, says: str) -> None:
    with pytest.raises(CompareError, match=says):
        compare(truth, truth, **arguments)


def test_sizes_that_do_not_do(truth: np.ndarray) -> None:
    with pytest.raises(CompareError, match="as they are"):
        compare(truth, truth[:-1], registered=True)
    with pytest.raises(CompareError, match="too small"):
        compare(truth[:40, :50], truth[:40, :50])


def test_sml_ratio_is_the_naive_one() -> None:
    rng = np.random.default_rng(5)
    frames = [rng.integers(0, 256, (90, 110, 3), dtype=np.uint8) for _ in range(3)]
    result = rng.integers(0, 256, (90, 110, 3), dtype=np.uint8)

    def sml(picture: np.ndarray) -> np.ndarray:
        return naive.box_sum(naive.modified_laplacian(picture / 255 @ LUMA), 2)[10:-10, 10:-10]

    expected = sml(result).sum() / np.max([sml(frame) for frame in frames], axis=0).sum()
    assert sml_ratio(result, iter(frames), border_px=10) == pytest.approx(expected, rel=1e-4)
    deep = [AlignedFrame(k, frame.astype(np.uint16) * 257) for k, frame in enumerate(frames)]
    assert sml_ratio(result, deep, border_px=10) == pytest.approx(expected, rel=1e-4)


def test_sml_ratio_knows_soft_right_and_noisy(truth: np.ndarray) -> None:
    soft = cv2.GaussianBlur(truth, (0, 0), 3.0)
    frames = [np.where(np.arange(560)[None, :, None] < 280, *pair) for pair in ((truth, soft), (soft, truth))]
    assert sml_ratio(truth, frames) == pytest.approx(1, abs=0.02)
    assert sml_ratio(cv2.GaussianBlur(truth, (0, 0), 1.0), frames) < 0.9
    assert sml_ratio(noisy(truth, 12.0), frames) > 1.15


def test_sml_ratio_of_frames_not_yet_resampled(truth: np.ndarray) -> None:
    matrix = similarity(1.01, 0.0, (12.0, 0.0), truth.shape)
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    frame = AlignedFrame(0, seen_through(truth, inverse), matrix, np.full(3, 0.8, np.float32))
    result = np.rint(truth * 0.8).astype(np.uint8)
    assert sml_ratio(result, [frame]) == pytest.approx(1, abs=0.04)


def test_sml_ratio_that_cannot_be(truth: np.ndarray) -> None:
    with pytest.raises(CompareError, match="frame 1 is 560 x 419 px"):
        sml_ratio(truth, [truth, truth[:-1]])
    with pytest.raises(CompareError, match="no frame"):
        sml_ratio(truth, [])
    with pytest.raises(CompareError, match="no frame"):
        sml_ratio(truth, [np.zeros_like(truth)])
