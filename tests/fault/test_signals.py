"""Processes told to stop: the rail stands, the session can be resumed, and systemd hears about it."""

from __future__ import annotations

import json
import re
import selectors
import signal
import socket
import subprocess
import sys
import time

import pytest

from rigd.cli.exits import Exit
from rigd.session import survey, verify
from tests.rigs import FRAMES, SMALL


def kept_in(folder):
    """The part of a config that says where a rig's files are."""
    return f"storage: {{sessions: {folder / 'sessions'}}}\nservice: {{state: {folder / 'state'}}}\n"


@pytest.fixture
def rig(tmp_path):
    path = tmp_path / "rig.yaml"
    path.write_text(f"{SMALL}\n{kept_in(tmp_path)}")
    return path


def rigd(*arguments, **options):
    command = [sys.executable, "-m", "rigd", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_rail_and_leaves_a_session_that_can_be_resumed(rig, tmp_path, number):
    process = rigd("capture", "--config", rig)
    for line in process.stderr:
        if re.match(r"rigd: [3-9]/\d+ frames", line):
            break
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == Exit.INTERRUPTED, err
    assert "Traceback" not in err
    (seen,) = survey(tmp_path / "sessions")
    assert seen.unfinished
    assert verify(seen.path).whole
    assert f"rigd resume {seen.path}" in err
    resumed = rigd("resume", seen.path, "--virtual-time")
    _, err = resumed.communicate(timeout=60)
    assert resumed.returncode == Exit.DONE, err
    assert verify(seen.path).overview.frames == FRAMES


class Manager:
    """What systemd is to the daemon: a datagram socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1500000"}
        self.heard = []

    def listen(self, until, timeout_s=60.0):
        """Take messages until one contains `until`."""
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            while not any(until in message for message in self.heard):
                assert selector.select(deadline - time.monotonic()), f"no {until!r} in {self.heard}"
                self.heard.append(self.socket.recv(4096).decode())


def test_the_daemon_says_ready_gives_signs_of_life_and_stops_in_order(rig, tmp_path):
    import os

    manager = Manager(tmp_path / "notify")
    process = rigd("run", "--config", rig, env={**os.environ, **manager.environ})
    try:
        manager.listen("READY=1")
        manager.heard.clear()
        manager.listen("WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        manager.listen("STOPPING=1")
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
        manager.socket.close()
    assert process.returncode == Exit.DONE, err
    assert "Traceback" not in err


def test_the_daemon_resumes_an_unfinished_session_when_told_to(rig, tmp_path):
    import os

    first = rigd("capture", "--config", rig, "--virtual-time", "--set", "rail.faults.unplug_after_moves=6")
    first.communicate(timeout=60)
    assert first.returncode == Exit.HARDWARE
    (seen,) = survey(tmp_path / "sessions")
    assert seen.unfinished
    manager = Manager(tmp_path / "notify")
    process = rigd(
        "run", "--config", rig, "--set", "service.unfinished=resume", env={**os.environ, **manager.environ}
    )
    try:
        manager.listen("READY=1")
        manager.listen(f"of {FRAMES} frames")
        manager.heard.clear()
        manager.listen("STATUS=idle")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
        manager.socket.close()
    assert verify(seen.path).overview.outcome == "complete"


FUSING = SMALL.replace("finish: {enabled: false}", "finish: {method: argmax, align: false, threads: 1}")


def test_the_daemon_fuses_what_is_pending_and_ends_in_order(tmp_path):
    config = tmp_path / "rig.yaml"
    config.write_text(f"{FUSING}\n{kept_in(tmp_path)}")
    captured = rigd("capture", "--config", config, "--virtual-time")
    _, err = captured.communicate(timeout=120)
    assert captured.returncode == Exit.DONE, err
    (session,) = (tmp_path / "sessions").iterdir()
    manifest = json.loads((session / "session.json").read_text())
    del manifest["finish"], manifest["files"]["fused.tif"]
    (session / "fused.tif").unlink()
    (session / "session.json").write_text(
        json.dumps(manifest)
    )  # as if the power had gone after the last frame
    process = rigd("run", "--config", config, "-v")
    for line in process.stderr:
        if "is finished" in line:
            break
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.DONE, err
    assert "Traceback" not in err
    assert (session / "fused.tif").is_file()
    assert verify(session).whole, verify(session).problems


def test_a_signal_while_it_fuses_leaves_a_complete_session_to_be_fused_later(tmp_path):
    config = tmp_path / "rig.yaml"
    config.write_text(f"{FUSING}\n{kept_in(tmp_path)}")
    process = rigd("capture", "--config", config, "--virtual-time")
    for line in process.stderr:
        if "fusing the stack" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    (seen,) = survey(tmp_path / "sessions")
    assert seen.outcome == "complete"
    assert verify(seen.path).whole
    assert not (seen.path / ".finish").exists()
    assert process.returncode == Exit.INTERRUPTED, (out, err)
    assert f"rigd finish {seen.path}" in err
    later = rigd("finish", seen.path)
    _, err = later.communicate(timeout=60)
    assert later.returncode == Exit.DONE, err
    assert (seen.path / "fused.tif").is_file()
