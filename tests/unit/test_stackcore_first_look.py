"""The first look at a stack in means of a few pixels: files, registration, the method, and that the result is the same."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest

from stackcore import pipeline
from stackcore.aligned import AlignedFrame, in_cells, reduced_matrix
from stackcore.files import Arrays, Frame, Unreadable, ahead, decode_frame, open_source
from stackcore.imageio import encode_jpeg, jpeg_size
from stackcore.methods import Setting
from stackcore.methods._focus_levels import SMALL_PX, cell_px
from stackcore.methods._rows import Bands
from stackcore.methods._view import View
from stackcore.methods.argmax import Argmax
from stackcore.methods.unveil import Unveil
from stackcore.outcome import FuseOptions
from stackcore.registration import Registrar
from stackcore.registration.warping import warp
from tests.unit._camera_files import jpeg, picture
from tests.unit._methods import textured_stack
from tests.unit._moving import COUNT, SHAPE, corners_px, moving_stack, similarity
from tests.unit._scenes import psnr_db, texture


def halves(height: int, width: int) -> int:
    return 2 if height * width > 100 else 1


@pytest.mark.parametrize("shape", [(48, 64, 3), (47, 63, 3), (31, 40)])
def test_a_jpeg_comes_small_as_any_other_format_does(shape):
    from PIL import Image

    pixels = picture(*shape[:2], gray=len(shape) == 2)
    small = decode_frame(jpeg(pixels), "a.jpg", cells=halves)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    other = decode_frame(file.getvalue(), "a.png", cells=halves)
    for frame in (small, other):
        assert (frame.cell, frame.size) == (2, shape[:2])
        assert frame.shape == shape
        assert frame.pixels.shape == (shape[0] // 2, shape[1] // 2, *shape[2:])
        assert frame.pixels.flags.c_contiguous
    assert (other.pixels == in_cells(pixels, 2)).all()
    # The picture's blocks are those of the cosine transform, of which half a size is the mean.
    assert np.abs(small.pixels.astype(int) - other.pixels).mean() < 3
    assert small.metadata.exif == decode_frame(jpeg(pixels), "a.jpg").metadata.exif


def test_whole_frames_stay_whole():
    pixels = picture(8, 12)
    frame = decode_frame(encode_jpeg(pixels), "a.jpg", cells=halves)
    assert (frame.cell, frame.size, frame.shape) == (1, None, (8, 12, 3))
    assert jpeg_size(encode_jpeg(pixels)) == (8, 12)
    with pytest.raises(ValueError, match="cut short"):
        jpeg_size(encode_jpeg(pixels)[:-30])


def test_decoding_ahead_makes_all_kinds_of_sources_small():
    pixels = [picture(20, 30, seed=k) for k in range(3)]
    with ahead(Arrays(pixels), threads=2, depth=2, cells=halves) as frames:
        found = list(frames)
    for frame, whole in zip(found, pixels, strict=True):
        assert isinstance(frame, Frame)
        assert frame.shape == whole.shape
        assert (frame.pixels == in_cells(whole, 2)).all()


def test_a_broken_file_is_told_in_the_same_words(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(picture())[:900])
    (tmp_path / "b.jpg").write_bytes(jpeg(picture()))
    reasons = []
    for cells in (None, halves):
        with ahead(open_source([path, tmp_path / "b.jpg"]), cells=cells) as frames:
            broken = next(frames)
            assert isinstance(broken, Unreadable)
            reasons.append(broken.reason)
    assert reasons[0] == reasons[1]


@pytest.mark.parametrize("seed", [1, 2])
def test_motion_is_found_in_means_of_pixels(seed):
    """To 0.15 px of the small frame; frames that are worth the halving have ten times as many pixels as these."""
    stack = moving_stack(seed=seed)
    registrar = Registrar()
    for index in range(COUNT):
        found = registrar.add(in_cells(stack.frames[index], 2), index, cell=2)
        true = stack.matrices[index]
        assert found.found
        assert corners_px(found.matrix, true, SHAPE) < 0.3
        assert abs(np.hypot(*found.matrix[:, 0]) / np.hypot(*true[:2, 0]) - 1) < 3e-4
        assert np.abs(found.gain / stack.gains[index] - 1).max() < 0.005


def large_stack(count: int = 5) -> list[np.ndarray]:
    """1.2 megapixels in colour: what is sharp wanders from left to right, and the camera with it."""
    rng = np.random.default_rng(4)
    scene = texture(rng, 960, 1280).astype(np.float32)
    frames = []
    for k in range(count):
        soft = cv2.GaussianBlur(scene, (0, 0), 2.5)
        near = np.exp(-0.5 * ((np.linspace(0, count - 1, 1280) - k) / 0.6) ** 2)[None, :, None]
        seen = (soft + near * (scene - soft)).astype(np.float32)
        seen = warp(seen, similarity((960, 1280), 1 + 0.002 * k, 0.02 * k, (0.7 * k, -0.4 * k))[:2])
        frames.append(np.clip(np.rint(seen + rng.normal(0, 1, seen.shape)), 0, 255).astype(np.uint8))
    return frames


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("large")
    paths = [folder / f"{k}.jpg" for k in range(5)]
    for path, frame in zip(paths, large_stack(), strict=True):
        path.write_bytes(encode_jpeg(frame, quality=97))
    return paths


def test_the_picture_is_the_same_as_from_whole_frames(paths, monkeypatch):
    assert cell_px(960, 1280) == 2
    small = pipeline.fuse(open_source(paths), FuseOptions())
    monkeypatch.setattr(Unveil, "first_look", None)
    whole = pipeline.fuse(open_source(paths), FuseOptions())
    for one, other in zip(small.frames, whole.frames, strict=True):
        assert corners_px(one.matrix, other.matrix, (960, 1280)) < 0.1
    assert psnr_db(small.picture, whole.picture) > 40
    assert small.depth is not None
    assert whole.depth is not None
    both = np.isfinite(small.depth.frame_index) & np.isfinite(whole.depth.frame_index)
    assert both.mean() > 0.5
    apart = np.abs(small.depth.frame_index - whole.depth.frame_index)[both]
    assert np.median(apart) < 0.05


def test_only_methods_that_ask_for_it_see_small_frames_and_a_preview_sees_whole_ones(paths, monkeypatch):
    seen: list[tuple[int, int]] = []

    def spy(method):
        add = method.add

        def spied(self, frame, pass_number=0):
            seen.append((pass_number, frame.cell))
            add(self, frame, pass_number)

        monkeypatch.setattr(method, "add", spied)

    spy(Unveil)
    spy(Argmax)
    pipeline.fuse(open_source(paths), FuseOptions())
    assert seen == [(0, 2)] * 5 + [(1, 1)] * 5
    seen.clear()
    pipeline.fuse(open_source(paths), FuseOptions(), preview=lambda picture: None)
    assert seen == [(0, 1)] * 5 + [(1, 1)] * 5
    seen.clear()
    pipeline.fuse(open_source(paths), FuseOptions(method="argmax"))
    assert {cell for _, cell in seen} == {1}


def test_a_method_refuses_means_that_it_did_not_ask_for():
    small = AlignedFrame(0, np.zeros((30, 40, 3), np.uint8), cell=2, size=(60, 80))
    method = Argmax(Setting(60, 80))
    with pytest.raises(ValueError, match="60 x 80"):
        method.add(small)
    method.close()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("moves", [False, True])
def test_a_view_is_made_of_the_frames_that_are_wanted(channels, moves):
    shape = (1011, 1003) if channels == 1 else (1011, 1003, 3)
    assert np.prod(shape[:2]) > SMALL_PX
    frames = textured_stack(1, shape, 3)
    rng = np.random.default_rng(2)
    cells = (505, 501)
    place = rng.integers(-1, 3, (16, 16)).repeat(32, 0).repeat(32, 1)[: cells[0], : cells[1]].astype(np.int16)
    bands = Bands(2)
    view = View(place, Setting(*shape[:2], channels=channels), bands)
    expected = np.zeros_like(view.picture, np.float32)
    for k, pixels in enumerate(frames):
        matrix = similarity(shape[:2], 1 + 0.01 * k * moves, 0.5 * k * moves, (3.3 * k * moves, 0))[:2]
        gain = np.full(3, 1 + 0.1 * k, np.float32)
        frame = AlignedFrame(k, pixels, matrix, gain)
        view.add(frame, k)
        small = in_cells(pixels, 2)
        if frame.moved:
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            small = cv2.warpAffine(
                small, reduced_matrix(matrix, 2), cells[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
            )
        whole = np.clip(small.astype(np.float32) * gain[0], 0, 255)
        expected[place == k] = whole[place == k]
    bands.close()
    assert np.abs(view.picture - expected).max() <= (4 if moves else 1)
    assert np.abs(view.picture - expected).mean() < 0.5
    assert (view.picture[place == -1] == 0).all()
