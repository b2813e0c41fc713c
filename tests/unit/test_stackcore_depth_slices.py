"""The method `depth`: its compiled part and its grid against twins, how exact its depth is, and what it does against noise."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stackcore.aligned import AlignedFrame
from stackcore.focus_measures import luma_of, sml
from stackcore.merge import StackMerger
from stackcore.methods import Fused
from stackcore.methods._focus_volume import ENERGY_GAIN, FocusVolume, TooManyFrames, noise_sigma, score_of
from stackcore.methods._rows import Bands
from stackcore.methods._volume_depth import enlarged, peaks_of
from stackcore.methods.depth_slices import STEPS_PER_FRAME, DepthSlices, feather_width, tent_figures
from stackcore.scores import energy_of
from tests import naive_labels
from tests.unit._depth_scenes import board, hill, step_wedge
from tests.unit._methods import aligned, fused, setting_for
from tests.unit._scenes import Scene, occlusion_scene, photograph, psnr_db, tilted_plane

INSIDE = (slice(8, -8), slice(8, -8))


def fuse(frames: list[AlignedFrame], threads: int = 2, **options: object) -> Fused:
    method = DepthSlices(setting_for(frames[0].pixels, threads), **options)
    assert method.preview() is None
    return fused(method, frames)


def volume_of(frames: list[np.ndarray], **options: object) -> FocusVolume:
    bands = Bands(1)
    volume = FocusVolume(
        setting_for(frames[0]),
        bands,
        **{"colours": True, "cell_px": 2, "largest_cell_px": 8, "memory_mb": 64, **options},
    )
    for frame in aligned(frames):
        volume.add(frame)
    bands.close()
    return volume


@pytest.fixture(scope="module")
def occluded() -> Scene:
    return occlusion_scene(240, 320, 24, seed=1, blur_px_per_frame=0.8)


@pytest.fixture(scope="module")
def faint() -> Scene:
    """Little texture, much noise, many frames within the depth of field."""
    clean = tilted_plane(160, 240, 24, seed=3, blur_px_per_frame=0.35, noise_sigma=0)
    rng = np.random.default_rng(1)
    frames = [photograph(rng, 110 + 0.4 * (frame - np.float32(110)), 6.0) for frame in clean.frames]
    return Scene(frames, np.rint(110 + 0.4 * (clean.truth - 110.0)).astype(np.uint8), clean.depth)


@pytest.mark.parametrize("cell", [1, 2, 4])
def test_the_grid_is_that_of_whole_frames(cell: int) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (203, 150, 3), dtype=np.uint8) for _ in range(2)]
    volume = volume_of(frames, cell_px=cell)
    for k, frame in enumerate(frames):
        smooth = cv2.GaussianBlur(luma_of(frame, 255), (0, 0), 1.5, borderType=cv2.BORDER_REPLICATE)
        energy = np.pad(sml(smooth, 0), [(0, -203 % cell), (0, -150 % cell)], mode="edge")
        cells = energy.reshape(energy.shape[0] // cell, cell, -1, cell).mean(axis=(1, 3))
        size = 2 * volume.radius + 1
        pooled = cv2.blur(cells.astype(np.float32), (size, size), borderType=cv2.BORDER_REPLICATE)
        np.testing.assert_allclose(energy_of(volume.scores[k]) / ENERGY_GAIN, pooled, rtol=1e-3)


def test_a_score_stands_for_its_energy() -> None:
    energy = np.concatenate([[0], np.geomspace(1 / 16, 2e8, 500)]).astype(np.float32)
    np.testing.assert_allclose(energy_of(score_of(energy)) / ENERGY_GAIN, energy, rtol=1 / 2000)
    assert score_of(np.array([1e12, -1.0]))[1] == 0


@pytest.mark.parametrize("sigma", [0.5, 2.0, 5.0])
def test_noise_is_measured_beside_texture(sigma: float) -> None:
    rng = np.random.default_rng(2)
    light = np.full((240, 320, 3), 120, np.float32) + np.linspace(-40, 40, 320)[None, :, None]
    light[:, :200] += rng.normal(0, 25, (240, 200, 3))
    expected = np.hypot(sigma, 0.29) * np.sqrt(77**2 + 150**2 + 29**2) / 256
    assert noise_sigma(AlignedFrame(0, photograph(rng, light, sigma))) == pytest.approx(expected, rel=0.15)


def test_peaks_are_moved_to_the_sharper_neighbour() -> None:
    rng = np.random.default_rng(3)
    volume = volume_of([rng.integers(0, 256, (40, 60, 3), dtype=np.uint8) for _ in range(6)])
    scores = np.stack(volume.scores).astype(int)
    labels = rng.integers(0, 6, volume.shape).astype(np.uint16)
    merged = peaks_of(volume, labels)
    around = np.pad(scores, ((1, 1), (0, 0), (0, 0)))
    for y, x in np.ndindex(*volume.shape):
        label = int(labels[y, x])
        choices = [k for k in (label, label - 1, label + 1) if 0 <= k < 6]
        best = max(choices, key=lambda k: scores[k, y, x])
        assert merged.frame[y, x] == best
        assert [merged.before[y, x], merged.best[y, x], merged.after[y, x]] == list(
            around[best : best + 3, y, x]
        )


def test_the_picture_is_that_of_the_twin() -> None:
    rng = np.random.default_rng(4)
    frames = [rng.integers(0, 256, (70, 90, 3), dtype=np.uint8) for _ in range(5)]
    method = DepthSlices(setting_for(frames[0]))
    for pass_number in (0, 1):
        for frame in aligned(frames):
            method.add(frame, pass_number)
    expected = naive_labels.blend_slices(frames, method._at.copy(), method._half_width / STEPS_PER_FRAME)
    picture = method.finish().picture
    method.close()
    np.testing.assert_allclose(picture, expected, atol=0.51)


@pytest.mark.parametrize("make", [hill, board], ids=["hill", "board"])
@pytest.mark.parametrize("cell", [1, 2])
def test_continuous_depth(make, cell: int) -> None:
    scene = make()
    depth = fuse(aligned(scene.frames), cell_px=cell).depth
    known = np.where(depth.confidence >= 0.6, depth.frame_index, np.nan)
    error = (known - scene.depth)[INSIDE]
    assert np.isfinite(error).mean() > 0.4
    assert np.nanmedian(np.abs(error)) <= 0.05
    assert np.sqrt(np.nanmean(error**2)) <= 0.15


def test_a_tilted_plane_to_a_twentieth_of_a_frame() -> None:
    plane = tilted_plane(120, 480, 24, seed=2, blur_px_per_frame=0.6)
    error = (fuse(aligned(plane.frames)).depth.frame_index - plane.depth)[8:-8, 16:-16]
    assert np.isfinite(error).mean() > 0.99
    assert np.nanmedian(np.abs(error)) <= 0.05
    assert np.sqrt(np.nanmean(error**2)) <= 0.15


def test_heights_of_a_step_wedge() -> None:
    wedge = step_wedge()
    found = fuse(aligned(wedge.scene.frames)).depth.frame_index
    heights = [float(np.nanmedian(found[8:-8, first:end])) for first, end in wedge.treads]
    np.testing.assert_allclose(heights, wedge.heights, atol=0.1)
    np.testing.assert_allclose(np.diff(heights), np.diff(wedge.heights), atol=0.15)


def test_as_good_as_picking_the_sharpest(occluded: Scene) -> None:
    with StackMerger(240, 320, radius=2) as merger:
        for k, frame in enumerate(occluded.frames):
            merger.add(frame, k)
        argmax = psnr_db(merger.picture, occluded.truth)
    fused = psnr_db(fuse(aligned(occluded.frames)).picture, occluded.truth)
    assert fused >= argmax - 0.5
    assert fused >= 31.0


def test_noise_is_averaged_away_where_the_depth_of_field_allows(faint: Scene) -> None:
    feathered, narrow = (
        psnr_db(fuse(aligned(faint.frames), feather=feather).picture, faint.truth) for feather in (1.0, 0.0)
    )
    assert feathered > narrow + 2
    rng = np.random.default_rng(0)
    one = photograph(rng, faint.truth.astype(np.float32), 6.0)
    assert feathered > psnr_db(one, faint.truth) + 4, (
        "better than any one frame could be, had it all in focus"
    )


def test_paths_find_more_of_a_faint_surface(faint: Scene) -> None:
    def found(refine: str) -> tuple[float, float]:
        error = np.abs(fuse(aligned(faint.frames), refine=refine).depth.frame_index - faint.depth)[INSIDE]
        return float((error < 1).mean()), float((error >= 1).mean())

    right, wrong = found("sgm")
    right_alone, wrong_alone = found("none")
    assert right > right_alone + 0.02
    assert wrong < wrong_alone - 0.02


def test_noise_alone_is_a_hole_and_its_mean_the_picture() -> None:
    rng = np.random.default_rng(0)
    flat = np.full((160, 200, 3), 120, np.float32)
    fused = fuse(aligned([photograph(rng, flat, 4.0) for _ in range(24)]))
    assert np.isfinite(fused.depth.frame_index[20:-20, 20:-20]).mean() < 0.05
    assert fused.picture.std() < 2.5


@pytest.mark.parametrize("shape", [(50, 71), (50, 71, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_equal_for_any_number_of_threads(shape: tuple[int, ...], dtype) -> None:
    rng = np.random.default_rng(7)
    frames = aligned([rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype) for _ in range(6)])
    one, two = fuse(frames, threads=1), fuse(frames, threads=2)
    np.testing.assert_array_equal(one.picture, two.picture)
    np.testing.assert_array_equal(one.depth.frame_index, two.depth.frame_index)
    assert one.picture.shape == shape
    assert one.picture.dtype == dtype


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_flat_stack_stays_as_it_is_and_has_no_depth(level: int, count: int) -> None:
    fused = fuse(aligned([np.full((40, 50, 3), level, np.uint8)] * count))
    assert (fused.picture == level).all()
    assert np.isnan(fused.depth.frame_index).all()


def test_gaps_in_the_indices(occluded: Scene) -> None:
    kept = [k for k in range(24) if k not in {5, 11, 12}]
    fused = fuse([AlignedFrame(k, occluded.frames[k]) for k in kept])
    error = np.abs(fused.depth.frame_index - occluded.depth)[INSIDE]
    assert np.nanmedian(error) < 0.1


def test_moved_frames_show_no_border(occluded: Scene) -> None:
    """Every second frame is shifted; at the left only the others show anything."""
    frames = []
    for k, frame in enumerate(occluded.frames):
        moved = frame.copy()
        if k % 2:
            moved[:, :-12] = frame[:, 12:]
            moved[:, -12:] = (255, 0, 0)
        shift = np.array([[1.0, 0, -12.0 * (k % 2)], [0, 1, 0]])
        frames.append(AlignedFrame(k, moved, matrix=shift))
    moved_db, still_db = (
        psnr_db(fuse(stack).picture, occluded.truth) for stack in (frames, aligned(occluded.frames))
    )
    assert moved_db > still_db - 1.0
    left = fuse(frames).picture[20:-20, :10].astype(float) - occluded.truth[20:-20, :10]
    assert np.sqrt((left**2).mean()) < 25


def test_a_border_that_only_the_reference_shows_is_not_black(occluded: Scene) -> None:
    """All frames but the first are shifted, and what is in focus beside the border is far from the first frame."""
    shift = np.array([[1.0, 0, -12.0], [0, 1, 0]])
    sharp = occluded.truth.astype(np.uint8)
    soft = cv2.GaussianBlur(sharp, (0, 0), 8)
    last = 9
    moved = [np.roll(sharp if k == last else soft, -12, axis=1) for k in range(1, last + 1)]
    frames = [AlignedFrame(0, soft), *(AlignedFrame(k + 1, one, matrix=shift) for k, one in enumerate(moved))]
    left = fuse(frames).picture[:, :8].astype(int)
    np.testing.assert_allclose(left, soft[:, :8], atol=1)


def test_a_tent_keeps_less_detail_and_less_noise_the_wider_it_is() -> None:
    figures = [tent_figures(half_width, 1.5) for half_width in (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)]
    kept, noise = (list(column) for column in zip(*figures, strict=True))
    assert kept == sorted(kept, reverse=True)
    assert noise == sorted(noise, reverse=True)
    assert 0.9 < kept[0] < 1
    assert noise[-1] < 0.15


def test_feathers_are_wide_only_where_texture_is_faint() -> None:
    rng = np.random.default_rng(8)
    plane = tilted_plane(120, 160, 12, seed=5, blur_px_per_frame=0.8, noise_sigma=0)
    contrast = np.where(np.arange(160) < 80, 1.0, 0.02)[None, :, None]
    frames = [
        photograph(rng, (120 + contrast * (frame - 120.0)).astype(np.float32), 1.5) for frame in plane.frames
    ]
    volume = volume_of(frames)
    best = np.stack(volume.scores).argmax(axis=0).astype(np.uint16)
    merged = peaks_of(volume, best)
    width = feather_width(merged)
    assert np.median(width[:, :36]) <= 2.0
    assert np.median(width[:, -36:]) >= 4.0
    assert (feather_width(merged, 0.0) == 1.0).all()


def test_enlarging_interpolates_but_not_across_jumps() -> None:
    slope = np.arange(6, dtype=np.float32)[None, :].repeat(4, axis=0) * 0.5
    large = enlarged(slope, 4, (15, 22))
    expected = np.clip((np.arange(22) + 0.5) / 4 - 0.5, 0, 5) * 0.5
    np.testing.assert_allclose(large, expected[None].repeat(15, axis=0), atol=1e-5)
    step = np.where(np.arange(6) < 3, np.float32(2), np.float32(9))[None].repeat(4, axis=0)
    assert set(np.unique(enlarged(step, 4, (16, 24)))) == {2, 9}
    step[1, 1] = np.nan
    holes = np.isnan(enlarged(step, 4, (16, 24)))
    assert holes[4:8, 4:8].all()
    assert holes.sum() == 16
    assert (enlarged(np.ones((1, 1), np.float32), 8, (5, 7)) == 1).all()


def test_memory_is_bounded() -> None:
    rng = np.random.default_rng(9)
    frame = rng.integers(0, 256, (512, 512, 3), dtype=np.uint8)
    method = DepthSlices(setting_for(frame), memory_mb=2, cell_px=1)
    for k in range(12):
        method.add(AlignedFrame(k, frame))
    assert method._volume.cell_px == 2

    def add_many() -> None:
        for k in range(12, 300):
            method.add(AlignedFrame(k, frame))

    with pytest.raises(TooManyFrames, match="memory_mb"):
        add_many()
    method.close()


def test_wrong_use_is_refused() -> None:
    frame = np.zeros((16, 16, 3), np.uint8)
    setting = setting_for(frame)
    for options in ({"refine": "magic"}, {"feather": -1}, {"cell_px": 3}, {"memory_mb": 0}):
        with pytest.raises(ValueError):
            DepthSlices(setting, **options)
    method = DepthSlices(setting)
    with pytest.raises(ValueError, match="no frame"):
        method.finish()
    with pytest.raises(ValueError, match="first pass had no frame"):
        method.add(AlignedFrame(0, frame), 1)
    method.add(AlignedFrame(2, frame))
    with pytest.raises(ValueError, match="comes after"):
        method.add(AlignedFrame(1, frame))
    with pytest.raises(ValueError, match="not in the first pass"):
        method.add(AlignedFrame(1, frame), 1)
    with pytest.raises(ValueError, match="first pass is over"):
        method.add(AlignedFrame(3, frame))
    method.close()
    method.close()
