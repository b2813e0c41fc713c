"""The streaming merge against its slow twin, its edges, its memory, and the picture it makes of an occlusion scene."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackcore.merge import MAX_RADIUS, StackMerger, warm_up
from stackcore.scores import LUMA_BINS, energy_of, luma_bin_of
from tests import naive
from tests.unit._scenes import Scene, occlusion_scene, psnr_db


def merged_by(frames: list[np.ndarray], **options: object) -> dict[str, np.ndarray]:
    height, width = frames[0].shape[:2]
    with StackMerger(height, width, channels=1 if frames[0].ndim == 2 else 3, **options) as merger:
        for index, frame in enumerate(frames):
            merger.add(frame, index)
        merged = merger.merged()
        return {
            name: getattr(merged, name).copy() for name in ("picture", "frame", "best", "before", "after")
        }


def random_stack(seed: int, shape: tuple[int, ...], count: int) -> list[np.ndarray]:
    """Noise of changing strength, with flat parts and one frame that comes twice: ties and zeros are in it."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(count):
        spread = int(rng.integers(1, 129))
        frame = rng.integers(128 - spread, 127 + spread, shape, dtype=np.uint8)
        frame[: int(rng.integers(0, shape[0] + 1))] = rng.integers(0, 256)
        frames.append(frame)
    return [*frames, frames[count // 2].copy()]


def assert_equal_to_twin(frames: list[np.ndarray], radius: int, **options: object) -> None:
    expected = naive.merge(frames, radius)
    for name, array in merged_by(frames, radius=radius, **options).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("threads", "bands"), [(1, None), (2, None), (1, 3), (2, 5), (3, 3)])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (4, 4), (37, 53), (131, 300)])
def test_equal_to_the_slow_twin_bit_for_bit(
    size: tuple[int, int], threads: int, bands: int | None, channels: int
) -> None:
    shape = size if channels == 1 else (*size, 3)
    assert_equal_to_twin(random_stack(1, shape, 5), 3, threads=threads, bands=bands)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 40),
    width=st.integers(1, 150),
    channels=st.sampled_from([1, 3]),
    radius=st.integers(1, MAX_RADIUS),
    bands=st.integers(1, 7),
    count=st.integers(1, 6),
)
def test_any_stack_is_equal_to_the_slow_twin(
    seed: int, height: int, width: int, channels: int, radius: int, bands: int, count: int
) -> None:
    shape = (height, width) if channels == 1 else (height, width, 3)
    assert_equal_to_twin(random_stack(seed, shape, count), radius, threads=1, bands=bands)


def test_the_largest_energy_fits() -> None:
    board = (np.indices((24, 24)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert_equal_to_twin([np.zeros_like(board), board], MAX_RADIUS, threads=1)


def test_energies_of_scores() -> None:
    scores = np.arange(0, 63_490, 7, dtype=np.uint16)
    np.testing.assert_allclose(energy_of(scores), naive.decode(scores), rtol=1e-7)


@pytest.mark.parametrize("level", [0, 9, 255])
def test_a_flat_picture_is_its_own_merge(level: int) -> None:
    frames = [np.full((40, 60, 3), level, np.uint8), np.full((40, 60, 3), max(0, level - 5), np.uint8)]
    assert (merged_by(frames)["picture"] == level).all()


def test_gaps_in_the_indices_are_kept() -> None:
    with StackMerger(8, 8, channels=1) as merger:
        for index in (3, 4, 9):
            merger.add(np.zeros((8, 8), np.uint8), index)
        assert merger.merged().indices == (3, 4, 9)
        assert merger.frames == 3


@pytest.mark.parametrize(
    ("frame", "index"),
    [
        (np.ones((8, 9, 3), np.uint8), 7),
        (np.ones((8, 8), np.uint8), 7),
        (np.ones((8, 8, 3), np.uint16), 7),
        (np.ones((8, 8, 3), np.uint8), 5),
        (np.ones((8, 8, 3), np.uint8), 4),
    ],
    ids=["size", "channels", "depth", "same index", "earlier index"],
)
def test_a_wrong_frame_is_refused_and_changes_nothing(frame: np.ndarray, index: int) -> None:
    rng = np.random.default_rng(3)
    with StackMerger(8, 8) as merger:
        merger.add(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), 5)
        before = merger.merged()
        kept = (before.picture.copy(), before.best.copy(), before.indices)
        with pytest.raises(ValueError):
            merger.add(frame, index)
        after = merger.merged()
        np.testing.assert_array_equal(after.picture, kept[0])
        np.testing.assert_array_equal(after.best, kept[1])
        assert after.indices == kept[2]


@pytest.mark.parametrize("options", [{"radius": 0}, {"radius": 6}, {"threads": 0}, {"channels": 2}])
def test_wrong_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        StackMerger(8, 8, **options)
    with pytest.raises(ValueError):
        StackMerger(0, 8)
    with pytest.raises(ValueError):
        StackMerger(8, 8).merged()


def test_frames_are_only_read_and_need_not_be_contiguous() -> None:
    wide = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    wide.setflags(write=False)
    cut = wide[:, 5:25]
    np.testing.assert_array_equal(
        merged_by([cut, wide[:, :20]])["best"], naive.merge([cut, wide[:, :20]], 3)["best"]
    )


def test_state_is_13_bytes_a_pixel() -> None:
    with StackMerger(1000, 1000) as merger:
        assert merger.state_bytes < 13.5e6


def test_closing_twice_is_fine_and_the_result_stays() -> None:
    merger = StackMerger(200, 200)
    merger.add(np.full((200, 200, 3), 7, np.uint8), 0)
    merger.close()
    merger.close()
    assert (merger.picture == 7).all()


def test_luma_bins_cover_black_to_white() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    gray, colour = luma_bin_of(ramp), luma_bin_of(np.repeat(ramp[..., None], 3, axis=2))
    np.testing.assert_array_equal(gray, colour)
    assert (gray[0, 0], gray[0, -1]) == (0, LUMA_BINS - 1)


def test_warm_up_runs() -> None:
    warm_up()


def test_the_package_itself_loads_neither_numba_nor_opencv() -> None:
    code = "import sys, stackcore; sys.exit(any(name in sys.modules for name in ('numba', 'cv2', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The kernel's ru_maxrss would not do: a child begins with its parent's.
MEMORY = """
import sys
import numpy as np
from stackcore.merge import StackMerger
rng = np.random.default_rng(0)
frames = [rng.integers(0, 256, (480, 640, 3), dtype=np.uint8) for _ in range(4)]
with StackMerger(480, 640) as merger:
    for index in range(int(sys.argv[1])):
        merger.add(frames[index % 4], index)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_frames() -> None:
    peaks_kib = [
        int(
            subprocess.run(
                [sys.executable, "-c", MEMORY, str(n)], check=True, capture_output=True, text=True
            ).stdout
        )
        for n in (20, 400)
    ]
    assert peaks_kib[1] - peaks_kib[0] < 10 * 1024


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Blur and number of shapes were chosen so that picking with the true depth gives what it gave on the scenes that the
    focus measures were compared on: 31.3 dB there, 32.2 dB here."""
    return occlusion_scene(240, 320, 24, seed=1, blur_px_per_frame=0.8)


def test_an_occlusion_scene_comes_out_sharp(scene: Scene) -> None:
    truly = np.clip(np.rint(scene.depth), 0, len(scene.frames) - 1).astype(int)
    rows, columns = np.indices(truly.shape)
    with_true_depth = psnr_db(np.stack(scene.frames)[truly, rows, columns], scene.truth)
    assert 31.0 < with_true_depth < 33.0, "the scene is as hard as it says"
    picture = psnr_db(merged_by(scene.frames)["picture"], scene.truth)
    assert picture >= 31.0
    assert psnr_db(naive.unsquared(scene.frames, 3), scene.truth) <= picture - 4.0
