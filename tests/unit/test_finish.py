"""A complete session gets its fused picture: recorded with hashes, out of the way of everything else, and never at its cost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from rigd import finish as rooms
from rigd.config import examine
from rigd.config.model import Finish
from rigd.finish import (
    DONE,
    FAILED,
    INSTALLING,
    WORK,
    arguments,
    config_of,
    outputs,
    pending,
    record_failure,
    working,
)
from rigd.finishing import NICE, Finisher, Hot, memory_bytes, serve
from rigd.health import Flags, Health, Throttling
from rigd.session import JournalInUse, SessionError, verify
from rigd.session.store import load_manifest
from tests.rigs import SMALL, capture, small_rig

COOL = Health(None, 45.0, None, 2_000_000_000, None)
CONFIG = Finish(depth_picture=False)
WRITES = """
import json, pathlib, sys
work = pathlib.Path(sys.argv[1])
for name in ("fused.tif", "depth.tif", "confidence.tif", "depth.png"):
    (work / name).write_bytes(name.encode() + b" made")
print(json.dumps({"ok": True, "frames": 12, "used": 11, "seconds": 1.5, "left_out": [{"name": "0003.jpg", "reason": "odd"}]}))
"""


@pytest.fixture
def session(tmp_path):
    return capture(small_rig(tmp_path, "finish.enabled=true")).path


def program(code):
    """A command that stands for stackcore: given the working folder."""
    return lambda session, config: [sys.executable, "-c", code, str(session / WORK)]


def finish(session, code=WRITES, config=CONFIG, **options):
    finisher = Finisher(options.pop("health", lambda: COOL), command=program(code), **options)
    return asyncio.run(finisher.finish(session, config))


def state(session):
    return load_manifest(session).get("finish", {}).get("state")


# ------------------------------------------------------------------------------------------------------------- what is asked for


def test_the_command_asks_for_what_the_config_wants():
    config = Finish(
        method="weighted", options={"gamma": 2.0, "measure": "sml"}, picture="jpg", jpeg_quality=90, mesh="glb", points=True,
        um_per_px=1.5, align=False, orthographic=True, slab_frames=8, threads=1,
    )  # fmt: skip
    words = arguments(Path("s"), config)
    assert words[1:5] == ["-m", "stackcore", "fuse", "s"]
    text = " ".join(words[5:])
    for part in (
        "--output s/.finish/fused.jpg", "--depth s/.finish/depth.tif", "--confidence s/.finish/confidence.tif",
        "--depth-picture s/.finish/depth.png", "--mesh s/.finish/mesh.glb", "--points s/.finish/points.ply",
        "--method weighted", "--option gamma=2.0", "--option measure=sml", "--quality 90", "--slab 8", "--um-per-px 1.5",
        "--threads 1", "--no-align", "--orthographic", "--json",
    ):  # fmt: skip
        assert part in text
    assert "--no-even" not in words


def test_the_command_line_of_stackcore_takes_the_command():
    from stackcore.cli.parser import make_parser

    config = Finish(
        mesh="ply", points=True, um_per_px=2.0, even=False, slab_frames=4, options={"unveil": False}
    )
    options = make_parser().parse_args(arguments(Path("s"), config)[3:])
    assert (options.output, options.method_options) == ("s/.finish/fused.tif", ["unveil=false"])


def test_a_method_without_depth_is_not_asked_for_depth():
    assert outputs(Finish(method="wavelet")) == {"--output": "fused.tif"}


@pytest.mark.parametrize(
    ("section", "problems", "warnings"),
    [
        ("{method: weighted, options: {gamma: 2}}", [], []),
        (
            "{method: weighted, options: {gama: 2}}",
            ["finish.options.gama: there is none; did you mean 'gamma'?"],
            [],
        ),
        ("{method: argmax, options: {radius: 9}}", ["finish.options.radius: 9 is not allowed"], []),
        ("{method: fastest}", ["finish.method: "], []),
        ("{method: wavelet, mesh: glb, um_per_px: 1}", ["finish.mesh: method wavelet knows no depth"], []),
        ("{orthographic: true}", [], []),
        (
            "{orthographic: true, align: false}",
            ["finish.orthographic: the view from infinity goes by how frames were registered"],
            [],
        ),
        (
            "{orthographic: true, method: pyramid}",
            ["finish.orthographic: method pyramid knows no depth"],
            [],
        ),
        ("{method: labels, options: {cell_px: 3}}", ["finish.options.cell_px: 3 is not allowed"], []),
        ("{mesh: glb}", [], ["finish.mesh: the surface's width and height have no scale"]),
        ("{memory_mb: 10}", ["finish.memory_mb: "], []),
        ("{temperature: 70}", ["finish.temperature: unknown key"], []),
    ],
)
def test_the_section_is_checked_as_the_others_are(tmp_path, section, problems, warnings):
    path = tmp_path / "rig.yaml"
    path.write_text(SMALL.replace("finish: {enabled: false}", f"finish: {section}"))
    report = examine(path)
    for said, found in ((problems, report.problems), (warnings, report.warnings)):
        assert len(said) == len(found), found
        assert all(text in str(one) for text, one in zip(said, found, strict=True)), found


# ----------------------------------------------------------------------------------------------------------------------- results


def test_results_are_stored_and_the_manifest_vouches_for_them(session):
    before = load_manifest(session)["files"]
    assert pending(session.parent) == [session]
    done = finish(session)
    assert (done.outcome, done.files) == (DONE, ("fused.tif", "depth.tif", "confidence.tif"))
    assert done.left_out == ("0003.jpg: odd",)
    assert (session / "depth.tif").read_bytes() == b"depth.tif made"
    manifest = load_manifest(session)
    assert manifest["finish"]["report"] == {
        "frames": 12, "used": 11, "seconds": 1.5, "left_out": [{"name": "0003.jpg", "reason": "odd"}],
    }  # fmt: skip
    assert manifest["files"].keys() == before.keys() | {"fused.tif"}
    assert manifest["files"]["depth.tif"] != before["depth.tif"]
    assert verify(session).whole, verify(session).problems
    assert pending(session.parent) == []
    assert not (session / WORK).exists()


def test_a_result_that_changes_later_is_found_by_verifying(session):
    finish(session)
    (session / "fused.tif").write_bytes(b"something else")
    assert any("fused.tif" in problem for problem in verify(session).problems)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (
            'import sys; print(\'{"ok": false, "error": "none of 12 frames can be used"}\'); sys.exit(3)',
            "none of 12 frames",
        ),
        ("import sys; sys.exit('Segmentation fault or so')", "Segmentation fault or so"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL"),
        ("import sys; sys.exit(9)", "ended with 9"),
        ("print('not json')", "ended with 0"),
        ("print('{\"ok\": true}')", "made no fused.tif, depth.tif, confidence.tif"),
    ],
)
def test_a_failure_is_recorded_and_leaves_the_session_as_it_was(session, code, why):
    before = load_manifest(session)
    done = finish(session, code)
    assert done.outcome == FAILED
    assert why in done.why
    manifest = load_manifest(session)
    assert why in manifest["finish"]["why"]
    assert (manifest["files"], manifest["result"]) == (before["files"], before["result"])
    assert verify(session).whole
    assert pending(session.parent) == []  # not again and again at every start
    assert finish(session).outcome == DONE  # but by hand


def test_a_session_that_is_not_complete_or_in_use_is_refused(session, tmp_path):
    with pytest.raises(SessionError, match="not a session"):
        finish(tmp_path)
    with working(session), pytest.raises(JournalInUse):
        finish(session)
    manifest = load_manifest(session)
    (session / "session.json").write_text(json.dumps({**manifest, "result": None}))
    with pytest.raises(SessionError, match="not complete yet; first: rigd resume"):
        finish(session)


@pytest.mark.parametrize("kills", range(1, 6))
def test_killed_between_any_two_steps_of_recording_the_session_verifies_and_the_next_start_goes_on(
    session, monkeypatch, kills
):
    """Every rename and every manifest is a step; the process dies before the n-th."""
    steps = 0
    replace = Path.replace

    def dying(self, target):
        nonlocal steps
        steps += 1
        if steps == kills:
            raise KeyboardInterrupt  # as near to a kill as there is: nothing of rigd catches it
        return replace(self, target)

    monkeypatch.setattr(
        rooms.shutil, "rmtree", lambda *_args, **_options: None
    )  # a killed process does not tidy up
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying)
        with pytest.raises(KeyboardInterrupt):
            finish(session)
    assert verify(session).whole, verify(session).problems
    assert pending(session.parent) == [session]
    monkeypatch.undo()
    assert finish(session).outcome == DONE
    assert state(session) == DONE
    assert verify(session).whole
    assert (session / "depth.tif").read_bytes() == b"depth.tif made"


@pytest.mark.parametrize("gone", [False, True])
def test_what_was_half_installed_is_brought_to_its_end_without_computing_again(session, gone):
    finish(session)
    manifest = load_manifest(session)
    (session / WORK).mkdir()
    (session / "fused.tif").rename(session / WORK / "fused.tif")
    manifest["finish"]["state"] = INSTALLING
    for name in manifest["finish"]["files"]:
        del manifest["files"][name]
    (session / "session.json").write_text(json.dumps(manifest))
    if gone:
        (session / WORK / "fused.tif").unlink()
    assert pending(session.parent) == [session]
    done = finish(session, "import sys; sys.exit('computed again')")
    assert done.outcome == (FAILED if gone else DONE)
    assert verify(session).whole
    assert (session / "fused.tif").exists() != gone


def test_a_full_disk_when_the_failure_is_recorded_is_an_error_of_the_disk(session, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rooms, "write_atomic", full)
    with pytest.raises(OSError, match="No space left"):
        record_failure(session, CONFIG, "why")


# ------------------------------------------------------------------------------------------------------------ out of the way

LIVES = """
import os, pathlib, sys
work = pathlib.Path(sys.argv[1])
pid = work.parent / "pid"
pid.with_suffix(".part").write_text(str(os.getpid())); pid.with_suffix(".part").rename(pid)
import signal; signal.pause()
"""
"""Says its number, and stays."""


async def until(condition):
    while not condition():  # noqa: ASYNC110  (what is waited for happens in another process)
        await asyncio.sleep(0)


async def appeared(path):
    await until(path.exists)
    return int(path.read_text())


def opened_by(pid):
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed between listing and reading
            found.append(link.readlink())
    return found


async def in_state(pid, *wanted):
    status = Path(f"/proc/{pid}/stat")
    await until(lambda: status.read_text().rpartition(")")[2].split()[0] in wanted)


def test_it_stands_still_while_the_rig_is_busy_or_hot_and_ends_when_it_is_told_to(session):
    busy, hot = [""], [45.0]

    async def main():
        finisher = Finisher(
            lambda: Health(None, hot[0], None, None, None),
            lambda: busy[0],
            command=program(LIVES),
            look_s=0.01,
        )
        work = asyncio.create_task(finisher.finish(session, CONFIG))
        pid = await appeared(session / "pid")
        for cell, value, still in (
            (busy, "capturing", True),
            (busy, "", False),
            (hot, 90.0, True),
            (hot, 76.0, True),
            (hot, 60.0, False),
        ):
            cell[0] = value
            finisher.look()
            await in_state(pid, *("T" if still else "SR"))
        assert finisher.held == ""
        busy[0] = "capturing"
        finisher.look()
        await in_state(pid, "T")
        work.cancel()  # also one that stands still ends
        with pytest.raises(asyncio.CancelledError):
            await work
        return pid

    pid = asyncio.run(main())
    assert not Path(f"/proc/{pid}").exists()
    assert state(session) is None  # neither done nor failed: to be done at the next start
    assert pending(session.parent) == [session]
    assert not (session / WORK).exists()


STUBBORN = """
import os, pathlib, signal, sys
session = pathlib.Path(sys.argv[1]).parent
signal.signal(signal.SIGTERM, lambda *_: (session / "asked").touch())
part = session / "pid.part"; part.write_text(str(os.getpid())); part.rename(session / "pid")
while True: signal.pause()
"""


def test_told_twice_to_end_it_does_not_wait_for_a_process_that_will_not(session, monkeypatch):
    monkeypatch.setattr("rigd.finishing.END_S", 1e6)

    async def main():
        finisher = Finisher(lambda: COOL, command=program(STUBBORN))
        work = asyncio.create_task(finisher.finish(session, CONFIG))
        pid = await appeared(session / "pid")
        work.cancel()
        await until((session / "asked").exists)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        return pid

    assert not Path(f"/proc/{asyncio.run(main())}").exists()
    assert not (session / WORK).exists()


def test_the_loop_goes_on_while_results_are_hashed_and_moved(session, monkeypatch):
    hashed, moved = rooms.sha256_of, Path.replace
    at_work = set()

    def seen(work, *args):
        at_work.add(threading.current_thread())
        return work(*args)

    monkeypatch.setattr(rooms, "sha256_of", lambda path: seen(hashed, path))
    monkeypatch.setattr(Path, "replace", lambda path, target: seen(moved, path, target))
    assert finish(session).outcome == DONE
    assert at_work
    assert threading.main_thread() not in at_work


def test_cancelled_while_results_are_moved_all_of_them_are(session, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    hashed = rooms.sha256_of

    def slow(path):
        begun.set()
        assert go_on.wait(60)
        return hashed(path)

    monkeypatch.setattr(rooms, "sha256_of", slow)

    async def main():
        work = asyncio.create_task(Finisher(lambda: COOL, command=program(WRITES)).finish(session, CONFIG))
        await until(begun.is_set)
        for _ in range(2):
            work.cancel()
            await asyncio.sleep(0)
        assert not work.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(main())
    assert state(session) == DONE
    assert verify(session).whole
    assert not (session / WORK).exists()


def test_what_is_computed_has_its_temporary_files_in_the_session(session):
    code = WRITES.replace("print(", "import tempfile\nassert tempfile.gettempdir() == str(work)\nprint(")
    assert finish(session, code).outcome == DONE


def test_nothing_begins_while_the_rig_is_busy(session):
    busy, told = ["capturing"], []

    async def main():
        finisher = Finisher(
            lambda: COOL, lambda: busy[0], command=program(WRITES), look_s=0.01, tell=told.append
        )
        work = asyncio.create_task(finisher.finish(session, CONFIG))
        await until(lambda: finisher.held == "capturing")
        for _ in range(50):
            await asyncio.sleep(0)
        assert not list((session / WORK).iterdir())
        busy[0] = ""
        finisher.look()
        return await work

    assert asyncio.run(main()).outcome == DONE
    assert told == ["fusing waits: capturing", "fusing goes on"]


def test_the_process_is_humble(session):
    code = WRITES.replace(
        "print(",
        "import os, resource\n"
        "(work.parent / 'humble').write_text(f'{os.getpriority(os.PRIO_PROCESS, 0)} {resource.getrlimit(resource.RLIMIT_DATA)[0]} "
        "{os.getpgid(0) == os.getpid()}')\nprint(",
    ).replace("import json", "import sys; sys.stdin.read()\nimport json")
    finish(session, code, Finish(depth_picture=False, memory_mb=500))
    nice, limit, own_group = (session / "humble").read_text().split()
    assert (int(nice), int(limit), own_group) == (NICE, 500_000_000, "True")


def test_too_little_memory_is_a_failure_that_says_so(session):
    code = "import signal, sys\nsys.stdin.read()\nwhile True:\n  try: bytearray(10**9)\n  except MemoryError: sys.exit('not enough memory')"
    done = finish(session, code, Finish(memory_mb=300))
    assert "not enough memory" in done.why


def test_the_lock_lives_as_long_as_the_process_even_when_this_one_is_killed(session):
    async def main():
        work = asyncio.create_task(Finisher(lambda: COOL, command=program(LIVES)).finish(session, CONFIG))
        pid = await appeared(session / "pid")
        assert session / "journal.jsonl" in opened_by(pid)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    asyncio.run(main())


def test_heat_has_slack_and_throttling_holds():
    hot = Hot(78.0)

    def at(celsius, flags=None):
        throttling = None if flags is None else Throttling(flags, Flags())
        return bool(hot.why(Health(throttling, celsius, None, None, None)))

    assert [at(c) for c in (77, 79, 77, 74, 73, 77)] == [False, True, True, True, False, False]
    assert at(40, Flags(throttled=True))
    assert not at(None)


def test_the_memory_limit_is_what_is_configured_or_a_share_of_what_is_free():
    assert memory_bytes(Finish(memory_mb=600), COOL) == 600_000_000
    assert memory_bytes(Finish(), COOL) == 1_500_000_000
    assert memory_bytes(Finish(), Health(None, None, None, 100_000_000, None)) == 300_000_000
    assert memory_bytes(Finish(), Health(None, None, None, None, None)) is None


def test_the_daemon_finishes_what_is_pending_and_what_comes(session, tmp_path):
    other = capture(small_rig(tmp_path, "finish.enabled=true")).path
    plain = capture(small_rig(tmp_path)).path

    async def main():
        more = asyncio.Event()
        finisher = Finisher(lambda: COOL, command=program(WRITES))
        serving = asyncio.create_task(serve(finisher, tmp_path / "sessions", more))
        await until(lambda: state(session) == state(other) == DONE)
        manifest = load_manifest(other)
        del manifest["finish"]
        (other / "session.json").write_text(json.dumps(manifest))
        more.set()
        await until(lambda: state(other) == DONE)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(main())
    assert state(plain) is None


def test_a_session_that_somebody_else_works_on_is_looked_at_again(session, monkeypatch):
    monkeypatch.setattr("rigd.finishing.AGAIN_S", 0.01)
    told = threading.Event()

    async def main():
        finisher = Finisher(lambda: COOL, command=program(WRITES))
        with working(session):
            monkeypatch.setattr("rigd.finishing.log.info", lambda *_: told.set())
            serving = asyncio.create_task(serve(finisher, session.parent, asyncio.Event()))
            await until(told.is_set)
        await until(lambda: state(session) == DONE)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(main())


def test_a_session_that_goes_away_while_they_are_looked_at_keeps_nobody_waiting(
    session, tmp_path, monkeypatch
):
    gone = capture(small_rig(tmp_path, "finish.enabled=true")).path
    load = rooms.load_manifest

    def loaded(path):
        if path == gone:
            raise SessionError(path, "not there")
        return load(path)

    monkeypatch.setattr(rooms, "load_manifest", loaded)
    assert pending(session.parent) == [session]


def test_a_session_of_before_there_was_a_finish_section_is_left_alone(session):
    manifest = load_manifest(session)
    del manifest["config"]["finish"]
    (session / "session.json").write_text(json.dumps(manifest))
    assert pending(session.parent) == []
    assert config_of(session) == Finish()


# ------------------------------------------------------------------------------------------------------------------- really


def test_a_capture_ends_with_the_fused_picture(tmp_path, capsys):
    from rigd.cli.parser import run_command_line
    from stackcore.files import read_frame

    rig = tmp_path / "rig.yaml"
    finish_section = "finish: {method: argmax, threads: 1, align: false}"
    rig.write_text(
        SMALL.replace("finish: {enabled: false}", finish_section)
        + f"storage: {{sessions: {tmp_path / 'sessions'}}}\n"
    )
    assert run_command_line(["capture", "--config", str(rig), "--virtual-time", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["finish"] == {"outcome": "done", "why": "", "left_out": []}
    assert read_frame(data["fused"]).pixels.shape == (64, 96, 3)
    assert Path(data["depth_picture"]).is_file()
    session = Path(data["session"])
    assert verify(session).whole
    import tifffile

    depth = tifffile.imread(session / "depth.tif")
    assert 5000 <= np.nanmean(depth) <= 6100  # um on the rail

    assert (
        run_command_line(["finish", str(session), "--config", str(rig), "--set", "finish.method=weighted"])
        == 0
    )
    assert f"{session} is finished" in capsys.readouterr().out
    assert load_manifest(session)["finish"]["method"] == "weighted"


def test_a_fusion_that_fails_does_not_make_a_capture_fail(tmp_path, capsys, monkeypatch):
    from rigd.cli.parser import run_command_line

    monkeypatch.setattr(rooms.sys, "executable", shutil.which("false"))
    rig = tmp_path / "rig.yaml"
    rig.write_text(
        SMALL.replace("{enabled: false}", "{}") + f"storage: {{sessions: {tmp_path / 'sessions'}}}\n"
    )
    assert run_command_line(["capture", "--config", str(rig), "--virtual-time"]) == 0
    said = capsys.readouterr()
    assert "not fused" in said.out
    assert "again with: rigd finish" in said.out
    (session,) = (tmp_path / "sessions").iterdir()
    assert run_command_line(["finish", str(session)]) == 9
    assert "complete, but could not be fused" in capsys.readouterr().err
