"""Whole stacks from a shell, against `rigd run`, with the very commands that the documents give: nothing of them is repeated here.

mosquitto's clients take host, port and credentials from files in `$XDG_CONFIG_HOME`, so that the commands stay as they are printed.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import HOST, Lines, Subscriber, free_port, mosquitto, subscribed
from tests.remote import LIMIT_S, PREFIX, Daemon, daemon, environment, whole_session
from tests.unit.test_broker_samples import Site, site  # noqa: F401  (a fixture)

ROOT = Path(__file__).parents[2]
ALL = (f"{PREFIX}#",)


def blocks(document: str) -> list[str]:
    """The shell commands of a document, block by block."""
    return re.findall(r"```sh\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


def block(document: str, having: str) -> str:
    """The one block with this in it."""
    (found,) = [one for one in blocks(document) if having in one]
    return found


class Shell:
    """A shell whose mosquitto clients know where the broker is."""

    def __init__(self, folder: Path, *options: str) -> None:
        settings = folder / "options"
        settings.mkdir()
        for client in ("mosquitto_pub", "mosquitto_sub", "mosquitto_rr"):
            (settings / client).write_text("\n".join(options) + "\n")
        self.folder = folder
        self._environment = environment(XDG_CONFIG_HOME=str(settings), USER="kim")

    def run(self, script: str) -> str:
        """What it prints; fails when it does."""
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=2 * LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done.stdout

    def ask(self, script: str) -> list[Any]:
        """The JSON objects that it prints, line by line."""
        return [json.loads(line) for line in self.run(script).splitlines() if line.startswith("{")]

    @contextmanager
    def beside(self, command: str, marker: str = "") -> Iterator[Lines]:
        """A command that runs beside the block; what it prints. It is subscribed when it has heard something on the topic `marker`."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec stdbuf -oL {command}"],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        lines = Lines()
        reader = lines.follow(process.stdout)
        try:
            while marker and not any(line.startswith(f"{marker} ") for line in lines.all):
                self.run(f"mosquitto_pub -q 1 -t {marker} -m here")
            yield lines
        finally:
            process.terminate()
            process.wait(LIMIT_S)
            reader.join(LIMIT_S)


class State:
    """What everybody hears of the rig."""

    def __init__(self, heard: Subscriber) -> None:
        self.heard = heard

    def wait(self, topic: str, wanted=lambda _: True) -> Any:
        def right(message: dict[str, Any]) -> bool:
            return bool(wanted(said(message)))

        return said(self.heard.wait(PREFIX + topic, right))

    def on(self, topic: str) -> list[Any]:
        return [said(one) for one in self.heard.messages if one["topic"] == PREFIX + topic]


def said(message: dict[str, Any]) -> Any:
    try:
        return json.loads(message["payload"])
    except ValueError:
        return message["payload"]


def prelude() -> str:
    """What the document defines before it uses it."""
    return block("docs/mqtt.md", "export R=") + block("docs/mqtt.md", "ask() {")


def take_a_stack(shell: Shell, folder: Path, watching: State) -> None:
    """By the section that says how."""
    watching.wait("state", lambda state: state["mode"] == "unhomed")
    answers = shell.ask(prelude() + block("docs/mqtt.md", "finish() {"))
    verbs = [answer["verb"] for answer in answers if "verb" in answer and "status" in answer]
    assert verbs[0] == "ping"
    assert [answer["status"] for answer in answers if answer.get("status") not in {"ok", "accepted"}] == []
    (plan,) = [answer["data"] for answer in answers if answer.get("verb") == "plan.validate"]
    ended = [answer for answer in answers if answer.get("event_type") == "action_finished"]
    assert [end["verb"] for end in ended] == ["home", "goto", "goto", "session.start"]
    result = ended[-1]["data"]
    assert (result["outcome"], result["frames"]) == ("complete", plan["frames"])
    session = result["session"]
    frames = [frame["index"] for frame in watching.on(f"session/{session}/frame")]
    assert frames == list(range(plan["frames"]))
    summary = watching.wait(f"session/{session}/summary", lambda told: told and told["outcome"] == "complete")
    assert summary["frames"] == plan["frames"]
    kinds = {
        one["topic"].removeprefix(f"{PREFIX}event/")
        for one in watching.heard.messages
        if "/event/" in one["topic"]
    }
    assert kinds == {"action_finished", "session_started", "session_finished"}
    assert whole_session(folder, "beetle").name == session


@contextmanager
def at_home(folder: Path, *overrides: str) -> Iterator[tuple[Shell, State]]:
    """A shell beside a daemon that brings its own broker, and somebody who listens."""
    port = free_port()
    with daemon(folder, *overrides, arguments=("--with-broker", "--broker-port", str(port))) as rigd:
        rigd.start()
        shell = Shell(folder, f"-h {HOST}", f"-p {port}")
        with subscribed(port, *ALL) as heard:
            watching = State(heard)
            watching.wait("state", lambda state: state["mode"] == "unhomed")
            yield shell, watching


def test_every_command_of_the_document_does_what_it_says(tmp_path):
    watch = [line for line in block("docs/mqtt.md", "everything but the pictures").splitlines() if line]
    with at_home(tmp_path) as (shell, watching), ExitStack() as stack:
        define = block("docs/mqtt.md", "export R=")
        (tmp_path / "define").write_text(prelude().replace("ask ping\n", ""))
        shell.run("type mosquitto_sub mosquitto_pub mosquitto_rr")
        beside = {
            line: stack.enter_context(
                shell.beside(expanded(line, define), "" if "-C 1" in line else f"{PREFIX}event/marker")
            )
            for line in watch
        }
        responses = block("docs/mqtt.md", 'mosquitto_sub -v -t "$R/response/+"').strip()
        answers = stack.enter_context(shell.beside(expanded(responses, define), f"{PREFIX}response/marker"))
        # Commands that nobody waits for: each is answered on the topic of its verb.
        shell.run(define + block("docs/mqtt.md", "-m PRESS\nmosquitto_pub"))
        answers.wait(lambda line: line.startswith(f"{PREFIX}response/home ") and '"accepted"' in line)
        for _ in range(2):
            answers.wait(lambda line: line.startswith(f"{PREFIX}response/goto "))
        watching.wait(
            "event/action_finished", lambda event: event["verb"] == "home" and event["status"] == "ok"
        )
        asked = ". ./define; "
        stopping = block("docs/mqtt.md", "emergency stop")
        assert [answer["status"] for answer in shell.ask(asked + stopping)] == ["ok"]
        watching.wait("state", lambda state: state["mode"] == "estopped")
        (clear,) = re.findall(r"`(ask fault\.clear)`", (ROOT / "docs/mqtt.md").read_text())
        assert shell.ask(asked + clear)[0]["status"] == "ok"
        first, renewed, *_ = shell.ask(asked + block("docs/mqtt.md", "ask jog.renew"))
        assert (first["status"], renewed["data"]) == ("accepted", {"stops_in_s": 2.0})
        watching.wait("event/action_finished", lambda event: event["verb"] == "jog")
        leasing = block("docs/mqtt.md", "THE-TOKEN").splitlines()
        token = shell.ask(asked + leasing[0])[0]["data"]["lease"]
        held = [shell.ask(asked + line.replace("THE-TOKEN", token))[0] for line in leasing[1:]]
        # The rig is not homed any more: the goto is refused for that, and not for the lease.
        assert [answer["error"] and answer["error"]["code"] for answer in held] == [
            "not_possible",
            None,
            None,
        ]
        back = re.findall(r"`(mosquitto_pub -r -n -t \"\$R/estop\")`", (ROOT / "docs/mqtt.md").read_text())
        assert len(back) == 1
        shell.run(define + back[0])
        watching.wait("event/estop")
        everything, events = (lines for line, lines in beside.items() if "-C 1" not in line)
        everything.wait(lambda line: line.startswith(f"{PREFIX}event/estop "))
        events.wait(lambda line: line.startswith(f"{PREFIX}event/lease "))
        once = [lines for line, lines in beside.items() if "-C 1" in line and ">" not in line]
        for lines in once:
            assert json.loads(lines.wait(lambda line: line.startswith("{")))


def test_waiting_for_the_end_of_a_command_is_not_misled_by_that_of_another(tmp_path):
    """Somebody else's end comes first, and is passed over; a refusal is not waited for."""
    strays = """
eval "$(declare -f ask | sed '1s/ask/really_ask/')"
ask() {
  mosquitto_pub -q 1 -t "$R/event/action_finished" -m '{"transaction":"another","status":"ok","data":{"stray":true}}'
  really_ask "$@"
}
"""
    define, *_ = block("docs/mqtt.md", "finish() {").partition("\nfinish home ")
    with at_home(tmp_path) as (shell, _):
        answers = shell.ask(prelude() + define + strays + "finish home")
        assert [one.get("event_type", one.get("verb")) for one in answers] == [
            "ping",
            "home",
            "action_finished",
        ]
        assert answers[-1]["transaction"] == answers[1]["transaction"]
        answers = shell.ask(
            prelude() + define + 'finish goto \'{"position_um": -5}\' || echo \'{"not": "well"}\''
        )
        assert (answers[1]["error"]["code"], answers[-1]) == ("invalid_params", {"not": "well"})


def expanded(command: str, define: str) -> str:
    """A command of the document without its comment, with the document's variable in it."""
    value = define.split("R=")[1].split(maxsplit=1)[0]
    return command.split("   #", maxsplit=1)[0].split(" #", maxsplit=1)[0].replace("$R", value)


def test_a_stack_by_the_document_on_a_broker_of_its_own(tmp_path):
    with at_home(tmp_path) as (shell, watching):
        take_a_stack(shell, tmp_path, watching)
        picture = expanded(
            block("docs/mqtt.md", "now.jpg").splitlines()[3], block("docs/mqtt.md", "export R=")
        )
        shell.run(picture)
        assert (tmp_path / "now.jpg").read_bytes()[:2] == b"\xff\xd8"


@pytest.mark.parametrize("overrides", [(), ("mqtt.protocol='3.1.1'",)], ids=["mqtt 5", "mqtt 3.1.1"])
def test_a_stack_by_the_readme(tmp_path, overrides):
    where = (f"mqtt.host={HOST}", *overrides)
    with mosquitto(tmp_path) as broker, subscribed(broker.port, *ALL) as heard:
        shell = Shell(tmp_path, f"-h {HOST}", f"-p {broker.port}")
        with daemon(tmp_path, f"mqtt.port={broker.port}", *where, *README_SCENE) as rigd:
            follow_the_readme(rigd, shell, State(heard))
    whole_session(tmp_path, "beetle")


README_SCENE = ("camera.near_um=10000", "camera.far_um=14000")


def follow_the_readme(rigd: Daemon, shell: Shell, watching: State) -> None:
    """Every command of the section, in turn, each when the one before is over; the last is the emergency stop."""
    document = block("README.md", "request/mark_far").splitlines()
    lines = [line for line in document if line.startswith("mosquitto_pub")]
    rigd.start()
    watching.wait("state", lambda state: state["mode"] == "unhomed")
    for line in lines[:-1]:
        shell.run(line)
        await_end(watching, line)
    shell.run(lines[-1])
    watching.wait("state", lambda state: state["mode"] == "estopped")
    assert rigd.stop() == 0
    assert watching.on("response/plan.validate")[0]["data"]["frames"] == 41


@pytest.mark.usefixtures("site")
def test_a_stack_by_the_readme_with_tls_passwords_and_access_rights(tmp_path, site):  # noqa: F811
    """As `operate`; `observe` sees what it may, `stop` can do nothing but stop."""
    ears = ("-h", HOST, *site.options("operate"))
    with (
        daemon(tmp_path, *site_rig(site), *README_SCENE) as rigd,
        subscribed(site.port, *ALL, options=ears) as heard,
        subscribed(site.port, *ALL, options=("-h", HOST, *site.options("observe"))) as observer,
    ):
        (tmp_path / "stop").mkdir()
        powerless = site_shell(tmp_path / "stop", site, "stop")
        shell = site_shell(tmp_path, site, "operate")
        powerless.run(f"mosquitto_pub -q 1 -t {PREFIX}request/home -m PRESS")
        follow_the_readme(rigd, shell, State(heard))
        told = {one["topic"].removeprefix(PREFIX).split("/")[0] for one in observer.messages}
        assert {"state", "event", "session", "availability"} <= told
        assert not told & {"request", "set", "response", "estop"}
        homed = [end for end in State(heard).on("event/action_finished") if end["verb"] == "home"]
        assert len(homed) == 1
    whole_session(tmp_path, "beetle")


def site_rig(at: Site) -> tuple[str, ...]:
    """Of the config of a rig on that broker."""
    return (
        f"mqtt.host={HOST}", f"mqtt.port={at.port}", f"mqtt.tls.ca={at.ca}",
        f"mqtt.credentials={at.folder / 'bench.credentials'}",
    )  # fmt: skip


def site_shell(folder: Path, at: Site, user: str) -> Shell:
    """A shell of one of its users."""
    name, password = at.credentials(user)
    return Shell(folder, f"-h {HOST}", f"-p {at.port}", f"--cafile {at.ca}", f"-u {name}", f"-P {password}")


def await_end(watching: State, line: str) -> None:
    """Until what a command asked for has been answered, and is over."""
    topic = re.findall(r"-t (\S+)", line)[0].removeprefix(PREFIX)
    verb = topic.removeprefix("request/")
    answer = watching.wait("response/set" if topic.startswith("set/") else f"response/{verb}")
    assert answer["status"] != "error", answer
    if answer["status"] == "accepted":
        ended = watching.wait("event/action_finished", lambda event: event["verb"] == verb)
        assert ended["error"] is None, ended


@pytest.mark.usefixtures("site")
def test_a_stack_by_the_document_with_tls_passwords_and_access_rights(tmp_path, site):  # noqa: F811
    """On the broker of config/mosquitto, as its user `operate`, against a rig with credentials of its own."""
    shell = site_shell(tmp_path, site, "operate")
    with (
        daemon(tmp_path, *site_rig(site)) as rigd,
        subscribed(site.port, *ALL, options=("-h", HOST, *site.options("observe"))) as heard,
    ):
        rigd.start()
        take_a_stack(shell, tmp_path, State(heard))
        assert rigd.stop() == 0
        assert "not take messages" not in "\n".join(rigd.lines.all)
