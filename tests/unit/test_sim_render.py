"""The renderer against a slow twin, and against what a lens must do."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from drivers.sim.lens import ThinLens
from drivers.sim.render import WHITE, Renderer, develop, warm_up
from drivers.sim.render_develop import decode_srgb, encode_srgb
from drivers.sim.render_layers import Canvas, LayerStack
from drivers.sim.scenes import make_scene

W, H = 96, 72
LENS = ThinLens(magnification=1.0, f_number=2.0, pixel_pitch_um=10.0, pupil_to_focus_um=None)
"""A radius of 1 px for each 80 um of defocus."""
PINHOLE = ThinLens(1.0, 1e5, 10.0, None)


def a_scene(layers, near_um=0.0, far_um=1000.0):
    """`layers`: far to near, each of (straight RGB, alpha, depth), functions of canvas x and y in picture pixels or numbers."""
    canvas = Canvas.of(W, H)
    stack = LayerStack(canvas, threads=1)
    y, x = np.mgrid[: canvas.rows, : canvas.columns].astype(np.float32) - canvas.margin
    for colour, alpha, depth in layers:
        rgba = np.empty((*x.shape, 4), np.float32)
        a = np.broadcast_to(alpha(x, y) if callable(alpha) else np.float32(alpha), x.shape)
        rgba[..., 3] = a
        rgba[..., :3] = (colour(x, y) if callable(colour) else np.float32(colour)) * a[..., None]
        stack.add(
            rgba,
            np.array(
                np.broadcast_to(depth(x, y) if callable(depth) else np.float32(depth), x.shape), np.float32
            ),
        )
    return stack.finish("test", near_um, far_um)


def noise_colour(seed, low=0.1, high=0.9):
    def colour(x, y):
        grid = np.random.default_rng(seed).uniform(low, high, (*x.shape, 3))
        soft = sum(np.roll(grid, (a, b), (0, 1)) for a in (-1, 0, 1) for b in (-1, 0, 1)) / 9
        return (soft + 0.3 * (grid - soft)).astype(np.float32)

    return colour


def stripe(x, y):
    return (np.abs(x - 40 + 0.2 * y) < 9).astype(np.float32)


# ------------------------------------------------------------------------------------------------------------- the twin


def cubic(plane, y, x):
    """Catmull-Rom, one point at a time in spirit: the sixteen neighbours of each place."""
    iy, ix = np.floor(y).astype(int), np.floor(x).astype(int)
    ty, tx = y - iy, x - ix

    def weights(t):
        return (
            -0.5 * t + t**2 - 0.5 * t**3,
            1 - 2.5 * t**2 + 1.5 * t**3,
            0.5 * t + 2 * t**2 - 1.5 * t**3,
            0.5 * (t**3 - t**2),
        )

    total = 0.0
    for b, wy in enumerate(weights(ty)):
        for a, wx in enumerate(weights(tx)):
            rows = np.clip(iy + b - 1, 0, plane.shape[0] - 1)
            columns = np.clip(ix + a - 1, 0, plane.shape[1] - 1)
            total = total + (wy * wx)[..., None] * plane[rows, columns]
    return total


def twin(layers, position_um, lens, samples=120, variance_um2=0.0):
    """Blur by the mean over points spread evenly in the true disc, layer over layer, far to near."""
    canvas = Canvas.of(W, H)
    y, x = np.mgrid[: canvas.rows, : canvas.columns].astype(np.float64)
    k = np.arange(samples) + 0.5
    spread, angle = np.sqrt(k / samples), k * np.pi * (3 - np.sqrt(5))
    picture = np.zeros((*x.shape, 3))
    for colour, alpha, depth in layers:
        px, py = (x - canvas.margin).astype(np.float32), (y - canvas.margin).astype(np.float32)
        a = np.broadcast_to(alpha(px, py) if callable(alpha) else np.float32(alpha), x.shape)
        rgb = colour(px, py) if callable(colour) else np.broadcast_to(np.float32(colour), (*x.shape, 3))
        source = np.dstack([rgb * a[..., None], a])
        z = np.broadcast_to(depth(px, py) if callable(depth) else np.float32(depth), x.shape)
        radius = np.sqrt((z - position_um) ** 2 + variance_um2) * lens.blur_px_per_um / 2
        blurred = (
            sum(
                cubic(source, y + radius * s * np.sin(t), x + radius * s * np.cos(t))
                for s, t in zip(spread, angle, strict=True)
            )
            / samples
        )
        picture = picture * (1 - blurred[..., 3:]) + blurred[..., :3]
    m = canvas.margin
    return picture[m : m + H, m : m + W]


def lit(renderer, *args):
    return renderer.render(*args).astype(float) / WHITE


TWO_LAYERS = [
    (noise_colour(1), 1.0, lambda x, y: 700 + 4 * y),
    (noise_colour(2, 0.3, 1.0), stripe, lambda x, y: 150 + 0 * x),
]


@pytest.mark.parametrize("position_um", [150.0, 400.0, 760.0, -200.0])
def test_equals_the_slow_twin(position_um):
    # Radii up to 14 px: the pyramid is in use at both ends.
    got = lit(Renderer(a_scene(TWO_LAYERS), LENS), position_um)
    error = got - twin(TWO_LAYERS, position_um, LENS)
    assert np.sqrt((error**2).mean()) < 0.006
    assert np.abs(error).max() < 0.05


def test_axial_motion_widens_the_disc_as_the_twin_has_it():
    path = 120 * np.sin(np.linspace(0, 2 * np.pi, 40, endpoint=False))
    got = lit(Renderer(a_scene(TWO_LAYERS), LENS), 100.0, None, path + 50)
    error = got - twin(TWO_LAYERS, 150.0, LENS, variance_um2=path.var())
    assert np.sqrt((error**2).mean()) < 0.006
    still = lit(Renderer(a_scene(TWO_LAYERS), LENS), 150.0)
    assert np.abs(got - still).max() > 0.05


def test_blur_grows_evenly_below_a_pixel():
    """No dead zone around focus: contrast falls from the first tenth of a pixel on, and the sides are alike."""
    scene = a_scene([(noise_colour(3), 1.0, 500.0)])
    contrast = [lit(Renderer(scene, LENS), p).std() for p in (500, 515, 530, 560, 600, 660)]
    assert all(a > b for a, b in pairwise(contrast))
    assert lit(Renderer(scene, LENS), 440.0).std() == pytest.approx(contrast[3], rel=1e-6)


# ---------------------------------------------------------------------------------------------------------------- light


@pytest.mark.parametrize("distance_um", [None, 20_000.0])
@pytest.mark.parametrize("position_um", [0.0, 333.0, 1000.0])
def test_flat_white_stays_flat_white(position_um, distance_um):
    layers = [
        (1.0, 1.0, lambda x, y: 1000 - 3 * y),
        (1.0, stripe, 300.0),
        (1.0, lambda x, y: 0.4 + 0.3 * np.sin(x / 5), lambda x, y: 10 * y),
    ]
    lens = replace(LENS, pupil_to_focus_um=distance_um)
    picture = Renderer(a_scene(layers), lens).render(position_um, np.array([[0.3, 0.2], [3.7, -1.2]]))
    assert np.abs(picture.astype(int) - WHITE).max() <= WHITE // 500


def test_the_near_blurs_over_the_far_and_not_the_reverse():
    layers = [(noise_colour(4), 1.0, 1000.0), (0.5, lambda x, y: (x < 40).astype(np.float32), 200.0)]
    renderer = Renderer(a_scene(layers), LENS)
    behind = lit(renderer, 1000.0)
    in_front = lit(renderer, 200.0)
    far_alone = lit(Renderer(a_scene(layers[:1]), LENS), 1000.0)
    # Focused on the near edge: it is sharp and nothing of the far shines onto it.
    assert np.abs(in_front[:, :39] - 0.5).max() < 0.01
    # Focused on the far: the edge is soft on both sides; beyond the disc (10 px) the far is untouched.
    assert np.abs(behind[:, 52:] - far_alone[:, 52:]).max() < 1e-3
    assert np.abs(behind[:, :28] - 0.5).max() < 1e-3
    # And in between the far is seen sharp through the blurred edge.
    cover = (behind[:, 44] - far_alone[:, 44]) / (0.5 - far_alone[:, 44])
    cover = cover[np.abs(0.5 - far_alone[:, 44]) > 0.1]
    assert 0.1 < np.median(cover) < 0.4
    assert cover.std() < 0.02


def test_a_pinhole_shows_the_truth():
    for name in ("ring", "insect", "tilt"):
        renderer = Renderer(make_scene(name, width=160, height=120, near_um=0, far_um=1000, seed=2), PINHOLE)
        truth = renderer.truth(400.0)
        assert np.abs(develop(renderer.render(400.0)).astype(int) - truth.picture).max() <= 1


# ---------------------------------------------------------------------------------------------------------- perspective


def test_scale_and_blur_follow_the_formulas():
    lens = ThinLens(2.0, 4.0, 5.0, 50_000.0)
    assert lens.scale(26_000, 1000) == pytest.approx(50_000 / 75_000)
    assert lens.scale(1000, 1000) == 1
    assert lens.scale(0, 1000) > 1 > lens.scale(2000, 1000)
    # m^2 d / (N (1 + m) pitch), foreshortened by D / (D + d).
    assert lens.blur_px(100.0) == pytest.approx(4 * 100 / (12 * 5) * 50_000 / 50_100)
    assert ThinLens(2.0, 4.0, 5.0, None).blur_px([-100.0, 0.0]) == pytest.approx([4 * 100 / 60, 0])


@pytest.mark.parametrize(
    "wrong", [{"magnification": 0}, {"f_number": -1}, {"pixel_pitch_um": 0}, {"pupil_to_focus_um": 0}]
)
def test_a_lens_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(LENS, **wrong)


def centroid(picture):
    weight = picture.sum(axis=2)
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return (weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()


def a_dot(x0, y0):
    return lambda x, y: np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 8).astype(np.float32)[..., None]


def test_rail_perspective_moves_a_point_as_the_pupil_sees_it():
    lens = ThinLens(1.0, 1e5, 10.0, 10_000.0)
    renderer = Renderer(a_scene([(a_dot(80, 60), 1.0, 1000.0)]), lens)
    cx, cy = (W - 1) / 2, (H - 1) / 2
    for position in (1000.0, 0.0, 1800.0):
        x, y = centroid(renderer.render(position).astype(float))
        scale = float(lens.scale(1000.0, position))
        assert x == pytest.approx(cx + (80 - cx) * scale, abs=0.02)
        assert y == pytest.approx(cy + (60 - cy) * scale, abs=0.02)


# --------------------------------------------------------------------------------------------------------------- motion


def test_a_path_shifts_by_its_mean_and_smears_along_itself():
    renderer = Renderer(a_scene([(a_dot(50, 30), 1.0, 500.0)]), LENS)
    path = np.stack([np.linspace(0, 8, 33), np.zeros(33)], axis=1)
    picture = renderer.render(500.0, path).astype(float)
    x, y = centroid(picture)
    assert (x, y) == pytest.approx((54, 30), abs=0.02)
    columns, rows = picture.sum(axis=(0, 2)), picture.sum(axis=(1, 2))
    variance_x = (columns * (np.arange(W) - x) ** 2).sum() / columns.sum()
    variance_y = (rows * (np.arange(H) - y) ** 2).sum() / rows.sum()
    assert variance_x - variance_y == pytest.approx(path[:, 0].var(), rel=0.05)


def test_a_path_too_short_to_see_still_shifts():
    renderer = Renderer(a_scene([(a_dot(50, 30), 1.0, 500.0)]), LENS)
    assert centroid(
        renderer.render(500.0, np.array([[0.50, -0.25], [0.52, -0.25]])).astype(float)
    ) == pytest.approx((50.51, 29.75), abs=0.02)


def test_motion_of_a_noisy_picture_is_the_mean_of_moved_pictures():
    renderer = Renderer(a_scene(TWO_LAYERS), LENS)
    path = np.array([[-2.0, 1.0], [0.0, 0.0], [2.0, -1.0]])
    mean = np.mean([renderer.render(300.0, p[None]).astype(float) for p in path], axis=0)
    inside = np.s_[4:-4, 4:-4]
    assert np.abs(renderer.render(300.0, path).astype(float)[inside] - mean[inside]).max() <= 2


# ---------------------------------------------------------------------------------------------------------- development


def test_srgb_reference_values():
    # IEC 61966-2-1: 18 % grey is level 118, half light is 188.
    assert encode_srgb(np.array([0.0, 0.0031308, 0.18, 0.5, 1.0])) == pytest.approx(
        [0, 10.31, 117.6, 187.5, 255], abs=0.05
    )
    level = np.arange(256)
    assert encode_srgb(decode_srgb(level)) == pytest.approx(level, abs=1e-9)


def test_without_noise_it_is_the_encoding_alone():
    linear = np.arange(0, 65536, 4, dtype=np.uint16)[:16380].reshape(10, -1, 3)
    for gain in (1.0, 0.5, 3.0):
        want = np.clip(np.floor(encode_srgb(linear * gain / WHITE) + 0.5), 0, 255)
        got = develop(linear, gain=gain)
        assert (got != want).mean() < 0.02
        assert np.abs(got - want).max() <= 1


def flat(level):
    return np.full((300, 400, 3), round(float(decode_srgb(np.array(level))) * WHITE), np.uint16)


def test_read_noise_has_the_deviation_asked_for():
    for sigma in (1.0, 2.5, 6.0):
        got = develop(flat(120.0), read_noise=sigma, seed=3).astype(float)
        # Rounding to whole levels adds a twelfth.
        assert got.std() == pytest.approx(np.sqrt(sigma**2 + 1 / 12), rel=0.01)
        assert got.mean() == pytest.approx(120, abs=0.05)


def test_shot_noise_follows_the_number_of_photons():
    for level in (60.0, 128.0, 220.0):
        light = float(decode_srgb(np.array(level)))
        slope = float(encode_srgb(np.array(light + 1e-4)) - encode_srgb(np.array(light - 1e-4))) / 2e-4
        got = develop(flat(level), photons_full_scale=2000.0, seed=4).astype(float)
        assert got.std() == pytest.approx(np.sqrt(slope**2 * light / 2000 + 1 / 12), rel=0.05)


def test_noise_is_white_and_its_tails_are_normal_enough():
    got = develop(flat(120.0), read_noise=8.0, seed=5).astype(float) - 120
    z = got / got.std()
    assert (np.abs(z) < 1).mean() == pytest.approx(0.683, abs=0.03)
    assert (np.abs(z) > 2).mean() == pytest.approx(0.0455, abs=0.012)
    for a, b in (
        (z[1:], z[:-1]), (z[:, 1:], z[:, :-1]), (z[..., 1:], z[..., :-1]), (z[:, 2:], z[:, :-2]), (z[7:], z[:-7]),
    ):  # fmt: skip
        assert abs((a * b).mean()) < 0.01


def test_noise_depends_on_the_seed_and_on_nothing_else():
    linear = Renderer(a_scene(TWO_LAYERS), LENS).render(300.0)
    tall = np.tile(linear, (8, 1, 1))
    one = develop(tall, read_noise=2.0, photons_full_scale=8000.0, seed=11, threads=1)
    two = develop(tall, read_noise=2.0, photons_full_scale=8000.0, seed=11, threads=2)
    other = develop(tall, read_noise=2.0, photons_full_scale=8000.0, seed=12, threads=2)
    assert np.array_equal(one, two)
    assert (one != other).mean() > 0.5
    z = (one.astype(float) - other).reshape(-1)
    assert z.std() > 1


def test_overexposed_light_stays_white_through_noise():
    assert develop(np.full((50, 50, 3), 2 * WHITE, np.uint16), read_noise=3.0, seed=1).min() == 255


@pytest.mark.parametrize("wrong", [{"gain": -1.0}, {"read_noise": -1.0}, {"photons_full_scale": 0.0}])
def test_impossible_development_is_refused(wrong):
    with pytest.raises(ValueError):
        develop(flat(10.0), **wrong)
    with pytest.raises(ValueError):
        develop(np.zeros((4, 4, 3), np.uint8))


def test_threads_change_nothing():
    scene = make_scene("insect", width=200, height=150, near_um=0, far_um=1000, seed=1)
    lens = ThinLens(1.0, 2.0, 10.0, 30_000.0)
    path = np.array([[0.0, 0.0], [3.0, 1.0]])
    assert np.array_equal(
        Renderer(scene, lens, threads=1).render(300.0, path),
        Renderer(scene, lens, threads=2).render(300.0, path),
    )


def test_warm_up_runs():
    warm_up()
