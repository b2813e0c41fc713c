"""A stack as Home Assistant runs it: every topic and payload is taken from the announced document, every state through its templates."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import jinja2
import pytest

from rigd.link import Packet
from rigd.machine import events as ev
from rigd.machine.state import Mode
from tests.brokers import mosquitto
from tests.remote import PREFIX, Somebody, bench, going, somebody, whole_session

MOTION = "homeassistant.motion=true"
DISCOVERY = "homeassistant/device/+/config"
NEVER = {
    "malformed",
    "unknown_verb",
    "unknown_setting",
    "invalid_params",
    "oversized",
    "retained",
    "internal",
}
"""No press and no choice on a dashboard may be refused for one of these."""
TEMPLATES = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)


class Dashboard:
    """Home Assistant, as far as it goes by the document."""

    def __init__(self, document: dict[str, Any], ear: Somebody) -> None:
        self.document = document
        self.ear = ear
        self.entities = {entity["name"]: entity for entity in document["cmps"].values() if "name" in entity}

    def press(self, button: str) -> None:
        entity = self.entities[button]
        assert entity["p"] == "button"
        self._send(entity, entity["payload_press"])

    def set(self, name: str, value: Any) -> None:
        """Enter a number or choose an option, inside what the entity allows."""
        entity = self.entities[name]
        if entity["p"] == "number":
            assert entity["min"] <= value <= entity["max"]
        else:
            assert value in entity["options"]
        template = entity.get("command_template", "{{ value }}")
        self._send(entity, TEMPLATES.from_string(template).render(value=value))

    def _send(self, entity: dict[str, Any], payload: str) -> None:
        self.ear.link.send(Packet(entity["command_topic"], payload.encode(), entity["qos"]))

    def reads(self, name: str) -> str | None:
        """What an entity shows; None while nothing was said or it is unknown."""
        entity = self.entities[name]
        heard = self.ear.on(entity["state_topic"].removeprefix(PREFIX))
        if not heard:
            return None
        shown = TEMPLATES.from_string(entity["value_template"]).render(
            value_json=heard[-1], value=json.dumps(heard[-1])
        )
        if entity["p"] == "select":
            assert shown in entity["options"]
        if "options" in entity and entity["p"] == "sensor":
            assert shown in entity["options"]
        return None if shown == "None" else shown

    async def shows(self, name: str, *values: str) -> None:
        """Wait until an entity shows one of these."""
        await self.ear.until(lambda: self.reads(name) in values)

    def available(self) -> bool:
        (where,) = self.document["availability"]
        said = self.ear.on(where["topic"].removeprefix(PREFIX))
        return bool(said) and said[-1] == where["payload_available"]


async def announced(port: int) -> dict[str, Any]:
    """The document that is retained, or comes."""
    async with somebody(port, DISCOVERY, name="finder") as finder:
        heard = await finder.until(lambda: next(iter(finder.heard), None))
        return dict(heard.json)


@asynccontextmanager
async def dashboard(port: int) -> AsyncIterator[Dashboard]:
    """Somebody who has the document, and hears every topic in it, and the answers that Home Assistant never looks at."""
    document = await announced(port)
    keys = ("state_topic", "image_topic", "json_attributes_topic")
    topics = {entity[key] for entity in document["cmps"].values() for key in keys if key in entity}
    topics |= {where["topic"] for where in document["availability"]}
    async with somebody(port, *topics, PREFIX + "response/#", name="dashboard") as ear:
        one = Dashboard(document, ear)
        await ear.until(one.available)
        await ear.until(lambda: one.reads("Mode"))
        await ear.until(lambda: one.reads("Settle limit"))
        yield one


def over(test: Any, tmp_path: Any, *overrides: str) -> None:
    """Run a test with a rig and its dashboard on a broker."""

    async def main(port: int) -> None:
        async with bench(tmp_path, port, *overrides) as rig, dashboard(port) as home:
            await test(rig, home)

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))


def test_a_stack_by_the_document_alone(tmp_path):
    async def main(rig, home) -> None:
        assert home.reads("Mode") == "unhomed"
        assert (home.reads("Homed"), home.reads("Position"), home.reads("Running")) == ("OFF", None, "OFF")
        home.press("Home")
        await home.shows("Homed", "ON")
        await home.shows("Position", "0.0")
        home.set("Step", 20.0)
        await home.shows("Step", "20.0")
        home.set("Frames", 40)
        await home.shows("Frames", "40")
        home.set("Settle limit", 0.02)
        await home.shows("Settle limit", "0.02")
        home.set("End action", "stay")
        await home.shows("End action", "stay")
        assert home.reads("Step") is None  # of the two, the one that was set last
        home.press("Start")
        await home.shows("Mode", "capturing")
        await home.ear.until(lambda: int(home.reads("Frame") or 0) >= 5)
        assert home.reads("Running") == "ON"
        assert home.reads("Time left") is not None
        assert 0 < float(home.reads("Progress")) < 100
        home.press("Pause")
        await home.shows("Mode", "paused")
        taken = int(home.reads("Frame"))
        home.press("Resume")
        await home.shows("Mode", "capturing")
        await home.shows("Mode", "idle")
        assert taken < 40
        assert home.reads("Frame") is None
        assert home.reads("Camera connected") == "ON"
        assert home.reads("Problem") == "OFF"
        assert float(home.reads("Last settle")) >= 0.02
        kinds = [event["event_type"] for event in home.ear.on("event/session_finished")]
        assert kinds == ["session_finished"]
        assert set(kinds) <= set(home.entities["Events"]["event_types"])
        image = home.entities["Preview"]["image_topic"].removeprefix(PREFIX)
        await home.ear.until(lambda: any(one.topic == image for one in home.ear.heard))
        assert len(rig.diary.done(ev.StartStack)) == len(rig.diary.done(ev.Pause)) == 1

    over(main, tmp_path, MOTION)
    assert len(list(whole_session(tmp_path).glob("frames/*"))) in {0, 40}


def test_every_button_does_something_sensible(tmp_path):
    async def main(rig, home) -> None:
        refused = {}
        for button in (name for name, entity in home.entities.items() if entity["p"] == "button"):
            await at_rest(rig, home)
            since, acts = home.ear.mark, len(rig.diary.acts)
            home.press(button)
            verb = home.entities[button]["command_topic"].removeprefix(PREFIX + "request/")
            answer = (await home.ear.hears(f"response/{verb}", since=since)).json
            assert answer["verb"] == verb
            if answer["status"] == "accepted":
                ended = (await home.ear.hears("event/action_finished", since=since)).json
                assert (ended["verb"], ended["error"]) == (verb, None)
                assert len(rig.diary.acts) == acts + 1
            elif answer["status"] == "error":
                refused[button] = answer["error"]["code"]
                await home.ear.until(
                    lambda text=answer: text["error"]["message"] in str(home.reads("Last error"))
                )
        # Nothing to pause, to go on with, to end or to clear: said, and nothing else.
        expected = dict.fromkeys(("Pause", "Abort", "Clear fault"), "not_possible") | {"Resume": "session"}
        assert refused == expected
        assert not NEVER & set(refused.values())
        assert {type(act.event) for act in rig.diary.acts} >= {
            ev.Home, ev.Jog, ev.TestShot, ev.StartStack, ev.Stop,
        }  # fmt: skip
        settings = home.ear.on("settings")[-1]
        assert {"near_um", "far_um"} <= set(settings["changed"])

    async def at_rest(rig, home) -> None:
        """Homed, in the middle, with a small plan, so that every button has something to do."""
        if rig.state.mode is Mode.UNHOMED:
            home.press("Home")
        await rig.reached(Mode.IDLE)
        await rig.rig.goto(5100)
        home.ear.say("set/near_um", "5100")
        home.ear.say("set/far_um", "5400")
        await home.ear.until(lambda: [home.reads("Near end"), home.reads("Far end")] == ["5100.0", "5400.0"])

    over(main, tmp_path, MOTION)


def test_every_number_and_choice_is_taken_within_its_bounds(tmp_path):
    async def main(rig, home) -> None:
        for name, entity in home.entities.items():
            if entity["p"] == "number":
                for value in (entity["min"], entity["max"]):
                    home.set(name, value)
                    await home.ear.until(
                        lambda name=name, value=value: float(home.reads(name) or -1) == value
                    )
            elif entity["p"] == "select":
                for option in entity["options"]:
                    home.set(name, option)
                    await home.shows(name, option)
        assert home.ear.on("event/command_refused") == []
        assert rig.diary.acts == []

    profiles = ("profiles.fine.step_um=20", "profiles.fine.end=stay", "profiles.coarse.frames=5")
    over(main, tmp_path, *profiles)


def test_jog_buttons_go_as_far_as_the_number_says(tmp_path):
    async def main(rig, home) -> None:
        home.press("Home")
        await home.shows("Homed", "ON")
        home.set("Jog distance", 250.0)
        await home.shows("Jog distance", "250.0")
        for button, there in (("Jog toward", 250.0), ("Jog toward", 500.0), ("Jog away", 250.0)):
            since = home.ear.mark
            home.press(button)
            ended = (await home.ear.hears("event/action_finished", since=since)).json
            assert ended["error"] is None
            assert rig.position_um == pytest.approx(there, abs=1)

    over(main, tmp_path, MOTION)


def test_it_is_announced_again_when_home_assistant_or_the_broker_comes_back(tmp_path):
    async def main(broker) -> None:
        async with (
            bench(tmp_path, broker.port) as rig,
            somebody(broker.port, DISCOVERY, PREFIX + "availability") as ear,
        ):
            document = (await ear.until(lambda: announcements(ear)))[0]
            known = len(announcements(ear))
            ear.link.send(Packet("homeassistant/status", b"offline"))
            ear.link.send(Packet("homeassistant/status", b"online"))
            await ear.until(lambda: len(announcements(ear)) == known + 1)
            await_again = ear.mark
            broker.kill()
            broker.start()
            await rig.online()
            await ear.hears("availability", lambda said: said == "online", since=await_again)
            await ear.until(lambda: len(announcements(ear, await_again)))
            assert all(one.json == document.json for one in announcements(ear))
            # And whoever comes later finds it retained.
            assert await announced(broker.port) == document.json

    def announcements(ear: Somebody, since: int = 0):
        return [one for one in ear.heard[since:] if one.topic.endswith("/config")]

    with mosquitto(tmp_path) as broker:
        going(main(broker))


def test_without_motion_there_is_no_button_that_moves_and_those_of_before_are_removed(tmp_path):
    async def main(port: int) -> None:
        async with bench(tmp_path, port, MOTION):
            before = await announced(port)
        async with bench(tmp_path, port), somebody(port, DISCOVERY) as ear:
            after = (
                await ear.until(lambda: next((one for one in ear.heard if one.json != before), None))
            ).json
        buttons = {key: one for key, one in after["cmps"].items() if one["p"] == "button"}
        gone = {key for key, one in buttons.items() if one == {"p": "button"}}
        assert gone == {"home", "start", "resume", "jog_toward", "jog_away"}
        assert gone < {key for key, one in before["cmps"].items() if "command_topic" in one}
        pressed = {one["command_topic"].rsplit("/", 1)[1] for one in buttons.values() if "name" in one}
        assert not pressed & {"home", "goto", "jog", "session.start", "session.resume"}

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))


def test_a_rig_that_is_not_to_be_announced_is_removed(tmp_path):
    async def main(port: int) -> None:
        async with AsyncExitStack() as stack:
            ear = await stack.enter_async_context(somebody(port, DISCOVERY, PREFIX + "availability"))
            async with bench(tmp_path, port):
                await ear.until(
                    lambda: any(one.payload for one in ear.heard if one.topic.endswith("/config"))
                )
            rig = await stack.enter_async_context(bench(tmp_path, port, "homeassistant.enabled=false"))
            await rig.online()
            empty = await ear.until(
                lambda: [one for one in ear.heard if one.topic.endswith("/config") and not one.payload]
            )
            assert len(empty) == 1
            # Nothing is retained: somebody who comes now hears of the rig, and not of a device.
            late = await stack.enter_async_context(
                somebody(port, DISCOVERY, PREFIX + "availability", name="late")
            )
            late.link.send(Packet("homeassistant/status", b"online"))
            await late.hears("availability", lambda said: said == "online")
            assert [one for one in late.heard if one.topic.endswith("/config")] == []

    with mosquitto(tmp_path) as broker:
        going(main(broker.port))


def test_a_fault_and_what_to_do_about_it_stay_while_buttons_are_refused(tmp_path):
    async def main(rig, home) -> None:
        assert (home.reads("Fault"), home.reads("Next step")) == ("none", "none")
        home.press("Home")
        await home.shows("Mode", "fault")
        fault, step = rig.state.fault.message, rig.state.fault.next_step
        await home.shows("Fault", fault)
        assert (home.reads("Next step"), home.reads("Problem")) == (step, "ON")
        home.press("Start")
        await home.ear.until(lambda: "session.start" in (home.reads("Last error") or ""))
        assert (home.reads("Fault"), home.reads("Next step")) == (fault, step)
        home.press("Clear fault")
        await home.shows("Fault", "none")
        assert home.reads("Next step") == "none"

    over(main, tmp_path, MOTION, "rail.faults.home_switch_broken=true")
