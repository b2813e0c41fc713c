"""Following a picture: shifts and changes of size of textures that are known exactly, with noise, blur and changing light."""

from __future__ import annotations

import numpy as np
import pytest

from stackcore.tracking import FLOOR_PX, Tracker, follow, mean_of

SHAPE = (120, 160)
REACH = np.hypot(*SHAPE) / 2


class Texture:
    """A sum of waves, so that it can be evaluated anywhere: no resampling, no bias."""

    def __init__(self, seed: int = 1, finest: float = 0.9) -> None:
        """`finest`: radians from one pixel to the next, along each axis."""
        random = np.random.default_rng(seed)
        self.waves = random.uniform(-finest, finest, (150, 2))
        self.phases = random.uniform(0, 2 * np.pi, 150)
        self.random = random

    def seen(self, shift=(0.0, 0.0), corner_px=0.0, *, blur_px=0.0, noise=0.0, gain=1.0, offset=0.0):
        """(H, W) uint8: the picture with the centre moved by `shift` and the corners outward by `corner_px`."""
        zoom = 1 + corner_px / REACH
        y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(float)
        cx, cy = (SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2
        u, v = (x - cx - shift[0]) / zoom, (y - cy - shift[1]) / zoom
        picture = np.zeros(SHAPE)
        for (kx, ky), phase in zip(self.waves, self.phases, strict=True):
            picture += np.exp(-((blur_px * np.hypot(kx, ky)) ** 2) / 2) * np.cos(kx * u + ky * v + phase)
        picture = (
            128 + offset + gain * 6 * picture + self.random.normal(0, noise, SHAPE)
            if noise
            else 128 + offset + gain * 6 * picture
        )
        return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.31, -0.17), (1.6, 2.4), (-3.5, 0.5), (9.2, -7.7)])
@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_shifts_are_found_to_a_hundredth_of_a_pixel(shift, noise) -> None:
    texture = Texture()
    found = Tracker(texture.seen()).find(texture.seen(shift, noise=noise))
    assert found.found
    assert found.shift_px == pytest.approx(shift, abs=0.01 + 0.01 * (noise > 0))
    assert found.corner_px == pytest.approx(0, abs=0.03)
    assert (found.errors_px >= FLOOR_PX).all()


@pytest.mark.parametrize("finest", [0.9, 1.8])
def test_small_shifts_are_as_large_as_large_ones(finest: float) -> None:
    """Or a swing that fades would seem to fade at another rate: fine texture that is read by straight lines adds a tenth to them."""
    texture = Texture(finest=finest)
    tracker = Tracker(texture.seen())
    for shift in np.linspace(-1.0, 1.0, 21):
        found = tracker.find(texture.seen((shift, 0.6 * shift)))
        assert found.shift_px == pytest.approx((shift, 0.6 * shift), abs=0.003)


def test_a_change_of_size_is_told_from_a_shift() -> None:
    texture = Texture()
    tracker = Tracker(texture.seen())
    for corner_px in (-0.8, -0.1, 0.05, 0.4):
        found = tracker.find(texture.seen((0.3, 0.2), corner_px))
        assert found.corner_px == pytest.approx(corner_px, abs=0.02)
        assert found.shift_px == pytest.approx((0.3, 0.2), abs=0.01)


def test_a_large_change_of_size_is_found_where_it_is_expected() -> None:
    texture = Texture()
    tracker = Tracker(texture.seen())
    found = tracker.find(texture.seen((1.4, -0.6), 8.0), expected_corner_px=7.5)
    assert found.corner_px == pytest.approx(8.0, abs=0.03)
    assert found.shift_px == pytest.approx((1.4, -0.6), abs=0.02)


def test_blur_and_light_are_no_motion() -> None:
    texture = Texture()
    sharp = Tracker(texture.seen())
    found = sharp.find(texture.seen((0.25, -0.4), blur_px=1.0, gain=0.8, offset=10))
    assert found.shift_px == pytest.approx((0.25, -0.4), abs=0.02)


def test_errors_are_as_large_as_they_are_said_to_be() -> None:
    texture = Texture()
    tracker = Tracker(mean_of([texture.seen(noise=4.0) for _ in range(8)]))
    random = np.random.default_rng(2)
    wrong = []
    for _ in range(60):
        shift = random.uniform(-2, 2, 2)
        found = tracker.find(texture.seen(shift, noise=4.0))
        wrong.append((found.values_px - [*shift, 0.0]) / found.errors_px)
    spread = np.sqrt(np.mean(np.square(wrong), axis=0))
    assert (spread > 0.3).all()
    assert (spread < 2.0).all()


def test_what_shows_something_else_is_not_placed() -> None:
    tracker = Tracker(Texture(1).seen())
    other, dark = tracker.find(Texture(2).seen()), tracker.find(np.full(SHAPE, 3, np.uint8))
    assert not other.found
    assert other.problem
    assert not dark.found
    assert dark.problem == "it is blank"
    assert np.isnan(dark.values_px).all()


def test_pictures_of_16_bits_lie_where_those_of_8_do() -> None:
    texture = Texture()
    wide = [texture.seen(shift).astype(np.uint16) * 257 for shift in ((0, 0), (0.4, 0.1))]
    _, found = follow(wide, wide[0])
    assert found.shift_px == pytest.approx((0.4, 0.1), abs=0.01)


def test_what_cannot_be_followed_is_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        Tracker(np.zeros((40, 200), np.uint8))
    with pytest.raises(ValueError, match="nothing to be seen"):
        Tracker(np.full(SHAPE, 100, np.uint8))
    with pytest.raises(ValueError, match="not"):
        Tracker(np.zeros((*SHAPE, 3), np.uint8))
    with pytest.raises(ValueError, match="cannot be followed"):
        Tracker(Texture().seen()).find(np.zeros((100, 160), np.uint8))
    with pytest.raises(ValueError, match="no picture"):
        mean_of([])
