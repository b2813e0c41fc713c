"""The broker on loopback: both kinds, what rigd needs of them, and that nothing of them is left behind."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from rigd import broker as subject
from rigd.broker import BrokerError, find_program, loopback_broker

KINDS = ("mosquitto", "iotcore")
SOON_S = 20.0


class Client:
    """A paho client on a thread of its own, with what it receives in a queue."""

    def __init__(self, port: int, name: str, *, version: int = mqtt.MQTTv5, will: str | None = None) -> None:
        self.got: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
        self._subscribed = threading.Event()
        self.connected = threading.Event()
        self.paho = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=version)
        self.paho.on_connect = lambda *_: self.connected.set()
        self.paho.on_subscribe = lambda *_: self._subscribed.set()
        self.paho.on_message = lambda _client, _data, message: self.got.put(message)
        if will is not None:
            self.paho.will_set(will, b"gone", qos=1, retain=True)
        self.paho.reconnect_delay_set(1, 1)
        self.paho.connect("127.0.0.1", port, keepalive=30)
        self.paho.loop_start()
        assert self.connected.wait(SOON_S)

    def subscribe(self, topic: str) -> None:
        self._subscribed.clear()
        options = SubscribeOptions(qos=1) if self.paho.protocol == mqtt.MQTTv5 else 1
        self.paho.subscribe([(topic, options)])
        assert self._subscribed.wait(SOON_S)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, **properties) -> None:
        made = Properties(PacketTypes.PUBLISH)
        for name, value in properties.items():
            setattr(made, name, value)
        known = made if properties else None
        self.paho.publish(topic, payload, 1, retain, properties=known).wait_for_publish(SOON_S)

    def next(self) -> mqtt.MQTTMessage:
        return self.got.get(timeout=SOON_S)

    def vanish(self) -> None:
        """Close the connection without a word."""
        self.paho.socket().shutdown(socket.SHUT_RDWR)
        self.paho.loop_stop()

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()


@contextmanager
def client(port: int, name: str, **options):
    one = Client(port, name, **options)
    try:
        yield one
    finally:
        one.close()


@pytest.fixture(params=KINDS)
def broker(request):
    with loopback_broker(kind=request.param) as one:
        assert one.kind == request.param
        yield one


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


# ---------------------------------------------------------------------------------------------------- what rigd needs


def test_a_request_and_its_answer_keep_their_properties(broker):
    with client(broker.port, "rig") as rig, client(broker.port, "operator") as operator:
        rig.subscribe("rigd/bench/request/+")
        operator.subscribe("rigd/clients/operator/response")
        operator.publish(
            "rigd/bench/request/home", b"{}",
            ResponseTopic="rigd/clients/operator/response", CorrelationData=b"\x00\xff", MessageExpiryInterval=60,
            UserProperty=[("a", "b")],
        )  # fmt: skip
        asked = rig.next()
        assert asked.topic == "rigd/bench/request/home"
        assert asked.properties.ResponseTopic == "rigd/clients/operator/response"
        assert asked.properties.UserProperty == [("a", "b")]
        assert 0 < asked.properties.MessageExpiryInterval <= 60
        rig.publish(asked.properties.ResponseTopic, b"ok", CorrelationData=asked.properties.CorrelationData)
        assert operator.next().properties.CorrelationData == b"\x00\xff"


def test_what_is_retained_comes_to_a_late_one_and_is_marked(broker):
    with client(broker.port, "rig") as rig, client(broker.port, "late") as late:
        rig.publish("rigd/bench/state", b"old", retain=True)
        rig.publish("rigd/bench/state", b"new", retain=True)
        late.subscribe("rigd/#")
        message = late.next()
        assert (message.payload, message.retain) == (b"new", True)
        rig.publish("rigd/bench/state", b"newer", retain=True)
        assert late.next().payload == b"newer"


def test_the_will_of_one_who_vanished_is_published_and_stays(broker):
    with client(broker.port, "watch") as watch:
        watch.subscribe("rigd/+/availability")
        rig = Client(broker.port, "rig", will="rigd/bench/availability")
        rig.vanish()
        assert watch.next().payload == b"gone"
    with client(broker.port, "late") as late:
        late.subscribe("rigd/+/availability")
        assert late.next().retain


def test_a_large_picture_passes(broker):
    picture = bytes(range(256)) * (4 << 12)  # 4 MiB
    with client(broker.port, "rig") as rig, client(broker.port, "watch") as watch:
        watch.subscribe("rigd/+/preview/image")
        rig.publish("rigd/bench/preview/image", picture)
        assert watch.next().payload == picture


def test_old_clients_are_served_by_mosquitto():
    with (
        loopback_broker(kind="mosquitto") as broker,
        client(broker.port, "old", version=mqtt.MQTTv311) as old,
        client(broker.port, "new") as new,
    ):
        old.subscribe("a")
        new.publish("a", b"x", UserProperty=[("k", "v")])
        assert old.next().payload == b"x"


# ------------------------------------------------------------------------------------------------------ how it is kept


def test_it_listens_on_loopback_only(broker):
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    port = f"{broker.port:04X}"
    assert [fields[1] for fields in listening if fields[3] == "0A" and fields[1].endswith(f":{port}")] == [
        f"0100007F:{port}"
    ]
    listening6 = Path("/proc/net/tcp6")
    assert not listening6.exists() or f":{port} " not in listening6.read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_behind(tmp_path, kind, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = threading.active_count()
    with loopback_broker(kind=kind) as broker:
        pid = broker.pid
        assert pid is not None
        assert list(tmp_path.iterdir()) == []
    assert gone(pid)
    assert subject._taken(broker.port) is None
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == before
    broker.close()


@pytest.mark.parametrize("kind", KINDS)
def test_it_ends_when_the_block_fails(kind):
    def body():
        with loopback_broker(kind=kind) as broker:
            pids.append(broker.pid)
            raise KeyError

    pids: list[int] = []
    with pytest.raises(KeyError):
        body()
    assert gone(pids[0])


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("kind", KINDS)
def test_it_ends_when_this_process_is_killed_and_nothing_is_left(tmp_path, kind, by):
    program = (
        "import signal, sys\n"
        "from rigd.broker import loopback_broker\n"
        "with loopback_broker(kind=sys.argv[1]) as broker:\n"
        "    print(broker.pid, flush=True)\n"
        "    signal.pause()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, kind],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as parent:
        assert parent.stdout
        handle = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(by)
        try:
            assert select.select([handle], [], [], SOON_S)[0], "it outlived its parent"
            assert list(tmp_path.iterdir()) == []
        finally:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)


def test_ctrl_c_is_not_for_the_broker(broker):
    assert broker.pid is not None
    assert os.getpgid(broker.pid) != os.getpgid(0)


def test_one_that_dies_is_started_again_on_its_port(broker):
    first = broker.pid
    assert first is not None
    with client(broker.port, "rig") as rig:
        rig.connected.clear()
        os.kill(first, signal.SIGKILL)
        assert rig.connected.wait(SOON_S)  # paho tries again by itself
        rig.subscribe("a")
        rig.publish("a", b"x")
        assert rig.next().payload == b"x"
    assert broker.pid not in {None, first}


# ------------------------------------------------------------------------------------------------------------ refusals


def test_a_port_can_be_chosen_and_a_taken_one_is_said_so():
    port = subject._any_port()
    with loopback_broker(port, kind="mosquitto") as broker:
        assert broker.port == port
        with (
            pytest.raises(BrokerError, match=f"port {port}: .*in use") as caught,
            loopback_broker(port),
        ):
            pass
        assert f"mqtt: {{host: 127.0.0.1, port: {port}}}" in str(caught.value)


def test_a_free_port_that_is_taken_meanwhile_is_another_one(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        ports = iter([other.getsockname()[1], subject._any_port()])
        monkeypatch.setattr(subject, "_any_port", lambda: next(ports))
        with loopback_broker(kind="mosquitto") as broker:
            assert broker.port != other.getsockname()[1]


def test_mosquitto_is_found_beside_the_path_and_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    program = tmp_path / "sbin" / "mosquitto"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(subject, "_BESIDE", str(program.parent))
    assert str(program) in find_program().command
    assert find_program().kind == "mosquitto"
    program.unlink()
    assert find_program().kind == "iotcore"


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_without_a_broker_the_fix_is_named(monkeypatch, tmp_path, kind):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(subject, "_BESIDE", str(tmp_path))
    monkeypatch.setattr(subject.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BrokerError) as caught:
        find_program(kind)
    assert "apt-get install mosquitto" in str(caught.value)
    assert "rigd[broker]" in str(caught.value)


def test_what_a_broker_says_when_it_does_not_start_is_told(monkeypatch):
    monkeypatch.setattr(subject, "_mosquitto_config", lambda port: "listener 1 nowhere\nbogus 1\n")
    with (
        pytest.raises(BrokerError, match=r"did not start.*\n.*bogus"),
        loopback_broker(kind="mosquitto"),
    ):
        pass
