"""The method `labels`: its compiled part against a twin, what it makes of occlusion, and its limits."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from stackcore.aligned import AlignedFrame
from stackcore.graphcut import MissingSolver
from stackcore.merge import StackMerger
from stackcore.methods import Fused, Setting
from stackcore.methods._focus_volume import TooManyFrames
from stackcore.methods._labels_kernel import NONE, collect_rows, mark_seams
from stackcore.methods.labels import Labels
from tests import naive_labels
from tests.unit._methods import aligned, fused, setting_for
from tests.unit._scenes import occlusion_scene, photograph, psnr_db

SIZE = (240, 320)


def fuse(frames: list[AlignedFrame], threads: int = 2, **options: object) -> Fused:
    method = Labels(setting_for(frames[0].pixels, threads), **options)
    assert method.preview() is None
    return fused(method, frames)


@pytest.fixture(scope="module", params=[1, 2, 3])
def scene(request: pytest.FixtureRequest):
    return occlusion_scene(*SIZE, 24, seed=request.param, blur_px_per_frame=0.8)


def random_frames(seed: int, count: int, shape: tuple[int, ...], dtype=np.uint8) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype) for _ in range(count)]


@pytest.mark.parametrize("cell", [1, 2, 4])
@pytest.mark.parametrize("margin", [0, 60])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_and_gradients_are_those_of_the_twin(cell: int, margin: int, channels: int) -> None:
    height, width = 19, 23
    frames = random_frames(cell, 4, (height, width, channels))
    rng = np.random.default_rng(9)
    labels = rng.integers(0, 4, (-(-height // cell), -(-width // cell))).astype(np.uint16)
    labels[:, 2:] = labels[:1, 2:3]
    whole = labels.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width].astype(np.int64)
    seams, counts = np.zeros((height, width), np.uint8), np.zeros(height, np.int64)
    mark_seams(labels, cell, seams, counts)
    np.testing.assert_array_equal(counts, seams.sum(axis=1))
    marked = seams.copy()
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    gradients = np.full((int(counts.sum()), 2, channels), NONE, np.int16)
    picked = np.zeros((height, width, channels), np.float32)
    for label in range(4):
        for first, end in ((0, 8), (8, height)):
            below = min(height, end + 1)
            collect_rows(
                frames[label][first:below].astype(np.float32),
                np.ones((below - first, width), np.uint8),
                first, end, np.uint16(label), labels, cell, np.float32(1), np.int32(margin),
                seams, starts, picked[first:end], gradients,
            )  # fmt: skip
    expected, across, down = naive_labels.collect(frames, whole, margin)
    np.testing.assert_array_equal(picked, expected)
    rows, columns = np.nonzero(marked)
    here = columns < width - 1
    np.testing.assert_array_equal(gradients[here, 0], across[rows[here], columns[here]])
    here = rows < height - 1
    np.testing.assert_array_equal(gradients[here, 1], down[rows[here], columns[here]])
    plain = marked[:, :-1] == 0
    np.testing.assert_array_equal(across[plain], np.diff(expected.astype(np.int64), axis=1)[plain])


def test_the_picture_is_that_of_a_dense_solve() -> None:
    frames = random_frames(3, 3, (14, 18, 3))
    frames = [(100 + (frame // 8)).astype(np.uint8) for frame in frames]
    for k, frame in enumerate(frames):
        frame[:, 6 * k : 6 * k + 6] += (np.indices((14, 6)).sum(axis=0) % 2 * 90).astype(np.uint8)[..., None]
    method = Labels(setting_for(frames[0]), cell_px=2, screening=0.15, seam=0.0)
    for pass_number in (0, 1):
        for frame in aligned(frames):
            method.add(frame, pass_number)
    labels = method._labels.repeat(2, axis=0).repeat(2, axis=1)[:14, :18].astype(np.int64)
    picked, across, down = naive_labels.collect(frames, labels, int(method._margin))
    picture = method.finish().picture
    method.close()
    assert len(np.unique(labels)) > 1
    for channel in range(3):
        expected = naive_labels.screened_poisson(
            picked[..., channel].astype(float), across[..., channel], down[..., channel], 0.15
        )
        np.testing.assert_allclose(picture[..., channel], np.clip(expected, 0, 255), atol=0.51)


def test_better_than_picking_the_sharpest(scene) -> None:
    with StackMerger(*SIZE, radius=2) as merger:
        for k, frame in enumerate(scene.frames):
            merger.add(frame, k)
        argmax = psnr_db(merger.picture, scene.truth)
    assert argmax < 32.2
    fused = psnr_db(fuse(aligned(scene.frames)).picture, scene.truth)
    assert fused >= 32.3
    assert fused >= argmax + 1.0


def test_screening_is_worth_its_decibels(scene) -> None:
    db = {
        screening: psnr_db(fuse(aligned(scene.frames), screening=screening).picture, scene.truth)
        for screening in (0.0, 0.15, 100.0)
    }
    assert db[0.15] > db[0.0] + 2
    assert db[0.15] > db[100.0] + 0.5


def test_depth_comes_with_it(scene) -> None:
    depth = fuse(aligned(scene.frames)).depth
    assert depth is not None
    error = np.abs(depth.frame_index - scene.depth)[8:-8, 8:-8]
    assert np.isfinite(error).mean() > 0.95
    assert np.nanmedian(error) < 0.06


def test_seams_cost_something() -> None:
    """Two frames alike but for noise: with seams free labels follow the noise, else whole regions come from one frame."""
    rng = np.random.default_rng(0)
    light = np.full((64, 96, 3), 120, np.float32)
    light[:, 32:64] += rng.normal(0, 30, (64, 32, 1))
    frames = [photograph(rng, light) for _ in range(2)]

    def seams(seam: float) -> int:
        method = Labels(setting_for(frames[0]), seam=seam, sweeps=3)
        for frame in aligned(frames):
            method.add(frame)
        method.add(AlignedFrame(0, frames[0]), 1)
        method.close()
        return int((np.diff(method._labels.astype(int), axis=1) != 0).sum())

    assert seams(1.0) < 0.7 * seams(0.0)
    assert seams(10.0) < 0.1 * seams(0.0)


@pytest.mark.parametrize("shape", [(50, 70), (50, 70, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_equal_for_any_number_of_threads_and_in_range(shape: tuple[int, ...], dtype) -> None:
    frames = aligned(random_frames(1, 5, shape, dtype))
    one, two = fuse(frames, threads=1), fuse(frames, threads=2)
    np.testing.assert_array_equal(one.picture, two.picture)
    assert one.picture.shape == shape
    assert one.picture.dtype == dtype


def test_sixteen_bits_are_as_eight(scene) -> None:
    eight = fuse(aligned(scene.frames)).picture
    sixteen = fuse(aligned([frame.astype(np.uint16) * 257 for frame in scene.frames])).picture
    assert np.abs(sixteen / 257 - eight).mean() < 0.3


def test_a_moved_frame_is_taken_where_it_shows() -> None:
    rng = np.random.default_rng(5)
    light = rng.uniform(20, 235, (60, 80, 3)).astype(np.float32)
    sharp = photograph(rng, light, 0)
    shift = np.array([[1.0, 0, -6], [0, 1, 0]])
    moved = np.roll(sharp, -6, axis=1)
    moved[:, -6:] = 0
    frames = [
        AlignedFrame(0, np.full_like(sharp, 128)),
        AlignedFrame(1, moved, matrix=shift, gain=np.full(3, 1.0, np.float32)),
    ]
    picture = fuse(frames).picture.astype(int)
    assert np.abs(picture[5:-5, 14:-8] - sharp[5:-5, 14:-8]).mean() < 1
    assert np.abs(picture[5:-5, :4] - 128).mean() < 12


@pytest.mark.parametrize("count", [1, 2])
def test_few_frames(count: int) -> None:
    frames = random_frames(2, count, (33, 21, 3))
    fused = fuse(aligned(frames))
    if count == 1:
        np.testing.assert_array_equal(fused.picture, frames[0])
    assert fused.picture.shape == (33, 21, 3)


def test_cells_grow_to_stay_within_the_memory_and_then_it_is_an_error() -> None:
    frames = random_frames(4, 9, (512, 512, 3))
    method = Labels(setting_for(frames[0]), cell_px=1, memory_mb=3)
    for k, frame in enumerate(frames):
        method.add(AlignedFrame(k, frame))
    assert method._volume.cell_px == 2
    assert (
        sum(s.nbytes + c.nbytes for s, c in zip(method._volume.scores, method._volume.colours, strict=True))
        <= 3 * 2**20
    )

    def add_many() -> None:
        for k in range(9, 400):
            method.add(AlignedFrame(k, frames[0]))

    with pytest.raises(TooManyFrames, match="memory_mb"):
        add_many()
    method.close()


def test_wrong_use_is_refused() -> None:
    frames = random_frames(1, 2, (16, 16, 3))
    setting = setting_for(frames[0])
    for options in ({"seam": -1}, {"screening": -1}, {"sweeps": -1}, {"cell_px": 3}, {"memory_mb": 0}):
        with pytest.raises(ValueError):
            Labels(setting, **options)
    method = Labels(setting)
    with pytest.raises(ValueError, match="no frame"):
        method.finish()
    with pytest.raises(ValueError, match="first pass had no frame"):
        method.add(AlignedFrame(0, frames[0]), 1)
    method.add(AlignedFrame(3, frames[0]))
    with pytest.raises(ValueError, match="comes after"):
        method.add(AlignedFrame(3, frames[1]))
    with pytest.raises(ValueError, match="this stack has frames"):
        method.add(AlignedFrame(4, frames[1][:8]))
    with pytest.raises(ValueError, match="not in the first pass"):
        method.add(AlignedFrame(4, frames[1]), 1)
    with pytest.raises(ValueError, match="first pass is over"):
        method.add(AlignedFrame(5, frames[1]))
    method.close()
    method.close()


def test_without_its_libraries_it_says_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ortools.graph.python.max_flow", None)
    with pytest.raises(MissingSolver, match=r"pip install rigd\[labels\]"):
        Labels(Setting(8, 8))
