"""The sample broker, set up by the commands of its README and started from its files: what each user may do, and what not."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
import yaml
from paho.mqtt.subscribeoptions import SubscribeOptions

from rigd.config import load
from rigd.link.credentials import read_credentials
from rigd.messages import topics
from tests.brokers import free_port, publish, running, subscribed, tool

SAMPLES = Path(__file__).parents[2] / "config" / "mosquitto"
SOON_S = 20.0
PEOPLE = ("observe", "operate", "stop", "homeassistant")
RIG = "bench"
HERE, OTHER = f"rigd/{RIG}/", "rigd/other/"
DISCOVERY = f"homeassistant/device/{RIG}/config"
DENIED = 135
"""MQTT 5, section 2.4: not authorized."""

TOLD = (
    topics.AVAILABILITY, topics.BIRTH, topics.INFO, topics.SETTINGS, topics.STATE, topics.HEALTH, topics.PREVIEW_META,
    topics.PREVIEW_IMAGE, topics.session_frame("20261121T180311Z-a"), topics.session_summary("20261121T180311Z-a"), "event/fault",
)  # fmt: skip
"""What a rig tells everybody."""
ANSWERED = ("response/home", "response/set", "response/estop")
COMMANDS = ("request/home", "request/session.start", "set/step_um", topics.ESTOP)


def answers_of(client: str) -> str:
    return f"rigd/clients/{client}/response"


@dataclass(frozen=True)
class Site:
    """The broker, and everybody's credentials."""

    port: int
    ca: Path
    folder: Path

    def credentials(self, user: str) -> tuple[str, str]:
        found = read_credentials(self.folder / f"{user}.credentials")
        assert found.password is not None
        return found.username, found.password

    def options(self, user: str) -> tuple[str, ...]:
        """For mosquitto's own clients."""
        name, password = self.credentials(user)
        return ("--cafile", str(self.ca), "-V", "5", "-u", name, "-P", password)


def block(number: int, language: str = "sh") -> str:
    """A block of code from the README."""
    return re.findall(rf"```{language}\n(.*?)```", (SAMPLES / "README.md").read_text(), re.DOTALL)[number]


def run_in(folder: Path, script: str) -> None:
    done = subprocess.run(
        ["sh", "-eu", "-c", script], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def substituted(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Set up as the README says, but for names and paths; the main config file is like Debian's."""
    folder, port = tmp_path_factory.mktemp("site"), free_port()
    certificates = substituted(block(0), ("broker.local", "localhost"), ("192.168.1.10", "127.0.0.1"))
    run_in(folder, certificates)
    tool("mosquitto_passwd")
    run_in(folder, block(1))
    (folder / "acl").write_text((SAMPLES / "acl").read_text())
    (folder / "conf.d").mkdir()
    (folder / "conf.d" / "rigd.conf").write_text(
        substituted(
            (SAMPLES / "rigd.conf").read_text(),
            ("listener 8883\n", f"listener {port} 127.0.0.1\n"),
            ("/etc/mosquitto/certs/", f"{folder}/"),
            ("/etc/mosquitto/rigd.acl", f"{folder}/acl"),
            ("/etc/mosquitto/rigd.passwords", f"{folder}/rigd.passwords"),
        )
    )
    main = [
        "persistence true", f"persistence_location {folder}/", "log_dest stderr", "log_type all", f"include_dir {folder}/conf.d",
    ]  # fmt: skip
    if os.geteuid() == 0:
        main.append("user root")
    config = folder / "mosquitto.conf"
    config.write_text("\n".join(main) + "\n")
    with running(config, port):
        yield Site(port, folder / "rigd-ca.crt", folder)


class Client:
    """Somebody on the broker."""

    def __init__(self, site: Site, user: str | None, name: str, *, will: str | None = None) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.refused: str | None = None
        self._changed = threading.Condition()
        self._granted: dict[int, list[int]] = {}
        self._published: dict[int, int] = {}
        self._settled = False
        self.paho = paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5, reconnect_on_failure=False
        )
        # As strict about certificates as Python 3.13 is by itself.
        context = ssl.create_default_context(cafile=str(site.ca))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        paho.tls_set_context(context)
        if user is not None:
            paho.username_pw_set(*site.credentials(user))
        if will is not None:
            paho.will_set(will, b"will", qos=1)
        paho.on_connect = self._on_connect
        paho.on_subscribe = lambda _c, _d, mid, codes, _p: self._note(
            self._granted, mid, [code.value for code in codes]
        )
        paho.on_publish = lambda _c, _d, mid, code, _p: self._note(self._published, mid, code.value)
        paho.on_message = self._on_message
        paho.connect("localhost", site.port)
        paho.loop_start()
        self._until(lambda: self._settled)

    def subscribe(self, *wanted: str) -> list[int]:
        """Returns the codes of the broker's answer."""
        _, mid = self.paho.subscribe([(topic, SubscribeOptions(qos=1)) for topic in wanted])
        assert mid is not None
        self._until(lambda: mid in self._granted)
        return self._granted[mid]

    def publish(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> int:
        """Returns the code of the broker's answer."""
        mid = self.paho.publish(topic, payload, qos=1, retain=retain).mid
        self._until(lambda: mid in self._published)
        return self._published[mid]

    def until(self, topic: str, payload: bytes) -> None:
        """Wait for this message."""
        self._until(lambda: (topic, payload) in self.got)

    @property
    def topics(self) -> set[str]:
        return {topic for topic, _ in self.got}

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()

    def _until(self, true) -> None:
        with self._changed:
            assert self._changed.wait_for(true, SOON_S)

    def _note(self, where, mid, value) -> None:
        with self._changed:
            where[mid] = value
            self._changed.notify_all()

    def _on_connect(self, _client, _data, _flags, code, _properties) -> None:
        with self._changed:
            self._settled = True
            self.refused = str(code) if code.is_failure else None
            self._changed.notify_all()

    def _on_message(self, _client, _data, message) -> None:
        with self._changed:
            self.got.append((message.topic, message.payload))
            self._changed.notify_all()


@contextmanager
def client(site: Site, user: str | None, name: str = "", **options):
    one = Client(site, user, name or f"client-of-{user}", **options)
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def rig(site):
    with client(site, RIG, "rigd-bench") as one:
        yield one


def received(site: Site, rig: Client, user: str) -> set[str]:
    """Which of all the messages that a rig ever sends come to a user who subscribes to everything.

    All of them are sent retained and once more as they are, so that both ways count; the one at the end is one that every user may see,
    and comes last.
    """
    sent = [HERE + topic for topic in (*TOLD, *ANSWERED)]
    sent += [answers_of(f"client-of-{user}"), answers_of("somebody"), DISCOVERY]
    for topic in sent:
        assert rig.publish(topic, b"kept", retain=True) < 128
    try:
        with client(site, user) as one:
            one.subscribe(
                "#", "$SYS/#", "rigd/clients/+/response", answers_of("somebody"), HERE + "response/#"
            )
            for topic in sent:
                rig.publish(topic, b"live")
            rig.publish(HERE + topics.STATE, b"end")
            one.until(HERE + topics.STATE, b"end")
            return one.topics
    finally:
        for topic in sent:
            rig.publish(topic, b"", retain=True)


# ------------------------------------------------------------------------------------------------------- who sees what


TELLINGS = {HERE + topic for topic in TOLD}
ANSWERS = {HERE + topic for topic in ANSWERED}
SEEN = {
    "observe": TELLINGS,
    "operate": TELLINGS | ANSWERS,
    "stop": {HERE + topics.AVAILABILITY, HERE + topics.STATE, HERE + "response/estop"},
    "homeassistant": TELLINGS | ANSWERS | {DISCOVERY},
}


@pytest.mark.parametrize("user", PEOPLE)
def test_what_a_user_sees(site, rig, user):
    assert received(site, rig, user) == SEEN[user] | {answers_of(f"client-of-{user}")}


@pytest.mark.parametrize("user", PEOPLE)
def test_commands_of_others_are_not_seen(site, user):
    with client(site, user, "watcher") as one, client(site, "operate") as operator, client(site, RIG) as rig:
        one.subscribe("rigd/+/request/+", "rigd/+/set/+", "rigd/+/estop", HERE + topics.STATE)
        for topic in COMMANDS:
            assert operator.publish(HERE + topic) < 128
        rig.publish(HERE + topics.STATE, b"end")
        one.until(HERE + topics.STATE, b"end")
        assert one.topics == {HERE + topics.STATE}


# -------------------------------------------------------------------------------------------------------- who says what


MAY = {
    "observe": set(),
    "operate": {base + topic for base in (HERE, OTHER) for topic in COMMANDS},
    "stop": {HERE + topics.ESTOP, OTHER + topics.ESTOP},
    "homeassistant": {base + topic for base in (HERE, OTHER) for topic in COMMANDS}
    | {"homeassistant/status"},
}
ALL = [
    *(base + topic for base in (HERE, OTHER) for topic in (*TOLD, *ANSWERED, *COMMANDS)),
    *(f"rigd/{user}/{topic}" for user in PEOPLE for topic in (topics.STATE, topics.AVAILABILITY, "request/home")),
    answers_of("client-of-operate"), answers_of("client-of-observe"), DISCOVERY, "homeassistant/device/observe/config",
    "homeassistant/status", "rigd", "rigd/clients", "rigd/x", "anything", "$SYS/broker/version",
]  # fmt: skip


def said(site: Site, rig: Client, one: Client) -> set[str]:
    """Which topics a client can publish on: the broker says so, and those of the rig arrive at the rig or do not."""
    rig.subscribe("rigd/bench/#")
    accepted = {topic for topic in ALL if one.publish(topic, b"tried") != DENIED}
    assert rig.publish(HERE + "event/end") < 128
    rig.until(HERE + "event/end", b"x")
    arrived = {topic for topic, payload in rig.got if payload == b"tried"}
    assert arrived == {topic for topic in accepted if topic.startswith(HERE)}
    return accepted


@pytest.mark.parametrize("user", PEOPLE)
def test_what_a_user_can_say(site, rig, user):
    may = MAY[user] | {f"rigd/{name}/request/home" for name in PEOPLE if user in {"operate", "homeassistant"}}
    with client(site, user) as one:
        assert said(site, rig, one) == may


def test_what_a_rig_can_say(site, rig):
    with client(site, RIG, "second") as one:
        own = {topic for topic in ALL if topic.startswith(HERE)}
        clients = {answers_of("client-of-operate"), answers_of("client-of-observe")}
        assert said(site, rig, one) == own | clients | {DISCOVERY}


def test_a_rig_hears_its_own_commands_and_no_others(site, rig):
    with client(site, "operate") as operator, client(site, "homeassistant") as home:
        rig.subscribe("rigd/+/request/+", "rigd/+/set/+", "rigd/+/estop", "homeassistant/#", "rigd/other/#")
        home.publish("homeassistant/status", b"online")
        for base in (OTHER, HERE):
            for topic in COMMANDS:
                operator.publish(base + topic)
        rig.until(HERE + topics.ESTOP, b"x")
        rig.until("homeassistant/status", b"online")
        assert rig.topics == {HERE + topic for topic in COMMANDS} | {"homeassistant/status"}


@pytest.mark.parametrize(("user", "may"), [("observe", False), ("stop", True)])
def test_a_will_is_held_to_the_same_rules(site, rig, user, may):
    rig.subscribe("rigd/bench/#")
    with (
        client(site, user, "mortal", will=HERE + topics.ESTOP),
        client(site, user, "mortal"),  # takes its place: the first is thrown off, and its will is due
    ):
        rig.publish(HERE + topics.STATE, b"end")
        rig.until(HERE + topics.STATE, b"end")
    assert ((HERE + topics.ESTOP, b"will") in rig.got) == may


def test_an_answer_cannot_be_had_by_a_clever_name(site, rig):
    with client(site, "observe", "somebody/response") as one:
        one.subscribe("rigd/#")
        rig.publish(answers_of("somebody"), b"secret")
        rig.publish(HERE + topics.STATE, b"end")
        one.until(HERE + topics.STATE, b"end")
        assert one.topics == {HERE + topics.STATE}


def test_a_denied_subscription_is_granted_in_silence(site):
    """Of mosquitto 2.0, and why the README warns of it; newer ones say so (code 135)."""
    with client(site, "observe") as one:
        assert one.subscribe(HERE + "request/#")[0] in {1, DENIED}


# ------------------------------------------------------------------------------------------------------- who comes in


@pytest.mark.parametrize("user", [None, "wrong password", "nobody"])
def test_who_has_no_password_stays_outside(site, user, tmp_path):
    name, password = {"wrong password": ("operate", "guess"), "nobody": ("nobody", "guess")}.get(
        user, ("", "")
    )
    (tmp_path / "try.credentials").write_text(f"username: {name}\npassword: {password}\n")
    with client(Site(site.port, site.ca, tmp_path), "try" if user else None) as one:
        assert one.refused == "Not authorized"


def test_another_ca_is_not_believed(site, tmp_path):
    run_in(tmp_path, substituted(block(0), ("broker.local", "localhost"), ("192.168.1.10", "127.0.0.1")))
    context = ssl.create_default_context(cafile=str(tmp_path / "rigd-ca.crt"))
    with (
        socket.create_connection(("localhost", site.port)) as plain,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


def test_nothing_is_served_unencrypted(site):
    with socket.create_connection(("localhost", site.port), timeout=SOON_S) as plain:
        plain.sendall(b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03abc")  # a whole CONNECT
        with contextlib.suppress(ConnectionResetError):
            assert plain.recv(100)[:1] != b"\x20"  # CONNACK


def test_with_mosquittos_own_clients(site, rig):
    rig.subscribe(HERE + "#")
    rig.publish(HERE + topics.STATE, b'{"mode":"idle"}', retain=True)
    with subscribed(site.port, "rigd/#", options=site.options("observe")) as seen:
        assert seen.wait(HERE + topics.STATE)["retain"] == 1
        assert "Not authorized" in publish(
            site.port, HERE + "request/home", "PRESS", *site.options("observe"), check=False
        )
        assert "Not authorized" in publish(
            site.port, HERE + "request/home", "PRESS", *site.options("stop"), check=False
        )
        publish(site.port, HERE + "request/home", "PRESS", *site.options("operate"))
        publish(site.port, HERE + topics.ESTOP, "now", *site.options("stop"))
        rig.until(HERE + topics.ESTOP, b"now")
    assert [topic for topic, payload in rig.got if payload == b"PRESS"] == [HERE + "request/home"]
    rig.publish(HERE + topics.STATE, b"", retain=True)


# --------------------------------------------------------------------------------------------------------- documents


def test_passwords_are_kept_hashed_and_files_private(site):
    lines = (site.folder / "rigd.passwords").read_text().splitlines()
    assert [line.split(":")[0] for line in lines] == [*PEOPLE[:3], "homeassistant", RIG]
    assert all(line.split(":")[1].startswith("$7$") for line in lines)
    private = ["rigd-ca.key", "rigd-broker.key", *(f"{user}.credentials" for user in (*PEOPLE, RIG))]
    assert all((site.folder / name).stat().st_mode & 0o077 == 0 for name in private)


def test_every_user_of_the_list_is_one_of_the_readme():
    users = re.findall(r"(?m)^user (\w+)", (SAMPLES / "acl").read_text())
    table = (SAMPLES / "README.md").read_text().partition("| user | may |")[2].partition("\n\n")[0]
    named = re.findall(r"(?m)^\| `(\w+)`", table)
    assert users == named == [*PEOPLE, RIG]


def test_the_rigs_side_is_a_config(tmp_path):
    text = (SAMPLES.parent / "simulated.yaml").read_text()
    (tmp_path / "rigd-ca.crt").touch()
    there = block(0, "yaml").replace("/etc/rigd/rigd-ca.crt", str(tmp_path / "rigd-ca.crt"))
    assert there != block(0, "yaml")
    (tmp_path / "rig.yaml").write_text(text + there)
    config = load(tmp_path / "rig.yaml")
    assert config.rig.id == RIG
    assert config.mqtt is not None
    assert config.mqtt.tls is not None
    assert yaml.safe_load(block(0, "yaml"))["mqtt"]["host"] == config.mqtt.host
    assert config.mqtt.credential == "broker"


def test_commands_of_the_readme_are_plain_shell(tmp_path):
    shellcheck = Path(sys.executable).with_name("shellcheck")
    for number in range(4):
        script = tmp_path / f"{number}.sh"
        script.write_text("#!/bin/sh\n" + block(number))
        done = subprocess.run([shellcheck, script], capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout == ""
