"""The scenes: repeatable, whole, textured at every scale, and as deep as they say."""

import numpy as np
import pytest

from drivers.sim.lens import ThinLens
from drivers.sim.render import WHITE, Renderer
from drivers.sim.render_layers import spread_heights
from drivers.sim.scenes import SCENES, make_scene
from drivers.sim.scenes.noise import fbm, fill_fbm, hash01

SIZE = {"width": 160, "height": 120}
LENS = ThinLens(1.0, 4.0, 40.0, None)


@pytest.fixture(scope="module", params=SCENES)
def scene(request):
    return make_scene(request.param, **SIZE, near_um=2000.0, far_um=3500.0, seed=5)


def test_depth_spans_near_to_far_exactly(scene):
    depth = Renderer(scene, LENS).truth().depth_um
    assert depth.min() == pytest.approx(2000, abs=0.01)
    assert depth.max() == pytest.approx(3500, abs=0.01)


def test_the_same_seed_gives_the_same_scene_and_another_one_another(scene):
    again = make_scene(scene.name, **SIZE, near_um=2000.0, far_um=3500.0, seed=5)
    other = make_scene(scene.name, **SIZE, near_um=2000.0, far_um=3500.0, seed=6)
    assert np.array_equal(scene.pool, again.pool)
    assert np.array_equal(scene.heights, again.heights)
    one, two = (Renderer(s, LENS).truth().picture.astype(float) for s in (scene, other))
    assert np.abs(one - two).mean() > 3


def test_the_farthest_layer_covers_all_so_nothing_is_missing_behind_an_edge(scene):
    picture = Renderer(scene, LENS).render(2000.0)
    assert (scene.kinds[0] == 2).all()
    assert picture.min() > 0


def test_texture_is_rich_down_to_the_pixel(scene):
    grey = Renderer(scene, LENS).truth().picture.mean(axis=2)
    for size in (1, 2, 4, 8):
        coarse = (
            grey[: 120 // size * size, : 160 // size * size]
            .reshape(120 // size, size, -1, size)
            .mean(axis=(1, 3))
        )
        assert np.abs(np.diff(coarse, axis=1)).mean() > 2.5


def test_no_patch_is_without_texture(scene):
    """What focus stacking needs: also the dullest 16 x 16 patch has contrast between neighbours."""
    grey = Renderer(scene, LENS).truth().picture.mean(axis=2)
    steps = np.abs(np.diff(grey, axis=1))[:112, :144].reshape(7, 16, 9, 16).mean(axis=(1, 3))
    assert steps.min() > 0.5


def test_size_changes_sharpness_and_not_the_subject(scene):
    large = make_scene(scene.name, width=320, height=240, near_um=2000.0, far_um=3500.0, seed=5)
    small = Renderer(scene, LENS).truth()
    big = Renderer(large, LENS).truth()
    halved = big.picture.reshape(120, 2, 160, 2, 3).mean(axis=(1, 3))
    coarse = [p.reshape(15, 8, 20, 8, 3).mean(axis=(1, 3)) for p in (small.picture, halved)]
    # OpenCV 4 and 5 letter the board differently, and small letters most of all.
    assert np.abs(coarse[0] - coarse[1]).mean() < (8 if scene.name == "tilt" else 6)
    assert np.median(np.abs(big.depth_um[::2, ::2] - small.depth_um)) < 15


@pytest.mark.parametrize("name", ["ring", "insect"])
def test_glints_are_brighter_than_white(name):
    scene = make_scene(name, **SIZE, near_um=0.0, far_um=1000.0, seed=5)
    assert Renderer(scene, LENS).render(200.0).max() > 1.5 * WHITE


@pytest.mark.parametrize("name", ["ring", "insect"])
def test_there_are_occluding_edges(name):
    scene = make_scene(name, **SIZE, near_um=0.0, far_um=1000.0, seed=5)
    depth = Renderer(scene, LENS).truth().depth_um
    jumps = np.abs(np.diff(depth, axis=1)) > 100
    assert jumps.sum() > 150


def test_in_the_tilt_the_row_at_the_rails_position_is_sharp():
    scene = make_scene("tilt", width=160, height=240, near_um=0.0, far_um=4000.0, seed=3)
    renderer = Renderer(scene, LENS)
    truth = renderer.truth().depth_um
    assert np.allclose(truth, np.linspace(4000, 0, 240)[:, None], atol=0.5)
    sharp = renderer.render(2000.0).astype(float)
    for row in (40, 120, 200):
        position = float(truth[row, 0])
        blurred = renderer.render(position).astype(float)
        detail = np.abs(np.diff(blurred, axis=1)).mean(axis=(1, 2))
        relative = detail / np.abs(
            np.diff(Renderer(scene, ThinLens(1.0, 1e6, 40.0, None)).render(2000.0).astype(float), axis=1)
        ).mean(axis=(1, 2))
        assert abs(int(np.argmax(np.convolve(relative, np.ones(5), "same"))) - row) <= 3
        assert relative[row] > 0.99
    assert sharp.shape == (240, 160, 3)


def test_odd_shapes_work():
    for width, height in ((17, 16), (130, 33), (64, 201)):
        scene = make_scene("ring", width=width, height=height, near_um=0.0, far_um=1.0, seed=0)
        assert Renderer(scene, LENS).render(0.5).shape == (height, width, 3)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"name": "cat"}, "ring, insect, tilt"), ({"near_um": 9.0}, "near"), ({"width": 8}, "16 x 16")],
)
def test_what_cannot_be_painted_is_refused(wrong, says):
    good = {"name": "tilt", "width": 32, "height": 24, "near_um": 0.0, "far_um": 1.0, "seed": 0}
    with pytest.raises(ValueError, match=says):
        make_scene(**{**good, **wrong})


# ---------------------------------------------------------------------------------------------------------------- parts


def test_a_grid_of_noise_equals_noise_point_by_point():
    out = np.empty((9, 13), np.float32)
    fill_fbm(out, 3.1, -2.2, 0.11, 0.17, 4, 0.6, 77)
    want = [[fbm(3.1 + i * 0.11, -2.2 + j * 0.17, 4, 0.6, 77) for i in range(13)] for j in range(9)]
    assert np.allclose(out, want, atol=2e-4)


def test_lattice_numbers_are_even_and_unrelated():
    values = np.array([[hash01(x, y, 5) for x in range(100)] for y in range(100)])
    assert values.mean() == pytest.approx(0.5, abs=0.01)
    assert values.std() == pytest.approx(1 / np.sqrt(12), abs=0.01)
    assert abs(np.corrcoef(values[1:].ravel(), values[:-1].ravel())[0, 1]) < 0.03


def test_heights_are_carried_on_where_there_is_no_surface():
    weight = np.zeros((33, 47), np.float32)
    weight[10:20, 10:20] = 1
    filled = spread_heights(weight, weight * 7)
    assert np.allclose(filled, 7)
    weight[:, 40:] = 2
    total = weight * 7
    total[:, 40:] = 2 * 3
    filled = spread_heights(weight, total)
    assert filled.min() == pytest.approx(3)
    assert filled.max() == pytest.approx(7)
    assert np.all(filled[10:20, 10:20] == 7)
