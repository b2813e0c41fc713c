"""The command line as a user or a script meets it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from rigd.cli.exits import Exit
from rigd.cli.parser import make_parser, run_command_line
from rigd.session import survey
from tests.rigs import FRAMES, SMALL

COMMANDS = ("demo", "run", "capture", "resume", "finish", "plan", "check", "sessions", "states")


@pytest.fixture
def rig(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text(f"{SMALL}\nstorage: {{sessions: {tmp_path / 'sessions'}}}\n")
    return path


def test_help_loads_neither_numba_nor_opencv():
    code = (
        "import sys\nfrom rigd.cli.parser import run_command_line\n"
        "try: run_command_line(sys.argv[1:])\nexcept SystemExit: pass\n"
        "heavy = {'numba', 'cv2', 'numpy', 'pydantic', 'asyncio'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    for arguments in ([], *([name] for name in COMMANDS)):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments, "--help"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        make_parser().parse_args([name, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: rigd {name}" in text
    assert name == "states" or "examples:" in text


def test_a_capture_says_where_everything_is(rig, capsys):
    assert (
        run_command_line(["capture", "--config", str(rig), "--virtual-time", "--name", "My Beetle"])
        == Exit.DONE
    )
    out = capsys.readouterr().out
    assert f"{FRAMES} frames" in out
    for word in ("preview.jpg", "depth.tif", "session.json"):
        (path,) = re.findall(rf"\S+my-beetle/{re.escape(word)}", out)
        assert Path(path).is_file()


def test_json_is_one_object_and_nothing_else(rig, capsys):
    assert run_command_line(["capture", "--config", str(rig), "--virtual-time", "--json"]) == Exit.DONE
    said = capsys.readouterr()
    data = json.loads(said.out)
    assert data["ok"]
    assert (data["outcome"], data["frames"]) == ("complete", FRAMES)
    assert said.err == ""
    assert run_command_line(["sessions", data["session"], "--verify", "--json"]) == Exit.DONE
    listed = json.loads(capsys.readouterr().out)
    assert listed["sessions"][0]["whole"]


def test_a_paused_stack_can_be_resumed_and_the_message_says_how(rig, capsys):
    black = ["--set", "camera.faults.black.at=[6,7,8]", "--set", "capture.checks.max_retries=1"]
    assert run_command_line(["capture", "--config", str(rig), "--virtual-time", *black]) == Exit.PAUSED
    err = capsys.readouterr().err
    (path,) = re.findall(r"rigd resume (\S+)", err)
    assert "black" in err
    assert run_command_line(["sessions", "--root", str(Path(path).parent), "--unfinished"]) == Exit.DONE
    assert path in capsys.readouterr().out
    assert (
        run_command_line(["resume", "--last", "--root", str(Path(path).parent), "--virtual-time"])
        == Exit.PAUSED
    )
    capsys.readouterr()


def test_a_fault_names_what_to_do_and_how_to_resume(rig, capsys):
    assert (
        run_command_line(
            ["capture", "--config", str(rig), "--virtual-time", "--set", "rail.faults.unplug_after_moves=6"]
        )
        == Exit.HARDWARE
    )
    err = capsys.readouterr().err
    assert "unplugged" in err
    assert "rigd resume" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["capture", "--config", "nowhere.yaml"], Exit.CONFIG, "nowhere.yaml"),
        (["capture", "--config", "{rig}", "--set", "plan.step_um=0.1"], Exit.CONFIG, "microstep"),
        (["capture", "--config", "{rig}", "--set", "storage.keep_free_mb=1e12"], Exit.PLAN, "disk"),
        (
            [
                "capture",
                "--config",
                "{rig}",
                "--set",
                "rail.faults.home_switch_broken=true",
                "--virtual-time",
            ],
            Exit.HARDWARE,
            "Next:",
        ),
        (["resume", "nowhere"], Exit.SESSION, "not a session"),
        (["resume"], Exit.USAGE, "--last"),
        (["resume", "--last", "--root", "nowhere"], Exit.SESSION, "no unfinished session"),
        (["plan", "--config", "{rig}", "--set", "storage.keep_free_mb=1e12"], Exit.PLAN, "disk"),
    ],
)
def test_each_kind_of_failure_has_its_code_and_its_words(rig, capsys, arguments, code, words):
    assert run_command_line([argument.format(rig=rig) for argument in arguments]) == code
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.startswith("rigd: ")
    assert "Traceback" not in said.err


def test_a_session_in_use_is_refused_before_anything_moves(rig, capsys, tmp_path):
    black = ["--set", "camera.faults.black.at=[6,7,8]", "--set", "capture.checks.max_retries=1"]
    assert run_command_line(["capture", "--config", str(rig), "--virtual-time", *black]) == Exit.PAUSED
    (seen,) = survey(tmp_path / "sessions")
    holder = os.open(seen.path / "journal.jsonl", os.O_WRONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    capsys.readouterr()
    assert run_command_line(["resume", str(seen.path), "--virtual-time"]) == Exit.SESSION
    assert "in use" in capsys.readouterr().err
    os.close(holder)


def test_lost_steps_are_told(rig, capsys):
    lost = ["--set", "capture.rehome_at_end=true", "--set", "rail.faults.lose_steps=200"]
    assert run_command_line(["capture", "--config", str(rig), "--virtual-time", *lost]) == Exit.DONE
    said = capsys.readouterr()
    assert "off by" in said.out
    assert "lost steps" in said.err


def test_a_reader_that_goes_away_does_not_stop_a_stack(rig, tmp_path):
    command = f"{sys.executable} -m rigd capture --config {rig} --virtual-time 2>&1 | head -1"
    subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=True)
    assert run_command_line(["sessions", "--root", str(tmp_path / "sessions"), "--unfinished"]) == Exit.DONE
    (seen,) = survey(tmp_path / "sessions")
    assert seen.outcome == "complete"


def test_sessions_are_found_where_the_config_keeps_them(rig, capsys):
    assert run_command_line(["capture", "--config", str(rig), "--virtual-time"]) == Exit.DONE
    capsys.readouterr()
    assert run_command_line(["sessions", "--config", str(rig), "--json"]) == Exit.DONE
    (row,) = json.loads(capsys.readouterr().out)["sessions"]
    assert row["outcome"] == "complete"
    with pytest.raises(SystemExit):
        run_command_line(["sessions", "--config", str(rig), "--root", "elsewhere"])


def test_a_wrong_command_line_is_json_too(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["rigd", "capture", "--json"])
    with pytest.raises(SystemExit):
        run_command_line(["capture", "--json"])
    assert json.loads(capsys.readouterr().out)["kind"] == "usage"


def test_failures_are_json_too_where_that_is_wanted(rig, capsys):
    assert (
        run_command_line(["plan", "--config", str(rig), "--set", "storage.keep_free_mb=1e12", "--json"])
        == Exit.PLAN
    )
    data = json.loads(capsys.readouterr().out)
    assert (data["ok"], data["exit"], data["kind"]) == (False, Exit.PLAN, "plan")


def test_virtual_time_is_refused_for_real_parts(capsys):
    assert (
        run_command_line(["capture", "--config", "config/pi-hq-stepdir.yaml", "--virtual-time"]) == Exit.USAGE
    )
    assert "real parts" in capsys.readouterr().err


def test_a_rig_whose_parts_are_not_on_this_machine_says_so(capsys, tmp_path):
    arguments = ["capture", "--config", "config/pi-hq-stepdir.yaml", "--set", f"storage.sessions={tmp_path}"]
    assert run_command_line(arguments) == Exit.HARDWARE
    said = capsys.readouterr().err
    assert "lgpio" in said or "/dev/gpiochip0" in said  # the library is not installed, or there is no chip


def test_check_says_everything_at_once_or_the_whole_rig(rig, capsys, tmp_path):
    assert run_command_line(["check", str(rig)]) == Exit.DONE
    assert "backlash_um: 20" in capsys.readouterr().out
    bad = tmp_path / "bad.yaml"
    bad.write_text(SMALL.replace("max_um: 20000", "max_mm: 20").replace("step_um: 100", "step_um: 0.01"))
    assert run_command_line(["check", str(bad)]) == Exit.CONFIG
    out = capsys.readouterr().out
    assert "max_um" in out
    assert re.search(r"bad\.yaml:\d+:\d+: limits\.max_mm", out)
    assert "2 things to put right" in out


def test_plan_moves_nothing_and_shows_every_position(rig, capsys):
    assert run_command_line(["plan", "--config", str(rig), "--json"]) == Exit.DONE
    data = json.loads(capsys.readouterr().out)
    assert data["plan"]["frames"] == FRAMES
    assert data["prediction"]["seconds"] > 0
    assert run_command_line(["plan", "--config", str(rig)]) == Exit.DONE
    out = capsys.readouterr().out
    assert "5000.000" in out
    assert "6100.000" in out


@pytest.mark.parametrize("path", sorted(Path("config").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_plan_needs_no_hardware(path, capsys, tmp_path):
    if path.stem == "replay":
        photos = tmp_path / "photos"
        photos.mkdir()
        for number in range(3):
            (photos / f"{number}.jpg").write_bytes(simplejpeg.encode_jpeg(np.full((48, 64, 3), 90, np.uint8)))
        arguments = ["--set", f"camera.folder={photos}"]
    else:
        arguments = []
    assert run_command_line(["plan", "--config", str(path), "--json", *arguments]) == Exit.DONE
    data = json.loads(capsys.readouterr().out)
    assert data["prediction"]["seconds"] > 0
    assert data["plan"]["frames"] == len(data["plan"]["positions"])


def test_states_prints_the_diagram(capsys):
    assert run_command_line(["states"]) == Exit.DONE
    assert capsys.readouterr().out.startswith("stateDiagram-v2")


def test_a_damaged_session_is_found(rig, capsys):
    run_command_line(["capture", "--config", str(rig), "--virtual-time", "--json"])
    path = Path(json.loads(capsys.readouterr().out)["session"])
    (path / "frames" / "0003.jpg").write_bytes(b"scratched")
    assert run_command_line(["sessions", "--root", str(path.parent), "--verify"]) == Exit.SESSION
    assert "0003.jpg" in capsys.readouterr().out


def test_the_demo_holds_itself_against_the_truth(capsys, tmp_path):
    assert run_command_line(["demo", "--out", str(tmp_path), "--virtual-time", "--json"]) == Exit.DONE
    data = json.loads(capsys.readouterr().out)
    assert data["frames"] >= 40
    assert data["psnr_db"] > 28
    assert data["depth_error_steps"] < 0.2
