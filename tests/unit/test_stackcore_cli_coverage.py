"""`--coverage`: gaps between frames are told where the steps were too large for the blur, and only there."""

from __future__ import annotations

import json

import cv2
import pytest

from stackcore.cli.parser import run_command_line
from tests.unit._scenes import tilted_plane


@pytest.mark.parametrize(("blur", "gaps"), [(0.8, False), (6.0, True)])
def test_gaps_are_told_where_there_are_any(tmp_path, blur, gaps):
    names = []
    for index, frame in enumerate(tilted_plane(160, 320, 8, seed=3, blur_px_per_frame=blur).frames):
        names.append(str(tmp_path / f"f{index}.png"))
        cv2.imwrite(names[-1], frame[..., ::-1])
    report = tmp_path / "coverage.json"
    options = ["-o", str(tmp_path / "fused.tif"), "--coverage", str(report), "--step-um", "50", "--quiet"]
    assert run_command_line(["fuse", *names, *options]) == 0
    found = json.loads(report.read_text())
    assert (found["sharp_within"] < 0.5) == gaps
    assert bool(found["gaps"]) == gaps
    if gaps:
        assert found["gaps"][0]["begin_um"] < found["gaps"][0]["end_um"]
        assert "no frame" in found["text"] or "between" in found["text"].lower()


def test_it_is_told_when_nothing_says_which_end_is_near(tmp_path, capsys):
    names = []
    for index, frame in enumerate(tilted_plane(120, 160, 4, seed=3, blur_px_per_frame=0.8).frames):
        names.append(str(tmp_path / f"f{index}.png"))
        cv2.imwrite(names[-1], frame[..., ::-1])
    options = ["-o", str(tmp_path / "fused.tif"), "--depth-picture", str(tmp_path / "depth.png"), "--json"]
    for extra, told in (([], True), (["--near", "last"], False)):
        assert run_command_line(["fuse", *names, *options, *extra]) == 0
        warnings = json.loads(capsys.readouterr().out)["warnings"]
        assert any("--near last" in text for text in warnings) == told
