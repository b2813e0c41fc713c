"""The MQTT adapter against a real broker: what comes in reaches the desk, what goes out is said again to every broker."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from drivers.clock import SystemClock
from rigd.config import load
from rigd.link import CredentialsError, Packet
from rigd.machine import events as ev
from rigd.messages import topics
from rigd.messages.base import CONTRACT
from rigd.mqtt.adapter import MqttAdapter
from rigd.mqtt.answers import MAX_LEVELS, MAX_TOPIC, refusal
from rigd.mqtt.endpoint import endpoint_of
from rigd.remote.bus import Incoming, Outgoing, Switchboard
from rigd.remote.reporter import Reporter
from tests.brokers import mosquitto, proxy, publish, subscribed
from tests.links import LIMIT_S, endpoint, going, party
from tests.rigs import SMALL, small_rig


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with mosquitto(tmp_path_factory.mktemp("broker")) as one:
        yield one


@dataclass
class Desk:
    """Notes what it is told, and answers everything with the topic it came on."""

    taken: list[Incoming] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    posted: list = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    tasks: set = field(default_factory=set)

    def take(self, incoming):
        self.taken.append(incoming)
        incoming.reply(b"answer to " + incoming.topic.encode())
        self.tell()

    def way_lost(self, source):
        self.lost.append(source)
        self.tell()

    def post(self, event):
        self.posted.append(event)
        self.tell()

    def tell(self):
        async def say():
            async with self.news:
                self.news.notify_all()

        task = asyncio.ensure_future(say())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def until(self, true):
        async with asyncio.timeout(LIMIT_S), self.news:
            await self.news.wait_for(true)


@dataclass
class Bench:
    """A rig on a broker, without a rig."""

    desk: Desk
    switchboard: Switchboard
    adapter: MqttAdapter

    async def up(self):
        await self.desk.until(lambda: self.adapter.connected)

    def say(self, topic, payload, **more):
        self.switchboard.publish(Outgoing(topic, payload, **more))


@asynccontextmanager
async def bench(folder, port, *overrides, **more):
    config = small_rig(folder, f"mqtt={{host: 127.0.0.1, port: {port}}}", *overrides)
    desk, switchboard = Desk(), Switchboard()
    where = endpoint(port, "rigd-small", **more)
    reporter = Reporter(switchboard, SystemClock(), "boot")
    adapter = MqttAdapter(
        config, desk, switchboard, SystemClock(), reporter=reporter, post=desk.post, endpoint=where
    )
    adapter.on_up.append(desk.tell)
    async with adapter:
        yield Bench(desk, switchboard, adapter)


# ------------------------------------------------------------------------------------------------------------ coming in


def test_requests_settings_and_stops_reach_the_desk_as_they_came(broker, tmp_path):
    async def body():
        async with (
            bench(tmp_path, broker.port) as rig,
            party(endpoint(broker.port, "user"), "rigd/small/response/#") as user,
        ):
            await rig.up()
            await user.up()
            sent = {
                "request/home": b"PRESS",
                "request/session.start": b'{"params": {}}',
                "set/step_um": b"20",
                "estop": b"\xff\x00",
            }
            for topic, payload in sent.items():
                user.link.send(Packet(f"rigd/small/{topic}", payload))
            await rig.desk.until(lambda: len(rig.desk.taken) == 4)
            assert {one.topic: one.payload for one in rig.desk.taken} == sent
            assert {one.source for one in rig.desk.taken} == {"mqtt"}
            assert not any(one.retained or one.redelivered for one in rig.desk.taken)
            for verb in ("home", "session.start", "set", "estop"):
                await user.hears(f"rigd/small/response/{verb}")

    going(body())


def test_what_the_broker_keeps_is_marked_as_kept(broker, tmp_path):
    async def body():
        await asyncio.to_thread(publish, broker.port, "rigd/small/request/jog", "5", "-r")
        async with bench(tmp_path, broker.port) as rig:
            await rig.desk.until(lambda: rig.desk.taken)
            assert rig.desk.taken[0].retained
            await asyncio.to_thread(publish, broker.port, "rigd/small/request/jog", None, "-r")
            await rig.desk.until(lambda: len(rig.desk.taken) == 2)
            assert (rig.desk.taken[1].payload, rig.desk.taken[1].retained) == (b"", True)

    going(body())


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_an_answer_goes_where_mqtt_5_says_and_else_to_the_rig_s_own_topic(broker, tmp_path, protocol):
    async def body():
        hears = ("rigd/clients/user/answers", "rigd/small/response/+")
        async with (
            bench(tmp_path, broker.port, protocol=protocol) as rig,
            party(endpoint(broker.port, "user"), *hears) as user,
        ):
            await rig.up()
            await user.up()
            assert rig.adapter.speaks == protocol
            user.link.send(
                Packet(
                    "rigd/small/request/ping",
                    b"",
                    response_topic="rigd/clients/user/answers",
                    correlation=b"\x07",
                )
            )
            if protocol == "5":
                got = await user.hears("rigd/clients/user/answers", b"answer to request/ping")
                assert got.correlation == b"\x07"
                assert got.content_type == "application/json"
                assert got.user == {"contract": CONTRACT}
                assert got.expiry_s is not None
            else:
                await user.hears("rigd/small/response/ping", b"answer to request/ping")
            assert len(user.received) == 1

    going(body())


def test_nobody_has_the_rig_speak_in_another_s_name(broker, tmp_path):
    async def body():
        async with (
            bench(tmp_path, broker.port) as rig,
            party(endpoint(broker.port, "user"), "rigd/#", "homeassistant/#") as user,
        ):
            await rig.up()
            await user.up()
            for number, forged in enumerate(
                ("rigd/other/request/home", "rigd/small/state", "homeassistant/status")
            ):
                request = Packet(
                    "rigd/small/request/home",
                    json.dumps({"transaction": f"t{number}"}).encode(),
                    response_topic=forged,
                    correlation=b"%d" % number,
                )
                user.link.send(request)
                answer = await user.until(
                    lambda number=number: next(
                        (
                            m
                            for m in user.received
                            if "response" in m.topic and m.correlation == b"%d" % number
                        ),
                        None,
                    )
                )
                assert answer.topic == "rigd/small/response/home"
                reply = json.loads(answer.payload)
                assert (reply["transaction"], reply["status"]) == (f"t{number}", "error")
                assert (reply["error"]["code"], reply["error"]["field"]) == ("not_allowed", "response_topic")
                assert forged in reply["error"]["message"]
                event = json.loads((await user.hears("rigd/small/event/command_refused")).payload)
                assert event["topic"] == "request/home"
            assert rig.desk.taken == []
            heard = {message.topic for message in user.received}
            assert not heard & {"rigd/other/request/home", "rigd/small/state", "homeassistant/status"}
            # A stop is obeyed all the same.
            user.link.send(Packet("rigd/small/estop", b"", response_topic="rigd/other/request/home"))
            await rig.desk.until(lambda: rig.desk.taken)
            assert (await user.hears("rigd/small/response/estop")).payload == b"answer to estop"

    going(body())


ALLOWED = [
    "rigd/small/response/home",
    "rigd/small/response/a/b",
    "rigd/clients/me/response",
    "rigdish/other/request/home",
    "lab/answers",
    "homeassistants/status",
    "x" * MAX_TOPIC,
    "a/" * (MAX_LEVELS - 1) + "b",
    "\ufeffé\ufffd\U0001f52c",
]
FORBIDDEN = [
    "rigd/small/request/home",
    "rigd/small/estop",
    "rigd/small/state",
    "rigd/small/response",
    "rigd/small/responses/x",
    "rigd/other/response/home",
    "rigd/other/request/home",
    "rigd/clients",
    "rigd",
    "rigd/",
    "homeassistant",
    "homeassistant/device/small/config",
    "$SYS/broker/uptime",
    "$share/x/y",
    "lab/+/answers",
    "lab/#",
    "lab/\x00",
    "x" * (MAX_TOPIC + 1),
    "a/" * MAX_LEVELS + "b",
    "a\x7f",
    "a\x85b",
    "\ufdd0",
    "\ufffe",
    "\U0010ffff",
    "\udc80",
]


@pytest.mark.parametrize("topic", ALLOWED)
def test_where_an_answer_may_go(topic):
    assert refusal(topic, base="rigd", rig="small", discovery_prefix="homeassistant") is None


@pytest.mark.parametrize("topic", FORBIDDEN)
def test_where_no_answer_goes(topic):
    assert refusal(topic, base="rigd", rig="small", discovery_prefix="homeassistant")


def test_a_base_of_several_levels_is_one_base():
    def may(topic):
        return refusal(topic, base="lab/rigs", rig="a", discovery_prefix="ha/discovery") is None

    assert may("lab/rigs/a/response/x")
    assert may("lab/rigs/clients/x")
    assert may("lab/other")
    assert may("ha/x")
    assert not may("lab/rigs/b/response/x")
    assert not may("ha/discovery/x")


@pytest.mark.parametrize(
    ("topic", "answer"),
    [
        ("request/home", "response/home"),
        ("set/step_um", "response/set"),
        ("estop", "response/estop"),
    ],
)
def test_where_answers_go_by_default(topic, answer):
    assert topics.answer_to(topic) == answer


def test_further_topics_have_listeners_of_their_own(broker, tmp_path):
    async def body():
        config = small_rig(tmp_path, f"mqtt={{host: 127.0.0.1, port: {broker.port}}}")
        desk, heard = Desk(), []

        def note(payload):
            heard.append(payload)
            desk.tell()

        adapter = MqttAdapter(config, desk, Switchboard(), SystemClock())
        adapter.extra["homeassistant/status"] = note
        adapter.on_up.append(desk.tell)
        async with adapter:
            await desk.until(lambda: adapter.connected)
            await asyncio.to_thread(publish, broker.port, "homeassistant/status", "online")
            await desk.until(lambda: heard)
            assert (heard, desk.taken) == ([b"online"], [])

    going(body())


# ------------------------------------------------------------------------------------------------------------- going out


def test_availability_is_said_at_birth_at_the_end_and_by_the_broker(tmp_path):
    async def body():
        with subscribed(broker.port, "rigd/small/availability") as user:

            async def hears(times):
                await asyncio.to_thread(
                    user.wait, "rigd/small/availability", lambda message: len(user.messages) >= times
                )

            async with proxy(broker.port) as way, bench(tmp_path, way.port) as rig:
                await rig.up()
                await hears(1)
                way.cut()
                await rig.desk.until(lambda: rig.adapter.losses == 1)
                await rig.up()
                await hears(3)
            await hears(4)
            said = [message["payload"] for message in user.messages]
            assert said == ["online", "offline", "online", "offline"]

    with mosquitto(tmp_path) as broker:
        going(body())


def test_every_broker_hears_how_things_are_and_what_it_missed(tmp_path):
    async def body():
        async with bench(tmp_path, broker.port) as rig:
            await rig.up()
            rig.say("info", b"old", retain=True)
            rig.say("info", b"info", retain=True)
            rig.say("homeassistant/device/small/config", b"found", retain=True, absolute=True)
            rig.say("state", b"1", retain=True)
            await asyncio.to_thread(broker.kill)
            await rig.desk.until(lambda: rig.desk.lost == ["mqtt"])
            rig.say("state", b"2", retain=True)
            rig.say("event/fault", b"fault")
            rig.say("session/x/frame", b"frame", keep=False, qos=0)
            rig.say("state", b"3", retain=True)
            await asyncio.to_thread(broker.start)
            await rig.up()
            rig.say("event/last", b"last")
            # The last thing said comes last.
            await asyncio.to_thread(broker.wait_for, "'rigd/small/event/last'")
            with subscribed(broker.port, "#") as user:
                await asyncio.to_thread(user.wait, "rigd/small/state", lambda _: len(user.messages) == 4)
                kept = {m["topic"]: m["payload"] for m in user.messages if m["retain"]}
                assert kept == {
                    "rigd/small/availability": "online",
                    "rigd/small/info": "info",
                    "homeassistant/device/small/config": "found",
                    "rigd/small/state": "3",
                }
            assert "'rigd/small/event/fault'" in broker.log()
            assert "session/x/frame" not in broker.log()
            assert (rig.adapter.losses, rig.adapter.dropped, rig.adapter.trouble) == (1, 0, "")

    with mosquitto(tmp_path) as broker:
        going(body())


def test_events_that_no_broker_was_there_for_are_bounded_and_counted(tmp_path):
    async def body():
        async with bench(tmp_path, 1, "mqtt.queue_events=3") as rig:
            for number in range(10):
                rig.say("event/fault", b"%d" % number)
            assert rig.adapter.dropped == 7
            assert not rig.adapter.connected

    going(body())


def test_an_outlet_says_nothing_after_its_end(broker, tmp_path):
    async def body():
        async with bench(tmp_path, broker.port) as rig:
            await rig.up()
        assert rig.switchboard._outlets == []
        rig.adapter.send(Outgoing("state", b"ghost"))
        assert not rig.adapter.connected

    going(body())


# -------------------------------------------------------------------------------------------------------- a broker is lost


@pytest.mark.parametrize(("lost", "event"), [("pause", ev.Pause), ("stop", ev.Suspend)])
def test_a_stack_is_paused_or_let_go_when_the_broker_stays_away(tmp_path, lost, event):
    async def body():
        wanted = (f"mqtt.lost={lost}", "mqtt.lost_after_s=0.01")
        async with bench(tmp_path, broker.port, *wanted) as rig:
            await rig.up()
            await asyncio.to_thread(broker.kill)
            await rig.desk.until(lambda: rig.desk.posted)
            (posted,) = rig.desk.posted
            assert isinstance(posted, event)
            assert posted.why.startswith("the broker is lost: ")

    with mosquitto(tmp_path) as broker:
        going(body())


@pytest.mark.parametrize("overrides", [("mqtt.lost=continue", "mqtt.lost_after_s=0"), ("mqtt.lost=stop",)])
def test_a_stack_goes_on_where_the_config_says_so_and_when_the_broker_is_soon_back(
    broker, tmp_path, overrides
):
    async def body():
        async with proxy(broker.port) as way, bench(tmp_path, way.port, *overrides) as rig:
            await rig.up()
            way.cut()
            await rig.desk.until(lambda: rig.desk.lost)
            await rig.up()
            assert rig.desk.posted == []
            assert rig.adapter._overdue is None

    going(body())


# -------------------------------------------------------------------------------------------------------------- the config


def configured(folder, mqtt):
    path = folder / "rig.yaml"
    path.write_text(SMALL + mqtt)
    return load(path)


def test_the_endpoint_is_as_the_config_says(tmp_path):
    for name in ("ca.pem", "rig.pem", "rig.key"):
        (tmp_path / name).write_text("")
    (tmp_path / "broker.txt").write_text("username: rig\npassword: horse\n")
    (tmp_path / "broker.txt").chmod(0o600)
    plain = endpoint_of(configured(tmp_path, "mqtt: {host: broker.lab}\n"))
    assert (plain.host, plain.port, plain.client_id, plain.tls) == ("broker.lab", 1883, "rigd-small", None)
    assert (plain.username, plain.password, plain.protocol) == (None, None, "auto")
    full = endpoint_of(
        configured(
            tmp_path,
            "mqtt: {host: b, client_id: me, credentials: broker.txt, protocol: '5', keepalive_s: 7, reconnect_max_s: 9,"
            " tls: {ca: ca.pem, certificate: rig.pem, key: rig.key}}\n",
        )
    )
    assert (full.port, full.client_id, full.protocol) == (8883, "me", "5")
    assert (full.username, full.password) == ("rig", "horse")
    assert (full.keepalive_s, full.reconnect_max_s) == (7, 9.0)
    assert full.tls is not None
    assert full.tls.ca == tmp_path / "ca.pem"
    assert (full.tls.certificate, full.tls.key) == (tmp_path / "rig.pem", tmp_path / "rig.key")


def test_a_credential_of_systemd_is_read_when_the_rig_starts(tmp_path, monkeypatch):
    config = configured(tmp_path, "mqtt: {host: b, credential: broker}\n")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(CredentialsError, match="LoadCredential=broker:"):
        endpoint_of(config)
    (tmp_path / "broker").write_text("username: rig\npassword: horse\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert endpoint_of(config).username == "rig"


def test_the_base_of_the_topics_is_the_config_s(broker, tmp_path):
    async def body():
        async with bench(tmp_path, broker.port, "mqtt.base=lab/rigs") as rig:
            await rig.up()
            await asyncio.to_thread(publish, broker.port, "lab/rigs/small/estop", "")
            await rig.desk.until(lambda: rig.desk.taken)
            assert rig.desk.taken[0].topic == topics.ESTOP

    going(body())
