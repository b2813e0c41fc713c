"""`pyramid` against its slow twin, for every kind of frame; moved frames, noise, colour, occlusion, threads and tiles."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from stackcore import _pyramid_levels, _pyramid_turn
from stackcore._pyramid_sampling import read_tile, sample_tile
from stackcore.aligned import AlignedFrame
from stackcore.methods import Setting
from stackcore.methods.pyramid import Pyramid
from tests import naive_pyramid
from tests.unit._methods import aligned, fused, moved, setting_for, textured_stack
from tests.unit._scenes import occlusion_scene, psnr_db, tilted_plane

KINDS = list(itertools.product([(75, 150), (131, 94, 3), (64, 200, 3)], [np.uint8, np.uint16]))


@pytest.fixture(scope="module")
def plane():
    return tilted_plane(200, 260, 8, seed=3, blur_px_per_frame=0.9)


def fuse(frames, threads=1, **options):
    return fused(Pyramid(setting_for(frames[0].pixels, threads), **options), frames).picture


@pytest.mark.parametrize(("shape", "dtype"), KINDS)
def test_equals_its_slow_twin(shape, dtype):
    frames = textured_stack(1, shape, 7, dtype)
    twin = naive_pyramid.NaivePyramid(3, np.iinfo(dtype).max)
    for frame in frames:
        twin.add(frame)
    picture = fuse(aligned(frames), levels=3)
    assert picture.dtype == dtype
    assert picture.shape == frames[0].shape
    level = np.iinfo(dtype).max / 255
    error = np.abs(picture.astype(float) - twin.picture()) / level
    # Half of a level of 8 bits is rounding; the twin's percentiles are exact, those of the histogram are not.
    assert error.max() < (0.8 if dtype == np.uint8 else 0.15)
    assert error.mean() < (0.28 if dtype == np.uint8 else 0.02)


def test_blocks_where_nothing_got_sharper_are_left_alone():
    rng = np.random.default_rng(0)
    sharp = cv2.GaussianBlur(rng.standard_normal((128, 128)), (0, 0), 0.8) * 100 + 128
    stack = [np.clip(cv2.GaussianBlur(sharp, (0, 0), 2), 0, 255).astype(np.uint8)] * 5
    late = np.clip(cv2.GaussianBlur(sharp, (0, 0), 6), 0, 255).astype(np.uint8)
    late[:64, 64:] = np.clip(sharp[:64, 64:], 0, 255)
    looked_at = []
    method = Pyramid(setting_for(late))
    for index, frame in enumerate([*stack, late]):
        turn = _pyramid_turn.Turn(method._room, AlignedFrame(index, frame), index, method._bands)
        finest = turn._take_finest
        turn._take_finest = lambda calls, finest=finest: (looked_at.append(calls.copy()), finest(calls))
        turn.take()
        method._frames += 1
    picture = method.finish().picture
    method.close()
    assert (looked_at[3] == 1).all(), "the first frames are merged everywhere"
    assert looked_at[-1][0, 1] == 1
    assert looked_at[-1][1, 0] == 0
    inner = (slice(8, 56), slice(72, 120))
    assert np.abs(picture[inner].astype(float) - late[inner]).mean() < 3


@pytest.mark.parametrize("threads", [2, 3])
def test_the_same_for_any_number_of_threads(threads):
    frames = [
        moved(frame, k, (0.3 * k, -0.6 * k)) for k, frame in enumerate(textured_stack(5, (150, 203, 3), 6))
    ]
    assert (fuse(frames, threads) == fuse(frames, 1)).all()


@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (128, 192)])
def test_the_same_for_any_tiles(monkeypatch, rows, columns):
    matrix = np.array([[1.01, 0.002, -1.3], [-0.002, 1.01, 0.7]])
    stack = textured_stack(6, (200, 330, 3), 6)
    frames = [AlignedFrame(k, frame, matrix if k else np.eye(3)[:2]) for k, frame in enumerate(stack)]
    wanted = fuse(frames)
    for module in (_pyramid_levels, _pyramid_turn):
        monkeypatch.setattr(module, "TILE_COLUMNS", columns)
    monkeypatch.setattr(_pyramid_turn, "TILE_ROWS", rows)
    assert (fuse(frames) == wanted).all()


@pytest.mark.parametrize("shape", [(61, 47), (61, 47, 3), (1, 1, 3), (1, 9), (2, 3, 3), (7, 5), (8, 300, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_stack_of_one_is_that_frame(shape, dtype):
    frame = np.random.default_rng(2).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    picture = fuse(aligned([frame]))
    worst = 0 if dtype == np.uint8 else 6
    assert np.abs(picture.astype(int) - frame).max() <= worst, "16 bits are kept to a part in 32768"


@pytest.mark.parametrize("shape", [(1, 1), (1, 40, 3), (3, 2, 3), (9, 9), (17, 12, 3)])
def test_small_frames_are_fused(shape):
    frames = [np.full(shape, 100, np.uint8), np.full(shape, 102, np.uint8)]
    assert (np.abs(fuse(aligned(frames)).astype(int) - 101) <= 1).all()


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_flat_stack_stays_flat(level):
    flat = np.full((70, 90, 3), level, np.uint8)
    assert (fuse(aligned([flat] * 5)) == level).all()


def test_where_nothing_stands_above_noise_frames_are_averaged():
    rng = np.random.default_rng(7)
    sigma, count = 8.0, 12
    frames = [
        np.clip(np.rint(110 + sigma * rng.standard_normal((160, 200, 3))), 0, 255) for _ in range(count)
    ]
    plain = fuse(aligned([frame.astype(np.uint8) for frame in frames]), coring=0)
    cored = fuse(aligned([frame.astype(np.uint8) for frame in frames]), coring=1)
    assert plain.std() < 2 * sigma / np.sqrt(count)
    assert cored.std() < 0.5 * sigma / np.sqrt(count)
    assert abs(cored.mean() - 110) < 0.3


def test_colour_without_luma_contrast_is_sharp():
    """Red stripes on a green ground of the same luma."""
    ground, stripe = np.array([10.0, 100, 40]), np.array([200.0, 2.6, 40])
    columns = (np.arange(120) // 3 % 2)[None, :, None]
    sharp = np.broadcast_to(np.where(columns == 1, stripe, ground), (90, 120, 3)).astype(np.float32)
    assert np.ptp(sharp @ np.array([77, 150, 29]) / 256) < 0.2
    blurred = cv2.GaussianBlur(sharp, (0, 0), 3)
    stack = [np.rint(frame).astype(np.uint8) for frame in (blurred, sharp, blurred)]
    assert np.abs(fuse(aligned(stack)).astype(int) - stack[1]).mean() < 2


def test_what_bright_things_spread_over_dark_ones_is_not_taken_for_detail():
    """A bright disc is in focus first; its blur then lies over faint texture that is in focus last."""
    rng = np.random.default_rng(4)
    texture = 30 + 6 * cv2.GaussianBlur(rng.standard_normal((160, 160)), (0, 0), 0.8) * 3
    disc = np.hypot(*np.mgrid[-80:80, -80:80]) < 24
    bright = 40 * rng.standard_normal((160, 160)) + 190
    near = np.where(disc, bright, cv2.GaussianBlur(texture, (0, 0), 4))
    cover = cv2.GaussianBlur(disc.astype(float), (0, 0), 4)
    far = cv2.GaussianBlur(np.where(disc, bright, 0.0), (0, 0), 4) + (1 - cover) * texture
    frames = [np.clip(np.rint(frame), 0, 255).astype(np.uint8) for frame in (near, far)]
    ring = (np.hypot(*np.mgrid[-80:80, -80:80]) > 36) & (np.hypot(*np.mgrid[-80:80, -80:80]) < 60)
    error = np.abs(fuse(aligned(frames)).astype(float) - texture)[ring]
    assert error.mean() < 2.0


def test_occlusion_scenes_come_out_well():
    """As many shapes and as much blur as make picking by focus alone reach some 31 dB at 1014 x 760 px."""
    scene = occlusion_scene(380, 507, 24, seed=1, blur_px_per_frame=1.4, shapes=4)
    assert psnr_db(fuse(aligned(scene.frames)), scene.truth) >= 32.2


def test_a_tilted_plane_is_sharp_everywhere(plane):
    assert psnr_db(fuse(aligned(plane.frames)), plane.truth) >= 42.0


def test_moved_and_darker_frames_are_put_in_their_place(plane):
    scale = 1.012
    matrix = np.array([[scale, 0.001, -2.4], [-0.001, scale, 1.6]])
    there = cv2.invertAffineTransform(matrix)
    frames = [AlignedFrame(0, plane.frames[0])]
    for k, frame in enumerate(plane.frames[1:], 1):
        seen = cv2.warpAffine(
            frame,
            there,
            frame.shape[1::-1],
            flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )
        darker = np.clip(np.rint(seen * 0.9), 0, 255).astype(np.uint8)
        frames.append(AlignedFrame(k, darker, matrix, np.full(3, 1 / 0.9, np.float32)))
    assert psnr_db(fuse(frames), plane.truth, border=16) >= 33.5


def test_what_a_frame_does_not_show_comes_from_others():
    texture = textured_stack(8, (120, 160, 3), 1)[0]
    blurred = cv2.GaussianBlur(texture, (0, 0), 4)
    away = moved(np.roll(texture, 60, axis=1), 1, (60.0, 0.0))
    picture = fuse([AlignedFrame(0, blurred), away])
    assert np.abs(picture[:, 10:80].astype(int) - texture[:, 10:80]).mean() < 2.5, "shown by both"
    assert np.abs(picture[:, 130:].astype(int) - blurred[:, 130:]).mean() < 2.5, "not shown by the sharp one"
    only = fuse([moved(texture, 0, (100.0, 0.0)), AlignedFrame(1, texture)])
    assert np.abs(only[:, 100:].astype(int) - texture[:, 100:]).mean() < 4, "not shown by the first one"


def test_sixteen_bits_come_out_as_eight():
    frames = textured_stack(9, (90, 130, 3), 6)
    eight = fuse(aligned(frames))
    sixteen = fuse(aligned([frame.astype(np.uint16) * 257 for frame in frames]))
    assert np.abs(sixteen / 257 - eight).mean() < 0.4


def test_a_preview_shows_what_is_there_and_changes_nothing():
    frames = aligned(textured_stack(10, (80, 120, 3), 5))
    method = Pyramid(setting_for(frames[0].pixels))
    assert method.preview() is None
    for frame in frames:
        method.add(frame)
        shown = method.preview()
    assert (shown == method.finish().picture).all()
    method.close()
    assert (fuse(frames) == shown).all()


def test_what_cannot_be_is_refused_and_changes_nothing():
    setting = Setting(40, 50, 3, np.uint8, 1)
    for options in ({"levels": 0}, {"levels": 11}, {"coring": -1.0}, {"coring": 5.0}):
        with pytest.raises(ValueError):
            Pyramid(setting, **options)
    method = Pyramid(setting)
    with pytest.raises(ValueError, match="no frame"):
        method.finish()
    frame = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    method.add(AlignedFrame(3, frame))
    for wrong in (
        AlignedFrame(3, frame),
        AlignedFrame(4, frame[:30]),
        AlignedFrame(4, frame.astype(np.uint16)),
    ):
        with pytest.raises(ValueError):
            method.add(wrong)
    result = method.finish()
    assert result.depth is None
    assert (result.picture == frame).all()
    method.close()
    method.close()


def test_the_state_is_bounded():
    room = _pyramid_turn.Room.made(Setting(304, 406, 3), 6)
    arrays = [room.base, room.base_weight, *room.planes]
    for level in room.levels:
        arrays += [level._kept, level._top, level._weight]
    assert sum(array.nbytes for array in arrays) <= 17.5 * 304 * 406


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("scale", [1.0, 1.004, 0.93])
def test_sampling_equals_cubic_convolution(scale, dtype):
    rng = np.random.default_rng(3)
    frame = rng.integers(0, np.iinfo(dtype).max + 1, (70, 90, 3)).astype(dtype)
    matrix = np.array([[scale, 0, 1.3], [0, scale, -2.6]])
    gain = np.array([1, 0.5, 2], np.float32)
    out = np.empty((3, 66, 85), np.float32)
    sample_tile[dtype](frame.reshape(70, -1), matrix, gain, 2, 3, out)
    rows = naive_pyramid.keys(frame, scale * np.arange(3, 88) + 1.3, axis=1)
    wanted = naive_pyramid.keys(rows, scale * np.arange(2, 68) - 2.6, axis=0) * gain
    assert np.allclose(out.transpose(1, 2, 0), wanted, rtol=1e-4, atol=np.iinfo(dtype).max * 2e-6)


def test_sampling_follows_a_rotation():
    columns, rows = np.meshgrid(np.arange(200.0), np.arange(150.0))
    smooth = 128 + 60 * np.sin(columns / 9 + 0.3) * np.cos(rows / 11)
    angle = 0.03
    matrix = np.array([[np.cos(angle), -np.sin(angle), 6.0], [np.sin(angle), np.cos(angle), -1.0]])
    out = np.empty((1, 100, 150), np.float32)
    frame = np.rint(smooth * 256).astype(np.uint16)
    sample_tile[np.uint16](frame, matrix, np.ones(1, np.float32), 20, 20, out)
    at = matrix @ np.stack([*(plane[20:120, 20:170].ravel() for plane in (columns, rows)), np.ones(15000)])
    wanted = 128 + 60 * np.sin(at[0] / 9 + 0.3) * np.cos(at[1] / 11)
    assert np.abs(out.ravel() / 256 - wanted).max() < 0.05


def test_reading_equals_the_frame():
    frame = np.random.default_rng(3).integers(0, 256, (20, 33, 3)).astype(np.uint8)
    out = np.empty((3, 7, 12), np.float32)
    read_tile[np.uint8](frame.reshape(20, -1), np.array([1, 2, 0.5], np.float32), 5, 21, out)
    assert (out.transpose(1, 2, 0) == frame[5:12, 21:33] * np.array([1, 2, 0.5], np.float32)).all()
