"""What shoots and what is shot at: two clients of a broker, and a guarded rig in a process of its own."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.brokers import HOST
from tests.fuzz.guarded import Report
from tests.fuzz.messages import Shot
from tests.remote import LIMIT_S, PREFIX


@dataclass(frozen=True)
class Came:
    """A message from the broker."""

    topic: str
    payload: bytes
    retain: bool
    correlation: bytes | None


class Wrong(AssertionError):
    """The rig, or what it says, is not as it should be."""


class Rifle:
    """Two clients that send, MQTT 5 and 3.1.1, and an ear for everything that is said on the broker."""

    def __init__(self, port: int) -> None:
        self._came: list[Came] = []
        self._news = threading.Condition()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "fuzz", protocol=MQTTProtocolVersion.MQTTv5)
        self._old = paho.Client(
            CallbackAPIVersion.VERSION2, "fuzz-old", protocol=MQTTProtocolVersion.MQTTv311
        )
        self._lost: list[str] = []
        self._client.on_message = self._note
        for client in (self._client, self._old):
            client.max_inflight_messages_set(200)
            client.on_disconnect = self._gone
        properties = Properties(PacketTypes.CONNECT)
        properties.ReceiveMaximum = 1000
        self._client.connect(HOST, port, properties=properties)
        self._old.connect(HOST, port)
        for client in (self._client, self._old):
            client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        # Not what it says itself, so that whatever comes on a topic of commands was said by somebody else.
        options = SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True)
        self._client.subscribe("#", options=options)
        for client in (self._client, self._old):
            client.loop_start()
        assert subscribed.wait(LIMIT_S)

    def fire(self, shot: Shot) -> None:
        """Publish."""
        client = self._old if shot.way == "3.1.1" else self._client
        properties = None
        if client is self._client:
            properties = Properties(PacketTypes.PUBLISH)
            values = {
                "ResponseTopic": shot.response_topic,
                "CorrelationData": shot.correlation,
                "MessageExpiryInterval": shot.expiry_s,
                "UserProperty": list(shot.user) or None,
            }
            for name, value in values.items():
                if value is not None:
                    setattr(properties, name, value)
        client.publish(shot.whole_topic, shot.payload.data, shot.qos, shot.retain, properties)

    def command(
        self, verb: str, params: dict[str, Any], transaction: str, answer_on: str, **envelope: Any
    ) -> None:
        """Publish a request that is right."""
        body = {"params": params, "transaction": transaction, **envelope}
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = answer_on
        self._client.publish(f"{PREFIX}request/{verb}", json.dumps(body), 1, properties=properties)

    def taken(self) -> list[Came]:
        """What has come since the last call."""
        with self._news:
            came, self._came = self._came, []
        return came

    def wait(self, until_s: float) -> None:
        """For something to come. Raises `Wrong` when nothing does, and when the broker cut us off."""
        if self._lost:
            raise Wrong(f"the broker cut us off: {self._lost}")
        with self._news:
            if not self._came and not self._news.wait(max(0.0, until_s - time.monotonic())):
                raise Wrong("nothing more comes")

    def close(self) -> None:
        for client in (self._client, self._old):
            client.on_disconnect = None
            client.disconnect()
            client.loop_stop()

    def _note(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        correlation = getattr(message.properties, "CorrelationData", None)
        with self._news:
            self._came.append(Came(message.topic, message.payload, bool(message.retain), correlation or None))
            self._news.notify_all()

    def _gone(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        with self._news:
            self._lost.append(str(reason))
            self._news.notify_all()


class Guarded:
    """The guarded rig's process."""

    def __init__(self, folder: Path, port: int, *overrides: str) -> None:
        self._log = folder / "rig.log"
        command = [sys.executable, "-m", "tests.fuzz.guarded", str(folder), str(port), *overrides]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self._lock = threading.Lock()
        self._hears()

    def hand(self, shot: Shot) -> None:
        """A message past the broker."""

        def text(raw: bytes | None) -> str | None:
            return None if raw is None else base64.b64encode(raw).decode()

        response = shot.response_topic
        order = {
            "topic": shot.topic,
            "payload": text(shot.payload.data),
            "qos": shot.qos,
            "retain": shot.retain,
            "dup": shot.dup,
            "response_topic": text(None if response is None else response.encode("utf-8", "surrogatepass")),
            "correlation": text(shot.correlation),
        }
        self._say(json.dumps(order))

    def report(self) -> Report:
        """What is seen from inside."""
        self._say("report")
        return Report(**self._hears())

    def leave(self) -> None:
        """End it in good order; nothing may be left."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        last = self._hears()
        code = self._process.wait(LIMIT_S)
        if code or last["left"] or last["wrong"]:
            raise Wrong(f"at the end: code {code}, {last}")
        if "Traceback" in (log := self._log.read_text(errors="replace")):
            raise Wrong(f"logged: {log[log.index('Traceback') - 200 :][:4000]}")

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(LIMIT_S)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hears(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Wrong(f"the rig is dead: {self._log.read_text(errors='replace')[-4000:]}")
        return dict(json.loads(line))
