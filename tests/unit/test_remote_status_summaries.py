"""Digests of sessions: those of before a start too, and only of the newest."""

from __future__ import annotations

import asyncio
import json
import shutil

import pytest

from drivers.clock import VirtualClock
from rigd.messages.reports import Summary
from rigd.remote.bus import Switchboard
from rigd.remote.summaries import KEPT, Summaries, digest
from rigd.session.files import sha256_of
from rigd.virtualtime import run
from tests.rigs import capture, small_rig
from tests.unit._said import Ear


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """A complete session in which one picture was refused."""
    return capture(small_rig(tmp_path_factory.mktemp("taken"), "camera.faults.black.at=[4]")).path


def copies(taken, root, count):
    """So many sessions, a minute apart."""
    names = [f"20260101T00{minute:02d}00Z-test" for minute in range(count)]
    for name in names:
        shutil.copytree(taken, root / name)
    return names


def said(root, during, *, is_open=lambda _name: False):
    """What is said of the sessions below a folder, with something happening meanwhile."""
    clock = VirtualClock()

    async def main():
        switchboard, ear = Switchboard(), Ear(clock)
        switchboard.attach(ear)
        summaries = Summaries(switchboard, clock, root, "small", is_open)
        serving = asyncio.create_task(summaries.serve())
        try:
            await during(summaries, ear)
            await summaries.drained()
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        return ear, switchboard

    return run(main(), clock)


def test_a_digest(taken):
    summary = digest(taken)
    manifest = json.loads((taken / "session.json").read_text())
    assert summary == Summary(
        session=taken.name,
        name="test",
        outcome="complete",
        created=manifest["created"],
        finished=manifest["result"]["finished"],
        frames=12,
        planned=12,
        rejected=1,
        coverage=manifest["result"]["coverage"],
        files=len(manifest["files"]),
        manifest_sha256=sha256_of(taken / "session.json"),
    )


def test_what_home_was_off_by_is_in_micrometres(taken, tmp_path):
    path = tmp_path / "session"
    shutil.copytree(taken, path)
    manifest = json.loads((path / "session.json").read_text())
    manifest["result"]["home_error_microsteps"] = -4
    (path / "session.json").write_text(json.dumps(manifest))
    assert digest(path).home_error_um == pytest.approx(-4 * manifest["plan"]["microstep_um"])


def test_those_of_before_the_start_are_said_and_older_ones_cleared(taken, tmp_path):
    names = copies(taken, tmp_path, KEPT + 3)
    (tmp_path / "lost+found").mkdir()

    async def during(summaries, ear):
        await ear.until(lambda: len(ear.said) == KEPT + 3)

    ear, switchboard = said(tmp_path, during)
    assert [one.topic for one in ear.said if one.data is None] == [
        f"session/{name}/summary" for name in names[:3]
    ]
    assert list(switchboard.retained) == [f"session/{name}/summary" for name in names[3:]]


def test_a_new_one_pushes_the_oldest_out(taken, tmp_path):
    names = copies(taken, tmp_path, KEPT)

    async def during(summaries, ear):
        await ear.until(lambda: len(ear.said) == KEPT)
        # The clock was set back meanwhile: its name sorts before all others, and yet it is the newest.
        shutil.copytree(taken, tmp_path / "20190101T000000Z-test")
        summaries.left("20190101T000000Z-test")
        await summaries.drained()

    ear, switchboard = said(tmp_path, during)
    assert len(switchboard.retained) == KEPT
    assert "session/20190101T000000Z-test/summary" in switchboard.retained
    assert ear.said[-1].topic == f"session/{names[0]}/summary"
    assert ear.said[-1].data is None


def test_one_that_is_being_taken_has_none(taken, tmp_path):
    first, second = copies(taken, tmp_path, 2)

    async def during(summaries, ear):
        await ear.until(lambda: len(ear.said) == 1)

    ear, _ = said(tmp_path, during, is_open=lambda name: name == first)
    assert [one.topic for one in ear.said] == [f"session/{second}/summary"]


def test_a_damaged_session_is_left_out(taken, tmp_path, caplog):
    first, second = copies(taken, tmp_path, 2)
    (tmp_path / first / "session.json").write_text('{"format": 1}')

    async def during(summaries, ear):
        await ear.until(lambda: len(ear.said) == 1)

    ear, _ = said(tmp_path, during)
    assert [one.topic for one in ear.said] == [f"session/{second}/summary"]
    assert f"no summary of {first}" in caplog.text


def test_no_folder_yet(tmp_path):
    async def during(summaries, ear):
        summaries.left("nowhere")
        await summaries.drained()

    ear, _ = said(tmp_path / "sessions", during)
    assert not ear.said


def test_what_another_rig_took_into_the_same_folder_is_not_ours_to_tell(taken, tmp_path):
    names = copies(taken, tmp_path, 3)
    theirs = tmp_path / names[1] / "session.json"
    manifest = json.loads(theirs.read_text())
    manifest["config"]["rig"]["id"] = "neighbour"
    theirs.write_text(json.dumps(manifest))

    async def fused(summaries, ear):
        await ear.until(lambda: len(ear.said) == 2)
        summaries.left(names[1])

    _, switchboard = said(tmp_path, fused)
    assert list(switchboard.retained) == [f"session/{name}/summary" for name in (names[0], names[2])]
