"""Depth as a picture: colours, legend, scale bar, at every size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from stackcore.export import depth_picture as module
from stackcore.export.depth_picture import HOLE, colour_range, colours_of, depth_picture
from stackcore.export.lettering import MICRO, draw_text, text_mask
from stackcore.export.relief import make_relief
from stackcore.export.scales import label, length_label, round_down, ticks
from stackcore.files import write_picture


def slope(height: int = 300, width: int = 400, *, hole: bool = True, **arguments):
    depth = np.linspace(0, 10, width, dtype=np.float32)[None].repeat(height, axis=0)
    if hole:
        depth[: height // 4, : width // 4] = np.nan
    return make_relief(depth, frames=11, **arguments)


def luma(picture: np.ndarray) -> np.ndarray:
    return picture.astype(float) @ [0.299, 0.587, 0.114]


def test_colours_are_in_order_nearest_brightest_and_holes_are_gray() -> None:
    picture = colours_of(slope(), 0.0, 10.0)
    assert (picture[:75, :100] == HOLE).all()
    along = luma(picture[200])
    assert (np.diff(along) <= 0.6).all(), "in gray print, too, nearer is brighter"
    assert along[0] - along[-1] > 150
    other = luma(colours_of(slope(grows_away=False), 0.0, 10.0)[200])
    np.testing.assert_array_equal(other, along[::-1])
    used = picture[~np.isnan(slope().depth)]
    assert (used.max(axis=1).astype(int) - used.min(axis=1)).min() > 40, "no depth looks like a hole"


def test_equal_steps_of_depth_look_equally_large() -> None:
    ramp = module._colours()
    lab = cv2.cvtColor(ramp[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    steps = np.linalg.norm(np.diff(lab[::8], axis=0), axis=1)
    assert steps.max() < 2.5 * steps.min()


@pytest.mark.parametrize(
    ("red_share", "blue_shift"), [(0.112, 0.004), (0.293, -0.021)], ids=["protanopia", "deuteranopia"]
)
def test_colour_blind_eyes_keep_the_order(red_share: float, blue_shift: float) -> None:
    """What dichromats see, after Vienot, Brettel and Mollon (Color Research and Application 24, 1999)."""
    light = (module._colours().astype(np.float32) / 255) ** 2.2
    red, green, blue = (light[:, k] for k in range(3))
    yellow = red_share * red + (1 - red_share) * green
    seen = np.stack([yellow, yellow, blue + blue_shift * (red - green)], axis=1).clip(0, 1) ** (1 / 2.2)
    lightness = cv2.cvtColor(seen[None].astype(np.float32), cv2.COLOR_RGB2LAB)[0, :, 0]
    assert np.diff(lightness[::4]).min() > 0
    assert lightness[-1] - lightness[0] > 60


def test_a_few_wild_pixels_do_not_take_the_colours() -> None:
    relief = slope(hole=False)
    relief.depth[0, :20] = 1e6
    low, high = colour_range(relief)
    assert -1 < low < 0.5
    assert 9.5 < high < 11


def test_flat_and_empty_maps_are_drawn() -> None:
    flat = make_relief(np.full((60, 80), 3.0, np.float32), frames=7)
    low, high = colour_range(flat)
    assert low < 3 < high
    empty = make_relief(np.full((60, 80), np.nan, np.float32), frames=7)
    assert colour_range(empty) == (0.0, 6.0)
    for relief in (flat, empty, make_relief(np.full((60, 80), np.nan, np.float32))):
        assert depth_picture(relief).dtype == np.uint8


@pytest.mark.parametrize("size", [(48, 64), (480, 640), (700, 160), (160, 700), (1520, 2028)])
def test_the_map_is_there_pixel_by_pixel_and_the_rest_stays_clear_of_it(size: tuple[int, int]) -> None:
    relief = slope(*size, um_per_px=2.0)
    picture = depth_picture(relief, title="A title")
    low, high = colour_range(relief)
    layout = module._lay_out(relief, "A title", low, high)
    left, top = layout.picture
    height, width = size
    drawn = picture[top : top + height, left : left + width]
    np.testing.assert_array_equal(drawn, colours_of(relief, low, high))
    assert (picture[:, -1] == 255).all(), "nothing is cut off at the right"
    assert (picture[-1] == 255).all()
    assert (picture[0] == 255).all()
    assert 11 <= layout.em == pytest.approx(max(11, 0.024 * (height * width) ** 0.5), abs=1)


def test_the_scale_bar_is_as_long_as_it_says() -> None:
    relief = slope(um_per_px=2.0)
    picture = depth_picture(relief)
    layout = module._lay_out(relief, "Depth map", *colour_range(relief))
    foot = luma(picture[layout.foot : layout.foot + round(2.8 * layout.em)])
    middle = round(1.4 * layout.em)
    bar = np.flatnonzero(foot[middle] < 60)
    bar = bar[: np.argmax(np.diff(bar, append=10**6) > 1) + 1]
    assert bar[0] == layout.picture[0]
    # A quarter of 800 um is 200 um, which is 100 px.
    assert len(bar) == 100
    assert length_label(200.0) == f"200 {MICRO}m"


def test_the_legend_has_its_values_where_the_colours_are() -> None:
    relief = slope(hole=False)
    low, high = colour_range(relief)
    layout = module._lay_out(relief, "Depth map", low, high)
    picture = depth_picture(relief)
    x, y, width, height = layout.bar
    ramp = picture[y : y + height, x + width // 2]
    marks = np.flatnonzero(luma(picture[y : y + height, x + width + 1]) < 60)
    assert len(marks) == len(layout.values) > 2
    for mark, value in zip(marks, layout.values, strict=True):
        expected = colours_of(make_relief(np.array([[value]], np.float32)), low, high)[0, 0]
        assert np.abs(ramp[mark].astype(int) - expected).max() <= 6


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0.0, 10.0, 6, [0, 2, 4, 6, 8, 10]),
        (0.3, 9.7, 6, [2, 4, 6, 8]),
        (10_137.0, 13_874.0, 9, [10_500, 11_000, 11_500, 12_000, 12_500, 13_000, 13_500]),
        (-0.02, 0.03, 6, [-0.02, -0.01, 0.0, 0.01, 0.02, 0.03]),
        (4.0, 4.0, 5, [4.0]),
    ],
)
def test_ticks_are_round(low: float, high: float, most: int, expected: list[float]) -> None:
    np.testing.assert_allclose(ticks(low, high, most), expected, atol=1e-12)


def test_ticks_are_never_too_many() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        low, length = rng.normal() * 10 ** rng.uniform(-2, 4), 10 ** rng.uniform(-3, 5)
        most = int(rng.integers(2, 12))
        values = ticks(low, low + length, most)
        assert 1 <= len(values) <= most
        assert low - 1e-6 * length <= values[0] <= values[-1] <= low + length * (1 + 1e-6)


@pytest.mark.parametrize(("low", "high", "most"), [(1.0, 0.0, 5), (0.0, 1.0, 1)])
def test_ticks_that_cannot_be(low: float, high: float, most: int) -> None:
    with pytest.raises(ValueError, match="ticks"):
        ticks(low, high, most)


def test_round_numbers_and_their_labels() -> None:
    assert [round_down(v) for v in (1.0, 1.9, 2.0, 4.99, 5.0, 99.0, 0.07)] == [1, 1, 2, 2, 5, 50, 0.05]
    assert label(-0.0, 1.0) == "0"
    assert label(12.5, 0.5) == "12.5"
    assert label(1500.0, 500.0) == "1500"
    assert length_label(2000.0) == "2 mm"
    assert length_label(0.5) == "500 nm"
    assert length_label(5e6) == "5 m"


def test_the_micro_sign_is_a_u_with_a_stem_below() -> None:
    letter, sign = text_mask("u", 60), text_mask(MICRO, 60)
    assert sign.shape == letter.shape
    assert (sign.astype(int) >= letter).all()
    lowest = np.flatnonzero(letter.max(axis=1) > 127)[-1]
    below = sign[lowest + 3 :].max(axis=0) > 127
    assert below.any()
    assert np.flatnonzero(below).max() < letter.shape[1] / 2
    np.testing.assert_array_equal(text_mask("\N{GREEK SMALL LETTER MU}", 60), sign)


def test_text_is_cut_off_at_the_border() -> None:
    canvas = np.full((20, 30, 3), 255, np.uint8)
    for place in ((-10, -5), (25, 15), (200, 0), (0, 200)):
        draw_text(canvas, "Wide", place, 16, (0, 0, 0))
    assert canvas.min() < 60
    assert text_mask("", 16).shape[1] == 0


@pytest.mark.parametrize("name", ["depth.png", "depth.jpg"])
def test_it_is_written(tmp_path: Path, name: str) -> None:
    relief = slope(um_per_px=2.0)
    drawn = depth_picture(relief, title="Wedge")
    write_picture(tmp_path / name, drawn)
    back = cv2.cvtColor(cv2.imread(str(tmp_path / name)), cv2.COLOR_BGR2RGB)
    assert np.abs(back.astype(int) - drawn).mean() < 2
    if name.endswith("png"):
        np.testing.assert_array_equal(back, drawn)
