"""Whole stacks with known motion: how exactly it is found, that errors do not add up, and what a bad frame does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stackcore.registration import Registrar
from stackcore.registration.warping import softened, warp
from tests.unit._moving import (
    COUNT,
    MARGIN,
    SHAPE,
    corners_px,
    homogeneous,
    moved,
    moving_stack,
    scene_frames,
    similarity,
)
from tests.unit._scenes import photograph, texture

SEED = 3


@pytest.fixture(scope="module")
def stack():
    return moving_stack(seed=SEED)


@pytest.fixture(scope="module")
def found(stack):
    registrar = Registrar()
    return [registrar.add(frame, index) for index, frame in enumerate(stack.frames)]


def test_scale_and_corners_of_every_frame_against_the_reference(stack, found):
    assert all(one.found for one in found)
    for one, true in zip(found, stack.matrices, strict=True):
        zoom = np.hypot(*one.matrix[:, 0]) / np.hypot(*true[:2, 0])
        assert abs(zoom - 1) < 1e-4
        assert corners_px(one.matrix, true, SHAPE) < 0.1


def test_corners_of_every_frame_against_its_neighbour(stack, found):
    for k in range(1, COUNT):
        step = homogeneous(found[k].matrix) @ np.linalg.inv(homogeneous(found[k - 1].matrix))
        true = stack.matrices[k] @ np.linalg.inv(stack.matrices[k - 1])
        assert corners_px(step, true, SHAPE) < 0.06
        assert found[k].error_px < 0.15


@pytest.mark.parametrize("width", [160, 96, 64])
def test_frames_of_the_size_of_a_thumbnail_are_registered_and_a_strange_one_is_not(width):
    height = width * 3 // 4
    rng = np.random.default_rng(SEED)
    coarse = rng.integers(30, 226, (height // 3, width // 3, 3)).astype(np.float32)
    scene = cv2.resize(coarse, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    registrar = Registrar()
    for k in range(5):
        zoom = similarity((2 * height, 2 * width), 1 + 0.01 * k)[:2]
        picture = cv2.warpAffine(scene, zoom, (2 * width, 2 * height))
        light = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        found = registrar.add(photograph(rng, light), k)
        assert found.found, found.reason
        assert found.matrix[0, 0] == pytest.approx(1 + 0.01 * k, abs=0.006)
    strange = rng.integers(0, 256, (height, width, 3), np.uint8)
    assert not registrar.add(strange, 5).found


@pytest.mark.parametrize("seed", [1, 2])
def test_gains_of_small_frames_with_large_things_in_them_do_not_drift(seed):
    """512 x 384 px, things as large as 90 px at twice that: a few blocks tell nothing steady."""
    rng = np.random.default_rng(seed)
    scene = np.full((768, 1024, 3), (30, 70, 50), np.float32)
    for _ in range(150):
        x, y, width, height = (int(v) for v in rng.integers((0, 0, 10, 10), (1024, 768, 90, 90)))
        colour = [float(v) for v in rng.integers(20, 235, 3)]
        cv2.rectangle(scene, (x, y), (x + width, y + height), colour, -1)
    scene = cv2.GaussianBlur(scene, (0, 0), 1) + rng.normal(0, 4, scene.shape).astype(np.float32)
    registrar = Registrar()
    worst = 0.0
    for k in range(10):
        scale = (1 + 0.018 * k) / 2
        zoom = np.array([[scale, 0, 256 - scale * 512], [0, scale, 192 - scale * 384]])
        sharp = cv2.warpAffine(scene, zoom, (512, 384), flags=cv2.INTER_AREA)
        true = np.ones(3) if k == 0 else 1 + rng.uniform(-0.03, 0.03, 3)
        light = cv2.GaussianBlur(sharp, (0, 0), 0.4 + abs(k - 5)) / true + rng.normal(0, 1, sharp.shape)
        found = registrar.add(np.clip(np.rint(light), 0, 255).astype(np.uint8), k)
        worst = max(worst, float(np.abs(found.gain / true - 1).max()))
    assert worst < 0.01


def test_gains_of_three_percent_flicker_are_found_to_half_a_percent(stack, found):
    gains = np.array([one.gain for one in found])
    assert np.ptp(stack.gains) > 0.03
    assert np.abs(gains / stack.gains - 1).max() < 0.005


def test_a_bad_frame_is_named_and_does_not_spoil_the_next(stack, found):
    rng = np.random.default_rng(0)
    streak = np.zeros((31, 31), np.float32)
    streak[15] = 1 / 31
    bad = {
        4: (np.zeros_like(stack.frames[4]), "blank"),
        6: (cv2.filter2D(stack.frames[6], -1, streak), "blurred in one direction"),
        8: (np.full_like(stack.frames[8], 255), "overexposed"),
        10: (photograph(rng, texture(rng, *SHAPE)), "nothing in common"),
    }
    registrar = Registrar()
    for index, frame in enumerate(stack.frames):
        one = registrar.add(bad[index][0] if index in bad else frame, index)
        assert one.found == (index not in bad)
        if index in bad:
            assert bad[index][1] in one.reason
            assert corners_px(one.matrix, stack.matrices[index], SHAPE) < 8
        else:
            assert corners_px(one.matrix, stack.matrices[index], SHAPE) < 0.2


def test_a_blank_first_frame_is_not_the_reference(stack):
    registrar = Registrar()
    assert not registrar.add(np.full_like(stack.frames[0], 3), 0).found
    second = registrar.add(stack.frames[0], 1)
    assert second.found
    np.testing.assert_array_equal(second.matrix, np.eye(3)[:2])


def test_another_reference_than_the_first_frame(stack):
    registrar = Registrar()
    middle = COUNT // 2
    registrar.start(stack.frames[middle], middle)
    back = np.linalg.inv(stack.matrices[middle])
    first = registrar.add(stack.frames[0], 0)
    assert first.found
    assert corners_px(first.matrix, back, SHAPE) < 0.4
    second = registrar.add(stack.frames[1], 1)
    assert corners_px(second.matrix, stack.matrices[1] @ back, SHAPE) < 0.4
    with pytest.raises(ValueError, match="before all frames"):
        registrar.start(stack.frames[3], 3)
    with pytest.raises(ValueError, match="cannot be the reference"):
        Registrar().start(np.zeros_like(stack.frames[0]), 0)


@pytest.mark.parametrize("noise", [0.0, 5.0], ids=["clean", "noisy"])
def test_an_aligned_stack_is_left_exactly_as_it_is(noise):
    rng = np.random.default_rng(1)
    registrar = Registrar()
    for index, larger in enumerate(scene_frames(SEED)):
        frame = larger[MARGIN:-MARGIN, MARGIN:-MARGIN]
        noisy = np.clip(np.rint(0.9 * frame + noise * rng.standard_normal(frame.shape)), 0, 255).astype(
            np.uint8
        )
        one = registrar.add(noisy, index)
        assert one.found
        np.testing.assert_array_equal(one.matrix, np.eye(3)[:2])


def test_a_knock_in_the_middle_of_an_aligned_stack_is_seen():
    rng = np.random.default_rng(4)
    knocked = similarity(SHAPE, 1.0, 0.0, (0.4, -0.3))
    registrar = Registrar()
    for index, frame in enumerate(scene_frames(SEED)):
        true = knocked if index >= 6 else np.eye(3)
        one = registrar.add(photograph(rng, 0.9 * moved(frame, true, MARGIN)), index)
        assert corners_px(one.matrix, true, SHAPE) < (0.12 if index >= 6 else 1e-12)


def test_large_steps_and_drifts_without_a_guess():
    rng = np.random.default_rng(5)
    light = texture(rng, SHAPE[0] + 240, SHAPE[1] + 240)
    true = similarity(SHAPE, 1.06, 0.4, (40.0, -25.0))
    registrar = Registrar()
    registrar.add(photograph(rng, moved(light, np.eye(3), 120)), 0)
    one = registrar.add(photograph(rng, moved(cv2.GaussianBlur(light, (0, 0), 1.5), true, 120)), 1)
    assert one.found
    assert corners_px(one.matrix, true, SHAPE) < 0.1


def test_sixteen_bits_and_gray_give_the_same(stack):
    eight, sixteen, gray = Registrar(), Registrar(), Registrar()
    for index, frame in enumerate(stack.frames[:4]):
        one = eight.add(frame, index)
        other = sixteen.add(frame.astype(np.uint16) * 257, index)
        np.testing.assert_allclose(other.matrix, one.matrix, atol=1e-4)
        np.testing.assert_allclose(other.gain, one.gain, atol=1e-4)
        plain = gray.add(np.ascontiguousarray(frame[..., 1]), index)
        assert corners_px(plain.matrix, one.matrix, SHAPE) < 0.1


def test_frames_that_do_not_belong_are_refused(stack):
    registrar = Registrar()
    registrar.add(stack.frames[0], 0)
    with pytest.raises(ValueError, match="got a frame of"):
        registrar.add(stack.frames[1][:-1], 1)
    with pytest.raises(ValueError, match="came twice"):
        registrar.add(stack.frames[1], 0)
    with pytest.raises(ValueError, match="uint8 or uint16"):
        Registrar().add(stack.frames[0].astype(np.float32), 0)
    with pytest.raises(ValueError, match="too small"):
        Registrar().add(np.zeros((6, 90), np.uint8), 0)


def test_warp_brings_a_frame_back():
    rng = np.random.default_rng(4)
    light = cv2.GaussianBlur(texture(rng, 500, 600), (0, 0), 1.5)
    matrix = similarity((300, 400), 1.03, 0.5, (4.0, -3.0))
    reference, seen = moved(light, np.eye(3), 100), moved(light, matrix, 100)
    back = warp(seen.astype(np.uint8), matrix[:2])
    inner = (slice(20, -20), slice(20, -20))
    assert np.abs(back.astype(float) - reference)[inner].mean() < 1.5
    assert np.abs(seen - reference)[inner].mean() > 5
    same = seen.astype(np.uint8)
    assert warp(same, np.eye(3)[:2]) is same


def test_where_a_frame_does_not_reach_the_other_picture_is_seen():
    rng = np.random.default_rng(5)
    image, other = (rng.integers(0, 256, (300, 400, 3), dtype=np.uint8) for _ in range(2))
    shifted = warp(image, np.array([[1.0, 0, 50], [0, 1, 0]]), beyond=other)
    np.testing.assert_array_equal(shifted[:, : 400 - 52], image[:, 50:-2])
    np.testing.assert_array_equal(shifted[:, 400 - 48 :], other[:, 400 - 48 :])
    assert softened(other).std() < 0.3 * other.std()
