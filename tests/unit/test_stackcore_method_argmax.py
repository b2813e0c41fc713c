"""`argmax` against its slow twin, for every kind of frame; what moved frames may and may not do."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stackcore import _focus_kernel
from stackcore.aligned import AlignedFrame
from stackcore.focus_measures import MEASURES
from stackcore.merge import StackMerger
from stackcore.methods import Setting, _record_kernel
from stackcore.methods._rows import shown_rows, warped_rows
from stackcore.methods.argmax import Argmax
from tests import naive, naive_methods
from tests.unit._methods import aligned, fused, moved, setting_for, textured_stack

KINDS = list(itertools.product([(20, 90), (100, 25, 3)], [np.uint8, np.uint16]))


def naive_choice(frames: list[np.ndarray], measure: str, radius: int) -> np.ndarray:
    gain = 1 if frames[0].dtype == np.uint8 else 16
    energies = [naive_methods.energy(measure, naive_methods.luma(frame), radius) * gain for frame in frames]
    return np.stack([naive.encode(energy) for energy in energies]).argmax(axis=0)


@pytest.mark.parametrize(("shape", "dtype"), KINDS)
@pytest.mark.parametrize("measure", MEASURES)
def test_every_pixel_is_from_its_sharpest_frame(measure, shape, dtype):
    frames = textured_stack(1, shape, 5, dtype)
    picture = fused(Argmax(setting_for(frames[0]), measure=measure), aligned(frames)).picture
    assert picture.dtype == dtype
    rows, columns = np.indices(shape[:2])
    wanted = np.stack(frames)[naive_choice(frames, measure, 3), rows, columns]
    same = (picture == wanted).reshape(*shape[:2], -1).all(axis=2)
    assert same.mean() > 0.998, "but for ties within rounding"


def test_the_planes_are_those_of_the_live_preview():
    for name in ("BEST", "BEFORE", "AFTER", "PREVIOUS", "FRAME"):
        assert getattr(_record_kernel, name) == getattr(_focus_kernel, name)


@pytest.mark.parametrize("shape", [(70, 80), (70, 80, 3)])
def test_unmoved_8_bit_frames_come_out_as_in_the_live_preview(shape):
    frames = textured_stack(2, shape, 4)
    with StackMerger(*shape[:2], channels=1 if len(shape) == 2 else 3) as merger:
        for index, frame in enumerate(frames):
            merger.add(frame, index)
        assert (fused(Argmax(setting_for(frames[0])), aligned(frames)).picture == merger.picture).all()


def test_scores_of_rows_equal_those_of_the_whole_stack():
    rng = np.random.default_rng(4)
    energies = rng.integers(0, 60, (6, 20, 33)).astype(np.float32) * rng.choice(
        [0, 1, 1e6], (6, 20, 33)
    ).astype(np.float32)
    state = np.zeros((20, 5, 33), np.uint16)
    mask, scratch = np.empty((20, 33), np.uint16), np.empty(33, np.uint16)
    for ordinal, energy in enumerate(energies):
        before = state[:, _record_kernel.BEST].copy()
        _record_kernel.record_rows(energy, np.uint16(ordinal), state, mask, scratch)
        assert ((mask != 0) == (naive.encode(energy) > before)).all()
    scores = np.stack([naive.encode(energy) for energy in energies])
    best = scores.argmax(axis=0)
    around = np.pad(scores, ((1, 1), (0, 0), (0, 0)))
    rows, columns = np.indices(best.shape)
    assert (state[:, _record_kernel.FRAME] == best).all()
    for plane, offset in ((_record_kernel.BEFORE, 0), (_record_kernel.BEST, 1), (_record_kernel.AFTER, 2)):
        assert (state[:, plane] == around[best + offset, rows, columns]).all()


def test_energies_too_large_for_a_score_stay_the_largest():
    state = np.zeros((1, 5, 2), np.uint16)
    energy = np.array([[1e20, 1e9]], np.float32)
    _record_kernel.record_rows(
        energy, np.uint16(0), state, np.empty((1, 2), np.uint16), np.empty(2, np.uint16)
    )
    assert state[0, _record_kernel.BEST, 0] > 65_000 > state[0, _record_kernel.BEST, 1]


@pytest.mark.parametrize("shape", [(210, 90, 3), (120, 77)])
def test_rows_of_a_moved_frame_are_those_of_the_whole(shape):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    for angle, scale, x, y in ((0.02, 1.03, 3.3, -7.1), (-0.01, 0.96, -20.5, 60.2), (0, 1, 0, 900)):
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        gain = np.array([1.02, 0.97, 1.01], np.float32)
        frame = AlignedFrame(0, pixels, np.array([[c, -s, x], [s, c, y]]), gain)
        bands = [(first, min(shape[0], first + 50)) for first in range(0, shape[0], 50)]
        rows = np.concatenate([warped_rows(frame, *band) for band in bands])
        assert np.abs(rows - frame.warped).max() < 0.1, "OpenCV's coordinates are single precision"
        for first, end in bands:
            inside = shown_rows(frame, first, end)
            assert (frame.inside[first:end] == (True if inside is None else inside)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_outside_a_frame_never_wins_and_its_brightness_is_evened(dtype):
    full = np.iinfo(dtype).max
    flat = np.full((60, 80), full // 2, dtype)
    texture = np.random.default_rng(3).integers(0, full // 2, (60, 80), dtype)
    frames = [AlignedFrame(0, flat), moved(texture, 1, (0, -30), gain=2.0)]
    picture = fused(Argmax(setting_for(flat)), frames).picture
    assert (picture[:31] == flat[0, 0]).all(), "the second frame shows nothing here"
    wanted = np.clip(2.0 * texture[2:29].astype(float), 0, full)
    np.testing.assert_allclose(picture[32:59, 1:-1], wanted[:, 1:-1], atol=1)


def test_what_the_first_frame_does_not_show_comes_from_the_next_that_does_even_without_energy():
    frames = [
        moved(np.full((50, 60, 3), 40, np.uint8), 0, (0, -20)),
        moved(np.full((50, 60, 3), 80, np.uint8), 1, (0, -10)),
        AlignedFrame(2, np.full((50, 60, 3), 120, np.uint8)),
        AlignedFrame(3, np.full((50, 60, 3), 160, np.uint8)),
    ]
    picture = fused(Argmax(setting_for(frames[0].pixels)), frames).picture
    assert (picture[:10] == 120).all()
    assert (picture[12:20, 1:-1] == 80).all()
    assert (picture[22:-1, 1:-1] == 40).all()


@pytest.mark.parametrize(("shape", "dtype"), KINDS)
def test_a_flat_stack_stays_its_first_frame_and_has_no_depth(shape, dtype):
    frames = [np.full(shape, level, dtype) for level in (200, 3, 90)]
    for measure in MEASURES:
        result = fused(Argmax(setting_for(frames[0]), measure=measure), aligned(frames))
        assert (result.picture == 200).all()
        assert np.isnan(result.depth.frame_index).all()


@pytest.mark.parametrize("measure", MEASURES)
def test_threads_do_not_matter(measure):
    frames = textured_stack(5, (300, 70, 3), 3)
    stack = [
        AlignedFrame(0, frames[0]),
        moved(frames[1], 1, (0.4, -1.3)),
        moved(frames[2], 2, (-2, 0.2), 1.1),
    ]
    one, two = (fused(Argmax(setting_for(frames[0], n), measure=measure), stack) for n in (1, 2))
    assert (one.picture == two.picture).all()
    np.testing.assert_array_equal(one.depth.frame_index, two.depth.frame_index)


def test_a_preview_grows_and_later_frames_do_not_change_it():
    frames = textured_stack(6, (40, 60), 3)
    method = Argmax(setting_for(frames[0]))
    assert method.preview() is None
    method.add(AlignedFrame(0, frames[0]))
    first = method.preview()
    assert (first == frames[0]).all()
    method.add(AlignedFrame(1, frames[1]))
    assert (first == frames[0]).all()
    method.close()
    method.close()


def test_what_cannot_be_is_refused():
    frame = np.zeros((20, 30), np.uint8)
    with pytest.raises(ValueError, match="no focus measure"):
        Argmax(setting_for(frame), measure="sharpness")
    for bad in (0, 6):
        with pytest.raises(ValueError, match="radius"):
            Argmax(setting_for(frame), radius=bad)
    for setting in (
        Setting(0, 3),
        Setting(3, 3, 2),
        Setting(3, 3, dtype=np.float32),
        Setting(3, 3, threads=0),
    ):
        with pytest.raises(ValueError, match=r"pixels|channels|uint8|thread"):
            Argmax(setting)
    method = Argmax(setting_for(frame))
    with pytest.raises(ValueError, match="no frame"):
        method.finish()
    method.add(AlignedFrame(4, frame))
    with pytest.raises(ValueError, match="frame 4 comes after frame 4"):
        method.add(AlignedFrame(4, frame))
    for other in (frame[:-1], frame.astype(np.uint16), np.zeros((20, 30, 3), np.uint8)):
        with pytest.raises(ValueError, match="this stack has frames of 20 x 30 uint8"):
            method.add(AlignedFrame(5, other))
    assert (method.finish().picture == 0).all()
