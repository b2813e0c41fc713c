"""Alignment of frames that breathe, turn and shift."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stackcore.track import Tracker, warp
from tests.unit._scenes import photograph, texture

HEIGHT, WIDTH = 300, 400


def similarity(zoom: float, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    """3 x 3, about the centre of the frame."""
    centre = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    angle = np.radians(degrees)
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.eye(3)
    matrix[:2, :2] = turn
    matrix[:2, 2] = centre - turn @ centre + shift
    return matrix


def seen_through(light: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """What a camera sees whose frame is reached from the scene by `matrix`; the scene is larger than the frame."""
    margin = (light.shape[1] - WIDTH) // 2
    to_scene = np.eye(3)
    to_scene[:2, 2] = margin
    full = to_scene @ np.linalg.inv(matrix)
    return cv2.warpAffine(light, full[:2], (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)


def worst_px(found: np.ndarray, true: np.ndarray) -> float:
    corners = np.array([[0, 0, 1], [WIDTH, 0, 1], [0, HEIGHT, 1], [WIDTH, HEIGHT, 1]], float)
    return float(np.abs(corners @ found.T - corners @ true[:2].T).max())


@pytest.mark.parametrize(
    ("zoom", "degrees", "shift"),
    [(1.018, 0.0, (0.0, 0.0)), (0.985, 0.0, (2.0, -3.0)), (1.002, 0.2, (-6.0, 9.0)), (1.0, 0.0, (0.3, 0.6))],
    ids=["breathing", "breathing and shift", "rotation and shift", "less than a pixel"],
)
def test_a_chain_of_frames(zoom: float, degrees: float, shift: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    light = texture(rng, HEIGHT + 200, WIDTH + 200)
    tracker, true = Tracker(), np.eye(3)
    for index in range(6):
        blurred = cv2.GaussianBlur(light, (0, 0), 0.7 + 0.4 * index)
        tracked = tracker.add(photograph(rng, (0.9 + 0.05 * index) * seen_through(blurred, true)))
        assert tracked.found
        assert worst_px(tracked.matrix, true) < 0.1 * (1 + index)
        true = similarity(zoom, degrees, shift) @ true


def test_large_frames_are_registered_small() -> None:
    rng = np.random.default_rng(1)
    light = texture(rng, HEIGHT + 200, WIDTH + 200)
    tracker, true = Tracker(), similarity(1.015, 0.0, (1.0, 2.0))
    tracker.add(cv2.resize(photograph(rng, seen_through(light, np.eye(3))), None, fx=4, fy=4))
    found = tracker.add(cv2.resize(photograph(rng, seen_through(light, true)), None, fx=4, fy=4)).matrix
    enlarge = np.array([[4, 0, 1.5], [0, 4, 1.5], [0, 0, 1]])
    assert worst_px(found, enlarge @ true @ np.linalg.inv(enlarge)) < 0.6


def test_a_frame_that_cannot_be_found_goes_on_as_before() -> None:
    rng = np.random.default_rng(2)
    light = texture(rng, HEIGHT + 200, WIDTH + 200)
    step = similarity(1.01, 0.0, (1.0, 0.0))
    tracker = Tracker()
    tracker.add(photograph(rng, seen_through(light, np.eye(3))))
    second = tracker.add(photograph(rng, seen_through(light, step)))
    lost = tracker.add(np.full((HEIGHT, WIDTH, 3), 80, np.uint8))
    assert second.found
    assert not lost.found
    assert worst_px(lost.matrix, step @ step) < 0.4
    # The next good frame has only a flat one to be compared with.
    assert not tracker.add(photograph(rng, seen_through(light, step @ step @ step))).found


def test_another_scene_is_not_found() -> None:
    rng = np.random.default_rng(3)
    tracker = Tracker()
    tracker.add(photograph(rng, texture(rng, HEIGHT, WIDTH)))
    assert not tracker.add(photograph(rng, texture(rng, HEIGHT, WIDTH))).found


def test_another_size_is_refused() -> None:
    tracker = Tracker()
    tracker.add(np.zeros((80, 90), np.uint8))
    with pytest.raises(ValueError):
        tracker.add(np.zeros((80, 91), np.uint8))


def test_warp_brings_a_frame_back() -> None:
    rng = np.random.default_rng(4)
    light = cv2.GaussianBlur(texture(rng, HEIGHT + 200, WIDTH + 200), (0, 0), 1.5)
    reference, moved = seen_through(light, np.eye(3)), seen_through(light, similarity(1.03, 0.5, (4.0, -3.0)))
    back = warp(moved.astype(np.uint8), similarity(1.03, 0.5, (4.0, -3.0))[:2])
    inner = (slice(20, -20), slice(20, -20))
    assert np.abs(back.astype(float) - reference)[inner].mean() < 1.5
    assert np.abs(moved - reference)[inner].mean() > 5
    same = moved.astype(np.uint8)
    assert warp(same, np.eye(3)[:2]) is same


def test_where_a_frame_does_not_reach_the_other_picture_is_seen() -> None:
    rng = np.random.default_rng(5)
    image, other = (rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(2))
    shifted = warp(image, np.array([[1.0, 0, 50], [0, 1, 0]]), beyond=other)
    np.testing.assert_array_equal(shifted[:, : WIDTH - 52], image[:, 50:-2])
    np.testing.assert_array_equal(shifted[:, WIDTH - 48 :], other[:, WIDTH - 48 :])
