"""The first pass of `unveil`: depth at several sizes, how fast blur grows, and which end is near."""

from __future__ import annotations

import numpy as np
import pytest

from stackcore.aligned import AlignedFrame, reduced_matrix
from stackcore.methods import _sharpest
from stackcore.methods._blur_rate import MAX_FRAMES
from stackcore.methods._copies import Copies
from stackcore.methods._focus_levels import FocusLevels
from stackcore.methods._near_side import NearSide
from stackcore.methods._rows import Bands
from stackcore.methods.unveil import CERTAIN
from tests.unit._methods import aligned, setting_for
from tests.unit._scenes import photograph
from tests.unit._unveil import (
    BLUR,
    FRAMES,
    HEIGHT,
    SEEDS,
    WIDTH,
    bright_disc,
    first_pass,
    flat_plane,
    occlusion,
    tilt,
)


@pytest.fixture(scope="module")
def noise_alone():
    """Frames of a gray card, and what the first pass makes of them; gray frames with fewer values to add up."""
    rng = np.random.default_rng(0)
    card = np.full((HEIGHT, WIDTH, 3), 120, np.float32)
    frames = [photograph(rng, card) for _ in range(FRAMES)]
    return [first_pass(aligned(frames)), first_pass(aligned([f[..., 0].copy() for f in frames]))]


def test_places_on_a_plane_lie_between_the_frames():
    scene = tilt(1)
    found, _, _ = first_pass(aligned(scene.frames))
    error = np.abs(found.place - scene.depth.clip(0, FRAMES - 1))
    assert np.median(error) <= 0.05
    assert np.percentile(error, 99) <= 0.5
    assert found.fine.mean() >= 0.99


def test_noise_alone_is_never_clear(noise_alone):
    for found, rate, _ in noise_alone:
        assert found.clearness.max() < CERTAIN
        assert found.fine.mean() < 0.01
        assert (found.clearness > 0).mean() < 0.1
        assert rate is None


def test_noise_is_measured(noise_alone):
    for found, _, _ in noise_alone:
        assert found.noise == pytest.approx(1.5, rel=0.25)


def share_off(found, place, outside, low, high):
    here = (outside > low) & (outside <= high)
    return float((np.abs(found.place - place) > 1.5)[here].mean())


def test_a_bright_thing_has_no_halo_on_plain_ground(monkeypatch):
    """Beside it the only energy of the fine levels is its own, out of focus: coarse levels know better."""
    frames, outside = bright_disc(16, place=4.0, blur=1.0, noise_sigma=0.5)
    found, _, _ = first_pass(aligned(frames))
    assert share_off(found, 4, outside, -40, 8) <= 0.01
    monkeypatch.setattr(_sharpest, "FAINT", 0.0)
    without, _, _ = first_pass(aligned(frames))
    assert share_off(without, 4, outside, 3, 8) >= 0.15


def test_the_glow_of_a_bright_thing_in_the_last_frame_is_no_place(monkeypatch):
    frames, outside = bright_disc(5, place=2.0, blur=2.0, noise_sigma=0.3)
    found, _, _ = first_pass(aligned(frames))
    assert share_off(found, 2, outside, -40, 60) <= 0.05
    monkeypatch.setattr(_sharpest, "STRAY", 0.0)
    without, _, _ = first_pass(aligned(frames))
    assert share_off(without, 2, outside, 15, 30) >= 0.15


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (33, 57)])
def test_holes_take_what_is_around_them(shape):
    y, x = np.indices(shape)
    place = (5 + x + 0.5 * y).astype(np.float32)
    holes = np.random.default_rng(1).random(shape) < 0.4
    holes[0, 0] = False
    holes[10:20, 15:30] = True
    filled = _sharpest._filled(np.where(holes, np.float32(1e4), place), holes)
    assert (filled[~holes] == place[~holes]).all()
    if holes.any():
        assert np.abs(filled - place)[holes].mean() <= 2
        assert place[~holes].min() <= filled.min() <= filled.max() <= place[~holes].max()


def test_a_picture_of_holes_is_filled_with_something():
    filled = _sharpest._filled(np.full((9, 12), 3, np.float32), np.ones((9, 12), bool))
    assert np.isfinite(filled).all()


def test_depth_at_another_size_has_nothing_between_the_sides_of_a_jump():
    place = np.full((20, 30), 3, np.float32)
    place[:, 13:] = 9
    place += np.linspace(0, 0.5, 20, dtype=np.float32)[:, None]
    for size in ((60, 40), (61, 41), (240, 160)):
        full = _sharpest.enlarged(place, size)
        assert full.shape == size[::-1]
        assert ((full <= 3.5) | (full >= 9)).all()
        assert np.abs(np.diff(full, axis=0)).max() < 0.1, "slopes stay slopes"


@pytest.mark.parametrize("scale", [1, 2, 4, 8, 2.5])
def test_motion_of_smaller_pictures(scale):
    """The centre of a pixel of the smaller picture is the middle of those that it is the mean of."""
    matrix = np.array([[1.02, -0.01, 3.7], [0.01, 1.02, -5.2]])
    small = reduced_matrix(matrix, scale)
    at = np.array([11.0, 4.0])
    middle = scale * at + (scale - 1) / 2
    there = matrix[:, :2] @ middle + matrix[:, 2]
    np.testing.assert_allclose(small[:, :2] @ at + small[:, 2], (there - (scale - 1) / 2) / scale)


def test_energy_follows_the_motion_and_the_light():
    """A frame moved by whole pixels and half as bright, told so, says what the frame itself does."""
    rng = np.random.default_rng(3)
    still = rng.integers(0, 256, (80, 120, 3)).astype(np.uint8)
    moved = (np.roll(still, (4, -8), (0, 1)) // 2).astype(np.uint8)
    matrix = np.array([[1, 0, -8], [0, 1, 4]], float)
    states = []
    for frame in (AlignedFrame(0, still), AlignedFrame(0, moved, matrix, np.full(3, 2, np.float32))):
        levels = FocusLevels(setting_for(still), Bands(1))
        levels.add(frame)
        states.append([level.state[:, 0].astype(float) for level in levels.levels])
    for one, two, cell in zip(*states, (1, 2, 4, 8), strict=False):
        inner = (slice(16 // cell, -16 // cell), slice(16 // cell, -16 // cell))
        # 2048 steps of a score are a factor of 2 in energy.
        assert np.median(np.abs(one - two)[inner]) <= 2048 * 0.05


@pytest.mark.parametrize("blur", [0.4, 0.8, 1.2])
@pytest.mark.parametrize("gains", ["even", "fading", "flicker"])
def test_blur_rate_of_a_flat_plane_whatever_the_light(blur, gains):
    frames = 14
    light = {
        "even": np.ones(frames),
        "fading": np.linspace(1.2, 0.6, frames),
        "flicker": 1 + 0.15 * np.random.default_rng(1).uniform(-1, 1, frames),
    }[gains]
    _, rate, _ = first_pass(flat_plane(2, frames, place=5.3, blur=blur, gains=light))
    assert rate == pytest.approx(blur, rel=0.1)


@pytest.mark.parametrize("scene", [tilt, occlusion])
@pytest.mark.parametrize("seed", SEEDS[:2])
def test_blur_rate_of_scenes(scene, seed):
    _, rate, _ = first_pass(aligned(scene(seed).frames))
    assert rate == pytest.approx(BLUR, rel=0.1)


def test_blur_rate_of_moved_frames():
    frames = []
    for k, frame in enumerate(tilt(1).frames):
        shift = (5 * (-1) ** k, k % 7)
        pixels = np.roll(frame, (shift[1], shift[0]), (0, 1))
        frames.append(AlignedFrame(k, pixels, np.array([[1, 0, shift[0]], [0, 1, shift[1]]], float)))
    _, rate, _ = first_pass(frames)
    assert rate == pytest.approx(BLUR, rel=0.1)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_near_end_is_found(seed):
    frames = occlusion(seed).frames
    found, _, side = first_pass(aligned(frames))
    assert side.first_is_near(found, BLUR) is True
    found, _, side = first_pass(aligned(frames[::-1]))
    assert side.first_is_near(found, BLUR) is not True


def test_the_near_end_is_found_though_the_light_flickers():
    """The second witness is another frame: its brightness must not pass for a veil."""
    rng = np.random.default_rng(5)
    for seed in SEEDS:
        frames = []
        for index, frame in enumerate(occlusion(seed).frames):
            gain = 1 + 0.1 * rng.uniform(-1, 1, 3)
            pixels = np.clip(np.rint(0.85 * gain * frame), 0, 255).astype(np.uint8)
            frames.append(AlignedFrame(index, pixels, gain=(1 / gain).astype(np.float32)))
        found, _, side = first_pass(frames)
        assert side.first_is_near(found, BLUR) is True


@pytest.mark.parametrize("seed", SEEDS)
def test_where_nothing_hides_anything_no_end_is_called_near(seed):
    frames = tilt(seed).frames
    for stack in (frames, frames[::-1]):
        found, _, side = first_pass(aligned(stack))
        assert side.first_is_near(found, BLUR) is None


def test_of_long_stacks_few_copies_and_patches_are_kept(monkeypatch):
    monkeypatch.setattr("stackcore.methods._copies.MAX_FRAMES", 10)
    scene = occlusion(1)
    found, rate, side = first_pass(aligned(scene.frames))
    assert len(side._copies) <= 10 < FRAMES <= MAX_FRAMES
    assert side.first_is_near(found, BLUR) is True
    assert rate is not None


def test_two_frames_do_not_tell_the_near_end():
    found, rate, side = first_pass(aligned(occlusion(1).frames[8:10]))
    assert rate is None
    assert side.first_is_near(found, BLUR) is None
    assert NearSide(Bands(1), Copies()).first_is_near(found, BLUR) is None
