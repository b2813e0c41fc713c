"""Killed with SIGKILL at random moments of a capture: every accepted frame is still there and whole, and the rest follows.

The moments are seeded and spread evenly over a whole run, from before the session is made until after it is closed. The run is a
process of its own, on virtual time, so that it is always busy with something that a kill can hit.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rigd.session import survey, verify
from rigd.session.store import frame_records
from tests.rigs import SMALL

FRAMES = 45
RIG = SMALL.replace("step_um: 100", "step_um: 25")


def rigd(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "rigd", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def start(folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "rig.yaml"
    config.write_text(RIG)
    sessions = folder / "sessions"
    return rigd(
        "capture", "--config", config, "--set", f"storage.sessions={sessions}", "--virtual-time", "--json"
    )


def run_time_s(folder: Path) -> tuple[float, float]:
    """When a whole run makes its session and when it ends, in seconds from its start."""
    began = time.time()
    process = start(folder)
    out, err = process.communicate(timeout=120)
    ended = time.time()
    assert process.returncode == 0, err
    made = (Path(json.loads(out)["session"]) / "journal.jsonl").parent / "frames" / "0001.jpg"
    return made.stat().st_mtime - began, ended - began


def kill_and_resume(folder: Path, after_s: float) -> str:
    """One kill; what stage it hit."""
    process = start(folder)
    try:
        process.communicate(timeout=after_s)
        stage = "ended"
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        stage = "killed"
    sessions = [seen for seen in survey(folder / "sessions") if seen.outcome != "damaged"]
    if not sessions:
        return "before the session"
    (seen,) = sessions
    before = frame_records(seen.path)
    assert verify(seen.path).whole, verify(seen.path).problems
    if seen.outcome == "complete":
        assert len(before) == FRAMES
        return stage
    resumed = rigd("resume", seen.path, "--virtual-time", "--json")
    out, err = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, (after_s, out, err)
    found = verify(seen.path)
    assert found.whole, found.problems
    assert (found.overview.outcome, found.overview.frames) == ("complete", FRAMES)
    after = frame_records(seen.path)
    assert {frame: after[frame].sha256 for frame in before} == {
        frame: record.sha256 for frame, record in before.items()
    }
    return stage


def kill_many(tmp_path: Path, kills: int, seed: int) -> list[str]:
    made_s, ended_s = run_time_s(tmp_path / "warm")
    made_s, ended_s = run_time_s(tmp_path / "whole")
    moments = [random.Random(seed + k).uniform(made_s - 0.1, ended_s) for k in range(kills)]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda k: kill_and_resume(tmp_path / str(k), moments[k]), range(kills)))


def test_twenty_kills(tmp_path):
    stages = kill_many(tmp_path, 20, seed=1)
    assert stages.count("killed") >= 10, stages


@pytest.mark.soak
def test_two_hundred_kills(tmp_path):
    stages = kill_many(tmp_path, 200, seed=1000)
    assert stages.count("killed") >= 100, stages
