"""What `unveil` asks of its caller, what it refuses, and stacks at the edge of what a stack can be."""

from __future__ import annotations

import inspect
import itertools
import threading

import numpy as np
import pytest

from stackcore.aligned import IDENTITY, AlignedFrame
from stackcore.methods import Method, Setting, registry
from stackcore.methods import unveil as module
from stackcore.methods.unveil import Unveil
from tests.unit._methods import aligned, fused, setting_for, textured_stack
from tests.unit._moving import similarity
from tests.unit._unveil import unveiled

SMALL = [(1, 1), (1, 7), (7, 1), (2, 2), (5, 3), (41, 37), (240, 320)]


def test_it_is_a_method_and_the_registry_knows_it():
    method: Method = registry.make("unveil", Setting(20, 30))
    assert isinstance(method, Unveil)
    assert method.passes == 2
    for name in ("add", "preview", "finish", "close"):
        wanted, given = (inspect.signature(getattr(kind, name)) for kind in (Method, Unveil))
        assert list(given.parameters) == list(wanted.parameters)
    assert method.preview() is None
    method.close()


@pytest.mark.parametrize("shape", SMALL)
@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_any_size_and_few_frames(shape, count):
    for channels, dtype, shaken in itertools.product((1, 3), (np.uint8, np.uint16), (False, True)):
        full = shape if channels == 1 else (*shape, 3)
        frames = [
            AlignedFrame(
                index,
                np.random.default_rng(index).integers(0, np.iinfo(dtype).max, full, dtype),
                similarity(shape, 1 + 0.01 * index * shaken, 0.1 * index, (0.5 * index, 0))[:2],
                np.full(3, 1 + 0.1 * index * shaken, np.float32),
            )
            for index in range(count)
        ]
        result = unveiled(frames, threads=2, near="first")
        assert result.picture.shape == full
        assert result.picture.dtype == dtype
        assert result.depth.frame_index.shape == result.depth.confidence.shape == shape
        assert np.isfinite(result.depth.confidence).all()
        if count == 1:
            assert (result.picture == frames[0].pixels).all()


@pytest.mark.parametrize("far", [-1e6, -500, 500, 1e6])
@pytest.mark.parametrize("turn", [-0.7, 0.7])
def test_frames_far_away_and_far_turned_do_no_harm(far, turn):
    frames = textured_stack(1, (120, 1400, 3), 4)
    matrices = [
        similarity(frames[0].shape[:2], 1.2, turn * (k > 0), (far * (k > 1), -far * (k > 2)))[:2]
        for k in range(4)
    ]
    stack = [
        AlignedFrame(k, frame, matrix) for k, (frame, matrix) in enumerate(zip(frames, matrices, strict=True))
    ]
    stack[0] = AlignedFrame(0, frames[0])
    result = unveiled(stack, threads=2, near="first")
    assert (result.picture[:, :200] == frames[0][:, :200]).mean() > 0.5


@pytest.mark.parametrize("shape", [(1201, 1001), (1, 1_200_001)])
def test_large_pictures_have_cells_of_two_pixels(shape):
    frames = [np.random.default_rng(k).integers(0, 256, shape, np.uint8) for k in range(3)]
    result = unveiled(frames, near="first")
    assert result.picture.shape == result.depth.frame_index.shape == shape
    stack = np.stack(frames)
    inside = (result.picture >= stack.min(axis=0)) & (result.picture <= stack.max(axis=0))
    assert inside[-1, -1], "an odd last pixel belongs to the cell before it"
    assert inside.mean() > 0.99


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_flat_stack_stays_flat_and_has_no_depth(level):
    result = unveiled([np.full((64, 96, 3), level, np.uint8)] * 5)
    assert (result.picture == level).all()
    assert np.isnan(result.depth.frame_index).all()


@pytest.mark.parametrize(("noise_sigma", "least", "most"), [(0.8, 0.97, 1.03), (4.0, 0.2, 0.6)])
def test_where_nothing_shows_a_frames_grain_stays_unless_it_is_loud(noise_sigma, least, most):
    rng = np.random.default_rng(5)
    plain = [np.full((160, 200, 3), 128) + rng.normal(0, noise_sigma, (160, 200, 3)) for _ in range(8)]
    frames = [np.rint(frame).astype(np.uint8) for frame in plain]
    between = np.array([[1, 0, 0.5], [0, 1, 0.5]])
    stack = [AlignedFrame(k, frame, between if k else np.eye(3)[:2]) for k, frame in enumerate(frames)]
    inside = unveiled(stack).picture[8:-8, 8:-8]
    assert least <= inside.std() / frames[0].std() <= most, (
        "interpolating halfway leaves less than half of it"
    )


@pytest.mark.parametrize("matrix", [IDENTITY, np.asfortranarray([[1, 0, 0.5], [0, 1, 0]])])
def test_matrices_of_any_making(matrix):
    matrix.flags.writeable = False
    frames = textured_stack(1, (60, 70, 3), 3)
    picture = unveiled([AlignedFrame(k, frame, matrix) for k, frame in enumerate(frames)]).picture
    assert picture.shape == frames[0].shape


def test_where_only_the_first_frame_shows_anything_it_is_shown():
    frames = textured_stack(1, (100, 120, 3), 4)
    away = np.array([[1, 0, 0], [0, 1, 60]], float)
    stack = [AlignedFrame(0, frames[0]), *(AlignedFrame(k, frames[k], away) for k in (1, 2, 3))]
    picture = unveiled(stack).picture
    assert (picture[45:] == frames[0][45:]).all()
    assert (picture[:30] != frames[0][:30]).any()


def test_nothing_of_the_frames_is_changed():
    frames = textured_stack(2, (90, 100, 3), 5)
    before = [frame.copy() for frame in frames]
    for frame in frames:
        frame.flags.writeable = False
    result = unveiled(frames)
    assert result.picture.flags.writeable
    assert all((one == other).all() for one, other in zip(frames, before, strict=True))


def refused(method, frame, pass_number, words):
    with pytest.raises(ValueError, match=words):
        method.add(frame, pass_number)


def test_what_does_not_fit_is_refused():
    frames = aligned(textured_stack(3, (40, 50, 3), 4))
    method = Unveil(setting_for(frames[0].pixels))
    refused(method, frames[0], 1, "second time")
    method.add(frames[1])
    refused(method, frames[1], 0, "frame 1 comes out of order")
    refused(method, frames[0], 0, "frame 0 comes out of order")
    for other in (
        frames[2].pixels[:-1],
        frames[2].pixels[..., 0].copy(),
        frames[2].pixels.astype(np.uint16),
    ):
        refused(method, AlignedFrame(2, other), 0, "this stack has frames of 40 x 50 x 3 uint8")
    for turned in ([[-1, 0, 50], [0, -1, 40]], [[0, 1, 0], [-1, 0, 40]], [[-1, 0, 50], [0, 1, 0]]):
        refused(
            method, AlignedFrame(2, frames[2].pixels, np.array(turned, float)), 0, "frame 2 lies mirrored"
        )
    method.add(frames[2])
    method.add(frames[3])
    with pytest.raises(ValueError, match="0 of 3 frames came by twice"):
        method.finish()
    refused(method, frames[2], 1, "frame 2 comes by for the second time in another order")
    method.add(frames[1], 1)
    refused(method, frames[3], 1, "frame 3 comes by for the second time in another order")
    refused(method, AlignedFrame(4, frames[0].pixels), 0, "out of order")
    with pytest.raises(ValueError, match="1 of 3 frames came by twice"):
        method.finish()
    method.add(frames[2], 1)
    method.add(frames[3], 1)
    refused(method, frames[3], 1, "second time")
    # What was refused left nothing behind.
    assert (method.finish().picture == unveiled(frames[1:]).picture).all()
    with pytest.raises(ValueError, match="needs all"):
        method.finish()
    method.close()


def test_impossible_settings_and_options_are_refused():
    for setting in (
        Setting(0, 3),
        Setting(3, 3, 2),
        Setting(3, 3, dtype=np.float32),
        Setting(3, 3, threads=0),
    ):
        with pytest.raises(ValueError, match=r"pixels|channels|uint8|thread"):
            Unveil(setting)
    with pytest.raises(ValueError, match="near is one of auto, first, last, not 'left'"):
        Unveil(Setting(3, 3), near="left")
    with pytest.raises(ValueError, match="0 of 0 frames"):
        Unveil(Setting(3, 3)).finish()


def test_more_frames_than_depths_can_be_counted_in_are_refused(monkeypatch):
    monkeypatch.setattr(module, "MAX_FRAMES", 3)
    frames = aligned(textured_stack(4, (40, 50), 4))
    method = Unveil(setting_for(frames[0].pixels))
    for frame in frames[:3]:
        method.add(frame)
    refused(method, frames[3], 0, "at most 3 frames")
    for frame in frames[:3]:
        method.add(frame, 1)
    assert method.finish().picture.shape == (40, 50)
    method.close()


def test_the_last_depth_that_can_be_counted_still_fits():
    from stackcore.methods._blend import MAX_FRAMES, PLACES

    assert np.iinfo(np.uint16).max >= (MAX_FRAMES - 1 + 0.5) * PLACES
    assert np.iinfo(np.int16).max >= MAX_FRAMES


@pytest.mark.parametrize("passes", [0, 1, 2])
def test_close_ends_the_threads_whenever_it_comes_and_may_come_twice(passes):
    before = threading.active_count()
    frames = aligned(textured_stack(5, (300, 200, 3), 3))
    method = Unveil(setting_for(frames[0].pixels, 3))
    for number in range(passes):
        for frame in frames:
            method.add(frame, number)
    method.close()
    method.close()
    assert threading.active_count() == before
    with pytest.raises(ValueError, match="needs all"):
        method.finish()


def test_indices_may_have_gaps():
    frames = textured_stack(6, (60, 80), 5)
    whole = unveiled(frames)
    apart = fused(
        Unveil(setting_for(frames[0])), [AlignedFrame(10 + 3 * k, frame) for k, frame in enumerate(frames)]
    )
    assert (apart.picture == whole.picture).all()
    np.testing.assert_allclose(apart.depth.frame_index, 10 + 3 * whole.depth.frame_index, atol=1e-4)
