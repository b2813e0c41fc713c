"""What rigctl says when somebody stops it, and of a stack that stands."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from rigd.ctl.exits import Exit
from rigd.ctl.looking import session_text
from rigd.messages import reports
from tests.unit.test_ctl import environ, rig  # noqa: F401  (fixtures)


def test_ctrl_c_stops_a_jog_and_says_so(rig, environ):  # noqa: F811
    rig.call(lambda fake: fake.hold.add("jog"))
    command = ["jog", "2000", "--url", f"unix:{environ}/rigd-fake.sock"]
    process = subprocess.Popen(
        [sys.executable, "-m", "rigd.ctl", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    rig.call(lambda fake: fake.told("jog.renew"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (Exit.INTERRUPTED, "rigctl: interrupted; the jog is stopped\n")
    assert "stop" in rig.call(lambda fake: list(fake.acted))


@pytest.mark.parametrize("why", ["paused over MQTT", "frame 3 is black"])
def test_why_a_stack_is_paused_is_said_once(why):
    now = reports.SessionNow(id="a", name="a", phase="paused", frame=3, frames=5, why=why)
    assert session_text(now) == f"a: 3 of 5 frames; {why if 'paused' in why else f'paused: {why}'}"
