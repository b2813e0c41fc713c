"""Marks of a ruler in photographs that are drawn here, and pictures that show none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rigd.ruler import NotARuler, find_marks


def ruler(
    spacing=40.0,
    *,
    size=(1200, 1600),
    angle=0.0,
    blur=1.5,
    noise=6.0,
    half_marks=False,
    seed=1,
):
    """A ruler in the lower half of a picture of something else: every fifth mark longer, every tenth longest, and numbers."""
    rng = np.random.default_rng(seed)
    height, width = size
    side = 2 * max(size)
    big = np.full((side, side), 205.0, np.float32)
    middle, fine = side // 2, 4
    canvas = np.full((600, side * fine), 215, np.uint8)
    pitch = spacing / 2 if half_marks else spacing
    for index, at in enumerate(np.arange(0, side, pitch)):
        count = index / 2 if half_marks else index
        length = 500 if count % 10 == 0 else 380 if count % 5 == 0 else 260 if count % 1 == 0 else 160
        left = round((at - 0.06 * spacing) * fine)
        canvas[-length:, max(0, left) : max(0, left + round(0.12 * spacing * fine))] = 40
        if count % 10 == 0:
            cv2.putText(canvas, str(int(count)), (max(0, left), 90), cv2.FONT_HERSHEY_SIMPLEX, 3.0, 60, 12)
    strip = cv2.resize(canvas, (side, 300), interpolation=cv2.INTER_AREA).astype(np.float32)
    big[middle : middle + 300] = strip
    turn = cv2.getRotationMatrix2D((middle, middle + 150), -angle, 1.0)
    big = cv2.warpAffine(big, turn, (side, side), flags=cv2.INTER_AREA, borderValue=205.0)
    picture = big[middle - height // 2 : middle + height // 2, middle - width // 2 : middle + width // 2]
    picture = cv2.GaussianBlur(picture, (0, 0), blur)
    shade = np.linspace(0.7, 1.1, width, dtype=np.float32)
    return np.clip(picture * shade + rng.normal(0, noise, picture.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "drawn",
    [
        {},
        {"spacing": 17.3},
        {"spacing": 91.7, "blur": 6.0},
        {"angle": 2.5},
        {"angle": -8.0, "spacing": 53.0},
        {"angle": 90.0, "spacing": 33.0},
        {"noise": 30.0},
        {"spacing": 160.0},
    ],
    ids=str,
)
def test_the_distance_of_marks(drawn):
    found = find_marks(ruler(**drawn))
    spacing = drawn.get("spacing", 40.0)
    assert found.spacing_px == pytest.approx(spacing, rel=0.003)
    assert abs(found.spacing_px - spacing) < 5 * found.error_px + 0.001 * spacing


def test_half_marks_are_marks():
    assert find_marks(ruler(60.0, half_marks=True)).spacing_px == pytest.approx(30.0, rel=0.003)


def test_a_large_picture_is_measured_in_its_own_pixels():
    found = find_marks(cv2.resize(ruler(40.0), None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC))
    assert found.spacing_px == pytest.approx(120.0, rel=0.003)


def irregular(seed=3):
    rng = np.random.default_rng(seed)
    picture = np.full((900, 1200), 200.0, np.float32)
    for at in np.sort(rng.uniform(0, 1200, 30)):
        picture[300:600, int(at) : int(at) + 4] = 40
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 1.5) + rng.normal(0, 5, picture.shape), 0, 255)


def clouds(seed=4):
    rng = np.random.default_rng(seed)
    return sum(
        cv2.GaussianBlur(rng.normal(0, 1, (800, 1000)).astype(np.float32), (0, 0), sigma) * sigma
        for sigma in (2, 5, 12, 30)
    )


def few_marks():
    picture = np.full((600, 900), 200.0, np.float32)
    for at in range(100, 900, 200):
        picture[200:400, at : at + 12] = 40
    return picture


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(np.random.default_rng(5).normal(100, 20, (700, 900)), id="noise"),
        pytest.param(np.full((700, 900), 128.0), id="nothing"),
        pytest.param(irregular(), id="lines at any distance"),
        pytest.param(clouds(), id="clouds"),
        pytest.param(few_marks(), id="four marks"),
        pytest.param(ruler(40.0, blur=18.0), id="out of focus"),
        pytest.param(ruler(40.0)[:40, :40], id="too small"),
    ],
)
def test_what_is_no_ruler_is_refused(picture):
    with pytest.raises(NotARuler):
        find_marks(picture)
