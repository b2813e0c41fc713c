"""What the simple methods reach on a scene with occlusion, held against the truth: 24 aligned frames, noise of 1.5 levels."""

from __future__ import annotations

import numpy as np
import pytest

from stackcore.focus_measures import MEASURES
from stackcore.methods.argmax import Argmax
from stackcore.methods.wavelet import Wavelet
from stackcore.methods.weighted import Weighted
from tests.unit._methods import aligned, fused, setting_for
from tests.unit._scenes import photograph, psnr_db, tilted_plane
from tests.unit.test_scenes_merged import stack


@pytest.fixture(scope="module")
def insect():
    frames, truth = stack("insect", f_number=4.0)
    return aligned(frames), truth.picture


@pytest.mark.parametrize("measure", MEASURES)
def test_argmax_on_wires_and_hairs(insect, measure):
    frames, truth = insect
    picture = fused(Argmax(setting_for(truth), measure=measure), frames).picture
    assert psnr_db(picture, truth) >= (31.0 if measure != "variance" else 30.5)


def test_weighted_on_wires_and_hairs(insect):
    frames, truth = insect
    picture = fused(Weighted(setting_for(truth)), frames).picture
    assert psnr_db(picture, truth) >= 31.4
    flatter = fused(Weighted(setting_for(truth), gamma=1), frames).picture
    assert psnr_db(flatter, truth) <= 29.0


def test_wavelet_on_wires_and_hairs(insect):
    frames, truth = insect
    picture = fused(Wavelet(setting_for(truth)), frames).picture
    assert psnr_db(picture, truth) >= 30.2


@pytest.mark.parametrize("measure", MEASURES)
def test_depth_lies_between_the_frames_for_every_measure(measure):
    scene = tilted_plane(160, 320, 9, seed=3, blur_px_per_frame=0.8)
    for method in (Argmax, Weighted) if measure == "sml" else (Argmax,):
        depth = fused(method(setting_for(scene.truth), measure=measure), aligned(scene.frames)).depth
        inner = (scene.depth > 0.5) & (scene.depth < 7.5)
        error = np.abs(depth.frame_index - scene.depth)[inner & np.isfinite(depth.frame_index)]
        assert np.isfinite(depth.frame_index)[inner].mean() > 0.9
        assert np.median(error) <= 0.12, "a whole frame off at random would be 0.25"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("measure", MEASURES)
def test_noise_alone_has_no_depth(measure, dtype):
    rng = np.random.default_rng(9)
    flat = np.full((150, 200, 3), 120, np.float32)
    scale = 1 if dtype == np.uint8 else 257
    frames = [photograph(rng, flat).astype(dtype) * dtype(scale) for _ in range(12)]
    depth = fused(Argmax(setting_for(frames[0]), measure=measure), aligned(frames)).depth
    assert np.isfinite(depth.frame_index).mean() < 0.02
