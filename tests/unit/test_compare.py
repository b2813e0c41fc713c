"""Whether a picture taken after an interruption continues the stack."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.sim.lens import ThinLens
from drivers.sim.render import Renderer, develop
from drivers.sim.scenes import make_scene
from rigd.compare import differs

NEAR_UM, FAR_UM, STEP_UM = 10_000.0, 14_000.0, 95.0


@pytest.fixture(scope="module")
def renderer():
    scene = make_scene("ring", width=507, height=380, near_um=NEAR_UM, far_um=FAR_UM, seed=7)
    return Renderer(scene, ThinLens(1.0, 4.0, 12.4, 100_000.0))


def photograph(renderer, position_um, seed=0, gain=1.0, path=None):
    linear = renderer.render(position_um, path)
    return develop(linear, gain=gain, read_noise=1.0, photons_full_scale=20_000.0, seed=seed)


@pytest.fixture(scope="module", params=[10_500.0, 12_000.0, 13_500.0])
def pair(request, renderer):
    return request.param, photograph(renderer, request.param)


def test_the_same_position_continues_it_whatever_the_noise(renderer, pair):
    position, before = pair
    assert differs(photograph(renderer, position, seed=5), before) is None


def test_a_shift_of_a_pixel_is_forgiven(renderer, pair):
    position, before = pair
    assert differs(photograph(renderer, position, seed=5, path=np.array([[1.0, 0.5]] * 2)), before) is None


@pytest.mark.parametrize("steps", [-8, 8])
def test_another_focus_does_not(renderer, pair, steps):
    position, before = pair
    assert differs(photograph(renderer, position + steps * STEP_UM, seed=5), before) is not None


@pytest.mark.parametrize("gain", [0.5, 1.6])
def test_other_light_does_not(renderer, pair, gain):
    position, before = pair
    assert "light" in str(differs(photograph(renderer, position, seed=5, gain=gain), before))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_of_nothing_does_not(pair, level):
    _, before = pair
    assert differs(np.full_like(before, level), before) is not None
    assert differs(before, np.full_like(before, level)) is not None


def test_two_pictures_of_nothing_agree():
    flat = np.full((40, 60, 3), 90, np.uint8)
    assert differs(flat, flat) is None


def test_another_size_does_not(pair):
    _, before = pair
    assert "size" in str(differs(before[:-2], before))
