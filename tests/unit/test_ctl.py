"""rigctl as a person or a script meets it, against a rig that only talks, over its Unix socket."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from PIL import Image
from rich.console import Console

from rigd.client import SweepProgress
from rigd.ctl.__main__ import main
from rigd.ctl.exits import Exit
from rigd.ctl.halfblocks import UPPER_HALF, half_blocks, shows_pictures
from rigd.ctl.parser import make_parser
from rigd.ctl.sweeping import SweepLines, proposal
from rigd.local import LocalServer
from rigd.messages import events, reports
from rigd.messages.base import Error, ErrorCode
from rigd.messages.reports import Fault
from tests.brokers import free_port
from tests.fake_rig import FRAMES, served, sweep_found

COMMANDS = (
    *(
        "status",
        "watch",
        "rigs",
        "events",
        "sessions",
        "home",
        "goto",
        "jog",
        "stop",
        "estop",
        "release",
        "clear",
    ),
    *("identify", "test", "mark", "plan", "start", "resume", "pause", "abort", "settings", "set", "lease"),
    *("sweep", "completion"),
)


@pytest.fixture
def environ(tmp_path, monkeypatch):
    for name in ("RIGD_URL", "RIGD_LEASE", "RIGD_CREDENTIALS", "RIGD_CA", "RIGD_CERT", "RIGD_KEY"):
        monkeypatch.delenv(name, raising=False)
    runtime = tmp_path / "run"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setattr("rigd.client.address.RUNTIME", tmp_path / "none")
    monkeypatch.chdir(tmp_path)
    return runtime


@pytest.fixture
def rig(environ):
    def reach(fake):
        return LocalServer(environ / "rigd-fake.sock", fake.rig, fake, fake.switchboard)

    with served(reach) as serving:
        yield serving


def said(capsys):
    return json.loads(capsys.readouterr().out)


# -------------------------------------------------------------------------------------------------------- command line


def test_help_is_quick():
    code = (
        "import sys\nfrom rigd.ctl.__main__ import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "heavy = {'numba','cv2','numpy','pydantic','asyncio','yaml','rich','PIL','paho'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    for arguments in ([], ["start"]):
        command = [sys.executable, "-c", code, *arguments, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


def test_the_client_needs_no_arrays():
    code = "import sys, rigd.client; sys.exit(bool({'numpy','numba','cv2','yaml','PIL','rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        make_parser().parse_args([name, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: rigctl {name}" in text
    assert "examples:" in text


@pytest.mark.parametrize(
    "order", ["{options} status", "status {options}", "--json status --url=unix:/x --timeout 3"]
)
def test_options_stand_before_the_command_or_after_it(order):
    options = make_parser().parse_args(order.format(options="--json --url unix:/x --timeout 3").split())
    assert (options.command, options.json, options.url, options.timeout) == ("status", True, "unix:/x", 3)
    assert options.lease is None
    assert options.verbose == 0


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "0", "soon"])
def test_a_time_that_nobody_can_wait_is_refused(seconds, capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["status", f"--timeout={seconds}"])
    assert "is no time" in capsys.readouterr().err


def test_no_command_is_missing_from_this_file():
    (commands,) = [action for action in make_parser()._actions if action.dest == "command"]
    assert set(commands.choices) == set(COMMANDS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_every_command(shell, capsys):
    assert main(["completion", shell]) == Exit.DONE
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS)


# ------------------------------------------------------------------------------------------------------- commands


def test_status_for_people_and_for_programs(rig, capsys):
    assert main(["status"]) == Exit.DONE
    text = capsys.readouterr().out
    for words in ("A rig that only talks (fake)", "idle", "at 1000 um", "contract 1.0", "0 um to 20000 um"):
        assert words in text
    assert main(["status", "--json"]) == Exit.DONE
    data = said(capsys)
    assert (data["ok"], data["online"], data["state"]["mode"]) == (True, True, "idle")
    assert data["info"]["rig"] == "fake"


def test_motion(rig, capsys):
    assert main(["home"]) == Exit.DONE
    assert main(["goto", "12.5mm"]) == Exit.DONE
    assert "at 12500 um" in capsys.readouterr().out
    assert main(["goto", "3000", "--json"]) == Exit.DONE
    assert said(capsys) == {"ok": True, "position_um": 3000.0}
    assert main(["jog", "-500"]) == Exit.DONE
    assert main(["jog"]) == Exit.DONE
    assert main(["mark", "near"]) == Exit.DONE
    assert main(["mark", "far", "6mm"]) == Exit.DONE
    for verb in ("stop", "release", "clear", "identify", "pause", "abort"):
        assert main([verb]) == Exit.DONE
    assert main(["test"]) == Exit.DONE
    assert "sharpness" in capsys.readouterr().out
    jogs = rig.call(lambda fake: [said["params"] for said in fake.requests("jog")])
    assert jogs == [{"hold_s": 1.5, "distance_um": -500.0}, {"hold_s": 1.5, "nudge": "toward"}]
    assert rig.call(lambda fake: fake.settings)["far_um"] == 6000


def test_a_sweep_proposes_in_words_and_as_json(rig, capsys):
    assert main(["sweep", "--from", "4mm", "--to", "7mm", "--step", "100um"]) == Exit.DONE
    text = capsys.readouterr().out
    for words in (
        "near 5012.5 um, best focus 5400 um, far 6100 um",
        "70 of 96 parts",
        "off by a step, 100 um",
        "no setting has changed",
        "rigctl mark near 5012.5 && rigctl mark far 6100.0",
        "5100.0 um  " + 40 * "#",
    ):
        assert words in text
    assert main(["sweep", "--json"]) == Exit.DONE
    data = said(capsys)
    assert (data["ok"], data["near_um"], data["open_far"], data["focus"]) == (
        True,
        5012.5,
        False,
        [0.1, 1.0, 0.5],
    )
    first, second = rig.call(lambda fake: [said["params"] for said in fake.requests("sweep")])
    assert first == {"from_um": 4000.0, "to_um": 7000.0, "step_um": 100.0}
    assert (second["from_um"], second["to_um"]) == (0, 20000)
    assert second["step_um"] == pytest.approx(20000 / 59)
    assert rig.call(lambda fake: fake.settings).keys().isdisjoint({"near_um", "far_um"})
    assert main(["sweep", "--from", "7mm", "--to", "7mm"]) == Exit.USAGE
    assert "a sweep goes up" in capsys.readouterr().err


def test_a_subject_that_goes_on_is_not_proposed():
    text = proposal(sweep_found(open_far=True))
    assert "far beyond the end of the sweep" in text
    assert "sweep again" in text
    assert "rigctl mark" not in text


def test_a_sweep_that_finds_nothing_says_why(rig, capsys):
    def fail(fake):
        async def failing():
            await fake.told("sweep")
            fake.finish("sweep", error=Error(code=ErrorCode.NOT_POSSIBLE, message="nothing was sharper"))

        fake.hold.add("sweep")
        fake.failing = asyncio.ensure_future(failing())

    rig.call(fail)
    assert main(["sweep"]) == Exit.REFUSED
    assert "nothing was sharper" in capsys.readouterr().err


def test_progress_of_a_sweep_is_one_line_on_a_terminal_and_some_elsewhere(capsys, monkeypatch):
    def told():
        progress = SweepLines()
        for picture in range(1, 61):
            progress(SweepProgress(picture, 60, 100.0 * picture))
        progress.close()
        return capsys.readouterr().err

    lines = told().splitlines()
    assert len(lines) == 10
    assert lines[-1] == "rigctl: picture 60 of 60, at 6000 um"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    text = told()
    assert text.count("\n") == 1
    assert text.count("\r") == 60


def test_ctrl_c_stops_a_sweep(rig, environ):
    rig.call(lambda fake: fake.hold.add("sweep"))
    where = ("--url", f"unix:{environ}/rigd-fake.sock")
    process = subprocess.Popen(
        [sys.executable, "-m", "rigd.ctl", "sweep", *where], stderr=subprocess.PIPE, text=True
    )
    rig.call(lambda fake: fake.until(lambda fake: "sweep" in fake.under_way))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED
    assert "the sweep is stopped" in err
    assert rig.call(lambda fake: fake.requests("stop"))


def test_begun_and_not_waited_for(rig, capsys):
    rig.call(lambda fake: fake.hold.add("home"))
    assert main(["home", "--no-wait", "--json"]) == Exit.DONE
    assert said(capsys)["transaction"] == rig.call(lambda fake: fake.under_way["home"])


def test_estop_needs_neither_lease_nor_contract(rig, capsys):
    rig.call(lambda fake: (setattr(fake, "contract", "9.0"), fake.boot()))
    assert main(["home"]) == Exit.UNREACHABLE
    assert "contract 9.0" in capsys.readouterr().err
    assert main(["estop"]) == Exit.DONE
    assert main(["stop"]) == Exit.DONE
    assert rig.call(lambda fake: fake.mode) == "estopped"


def test_plan_and_sessions(rig, capsys):
    assert main(["plan", "--frames", "9"]) == Exit.DONE
    text = capsys.readouterr().out
    assert "9 frames" in text
    assert "2 min 05 s" in text
    assert main(["plan", "--json", "--step", "0.02mm", "--end", "stay"]) == Exit.DONE
    assert said(capsys)["frames"] == FRAMES
    (first, second) = rig.call(lambda fake: [said["params"] for said in fake.requests("plan.validate")])
    assert (first, second) == ({"frames": 9}, {"step_um": 20.0, "end": "stay"})
    assert main(["sessions"]) == Exit.DONE
    assert "5/5" in capsys.readouterr().out


def test_a_stack_to_its_end(rig, capsys):
    assert main(["start", "beetle", "--wait"]) == Exit.DONE
    out, err = capsys.readouterr()
    assert "20260101T000000Z-beetle is complete: 5 frames, 1 taken again; near and far reached" in out
    assert "5/5 frames" in err
    assert main(["start", "--wait", "--json"]) == Exit.DONE
    data = said(capsys)
    assert (data["outcome"], data["frames"], data["planned"]) == ("complete", 5, 5)
    assert main(["start", "--json"]) == Exit.DONE
    assert said(capsys)["session"].startswith("2026")


def ending(fake, outcome, code):
    """The next stack is left at its beginning."""

    async def leave():
        await fake.told("session.start")
        fake.left("session.start", outcome, why="it broke", error=Error(code=code, message="it broke"))

    fake.hold.add("session.start")
    fake.ending = asyncio.ensure_future(leave())


@pytest.mark.parametrize(
    ("outcome", "code", "exit_code"),
    [
        ("aborted", ErrorCode.INTERRUPTED, Exit.STOPPED),
        ("suspended", ErrorCode.HARDWARE, Exit.HARDWARE),
        ("suspended", ErrorCode.STORAGE, Exit.STORAGE),
    ],
)
def test_the_exit_code_tells_what_came_of_a_stack(rig, capsys, outcome, code, exit_code):
    rig.call(lambda fake: ending(fake, outcome, code))
    assert main(["start", "--wait", "--json"]) == exit_code
    out, err = capsys.readouterr()
    assert json.loads(out)["kind"] == exit_code.name.lower()
    assert f"is {outcome} after 0 of 5 frames: it broke" in err
    assert ("next: rigctl resume" in err) == (outcome == "suspended")


def test_a_stack_that_a_fault_ended_goes_on_after_the_fault(rig, capsys):
    fault = reports.Fault(
        code="rail_lost", message="unplugged", next_step="check the cable, clear the fault, home"
    )
    rig.call(lambda fake: setattr(fake, "fault", fault))
    rig.call(lambda fake: ending(fake, "suspended", ErrorCode.HARDWARE))
    assert main(["start", "--wait"]) == Exit.HARDWARE
    assert "next: check the cable, clear the fault, home; then rigctl resume" in capsys.readouterr().err


@pytest.mark.parametrize(("off_um", "words"), [(200.0, "home found again, off by 200 um"), (0.0, None)])
def test_lost_steps_are_said(rig, capsys, off_um, words):
    rig.call(lambda fake: setattr(fake, "home_error_um", off_um))
    assert main(["start", "--wait"]) == Exit.DONE
    text = capsys.readouterr().out
    assert words in text if words else "home" not in text


@pytest.mark.parametrize(
    "arguments", ["goto 1e400", "identify nan", "plan --settle nan", "set step_um=1e999"]
)
def test_what_json_has_no_word_for_is_refused_here(rig, arguments, capsys):
    try:
        code = main(arguments.split())
    except SystemExit as stopped:
        code = stopped.code
    assert code == Exit.USAGE


def test_a_pause_ends_waiting_with_its_own_code(rig, capsys):
    def pause(fake):
        async def pausing():
            await fake.told("session.start")
            session = fake.session.model_copy(update={"phase": "paused", "why": "frame 3 is black"})
            fake.say_state(mode="paused", session=session)

        fake.hold.add("session.start")
        fake.pausing = asyncio.ensure_future(pausing())

    rig.call(pause)
    assert main(["start", "--wait"]) == Exit.PAUSED
    assert "frame 3 is black; next: put it right, then: rigctl resume" in capsys.readouterr().err


def test_settings(rig, capsys):
    assert main(["set", "step_um=0.02mm", "end=stay", "frames=auto"]) == Exit.DONE
    assert "stay" in capsys.readouterr().out
    assert rig.call(lambda fake: fake.requests("settings")[-1]["params"]) == {
        "step_um": 20.0,
        "end": "stay",
        "frames": "auto",
    }
    assert main(["set", "step_um="]) == Exit.DONE
    assert rig.call(lambda fake: fake.requests("set/step_um")[-1]["params"]) == {"value": None}
    assert main(["settings", "--json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["end"] == "stay"
    assert main(["set", "step_um"]) == Exit.USAGE


def test_leases(rig, capsys, monkeypatch):
    assert main(["lease", "take", "me", "--ttl", "60"]) == Exit.DONE
    token = capsys.readouterr().out.strip()
    assert token == rig.call(lambda fake: fake.lease_token)
    assert main(["lease"]) == Exit.DONE
    assert "me, until" in capsys.readouterr().out
    assert main(["home"]) == Exit.REFUSED
    assert "[leased, lease]; next: wait, or take the lease" in capsys.readouterr().err
    monkeypatch.setenv("RIGD_LEASE", token)
    assert main(["home"]) == Exit.DONE
    assert main(["lease", "renew"]) == Exit.DONE
    assert main(["lease", "release"]) == Exit.DONE
    assert rig.call(lambda fake: fake.lease_token) is None
    assert main(["lease", "take"]) == Exit.USAGE


def holding(environ):
    """`rigctl lease hold` in a process of its own, once it has the lease."""
    where = ("--url", f"unix:{environ}/rigd-fake.sock", "--timeout", "2")
    process = subprocess.Popen(
        [sys.executable, "-m", "rigd.ctl", "lease", "hold", "me", "--ttl=9", *where],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().strip()
    return process


def test_ctrl_c_gives_a_lease_that_is_held_back_and_says_so(rig, environ):
    process = holding(environ)
    assert rig.call(lambda fake: fake.lease.holder) == "me"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.DONE
    assert "the lease is given back; the rig goes on" in err
    assert rig.call(lambda fake: fake.lease) is None


def test_a_lease_that_cannot_be_given_back_is_said_to_lapse(environ):
    def reach(fake):
        return LocalServer(environ / "rigd-fake.sock", fake.rig, fake, fake.switchboard)

    with served(reach):
        process = holding(environ)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED
    assert "it lapses by itself within 9 s" in err


def test_a_refusal_is_one_line_with_code_field_and_next_step(rig, capsys):
    assert main(["goto", "99mm"]) == Exit.USAGE
    line = "rigctl: goto: 20000 um is the end [out_of_limits, params.position_um]; next: rigctl status shows the limits\n"
    assert capsys.readouterr().err == line
    assert main(["goto", "99mm", "--json"]) == Exit.USAGE
    data = said(capsys)
    assert (data["ok"], data["code"], data["field"]) == (False, "out_of_limits", "params.position_um")


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (ErrorCode.PLAN_REFUSED, Exit.PLAN),
        (ErrorCode.NOT_POSSIBLE, Exit.REFUSED),
        (ErrorCode.BUSY, Exit.REFUSED),
        (ErrorCode.SESSION, Exit.SESSION),
        (ErrorCode.INTERNAL, Exit.INTERNAL),
    ],
)
def test_exit_codes_of_refusals(rig, code, exit_code):
    rig.call(lambda fake: fake.refuse.update({"session.start": Error(code=code, message="no")}))
    assert main(["start"]) == exit_code


def test_events_a_line_each(rig, capsys):
    def tell(fake):
        """A fault for whoever comes, whenever somebody does."""
        attach = fake.switchboard.retained.values

        class Greeting(dict):
            def values(self):
                loop = asyncio.get_running_loop()
                for _ in range(2):
                    loop.call_later(0.1, fault)
                return attach()

        def fault():
            fake.event(events.FaultRaised, code="stall", message="it stalled", next_step="look")

        fake.switchboard.retained = Greeting(fake.switchboard.retained)

    rig.call(tell)
    assert main(["events", "--count", "2", "--json"]) == Exit.DONE
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event_type"] for line in lines] == ["fault", "fault"]
    assert main(["events", "--count", "1"]) == Exit.DONE
    assert "message=it stalled" in capsys.readouterr().out


def test_watch_follows_a_stack(rig, capsys):
    rig.call(lambda fake: fake._session({"frames": 3}) and fake.under_way.update({"session.start": None}))
    rig.call(lambda fake: (fake.say_state(mode="capturing"), fake.frame(0)))
    rig.call(lambda fake: asyncio.get_running_loop().call_later(0.2, fake.left, "session.start", "complete"))
    assert main(["watch", "--until-over"]) == Exit.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "capturing 1/3"
    assert lines[-1] == "idle"


@pytest.mark.parametrize("command", [["status"], ["watch", "--until-over"], ["goto", "9"]])
def test_what_is_said_commands_no_terminal(rig, capsys, command):
    nasty = "\x1b[2J\x9b31m\x07\r\u202e[/red]"
    rig.call(lambda fake: fake.say_state(fault=Fault(code="x", message=nasty, next_step="")))
    rig.call(lambda fake: fake.refuse.update({"goto": Error(code=ErrorCode.NOT_POSSIBLE, message=nasty)}))
    main(command)
    out, err = capsys.readouterr()
    assert "\N{REPLACEMENT CHARACTER}[2J" in out + err
    assert (out + err).replace("\n", "").isprintable()


# ------------------------------------------------------------------------------------------------------ which rig


def test_several_rigs_are_named(rig, environ, capsys):
    @asynccontextmanager
    async def reach(fake):
        fake.rig = "second"
        fake.boot()
        async with LocalServer(environ / "rigd-second.sock", fake.rig, fake, fake.switchboard):
            yield

    with served(reach):
        assert main(["status"]) == Exit.UNREACHABLE
        assert "fake, second; next: choose with --rig NAME" in " ".join(capsys.readouterr().err.split())
        assert main(["status", "--rig", "second", "--json"]) == Exit.DONE
        assert said(capsys)["info"]["rig"] == "second"
        assert main(["rigs", "--url", f"unix:{environ}/rigd-second.sock", "--json"]) == Exit.DONE
        (one,) = said(capsys)["rigs"]
        assert (one["rig"], one["online"], one["birth"]["contract"]) == ("second", True, "1.0")


def test_the_socket_of_another_rig_is_not_taken(rig, environ, capsys):
    assert (
        main(["status", "--url", f"unix:{environ / 'rigd-fake.sock'}", "--rig", "other"]) == Exit.UNREACHABLE
    )
    assert "the socket of fake, not of other" in capsys.readouterr().err


def test_an_address_from_the_environment(rig, environ, monkeypatch, capsys):
    monkeypatch.setenv("RIGD_URL", f"unix:{environ}/rigd-fake.sock")
    assert main(["status"]) == Exit.DONE
    assert main(["status", "--url", "unix:/nowhere.sock"]) == Exit.UNREACHABLE
    assert "/nowhere.sock is not there: does rigd run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mqtt://me:secret@localhost/fake", "--credentials"),
        ("http://localhost/fake", "is no address of a rig"),
        ("mqtt://localhost:port/fake", "an address is"),
        ("mqtt://localhost/lab/+", "+ and # "),
        ("mqtt://localhost/lab/%23", "+ and # "),
        ("mqtt://localhost/#", "no ? and no #"),
        ("mqtt://localhost/fake#", "no ? and no #"),
        ("mqtt://localhost/fake?", "no ? and no #"),
        ("mqtt://localhost/fake#part", "no ? and no #"),
        ("unix:", "has no path"),
        ("unix:/" + "x" * 120, "107 bytes"),
    ],
)
def test_a_wrong_address_is_explained(environ, capsys, url, words):
    assert main(["status", "--url", url]) in {Exit.USAGE, Exit.UNREACHABLE}
    err = capsys.readouterr().err
    assert words in err
    assert "secret" not in err
    assert err.count("\n") == 1


def test_credentials_that_are_wrong(environ, tmp_path, capsys):
    path = tmp_path / "secret"
    assert main(["status", "--url", "mqtt://localhost/a", "--credentials", str(path)]) == Exit.CONFIG
    path.write_text("user me\n")
    path.chmod(0o600)
    assert main(["status", "--url", "mqtt://localhost/a", "--credentials", str(path)]) == Exit.CONFIG
    assert "username: ..." in capsys.readouterr().err


def test_a_socket_that_may_not_be_opened_names_who_may(environ, monkeypatch):
    from rigd.client import unix

    monkeypatch.setattr(unix, "_group_name", lambda number: "rigd")
    path = environ / "rigd-x.sock"
    path.touch()
    denied = PermissionError(13, "Permission denied")
    path.chmod(0o600)
    assert "sudo -u" in unix.explain(path, denied)
    if path.stat().st_gid == 0:
        os.chown(path, -1, 12345)
    path.chmod(0o660)
    assert "sudo usermod -aG rigd" in unix.explain(path, denied)


def test_a_runtime_folder_of_another_group_is_named(environ, tmp_path, monkeypatch, capsys):
    closed = tmp_path / "closed"
    closed.mkdir()
    monkeypatch.setattr("rigd.client.address.RUNTIME", closed)
    monkeypatch.setattr("rigd.ctl.reach.LOCALHOST", f"mqtt://127.0.0.1:{free_port()}")
    assert main(["status"]) == Exit.UNREACHABLE
    assert "no rig on this machine; and no broker (" in capsys.readouterr().err
    monkeypatch.setattr("os.access", lambda path, mode: str(path) != str(closed))
    assert main(["status"]) == Exit.UNREACHABLE
    assert f"{closed} is for the user" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------- the picture


def picture(width=64, height=48):
    image = Image.new("RGB", (width, height), (255, 0, 0))
    image.paste((0, 0, 255), (0, height // 2, width, height))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95)
    return stream.getvalue()


def test_a_picture_as_half_blocks():
    console = Console(width=20, height=20, force_terminal=True, color_system="truecolor", file=io.StringIO())
    console.print(half_blocks(picture(), 16, 20), end="")
    text = console.file.getvalue()
    rows = [line for line in text.splitlines() if UPPER_HALF in line]
    assert len(rows) == 6
    assert all(row.count(UPPER_HALF) == 16 for row in rows)
    assert "38;2;25" in rows[0]
    assert ";0;25" in rows[-1].replace("254", "25")


@pytest.mark.parametrize("data", [b"", b"no picture", picture()[:200]])
def test_what_is_no_picture_is_not_shown(data):
    assert half_blocks(data, 10, 10) is None


def test_pictures_only_where_the_terminal_can(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert shows_pictures({"COLORTERM": "truecolor", "TERM": "xterm"})
    assert not shows_pictures({"TERM": "xterm"})
    assert not shows_pictures({"COLORTERM": "truecolor", "NO_COLOR": "1"})
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert not shows_pictures({"COLORTERM": "truecolor"})


def test_the_screen_shows_what_matters(environ):
    from rigd.client import connect
    from rigd.ctl.watch import screen
    from tests.fake_rig import FakeRig

    async def body():
        fake = FakeRig()
        fake._session({"frames": 4})
        fake.say_state(
            mode="capturing", session=fake.session.model_copy(update={"why": "black\x1b[2J", "frame": 2})
        )
        server = LocalServer(environ / "s", "fake", fake, fake.switchboard)
        async with server, connect(f"unix:{environ}/s") as rig:
            rig._view.state = rig.state.model_copy(update={"last_error": "request/goto: beyond the limits"})
            return screen(rig, "", "frame 2: too dark", half_blocks(picture(), 10, 5))

    console = Console(width=80, force_terminal=True, color_system="truecolor", file=io.StringIO())
    console.print(asyncio.run(body()))
    text = console.file.getvalue()
    assert "\x1b[2J" not in text
    for words in ("capturing", "2 of 4", "9.0 s left", "0.20 s", "frame 2: too dark", "black", UPPER_HALF):
        assert words in text
    labels = {line.split("  ")[0]: line for line in text.splitlines()}
    assert "frame 2: too dark" in labels["taken again"]
    assert "beyond the limits" in labels["last error"]
