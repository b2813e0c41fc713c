"""Point clouds and meshes: where points lie, what is joined, and what the files hold."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from stackcore.export._cells import stride_for, thin_out
from stackcore.export.glb import write_glb
from stackcore.export.ply import write_ply
from stackcore.export.relief import Relief, make_relief
from stackcore.export.surface import Surface, make_surface
from stackcore.files.errors import WriteError
from tests.unit._readers import read_glb, read_ply
from tests.unit._scenes import texture

UM_PER_PX = 2.0
STEP_UM = 40.0


def relief_of(depth_um: np.ndarray, **arguments) -> Relief:
    positions = np.arange(0, 1001, STEP_UM)
    return make_relief(
        np.asarray(depth_um, np.float32) / STEP_UM,
        positions_um=positions,
        um_per_px=UM_PER_PX,
        **arguments,
    )


def tilt(height: int = 24, width: int = 36) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return 200.0 + 3.0 * x + 1.5 * y


def terraces(height: int = 24, width: int = 36) -> np.ndarray:
    depth = np.full((height, width), 600.0)
    depth[:, : width // 2] = 200.0
    return depth


def naive_cells(depth: np.ndarray, stride: int, tolerance: float) -> list[tuple[float, float, float]]:
    """x, y, depth of every cell that is no hole, one after the other."""
    cells = []
    for top, left in itertools.product(range(0, depth.shape[0], stride), range(0, depth.shape[1], stride)):
        part = [
            (x, y, depth[y, x])
            for y in range(top, min(top + stride, depth.shape[0]))
            for x in range(left, min(left + stride, depth.shape[1]))
        ]
        known = sorted(z for _, _, z in part if np.isfinite(z))
        if len(known) < max(1, len(part) / 4):
            continue
        middle = known[(len(known) - 1) // 2]
        used = [p for p in part if np.isfinite(p[2]) and abs(p[2] - middle) <= tolerance]
        cells.append(tuple(np.mean(used, axis=0)))
    return cells


def edges_of(surface: Surface) -> set[tuple[int, int]]:
    return {tuple(sorted(pair)) for t in surface.triangles.tolist() for pair in itertools.combinations(t, 2)}


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
def test_cells_are_those_of_the_obvious_loop(stride: int) -> None:
    rng = np.random.default_rng(stride)
    depth = np.where(rng.random((23, 31)) < 0.5, 100.0, 300.0) + rng.normal(0, 3, (23, 31))
    depth[rng.random(depth.shape) < 0.4] = np.nan
    depth[5:12, 8:16] = np.nan
    cells = thin_out(depth.astype(np.float32), None, stride, 20.0)
    found = np.stack([cells.x, cells.y, cells.depth], axis=2)[cells.known]
    np.testing.assert_allclose(found, naive_cells(depth.astype(np.float32), stride, 20.0), atol=1e-3)


def test_bands_of_cells_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    depth = rng.uniform(0, 100, (50, 40)).astype(np.float32)
    picture = texture(rng, 50, 40).astype(np.uint8)
    whole = thin_out(depth, picture, 3, 30.0)
    monkeypatch.setattr("stackcore.export._cells._BAND_PIXELS", 200)
    parts = thin_out(depth, picture, 3, 30.0)
    for name in ("x", "y", "depth", "colour"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


@pytest.mark.parametrize("max_vertices", [10_000, 200, 50])
def test_points_lie_on_the_plane_true_to_scale(max_vertices: int) -> None:
    surface = make_surface(relief_of(tilt()), max_vertices=max_vertices)
    assert len(surface.points) <= max_vertices
    x, y, z = (surface.points[:, k].astype(float) for k in range(3))
    column, row = x / UM_PER_PX + 35 / 2, 23 / 2 - y / UM_PER_PX
    np.testing.assert_allclose(1000.0 - z, 200.0 + 3.0 * column + 1.5 * row, atol=0.01)
    assert surface.metres == 1e-6
    assert (z > 0).all(), "nearer is higher, the far end is 0"
    if max_vertices == 10_000:
        assert (surface.stride, len(surface.points), len(surface.triangles)) == (1, 24 * 36, 2 * 23 * 35)
        assert surface.points[0].tolist() == [-35.0, 23.0, 800.0]


def test_triangles_face_the_camera_and_cover_the_picture_once() -> None:
    surface = make_surface(relief_of(tilt()), normals=True)
    a, b, c = (surface.points[surface.triangles[:, k], :2].astype(float) for k in range(3))
    first, second = b - a, c - a
    area = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
    assert (area > 0).all()
    assert area.sum() == pytest.approx(23 * 35 * UM_PER_PX**2)
    slope = np.array([3.0, -1.5, UM_PER_PX])
    expected = slope / np.linalg.norm(slope)
    np.testing.assert_allclose(surface.normals, np.broadcast_to(expected, surface.points.shape), atol=1e-4)


def test_a_position_that_grows_toward_the_camera_is_turned_round() -> None:
    away = make_surface(relief_of(tilt()))
    toward = make_surface(relief_of(1000.0 - tilt(), grows_away=False))
    np.testing.assert_allclose(toward.points, away.points, atol=0.01)
    np.testing.assert_array_equal(toward.triangles, away.triangles)


@pytest.mark.parametrize("max_vertices", [10_000, 300, 70])
def test_triangles_are_cut_at_a_jump(max_vertices: int) -> None:
    surface = make_surface(relief_of(terraces()), max_vertices=max_vertices)
    z = surface.points[:, 2].astype(float)
    assert set(np.unique(z).tolist()) == {400.0, 800.0}, "nothing lies between two surfaces"
    for i, j in edges_of(surface):
        assert z[i] == z[j]
    joined = make_surface(relief_of(terraces()), max_vertices=max_vertices, cut=500.0)
    heights = joined.points[:, 2]
    assert any(heights[i] != heights[j] for i, j in edges_of(joined))
    assert joined.cut == 500.0


def test_a_cell_across_a_jump_belongs_to_the_larger_side() -> None:
    depth = np.full((3, 3), 600.0, np.float32)
    depth[:, 0] = 200.0
    picture = np.zeros((3, 3, 3), np.uint8)
    picture[:, 1:] = 200
    cells = thin_out(depth, picture, 3, 20.0)
    assert (cells.depth[0, 0], cells.x[0, 0], cells.y[0, 0]) == (600.0, 1.5, 1.0)
    np.testing.assert_allclose(cells.colour[0, 0], 200 / 255, atol=1e-6)


def test_steep_surfaces_hold_together_and_cliffs_do_not() -> None:
    ramp = np.arange(40)[None].repeat(10, axis=0)
    gentle = make_surface(relief_of(100 + 10.0 * ramp))
    assert len(gentle.triangles) == 2 * 9 * 39
    with pytest.raises(ValueError, match="neighbouring"):
        make_surface(relief_of(100 + 21.0 * (ramp + 2 * np.arange(10)[:, None]) % 900))
    far = make_surface(relief_of(100 + 10.0 * ramp), max_vertices=25)
    assert far.cut == pytest.approx(max(20.0, np.tan(np.radians(80)) * UM_PER_PX * far.stride))
    frames = make_surface(make_relief(0.2 * ramp, frames=9))
    assert frames.cut == pytest.approx(0.5)


def test_holes_stay_open() -> None:
    depth = tilt()
    depth[8:14, 10:20] = np.nan
    depth[0, 0] = np.nan
    surface = make_surface(relief_of(depth))
    assert len(surface.points) == np.isfinite(depth).sum()
    x = np.rint(surface.points[:, 0] / UM_PER_PX + 35 / 2).astype(int)
    y = np.rint(23 / 2 - surface.points[:, 1] / UM_PER_PX).astype(int)
    assert np.isfinite(depth[y, x]).all()
    for i, j in edges_of(surface):
        assert max(abs(x[i] - x[j]), abs(y[i] - y[j])) == 1
    # The corner's square lost one point: one triangle is left of it.
    whole, gone = 2 * 23 * 35, 2 * 7 * 11
    assert len(surface.triangles) == whole - gone + 4 - 1


def test_a_lone_point_is_in_the_cloud_and_not_in_the_mesh() -> None:
    depth = np.full((6, 6), np.nan)
    depth[:3, :3] = 300.0
    depth[5, 5] = 300.0
    assert len(make_surface(relief_of(depth), triangles=False).points) == 10
    assert len(make_surface(relief_of(depth)).points) == 9


def test_the_cut_through_a_square_is_the_shorter_one() -> None:
    relief = relief_of(np.array([[300.0, 300.0], [300.0, 310.0]]))
    assert (1, 2) in edges_of(make_surface(relief))
    relief = relief_of(np.array([[300.0, 310.0], [300.0, 300.0]]))
    assert (0, 3) in edges_of(make_surface(relief))


def test_without_a_scale_it_says_so() -> None:
    surface = make_surface(make_relief(tilt() / 100, frames=11))
    assert "not true to scale" in surface.note
    assert np.ptp(surface.points[:, 0]) == pytest.approx(35)
    assert surface.metres == pytest.approx(1 / 36)
    depth = (surface.points[:, 2] / 0.9).max()
    assert make_surface(make_relief(tilt() / 100, frames=11), depth_scale=1.0).points[:, 2].max() == (
        pytest.approx(8.0)
    )
    assert depth == pytest.approx(8.0)


def test_strides() -> None:
    depth = np.zeros((100, 130), np.float32)
    assert stride_for(depth, 13_000) == 1
    assert stride_for(depth, 12_999) == 2
    assert stride_for(depth, 50 * 65) == 2
    depth[50:] = np.nan
    assert stride_for(depth, 6500) == 1
    depth[::7, ::7] = 1
    assert stride_for(depth, 500) >= 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"picture": np.zeros((5, 5), np.uint8)}, "5 x 5 px"),
        ({"max_vertices": 3}, "3 vertices"),
    ],
)
def test_what_cannot_be_made_is_refused(arguments: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_surface(relief_of(tilt()), **arguments)
    with pytest.raises(ValueError, match="only holes"):
        make_surface(relief_of(np.full((4, 4), np.nan)))


@pytest.fixture(params=["mesh", "normals", "points", "large"])
def surface(request: pytest.FixtureRequest) -> Surface:
    rng = np.random.default_rng(2)
    size = (280, 300) if request.param == "large" else (24, 36)
    depth = tilt(*size) if request.param == "large" else terraces(*size)
    depth[3:6, 5:9] = np.nan
    depth = np.clip(depth, 0, 1000)
    picture = texture(rng, *size).astype(np.uint8)
    return make_surface(
        relief_of(depth),
        picture if request.param != "normals" else picture[..., 0].astype(np.uint16) * 257,
        triangles=request.param != "points",
        normals=request.param == "normals",
    )


def test_ply_holds_what_was_made(tmp_path: Path, surface: Surface) -> None:
    write_ply(tmp_path / "s.ply", surface)
    vertices, faces, comments = read_ply(tmp_path / "s.ply")
    np.testing.assert_array_equal(np.stack([vertices[k] for k in "xyz"], axis=1), surface.points)
    colours = np.stack([vertices[k] for k in ("red", "green", "blue")], axis=1)
    np.testing.assert_allclose(colours / 255, surface.colours, atol=0.502 / 255)
    np.testing.assert_array_equal(faces, surface.triangles)
    assert comments == [surface.note]
    if surface.normals is not None:
        normals = np.stack([vertices[k] for k in ("nx", "ny", "nz")], axis=1)
        np.testing.assert_array_equal(normals, surface.normals)
    else:
        assert "nx" not in vertices.dtype.names


@pytest.mark.parametrize("lit", [False, True])
def test_glb_holds_what_was_made_in_metres(tmp_path: Path, surface: Surface, lit: bool) -> None:
    write_glb(tmp_path / "s.glb", surface, lit=lit)
    gltf = read_glb(tmp_path / "s.glb")
    np.testing.assert_allclose(gltf.attributes["POSITION"], surface.points * 1e-6, rtol=1e-6)
    light = gltf.attributes["COLOR_0"]
    assert (light[:, 3] == 1).all()
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)[:, :3]
    np.testing.assert_allclose(encoded, surface.colours, atol=1e-3)
    assert ("NORMAL" in gltf.attributes) == (surface.normals is not None)
    assert ("extensionsUsed" in gltf.document) != lit
    if len(surface.triangles) == 0:
        assert (gltf.mode, gltf.indices) == (0, None)
        return
    assert gltf.mode == 4
    np.testing.assert_array_equal(gltf.indices.reshape(-1, 3), surface.triangles)
    assert gltf.indices.dtype == (np.uint32 if len(surface.points) > 65_534 else np.uint16)


def test_colours_are_the_picture_s(tmp_path: Path) -> None:
    picture = texture(np.random.default_rng(3), 24, 36).astype(np.uint8)
    surface = make_surface(relief_of(tilt()), picture)
    np.testing.assert_allclose(surface.colours, picture.reshape(-1, 3) / 255, atol=1e-6)
    sixteen = make_surface(relief_of(tilt()), picture.astype(np.uint16) * 257)
    np.testing.assert_allclose(sixteen.colours, surface.colours, atol=1e-6)
    assert np.unique(make_surface(relief_of(tilt())).colours) == pytest.approx([0.5])


@pytest.mark.parametrize("write", [write_ply, write_glb])
def test_errors_name_the_file(tmp_path: Path, write) -> None:
    surface = make_surface(relief_of(tilt()))
    path = tmp_path / "nowhere" / "s.bin"
    with pytest.raises(WriteError, match=re.escape(str(path))):
        write(path, surface)
