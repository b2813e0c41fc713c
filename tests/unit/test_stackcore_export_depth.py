"""Depth with its units: what every output is made from, and the TIFF."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from stackcore.export.depth_tiff import write_depth_tiff
from stackcore.export.relief import make_relief
from stackcore.files.errors import WriteError

INDEX = np.array([[0.0, 0.5, 1.0], [1.5, 2.0, np.nan]], np.float32)


def test_depth_in_micrometres_with_unequal_steps() -> None:
    relief = make_relief(INDEX, positions_um=[100.0, 110.0, 150.0], um_per_px=2.0)
    np.testing.assert_allclose(relief.depth, [[100, 105, 110], [130, 150, np.nan]])
    assert (relief.unit, relief.step, relief.span) == ("um", 25.0, (100.0, 150.0))
    assert relief.true_to_scale
    assert relief.known_share == pytest.approx(5 / 6)


def test_a_rail_that_goes_back() -> None:
    relief = make_relief(INDEX, positions_um=[150.0, 110.0], indices=[0, 2])
    np.testing.assert_allclose(relief.depth[0], [150, 140, 130])
    assert relief.span == (110.0, 150.0)
    assert not relief.true_to_scale


def test_depth_stays_in_frames_without_positions() -> None:
    relief = make_relief(np.where(np.isnan(INDEX), np.inf, INDEX), frames=5)
    np.testing.assert_array_equal(relief.depth, INDEX)
    assert (relief.unit, relief.step, relief.span) == ("frames", 1.0, (0.0, 4.0))
    assert make_relief(INDEX).span == (0.0, 2.0), "of what was found, when nothing else is known"
    assert make_relief(INDEX, indices=[3, 5, 9]).span == (3.0, 9.0)


def test_one_position_is_enough() -> None:
    relief = make_relief(np.zeros((2, 2), np.float32), positions_um=[70.0])
    assert (relief.depth == 70).all()
    assert relief.step > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"um_per_px": 0.0}, "pixel"),
        ({"um_per_px": float("nan")}, "pixel"),
        ({"positions_um": []}, "positions"),
        ({"positions_um": [0.0, float("nan"), 2.0]}, "position"),
        ({"positions_um": [0.0, 1.0], "indices": [2, 1]}, "positions"),
    ],
)
def test_units_that_make_no_sense_are_refused(arguments: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_relief(INDEX, **arguments)
    with pytest.raises(ValueError, match="shape"):
        make_relief(np.zeros(3, np.float32))


def test_the_tiff_has_scale_unit_positions_and_holes(tmp_path: Path) -> None:
    relief = make_relief(INDEX, positions_um=[100.0, 110.0, 150.0], um_per_px=2.5)
    path = tmp_path / "depth.tif"
    write_depth_tiff(path, relief)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        np.testing.assert_array_equal(page.asarray(), relief.depth)
        assert page.dtype == np.float32
        said = json.loads(page.tags["ImageDescription"].value)
        top, bottom = page.tags["XResolution"].value
        assert page.tags["ResolutionUnit"].value == 3, "centimetres"
    assert top / bottom == pytest.approx(10_000 / 2.5)
    assert said["unit"] == "um"
    assert said["holes"] == "NaN"
    assert said["um_per_px"] == 2.5
    assert said["positions_um"] == [100.0, 110.0, 150.0]
    assert said["larger_is"] == "farther"
    assert list(tmp_path.iterdir()) == [path]


def test_the_tiff_says_frames_when_positions_are_unknown(tmp_path: Path) -> None:
    write_depth_tiff(tmp_path / "depth.tif", make_relief(INDEX, frames=3, grows_away=False))
    with tifffile.TiffFile(tmp_path / "depth.tif") as file:
        said = json.loads(file.pages[0].tags["ImageDescription"].value)
    assert said["unit"] == "frames"
    assert said["larger_is"] == "nearer"
    assert "um_per_px" not in said
    assert "positions_um" not in said


def test_errors_name_the_file_and_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "depth.tif"
    with pytest.raises(WriteError, match=re.escape(str(path))):
        write_depth_tiff(path, make_relief(INDEX))
    folder = tmp_path / "folder.tif"
    folder.mkdir()
    with pytest.raises(WriteError, match=re.escape(str(folder))):
        write_depth_tiff(folder, make_relief(INDEX))
    assert list(tmp_path.iterdir()) == [folder]
