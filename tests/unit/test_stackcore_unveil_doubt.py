"""Stacks whose depth cannot be told: where `unveil` gives its blend up for a pyramid, and where it must not."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from stackcore.aligned import AlignedFrame
from stackcore.compare import sml_ratio
from stackcore.methods import _doubt
from stackcore.methods import unveil as module
from stackcore.methods._blend import Blend
from stackcore.methods._doubt import enlarged_doubt, mix
from stackcore.methods._rows import Bands
from stackcore.methods._sharpest import Sharpest
from stackcore.methods.pyramid import Pyramid
from tests.unit._methods import aligned, fused, setting_for, textured_stack
from tests.unit._moving import disc
from tests.unit._scenes import photograph
from tests.unit._unveil import occlusion, unveiled

SHAPE, FRAMES = (480, 640), 10


@cache
def wandering(seed: int, px_per_frame: float) -> list[np.ndarray]:
    """Dark bodies before a bright ground, blurred by discs, whose outlines wander while the focus goes by."""
    rng = np.random.default_rng(seed)
    height, width = SHAPE
    bodies = []
    for _ in range(5):
        cover = np.zeros(SHAPE, np.float32)
        centre = (int(rng.uniform(0.1, 0.9) * width), int(rng.uniform(0.1, 0.9) * height))
        axes = (int(rng.uniform(0.1, 0.3) * width), int(rng.uniform(0.05, 0.15) * height))
        cv2.ellipse(cover, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
        way = rng.uniform(-1, 1, 2)
        bodies.append((rng.uniform(0, FRAMES - 1), cover, px_per_frame * way / np.hypot(*way)))
    frames = []
    for focus in range(FRAMES):
        light = np.full((*SHAPE, 3), (230, 220, 150), np.float32)
        for place, cover, way in bodies:
            seen = cv2.filter2D(cover, -1, disc(max(0.6, 2.0 * abs(focus - place))))
            x, y = (focus - place) * way
            shift = np.array([[1, 0, x], [0, 1, y]])
            seen = cv2.warpAffine(seen, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
            light *= (1 - 0.8 * seen)[..., None]
        frames.append(photograph(rng, light, 2.5))
    return frames


def without_doubt(monkeypatch: pytest.MonkeyPatch, frames: list[np.ndarray]) -> np.ndarray:
    with monkeypatch.context() as patch:
        patch.setattr(module, "doubt", lambda found, copies: None)
        return unveiled(frames, near="first").picture


@pytest.mark.parametrize("seed", [1, 2])
def test_outlines_that_wander_are_shown_once(seed, monkeypatch):
    frames = wandering(seed, 8.0)
    blended = without_doubt(monkeypatch, frames)
    found = unveiled(frames, near="first").picture
    assert 2 * sml_ratio(found, frames) < sml_ratio(blended, frames), "half of the blend's detail is steps"
    sharpest = np.abs(cv2.Laplacian(found, cv2.CV_32F)).max(axis=2)
    assert np.percentile(sharpest, 99.9) < 0.7 * np.percentile(
        np.abs(cv2.Laplacian(blended, cv2.CV_32F)).max(axis=2), 99.9
    )


def test_the_same_for_any_number_of_threads_and_for_gray_and_sixteen_bits():
    frames = wandering(1, 8.0)
    one = unveiled(frames, threads=1).picture
    assert (unveiled(frames, threads=3).picture == one).all()
    gray = [np.ascontiguousarray(frame[..., 1]) for frame in frames]
    eight, sixteen = (
        unveiled(gray).picture,
        unveiled([frame.astype(np.uint16) * 257 for frame in gray]).picture,
    )
    assert eight.shape == SHAPE
    assert np.abs(sixteen / 257 - eight).mean() < 1


@pytest.mark.parametrize(
    "frames",
    [lambda: wandering(1, 2.0), lambda: occlusion(1).frames, lambda: textured_stack(1, (240, 320, 3), 6)],
)
def test_where_depth_holds_there_is_no_doubt(frames, monkeypatch):
    stack = frames()
    assert (unveiled(stack, near="first").picture == without_doubt(monkeypatch, stack)).all()


def test_a_pyramid_that_is_wanted_in_parts_is_right_there():
    frames = aligned(wandering(1, 8.0))
    wanted = np.zeros(SHAPE, np.bool_)
    wanted[100:300, 200:500] = True
    method = Pyramid(setting_for(frames[0].pixels))
    method.want_only(wanted)
    part = fused(method, frames).picture
    whole = fused(Pyramid(setting_for(frames[0].pixels)), frames).picture
    # Noise is learnt from the blocks that are looked at.
    assert np.abs(part[wanted].astype(int) - whole[wanted]).mean() < 0.6
    far = np.abs(part[400:, :100].astype(float) - frames[0].pixels[400:, :100]).mean()
    assert far < 10, "the rest is that picture without its finest detail"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(150, 33, 3), (97, 40)])
def test_mix(shape, dtype):
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True) for _ in range(2))
    share = rng.integers(0, 256, shape[:2]).astype(np.uint8)
    share[:20], share[20:40] = 0, 255
    mixed = one.copy()
    bands = Bands(2)
    mix(mixed, other, share, bands)
    bands.close()
    weight = share.reshape(*shape[:2], *[1] * (len(shape) - 2)) / 255
    expected = one + weight * (other.astype(float) - one)
    assert np.abs(mixed - expected).max() <= 0.51
    assert (mixed[:20] == one[:20]).all()
    assert (mixed[20:40] == other[20:40]).all()


def test_doubt_is_enlarged_softly():
    small = np.array([[0, 255]], np.uint8)
    large = enlarged_doubt(small, (3, 8))
    assert large.shape == (3, 8)
    assert (np.diff(large[0].astype(int)) >= 0).all()
    assert 0 < large[0, 4] < 255


def test_one_frame_leaves_no_doubt():
    frame = wandering(1, 8.0)[0]
    assert (unveiled([AlignedFrame(0, frame)]).picture == frame).all()
    assert _doubt.LEAST_SHARE < 1


@pytest.mark.parametrize("place", [0.0, 0.4, 1.0, 2.6, 5.0])
def test_what_is_not_wanted_is_not_blended(place):
    """Neither resampled nor counted: the first frame stays there, and the rest is as without."""
    shape = (96, 1200)
    frames = [AlignedFrame(k, np.full(shape, 20 * k + 10, np.uint8)) for k in range(6)]
    found = Sharpest(np.full(shape, place, np.float32), np.ones(shape, np.float32), np.ones(shape, np.bool_))
    unwanted = np.zeros(shape, np.bool_)
    unwanted[:, :600] = True
    bands = Bands(1)
    blends = [Blend(setting_for(frames[0].pixels), bands, found, unwanted=one) for one in (None, unwanted)]
    pictures = []
    for blend in blends:
        for k, frame in enumerate(frames):
            blend.add(frame, k)
        pictures.append(blend.picture())
    assert (pictures[1][:, 600:] == pictures[0][:, 600:]).all()
    assert (pictures[1][:, :600] == frames[0].pixels[:, :600]).all()
    due = np.vstack([blends[1]._tiles.due(k) for k in range(6)])
    assert set(due[:, 2]) == {512, 1024}
    assert set(blends[0]._tiles.due(round(place))[:, 2]) == {0, 512, 1024}
