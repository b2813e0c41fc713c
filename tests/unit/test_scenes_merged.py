"""The simulator's own scenes, merged and held against their truth: aligned frames, noise of 1.5 levels, 24 frames."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.sim.lens import ThinLens
from drivers.sim.render import Renderer, develop
from drivers.sim.scenes import make_scene
from stackcore.depth import depth_map, depth_um, smooth_depth
from stackcore.merge import StackMerger
from tests.naive import unsquared

FRAMES = 24
POSITIONS_UM = np.linspace(10_000, 14_000, FRAMES)
STEP_UM = POSITIONS_UM[1] - POSITIONS_UM[0]
NOISE = 1.5
BORDER_PX = 8


def stack(name, f_number):
    scene = make_scene(name, width=1014, height=760, near_um=POSITIONS_UM[0], far_um=POSITIONS_UM[-1], seed=7)
    renderer = Renderer(scene, ThinLens(1.0, f_number, 6.2, None))
    frames = [
        develop(renderer.render(position), read_noise=NOISE, photons_full_scale=None, seed=index)
        for index, position in enumerate(POSITIONS_UM)
    ]
    return frames, renderer.truth()


def merge(frames):
    merger = StackMerger(*frames[0].shape[:2])
    for index, frame in enumerate(frames):
        merger.add(frame, index)
    return merger


def psnr_db(picture, truth):
    inside = (slice(BORDER_PX, -BORDER_PX), slice(BORDER_PX, -BORDER_PX))
    return 10 * np.log10(255**2 / np.mean((picture[inside].astype(float) - truth[inside]) ** 2))


@pytest.mark.parametrize("name", ["ring", "insect"])
def test_an_occlusion_scene_is_sharp_and_squaring_comes_before_pooling(name):
    frames, truth = stack(name, f_number=4.0)
    picture = psnr_db(merge(frames).picture, truth.picture)
    assert picture >= 31.0
    assert psnr_db(unsquared(frames, 3), truth.picture) <= picture - 4.0


def test_continuous_depth_is_right_to_a_twentieth_of_a_step():
    frames, truth = stack("tilt", f_number=5.6)
    with merge(frames) as merger:
        found = smooth_depth(depth_map(merger.merged(), min_confidence=0.6))
    error = np.abs(depth_um(found.frame_index, POSITIONS_UM) - truth.depth_um) / STEP_UM
    assert np.isfinite(error).mean() > 0.4, "where the board is printed there is texture"
    assert np.nanmedian(error) <= 0.05


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_flat_picture_stays_as_it_is_and_has_no_depth(level):
    flat = np.full((64, 96, 3), level, np.uint8)
    with merge([flat] * 5) as merger:
        assert (merger.picture == level).all()
        depth = depth_map(merger.merged())
    assert np.isnan(depth.frame_index).all()
    assert np.isfinite(depth.confidence).all()
