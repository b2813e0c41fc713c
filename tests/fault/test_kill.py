"""Killed with SIGKILL at random moments of a capture: every accepted frame is still there and whole, and the rest follows.

The moments are seeded and spread over a whole run, from when the session is made until after it is closed. The run is a process
of its own, on virtual time, so that it is always busy with something that a kill can hit.
"""

from __future__ import annotations

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rigd.session import survey, verify
from rigd.session.store import frame_records
from tests.rigs import SMALL

FRAMES = 45
LINES = 14
"""What a run says on a pipe: that it loads kernels, its session, then every fourth frame, and after the last it closes the session."""
BETWEEN_LINES_S = 0.05
"""About the time between two lines; a kill falls anywhere in it."""
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
    return rigd("capture", "--config", config, "--set", f"storage.sessions={sessions}", "--virtual-time")


def kill_at(process, lines: int, then_s: float) -> str:
    """Kill when it has said so many lines and a moment later; how far it was."""
    said = 0
    for line in process.stderr:
        said += line.startswith("rigd: ")
        if said > lines:
            break
    try:
        process.wait(then_s)
        stage = "ended"
    except subprocess.TimeoutExpired:
        process.kill()
        stage = "killed"
    process.communicate()
    return stage


def kill_and_resume(folder: Path, seed: int) -> str:
    """One kill; what stage it hit."""
    moment = random.Random(seed)
    stage = kill_at(start(folder), moment.randrange(1, LINES), moment.uniform(0, BETWEEN_LINES_S))
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
    assert resumed.returncode == 0, (seed, out, err)
    found = verify(seen.path)
    assert found.whole, found.problems
    assert (found.overview.outcome, found.overview.frames) == ("complete", FRAMES)
    after = frame_records(seen.path)
    assert {frame: after[frame].sha256 for frame in before} == {
        frame: record.sha256 for frame, record in before.items()
    }
    return stage


def kill_many(tmp_path: Path, kills: int, seed: int) -> list[str]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda k: kill_and_resume(tmp_path / str(k), seed + k), range(kills)))


def test_twenty_kills(tmp_path):
    stages = kill_many(tmp_path, 20, seed=1)
    assert stages.count("killed") >= 10, stages


@pytest.mark.soak
def test_two_hundred_kills(tmp_path):
    stages = kill_many(tmp_path, 200, seed=1000)
    assert stages.count("killed") >= 100, stages
