"""The law of a stack's zoom, and the orthographic view that it allows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from stackcore.registration.geometry import Calibration, calibrate, line
from stackcore.registration.orthographic import orthographic
from tests.unit._moving import similarity

SHAPE = (300, 400)


def rail(distance_steps: float, count: int, reference: int, centre=(190.0, 160.0), jitter=0.0, seed=0):
    """Matrices as a rail's stack has them, exactly by similar triangles."""
    rng = np.random.default_rng(seed)
    matrices = []
    for k in range(count):
        zoom = distance_steps / (distance_steps + (k - reference))
        shift = (1 - zoom) * np.array(centre) + (jitter * rng.standard_normal(2) if k != reference else 0)
        matrices.append(np.column_stack([zoom * np.eye(2), shift]))
    return matrices


def test_the_distance_is_found_from_zooms():
    found = calibrate(range(30), rail(400.0, 30, 12), reference=12)
    assert found.pupil_to_focus_steps == pytest.approx(400, rel=1e-9)
    assert found.centre == pytest.approx((190, 160), abs=1e-6)
    np.testing.assert_allclose(found.zoom(np.arange(30)), 400 / (400 + np.arange(30) - 12))
    np.testing.assert_allclose(found.matrix(3, SHAPE), rail(400.0, 30, 12)[3], atol=1e-9)


def test_jitter_and_bad_frames_hardly_count():
    matrices = rail(400.0, 30, 0, jitter=1.5)
    for bad in (5, 17, 18):
        matrices[bad] = similarity(SHAPE, 1.3, 2.0, (50, 0))[:2]
    found = calibrate(range(30), matrices)
    assert found.pupil_to_focus_steps == pytest.approx(400, rel=1e-6)
    assert found.centre == pytest.approx((190, 160), abs=40)
    assert found.scatter < 1e-9


def test_a_line_through_points_some_of_which_are_wrong():
    rng = np.random.default_rng(0)
    x = np.arange(40.0)
    y = 2 * x + 1 + 0.01 * rng.standard_normal(40)
    y[::7] += 30
    slope, offset, scatter = line(x, y)
    assert slope == pytest.approx(2, abs=0.01)
    assert offset == pytest.approx(1, abs=0.1)
    assert scatter < 0.05


def test_a_telecentric_lens_has_no_law():
    found = calibrate([0, 1, 2], [np.eye(3)[:2]] * 3)
    assert found.shrink_per_step == 0
    assert found.centre is None
    assert found.pupil_to_focus_steps == float("inf")
    np.testing.assert_array_equal(found.zoom(np.arange(3)), 1)
    with pytest.raises(ValueError, match="two different places"):
        calibrate([1, 1], [np.eye(3)[:2]] * 2)
    with pytest.raises(ValueError, match="does not reach"):
        Calibration(0.1).zoom(-10)


def test_a_calibration_is_kept(tmp_path):
    path = tmp_path / "lens.json"
    found = calibrate(range(10), rail(400.0, 10, 4), reference=4)
    found.save(path)
    assert Calibration.load(path) == found
    path.write_text('{"shrink_per_step": 1}')
    with pytest.raises(ValueError, match=r"lens\.json is no calibration"):
        Calibration.load(path)


def stepped(zoom_far: float, blocks: int = 20):
    """A picture of a chequered step, seen in perspective: the right half lies farther, and looks smaller by `zoom_far`.

    Frame 0 is in focus on the near side and is the reference; frame 20 on the far side.
    """
    height, width = SHAPE
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    centre = ((width - 1) / 2, (height - 1) / 2)

    def squares(u, v):
        pattern = np.sin(2 * np.pi * (u - 3.5) / blocks) * np.sin(2 * np.pi * (v - 3.5) / blocks)
        return np.clip(128 + 100 * pattern, 0, 255)

    far = x > centre[0] + 30
    u = centre[0] + (x - centre[0]) * zoom_far
    v = centre[1] + (y - centre[1]) * zoom_far
    picture = np.where(far, squares(u, v), squares(x, y)).astype(np.uint8)
    depth = np.where(far, 20, 0).astype(np.float32)
    return picture, depth, squares(x, y)


@pytest.mark.parametrize("direction", [1, -1], ids=["far last", "far first"])
def test_the_two_sides_of_a_step_get_the_same_magnification(direction):
    zoom = 1.08
    picture, depth, wanted = stepped(zoom)
    law = Calibration((1 / zoom - 1) / 20)
    if direction < 0:
        depth = 20 - depth
        law = Calibration((1 - 1 / zoom) / 20, reference=20)
    result = orthographic(np.dstack([picture] * 3), depth, law)
    inner = result.seen.copy()
    inner[:12], inner[-12:] = False, False
    edge = cv2.dilate((~result.seen).astype(np.uint8), np.ones((7, 7))) > 0
    assert np.abs(result.picture[..., 1].astype(float) - wanted)[inner & ~edge].mean() < 3
    assert np.abs(picture.astype(float) - wanted)[inner & ~edge].mean() > 15
    far = 20 if direction > 0 else 0
    assert set(np.unique(result.depth)) == {0.0, 20.0}
    # The far side has grown away from the near one: the gap between them is known to be one, and shows the far side.
    gap = ~result.seen[150]
    columns = np.flatnonzero(gap[150:350]) + 150
    assert 1 <= len(columns) <= 4 + 0.08 * 40
    assert np.all(result.depth[150, columns] == far)


def test_nearer_things_hide_farther_ones():
    height, width = SHAPE
    picture = np.full((height, width), 60, np.uint8)
    depth = np.full((height, width), 20, np.float32)
    centre = ((width - 1) / 2, (height - 1) / 2)
    # A near bar left of the centre: the ground right beside it, on its outer side, moves outward, that on its inner side under it.
    picture[:, 100:110], depth[:, 100:110] = 200, 0
    picture[:, 110:114] = 90
    law = Calibration((1 / 1.1 - 1) / 20)
    result = orthographic(picture, depth, law)
    bar = np.flatnonzero(result.picture[150] > 150)
    assert (bar.min(), bar.max()) == (100, 109)
    seen = np.flatnonzero(
        (result.picture[150] > 80) & (result.picture[150] < 100) & (result.depth[150] == 20)
    )
    moved = centre[0] + (np.array([110, 113]) - centre[0]) * 1.1
    assert moved[0] < 109
    assert seen.size == 0 or seen.min() >= 110


def test_bands_do_not_show(monkeypatch):
    rng = np.random.default_rng(0)
    depth = cv2.GaussianBlur(rng.uniform(0, 200, SHAPE).astype(np.float32), (0, 0), 8)
    depth[50:60, 70:90] = np.nan
    picture = rng.integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    whole = orthographic(picture, depth, Calibration(0.0005))
    monkeypatch.setattr("stackcore.registration.orthographic.BAND_ROWS", 7)
    bands = orthographic(picture, depth, Calibration(0.0005))
    np.testing.assert_array_equal(bands.picture, whole.picture)
    np.testing.assert_array_equal(bands.depth, whole.depth)
    np.testing.assert_array_equal(bands.seen, whole.seen)


def test_a_tilted_plane_is_straightened():
    """Along a plane that recedes, equal lengths look shorter and shorter; afterwards they are equal again."""
    width = SHAPE[1]
    distance = 300.0
    x0 = (width - 1) / 2
    true_x = np.linspace(-180, 180, 13)
    plane = np.linspace(-250, 250, 2001)

    def depth_of(lateral):
        return 40 * (lateral + 180) / 360

    seen_x = true_x * distance / (distance + depth_of(true_x)) + x0
    columns = np.arange(width)
    lateral = np.interp(columns, plane * distance / (distance + depth_of(plane)) + x0, plane)
    depth = np.broadcast_to(depth_of(lateral).astype(np.float32), SHAPE)
    picture = np.zeros(SHAPE, np.uint8)
    for mark in seen_x:
        picture = np.maximum(
            picture, np.broadcast_to(255 * np.exp(-(((columns - mark) / 1.5) ** 2)), SHAPE).astype(np.uint8)
        )
    # The frame in focus at depth k magnifies what the reference shows by (distance + k) / distance.
    shrink = (distance / (distance + 40) - 1) / 40
    exact = calibrate(
        [0, 40], [np.eye(3)[:2], np.array([[1.0, 0, 0], [0, 1, 0]]) * (distance + 40) / distance]
    )
    assert exact.shrink_per_step == pytest.approx(shrink)
    result = orthographic(picture, np.ascontiguousarray(depth), Calibration(shrink))
    row = result.picture[150].astype(float)
    peaks = [x for x in range(1, width - 1) if row[x] > 120 and row[x] >= row[x - 1] and row[x] > row[x + 1]]
    spacing = np.diff(peaks)
    assert len(peaks) >= 12
    assert np.ptp(spacing) <= 2
    before = picture[150].astype(float)
    peaks = [
        x
        for x in range(1, width - 1)
        if before[x] > 120 and before[x] >= before[x - 1] and before[x] > before[x + 1]
    ]
    assert np.ptp(np.diff(peaks)) >= 4
