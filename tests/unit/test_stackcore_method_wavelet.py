"""`wavelet`: the filters' own laws, the transform and the checks against slow twins, and a fusion against the whole of it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stackcore.aligned import AlignedFrame
from stackcore.methods._complex_wavelet import (
    Layout,
    analyse,
    filters,
    join,
    level_rows,
    picture_columns,
    picture_rows,
)
from stackcore.methods._wavelet_kernel import FULL
from stackcore.methods.wavelet import Wavelet, consistent, majority
from tests import naive_methods as naive
from tests.unit._methods import aligned, fused, moved, setting_for, textured_stack

SMOOTH, DETAIL = filters()
SIZES = [(64, 48, 3), (37, 53, 3), (5, 3, 2), (1, 1, 1), (2, 40, 1)]
KINDS = list(itertools.product([(22, 35), (24, 33, 3)], [np.uint8, np.uint16]))


@pytest.mark.parametrize("shift", [0, 2, 4])
def test_the_filters_are_orthonormal_to_their_even_shifts(shift):
    def product(a: np.ndarray, b: np.ndarray) -> complex:
        return complex(np.vdot(a[shift:], b[: 6 - shift]))

    assert product(SMOOTH, SMOOTH) == pytest.approx(1.0 if shift == 0 else 0.0, abs=1e-12)
    assert product(DETAIL, DETAIL) == pytest.approx(1.0 if shift == 0 else 0.0, abs=1e-12)
    assert product(SMOOTH, DETAIL) == pytest.approx(0, abs=1e-12)
    assert product(DETAIL, SMOOTH) == pytest.approx(0, abs=1e-12)


def test_details_of_a_parabola_vanish_and_smoothing_keeps_what_is_flat():
    at = np.arange(6.0)
    for power in range(3):
        assert abs((DETAIL * at**power).sum()) < 1e-10
    assert abs((DETAIL * at**3).sum()) > 0.1
    assert SMOOTH.sum() == pytest.approx(np.sqrt(2))


def test_the_filters_are_symmetric_and_truly_complex():
    np.testing.assert_allclose(SMOOTH, SMOOTH[::-1], atol=1e-12)
    np.testing.assert_allclose(DETAIL, -DETAIL[::-1], atol=1e-12)
    assert np.abs(SMOOTH.imag).max() > 0.1
    published = np.array([-3, 5, 30]) / 64 * np.sqrt(2)
    np.testing.assert_allclose(SMOOTH.real[:3], published, atol=1e-12)


def transform(picture: np.ndarray, levels: int) -> tuple[Layout, list[np.ndarray], np.ndarray]:
    layout = Layout(*picture.shape, levels)
    rows = picture_rows(layout, 0, layout.size(1)[0])
    smooth, detail = analyse(picture[rows][:, picture_columns(layout)][None].astype(np.float32))
    details = [detail]
    for level in range(2, levels + 1):
        smooth, detail = analyse(level_rows(smooth, 0, layout.size(level)[0]))
        details.append(detail)
    return layout, details, smooth


@pytest.mark.parametrize(("height", "width", "levels"), SIZES)
def test_the_transform_equals_its_slow_twin(height, width, levels):
    picture = np.random.default_rng(0).uniform(0, 255, (height, width))
    _, details, smooth = transform(picture, levels)
    wanted = naive.transform(picture, levels, SMOOTH, DETAIL)
    for found, value in zip(details, wanted, strict=False):
        both = found.transpose(1, 2, 0, 3)
        np.testing.assert_allclose(both[:, 0] + 1j * both[:, 1], value, atol=2e-3)
    np.testing.assert_allclose(smooth[:, 0] + 1j * smooth[:, 1], wanted[-1], atol=5e-3)


@pytest.mark.parametrize(("height", "width", "levels"), SIZES)
def test_there_and_back_is_the_picture_at_any_size(height, width, levels):
    picture = np.random.default_rng(1).uniform(0, 1, (height, width))
    layout, details, smooth = transform(picture, levels)
    for level in range(levels, 0, -1):
        most = layout.most(1, level)
        assert np.abs(details[level - 1]).max() < most
        kept = np.rint(details[level - 1] * (FULL / most)).astype(np.int16)
        smooth = join(smooth, kept, most, 0, layout.size(level)[0], real=level == 1)
    assert np.abs(smooth[:height, 0, :width] - picture).max() < 1e-3
    slow = naive.back(naive.transform(picture, levels, SMOOTH, DETAIL), (height, width), SMOOTH, DETAIL)
    assert np.abs(slow - picture).max() < 1e-9


def test_bands_of_any_height_are_the_same_bit_for_bit():
    picture = np.random.default_rng(2).uniform(0, 255, (64, 32)).astype(np.float32)
    layout = Layout(64, 32, 1)
    columns = picture_columns(layout)
    whole_smooth, whole = analyse(picture[picture_rows(layout, 0, 32)][:, columns][None])
    kept = np.rint(whole * 32).astype(np.int16)
    back = join(whole_smooth, kept, FULL / 32, 0, 32, real=False)
    for first, end in ((0, 7), (7, 20), (20, 32)):
        smooth, detail = analyse(picture[picture_rows(layout, first, end)][:, columns][None])
        assert (smooth == whole_smooth[first:end]).all()
        assert (detail == whole[first:end]).all()
        rows = join(whole_smooth, kept, FULL / 32, first, end, real=False)
        assert (rows == back[2 * first : 2 * end]).all()


def test_two_subbands_outvote_the_third_and_else_the_strongest_decides():
    rng = np.random.default_rng(3)
    frame = rng.integers(0, 4, (20, 3, 30)).astype(np.uint16)
    best = rng.random((20, 3, 30)).astype(np.float32)
    found = consistent(frame, best)
    for y, x in np.ndindex(20, 30):
        assert found[y, x] == naive.vote(tuple(frame[y, :, x].tolist()), tuple(best[y, :, x]))


@pytest.mark.parametrize("shape", [(20, 30), (3, 4), (1, 1)])
def test_a_neighbourhood_overrules_a_stray(shape):
    frame = np.random.default_rng(4).choice([0, 0, 0, 1, 2], shape).astype(np.uint16)
    for size in (3, 5):
        assert (majority(frame, 3, size) == naive.majority(frame, size)).all()


@pytest.mark.parametrize(("shape", "dtype"), KINDS)
def test_a_fusion_equals_its_slow_twin(shape, dtype):
    frames = textured_stack(2, shape, 4, dtype)
    picture = fused(Wavelet(setting_for(frames[0]), levels=2), aligned(frames)).picture
    assert picture.dtype == dtype
    wanted = np.clip(naive.wavelet(frames, 2, SMOOTH, DETAIL), 0, np.iinfo(dtype).max)
    close = np.abs(picture - wanted) < 0.51 + 1e-4 * np.iinfo(dtype).max
    assert close.mean() > 0.99, "but for ties within rounding"


@pytest.mark.parametrize(("shape", "dtype"), [*KINDS, ((1, 1), np.uint8), ((7, 2, 3), np.uint16)])
def test_a_stack_of_one_frame_is_that_frame(shape, dtype):
    frame = np.random.default_rng(5).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    picture = fused(Wavelet(setting_for(frame)), aligned([frame])).picture
    assert np.abs(picture.astype(int) - frame).max() <= (0 if dtype == np.uint8 else 8)


def test_colour_comes_along_where_luma_decides():
    """Two frames of equal luma in places: looking up the nearest gray would mix their colours up."""
    gray = textured_stack(6, (48, 64), 2)
    frames = [np.stack([g, g // 2, 255 - g], axis=2) for g in gray]
    truth = np.where((np.arange(64) < 32)[None, :, None], frames[0], frames[1]).astype(float)
    picture = fused(Wavelet(setting_for(frames[0])), aligned(frames)).picture
    error = (picture - truth)[12:, 4:-4]
    assert np.sqrt((error**2).mean()) < 6
    assert np.sqrt(((frames[0] - truth)[12:, 4:-4] ** 2).mean()) > 12


def test_outside_a_frame_never_wins():
    flat = np.full((64, 80), 128, np.uint8)
    texture = np.random.default_rng(3).integers(0, 256, (64, 80), dtype=np.uint8)
    picture = fused(
        Wavelet(setting_for(flat), levels=2), [AlignedFrame(0, flat), moved(texture, 1, (0, -32))]
    ).picture
    assert (picture[:20] == 128).all()
    assert np.abs(picture[44:60].astype(int) - texture[12:28]).max() <= 1


def test_a_flat_stack_is_its_first_frame():
    frames = [np.full((30, 40, 3), level, np.uint8) for level in (255, 0, 90)]
    result = fused(Wavelet(setting_for(frames[0])), aligned(frames))
    assert (result.picture == 255).all()
    assert result.depth is None


def test_threads_do_not_matter():
    frames = textured_stack(5, (300, 70, 3), 3)
    stack = [
        AlignedFrame(0, frames[0]),
        moved(frames[1], 1, (0.4, -1.3)),
        moved(frames[2], 2, (-2, 0.2), 1.1),
    ]
    one, two = (fused(Wavelet(setting_for(frames[0], n)), stack) for n in (1, 2))
    assert (one.picture == two.picture).all()


def test_the_second_pass_must_be_like_the_first():
    frame = np.zeros((20, 30), np.uint8)
    method = Wavelet(setting_for(frame))
    with pytest.raises(ValueError, match="0 frames came by"):
        method.finish()
    method.add(AlignedFrame(2, frame))
    with pytest.raises(ValueError, match="frame 2 comes after frame 2"):
        method.add(AlignedFrame(2, frame))
    method.add(AlignedFrame(5, frame))
    with pytest.raises(ValueError, match="frame 5 is not what came in the first pass"):
        method.add(AlignedFrame(5, frame), 1)
    method.add(AlignedFrame(2, frame), 1)
    assert method.preview() is None
    with pytest.raises(ValueError, match="first time after"):
        method.add(AlignedFrame(7, frame))
    with pytest.raises(ValueError, match="2 frames came by, and 1 of them again"):
        method.finish()
    method.add(AlignedFrame(5, frame), 1)
    with pytest.raises(ValueError, match="is not what came"):
        method.add(AlignedFrame(6, frame), 1)
    assert (method.finish().picture == 0).all()
    method.close()
    method.close()


@pytest.mark.parametrize("levels", [0, 11])
def test_levels_that_cannot_be_are_refused(levels):
    with pytest.raises(ValueError, match="levels"):
        Wavelet(setting_for(np.zeros((9, 9), np.uint8)), levels=levels)
