"""How quickly a rig answers while it is busy, and how many rigs a broker carries.

The answer is timed from outside, by a client in another process, through a real broker on loopback: first on a rig at rest, then while it
takes a stack of 12-megapixel frames and merges them. The reference in the same run is the broker alone: the client's own message, to
itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import random
import resource
import socket
import subprocess
import sys
import time
import uuid
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from drivers.clock import SystemClock
from rigd.app import open_rig, warm_up
from rigd.serving import reachable
from tests.bench.test_bench_cycle import RIG, render
from tests.brokers import HOST, mosquitto
from tests.rigs import SMALL, small_rig

RESULTS = Path("bench-results")
EVERY_S = 0.02
MOST_P99_MS = 10.0
MOST_LAG_P99_MS = 20.0
RIGS = 50
NODELAY = "set_tcp_nodelay true"
"""As in `config/mosquitto` and in `--with-broker`. Without it an answer waits up to 40 ms for the acknowledgement of what went before."""


class Asker:
    """A client that asks one thing at a time, and knows how long the answer took."""

    def __init__(self, port: int, rig: str) -> None:
        self.heard: queue.SimpleQueue[tuple[float, mqtt.MQTTMessage]] = queue.SimpleQueue()
        self.base = f"rigd/{rig}/"
        self.mine = f"rigd/clients/{uuid.uuid4().hex}/response"
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.on_message = lambda _client, _data, message: self.heard.put(
            (time.perf_counter(), message)
        )
        self.client.connect(HOST, port)
        self.client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client.subscribe(
            [(self.mine, 1), *((self.base + topic, 1) for topic in ("health", "state", "event/+"))]
        )
        self.client.loop_start()
        self.health: list[dict] = []
        self.events: list[dict] = []
        self.state: dict = {}

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def ask(self, verb: str, **params: object) -> tuple[float, dict]:
        """Seconds, and the reply."""
        mark = uuid.uuid4().bytes
        about = Properties(PacketTypes.PUBLISH)
        about.ResponseTopic, about.CorrelationData = self.mine, mark
        text = json.dumps({"transaction": uuid.uuid4().hex, "params": params})
        asked_s = time.perf_counter()
        self.client.publish(f"{self.base}request/{verb}", text, qos=1, properties=about)
        at_s, message = self._until(
            lambda message: getattr(message.properties, "CorrelationData", None) == mark
        )
        return at_s - asked_s, json.loads(message.payload)

    def echo(self) -> float:
        """Seconds that a message of our own takes to come back."""
        text = uuid.uuid4().bytes
        sent_s = time.perf_counter()
        self.client.publish(self.mine, text, qos=1)
        return self._until(lambda message: message.payload == text)[0] - sent_s

    def until_event(self, **wanted: str) -> None:
        """Listen until an event like this has come."""
        while not any(wanted.items() <= event.items() for event in self.events):
            self._until(lambda _message: True)

    def _until(self, wanted) -> tuple[float, mqtt.MQTTMessage]:
        while True:
            at_s, message = self.heard.get(timeout=120)
            kind = message.topic.removeprefix(self.base)
            if kind == "health":
                self.health.append(json.loads(message.payload))
            elif kind == "state":
                self.state = json.loads(message.payload)
            elif kind.startswith("event/"):
                self.events.append(json.loads(message.payload))
            if wanted(message):
                return at_s, message


@contextmanager
def running_rig(folder: Path, text: str, port: int):
    """`rigd run` as a process of its own, on this broker."""
    path = folder / "rig.yaml"
    path.write_text(text + f"mqtt: {{host: {HOST}, port: {port}}}\nservice: {{state: {folder / 'state'}}}\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "rigd", "run", "--config", str(path)], stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def spread(times_s: list[float]) -> dict[str, float]:
    ordered = sorted(times_s)

    def at(share: float) -> float:
        return round(1e3 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)

    return {"count": len(ordered), "p50_ms": at(0.5), "p99_ms": at(0.99), "worst_ms": at(1.0)}


def asked_for(asker: Asker, going_on) -> dict[str, dict[str, float]]:
    """A sign of life and a command that is written down, in turn, for as long as it goes on."""
    times: dict[str, list[float]] = {"ping": [], "settings": []}
    pause = random.Random(1)
    while going_on():
        for verb, params in (("ping", {}), ("settings", {"jog_um": 50.0 + pause.randrange(50)})):
            took_s, reply = asker.ask(verb, **params)
            assert reply["status"] == "ok", reply
            times[verb].append(took_s)
            time.sleep(pause.uniform(0.2, 1.8) * EVERY_S)
    return {verb: spread(found) for verb, found in times.items()}


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 1e6, 1)


def keep(name: str, figures: dict) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
    print("\n" + json.dumps(figures, indent=2))


@pytest.mark.bench
def test_answers_while_capturing(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    render(photos)
    text = (
        RIG.format(folder=photos, sessions=tmp_path / "sessions")
        + "rig: {id: busy}\nfinish: {enabled: false}\n"
    )
    with mosquitto(tmp_path, NODELAY) as broker, running_rig(tmp_path, text, broker.port) as process:
        asker = Asker(broker.port, "busy")
        try:
            while asker.state.get("mode") != "unhomed":
                asker._until(lambda _message: True)
            asker.ask("home")
            asker.until_event(event_type="action_finished", verb="home")
            alone = spread([asker.echo() for _ in range(500)])
            until_s = time.perf_counter() + 10
            at_rest = asked_for(asker, lambda: time.perf_counter() < until_s)
            asker.health.clear()
            _, reply = asker.ask("session.start", name="busy")
            assert reply["status"] == "accepted", reply
            busy = asked_for(
                asker, lambda: not any(event["event_type"] == "session_finished" for event in asker.events)
            )
            lag = [seen["loop_lag_p99_s"] for seen in asker.health if seen["loop_lag_p99_s"] is not None]
            memory = resident_mb(process.pid)
        finally:
            asker.close()
    figures = {
        "broker alone": alone,
        "rig at rest": at_rest,
        "while capturing 12 megapixels": busy,
        "loop lag p99 while capturing, ms": [round(1e3 * value, 1) for value in lag],
        "rss_mb": memory,
        "cores": os.cpu_count(),
    }
    keep("remote", figures)
    outcome = next(event for event in asker.events if event["event_type"] == "session_finished")
    assert outcome["outcome"] == "complete"
    worst = max(found["p99_ms"] for found in busy.values())
    if worst > MOST_P99_MS or max(figures["loop lag p99 while capturing, ms"]) > MOST_LAG_P99_MS:
        pytest.xfail(f"p99 of the answer {worst} ms, loop lag {lag}")


@pytest.mark.bench
def test_fifty_rigs_on_one_broker(tmp_path):
    warm_up()
    with mosquitto(tmp_path, "max_queued_messages 0") as broker:
        figures = asyncio.run(fifty(tmp_path, broker.port))
    keep("fleet", figures)
    assert figures["seen by rigctl"] == RIGS
    assert figures["states right"] == RIGS


async def fifty(folder: Path, port: int) -> dict:
    """Open them all, home them all, and have every second one take a stack."""
    clock = SystemClock()
    before = resident_mb(os.getpid())
    counted = Counter(port)
    async with AsyncExitStack() as leaving:
        rigs, modes = [], {}
        for number in range(RIGS):
            home = folder / f"{number:02d}"
            home.mkdir()
            text = SMALL.replace("id: small", f"id: rig-{number:02d}").replace(
                "start_um: 2500", f"start_um: {100 * number}"
            )
            config = small_rig(
                home, f"mqtt.host={HOST}", f"mqtt.port={port}", "remote.local=false", text=text
            )
            rig = await leaving.enter_async_context(open_rig(config, clock))
            await leaving.enter_async_context(reachable(rig, clock))
            rigs.append(rig)
        resting = resident_mb(os.getpid())
        begun_s, begun, cpu_s = time.perf_counter(), counted.messages, time.process_time()
        await asyncio.gather(*(rig.home() for rig in rigs))
        for rig in rigs[::2]:
            await rig.start("fleet", rig.plan().plan)
        await asyncio.gather(*(rig.ended() for rig in rigs[::2]))
        took_s = time.perf_counter() - begun_s
        figures = {
            "rigs": RIGS,
            "mb a rig at rest": round((resting - before) / RIGS, 2),
            "messages a second, all at work": round((counted.messages - begun) / took_s),
            "cpu ms a message, simulation included": round(
                1e3 * (time.process_time() - cpu_s) / (counted.messages - begun), 3
            ),
            "rss_mb": resident_mb(os.getpid()),
        }
        for rig in rigs[::3]:
            await rig.goto(1000.0)
        modes = {rig.config.rig.id: (str(rig.state.mode), rig.state.position) for rig in rigs}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rigd.ctl", "rigs", "--url", f"mqtt://{HOST}:{port}", "--json"),
            stdout=asyncio.subprocess.PIPE,
        )
        answer = json.loads((await process.communicate())[0])
        shown = {row["rig"]: row["state"] for row in answer["rigs"] if row["online"] and row["state"]}
        microstep_um = rigs[0].parts.rail.capabilities.microstep_um
        right = [
            name
            for name, (mode, position) in modes.items()
            if name in shown
            and shown[name]["mode"] == mode
            and shown[name]["rail"]["position_um"] == position * microstep_um
        ]
        figures |= {"seen by rigctl": len(shown), "states right": len(right)}
    counted.close()
    return figures


class Counter:
    """Counts what comes out of a broker."""

    def __init__(self, port: int) -> None:
        self.messages = 0
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_message = self._count
        self._client.connect(HOST, port)
        self._client.subscribe("rigd/#", 0)
        self._client.loop_start()

    def _count(self, *_: object) -> None:
        self.messages += 1

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
