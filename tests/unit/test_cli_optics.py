"""`rigd optics` and what `rigd plan` says of the optics: by hand, of a config, as JSON, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from rigd.calibration.records import Calibration, PupilDistance, calibration_path, store
from rigd.cli.exits import Exit
from rigd.cli.parser import run_command_line
from rigd.config import load
from tests.rigs import SMALL

LENS = "optics: {magnification: 1, f_number: 8, blur_circle_um: 30, sensor_width_mm: 5.76}\n"
DEEP = SMALL.replace("travel_um: 20000", "travel_um: 60000").replace(
    "limits: {max_um: 20000}", "limits: {max_um: 60000}"
)
DEEP = (
    DEEP.replace(
        "plan: {near_um: 5000, far_um: 6100, step_um: 100}", "plan: {near_um: 5000, depth_um: 10000}"
    )
    + LENS
)


def said(capsys, *arguments, code=Exit.DONE):
    try:
        ended = run_command_line(list(arguments))
    except SystemExit as stop:  # argparse's own refusals
        ended = stop.code
    assert ended == code
    outcome = capsys.readouterr()
    return outcome.out if code == Exit.DONE else outcome.err


def told(capsys, *arguments):
    return json.loads(said(capsys, *arguments, "--json"))


BY_HAND = ("optics", "--magnification", "1", "--f-number", "8", "--blur-circle", "30um", "--depth", "10mm")


def test_the_worked_example_by_hand(capsys):
    data = told(capsys, *BY_HAND)
    assert (data["step_um"], data["frames"]) == (768, 15)
    assert data["optics"]["light_loss_stops"] == pytest.approx(2)
    assert data["optics"]["airy_um"] == pytest.approx(21.5, abs=0.05)
    assert data["optics"]["convention"] == "classic"
    text = said(capsys, *BY_HAND)
    for word in (
        "f/16 effective",
        "2.0 stops",
        "0.960 mm",
        "Airy disc 21.5 um",
        "step             0.768 mm",
        "15 frames",
    ):
        assert word in text


def test_units_and_the_table(capsys):
    data = told(capsys, *BY_HAND[:-1], "1cm", "--wavelength", "550nm", "--share", "0.5")
    assert data["step_um"] == 480
    rows = {row["f_number"]: row for row in data["table"]}
    assert rows[8]["depth_of_field_um"]["classic"] == 960
    assert "f  effective" in said(capsys, *BY_HAND, "--table")


def test_an_objective_by_name(capsys):
    base = ("optics", "--objective", "nikon-cfi-10x")
    data = told(capsys, *base, "--depth", "1mm")
    assert (data["optics"]["na"], data["step_um"], data["table"]) == (0.25, 7.04, [])
    data = told(capsys, *base, "--tube", "100mm", "--sensor", "23.5mm", "--pixels", "6000")
    assert data["optics"]["magnification"] == 5
    assert data["optics"]["object_px_um"] == pytest.approx(23500 / 6000 / 5)
    assert "nikon-cfi-10x" in said(capsys, "optics", "list")
    assert told(capsys, "optics", "list")["nikon-cfi-10x"]["na"] == 0.25


def test_magnification_from_the_field_and_from_lens_data(capsys):
    field = ("optics", "--f-number", "8", "--sensor", "36mm", "--field-width", "70mm")
    assert told(capsys, *field)["optics"]["magnification"] == pytest.approx(0.5143, abs=5e-5)
    lens = ("optics", "--f-number", "8", "--focal-length", "50mm", "--extension", "75mm")
    assert told(capsys, *lens)["optics"]["magnification"] == 1.5


def test_perspective_by_hand(capsys):
    text = said(capsys, *BY_HAND, "--pupil-distance", "100mm", "--pixels", "6000")
    assert "0.77 % larger from frame to frame, 23 px at the edge" in text


def test_the_fastest_set_by_hand(capsys):
    data = told(capsys, *BY_HAND, "--fastest", "--overhead", "2s", "--exposure", "0.5s")
    fastest = data["fastest"]
    assert fastest["limited_by"] == "diffraction" or fastest["exposure_s"] == pytest.approx(2, rel=0.1)
    assert fastest["seconds"] <= 15 * 2.5
    assert "fastest: f/" in said(capsys, *BY_HAND, "--fastest", "--overhead", "2s", "--exposure", "0.5s")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("optics",), "what is the lens?"),
        (("optics", "--magnification", "1"), "what is the lens?"),
        (("optics", "--magnification", "0", "--f-number", "8"), "magnification is 0"),
        (("optics", "--magnification", "1", "--f-number", "8", "--na", "0.1"), "once"),
        (("optics", "--objective", "nikn"), "no objective 'nikn'"),
        (("optics", "--sensor", '1/2.3"'), "no size"),
        (("optics", "--depth", "10s"), "not a length"),
        (("optics", "--depth", "0mm"), "length above 0"),
        ((*BY_HAND, "--fastest"), "--overhead and --exposure"),
        (("optics", "--f-number", "8", "--field-width", "70mm"), "give --sensor"),
    ],
)
def test_what_is_refused(capsys, arguments, words):
    assert words in said(capsys, *arguments, code=Exit.USAGE)


def test_the_optics_of_a_config(tmp_path, capsys):
    path = tmp_path / "rig.yaml"
    path.write_text(SMALL + LENS)
    data = told(capsys, "optics", "--config", str(path))
    assert data["optics"]["object_px_um"] == pytest.approx(60)
    assert (
        told(capsys, "optics", "--config", str(path), "--f-number", "4")["optics"]["effective_f_number"] == 8
    )
    data = told(capsys, "optics", "--config", str(path), "--objective", "mitutoyo-5x")
    assert (data["optics"]["magnification"], data["optics"]["na"]) == (5, 0.14)


# ----------------------------------------------------------------------------------------------------------------- plan


@pytest.fixture
def rig(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text(DEEP)
    return ("plan", "--config", str(path), "--set", f"storage.sessions={tmp_path / 'sessions'}")


def test_a_plan_explained(rig, capsys):
    text = said(capsys, *rig, "--explain")
    flat = " ".join(text.split())
    for words in (
        "15 frames",
        "2.0 stops less light",
        "960 um (classic",
        "768 um, was wanted",
        "overlap by 26 %",
        "rounded to one by itself",
        "waiting for stillness",
        "preview, depth map and fused picture",
    ):
        assert words in flat
    assert "microsteps\n     1" not in text


def test_a_plan_warns_in_words_and_in_json(rig, capsys):
    rig = (*rig, "--set", "plan.dof_share=1.5")
    assert "warning: the step of" in said(capsys, *rig)
    data = told(capsys, *rig)
    assert [one["code"] for one in data["warnings"]] == ["step_beyond_depth"]
    assert data["plan"]["overlap"] < 0
    assert data["optics"]["depth_of_field_um"]["classic"] == 960
    assert {"optics", "depth_of_field", "step", "time", "disk"} <= {one["about"] for one in data["reasons"]}
    prediction = data["prediction"]
    parts = ("motion_s", "settle_s", "exposure_s", "waiting_s")
    assert prediction["seconds"] == pytest.approx(sum(prediction[name] for name in parts))
    assert prediction["bytes"] == prediction["frames_bytes"] + prediction["results_bytes"]


def test_the_fastest_set_of_a_plan(rig, capsys):
    data = told(capsys, *rig, "--fastest")
    assert data["fastest"]["limited_by"] == "diffraction"
    assert data["fastest"]["effective_f_number"] <= 30 / 1.1
    assert "as planned now: 15 frames" in said(capsys, *rig, "--fastest")
    blind = (*rig, "--fastest", "--set", "optics.blur_circle_um=null", "--set", "optics.sensor_width_mm=null")
    assert "needs the optics" in said(capsys, *blind, code=Exit.CONFIG)


def test_without_optics_a_plan_is_explained_as_far_as_it_goes(tmp_path, capsys):
    path = tmp_path / "rig.yaml"
    path.write_text(SMALL)
    flat = " ".join(said(capsys, "plan", "--config", str(path), "--explain").split())
    assert "Of the optics too little is known" in flat
    assert "at most 100 um was asked for" in flat


# ---------------------------------------------------------------------------------------------------------------- ruler


def test_a_ruler_photographed(tmp_path, capsys):
    picture = np.full((600, 1200), 210, np.uint8)
    for index, at in enumerate(range(0, 1200, 24)):
        picture[600 - (220 if index % 10 == 0 else 150) :, at : at + 4] = 50
    path = tmp_path / "ruler.png"
    cv2.imwrite(str(path), cv2.GaussianBlur(picture, (0, 0), 1.5))
    data = told(capsys, "optics", "ruler", str(path), "--pitch", "0.5mm", "--sensor", "24mm")
    # 1200 px of 24 px to half a millimetre: 25 mm on a sensor of 24 mm.
    assert data["magnification"] == pytest.approx(0.96, rel=0.002)
    assert data["object_px_um"] == pytest.approx(500 / 24, rel=0.002)
    assert "magnification 0.9" in said(
        capsys, "optics", "ruler", str(path), "--pitch", "0.5mm", "--sensor", "24mm"
    )
    assert "with --sensor" in said(capsys, "optics", "ruler", str(path))


def test_no_ruler(tmp_path, capsys):
    path = tmp_path / "noise.png"
    cv2.imwrite(str(path), np.random.default_rng(1).integers(0, 255, (400, 500), np.uint8))
    assert "no regular marks" in said(capsys, "optics", "ruler", str(path), code=Exit.USAGE)
    path.write_bytes(b"no picture")
    assert "cannot be read" in said(capsys, "optics", "ruler", str(path), code=Exit.USAGE)
    assert "nowhere.png" in said(capsys, "optics", "ruler", str(tmp_path / "nowhere.png"), code=Exit.STORAGE)


# ------------------------------------------------------------------------------------------------------------ quick to start


@pytest.mark.parametrize(
    ("arguments", "none_of"),
    [
        (BY_HAND, {"numba", "cv2", "scipy", "PIL", "numpy", "asyncio"}),
        (("optics", "--config", "CONFIG", "--table"), {"numba", "cv2", "scipy", "PIL", "numpy", "asyncio"}),
        (("plan", "--config", "CONFIG", "--explain"), {"numba", "cv2", "scipy", "PIL", "asyncio"}),
        (("optics", "--help"), {"numba", "cv2", "scipy", "PIL", "numpy", "asyncio", "pydantic", "yaml"}),
    ],
)
def test_nothing_needless_is_loaded(tmp_path, arguments, none_of):
    path = tmp_path / "rig.yaml"
    path.write_text(DEEP)
    arguments = [str(path) if one == "CONFIG" else one for one in arguments]
    code = (
        "import sys\nfrom rigd.cli.parser import run_command_line\n"
        "try: run_command_line(sys.argv[2:])\nexcept SystemExit: pass\n"
        "heavy = set(sys.argv[1].split(',')) & set(sys.modules)\nsys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    command = [sys.executable, "-c", code, ",".join(none_of), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_config_that_says_too_little_of_its_lens(tmp_path, capsys):
    path = tmp_path / "rig.yaml"
    path.write_text(SMALL + "optics: {magnification: 1}\n")
    text = said(capsys, "optics", "--config", str(path), code=Exit.USAGE)
    assert "give --f-number or --na; or say it under optics:" in text


def test_an_objective_has_no_aperture_to_set(capsys):
    text = said(
        capsys, "optics", "--magnification", "100", "--na", "0.9", "--sensor", "23.5mm", "--pixels", "6000"
    )
    assert "best aperture" not in text
    assert "0.679 um" in text


def test_the_optics_of_a_config_have_its_pupil_measured_or_not(tmp_path, capsys):
    path = tmp_path / "rig.yaml"
    path.write_text(SMALL + LENS)
    changes = (f"service.state={tmp_path}", "preview.align=track", "preview.pupil_to_focus_um=")
    command = ("optics", "--config", str(path), *(f"--set={one}" for one in changes))
    assert "perspective" not in said(capsys, *command)
    found = PupilDistance(
        objective="",
        measured="2026-11-22T10:00:00Z",
        pupil_to_focus_um=100_000,
        error_um=20,
        per_um=1e-5,
        per_um_error=1e-8,
        position_um=5000,
    )
    store(calibration_path(load(path, changes)), Calibration(pupil_distances=(found,)))
    assert "0.77 % larger" in said(capsys, *command)


def test_a_step_of_the_optics_that_the_rail_cannot_make(tmp_path, capsys):
    path = tmp_path / "rig.yaml"
    path.write_text(
        DEEP.replace("magnification: 1, f_number: 8, blur_circle_um: 30", "magnification: 100, na: 0.9")
    )
    text = said(capsys, "plan", "--config", str(path), code=Exit.CONFIG)
    assert "0.8 of the depth of field is a step of 0.543 µm, below one microstep" in text
    assert "frames" not in text.split("below one microstep")[0].rsplit("plan", 1)[1]
