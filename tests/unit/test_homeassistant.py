"""Home Assistant's document: every topic and template in it fits what a rig really says and takes."""

from __future__ import annotations

import json

import jinja2
import pytest

from rigd.config import load
from rigd.homeassistant.announcer import Announcer
from rigd.homeassistant.discovery import TOPIC_KEYS, discovery
from rigd.messages import topics
from rigd.messages.contract import PUBLISHED
from rigd.messages.events import EVENTS
from rigd.messages.verbs import SETTINGS, VERBS, Request, SettingsParams
from rigd.remote.bus import Outgoing, Switchboard
from tests.rigs import SMALL
from tests.unit import _samples as said

HERE = "lab/bench-1/"
DOCUMENT = discovery(said.INFO, "lab", motion=True)
ENTITIES = DOCUMENT["cmps"]
SAMPLES = {
    topics.STATE: said.STATES,
    topics.HEALTH: said.HEALTHS,
    topics.SETTINGS: said.SETTINGS,
    topics.BIRTH: (said.BIRTH,),
}
JINJA = jinja2.Environment(undefined=jinja2.StrictUndefined)
MOTION = {"home", "start", "resume", "jog_toward", "jog_away"}
WANTED = {
    "button": MOTION
    | {"stop", "mark_near", "mark_far", "pause", "abort", "test_shot", "clear_fault", "identify"},
    "number": {"step", "frames", "jog_distance", "settle_limit"},
    "select": {"profile", "end_action"},
    "sensor": {
        "mode", "position", "near", "far", "progress", "frame", "time_left", "last_settle", "temperature",
        "disk_free", "fault", "next_step", "last_error",
    },
    "binary_sensor": {"homed", "running", "problem", "undervoltage", "camera_connected"},
    "image": {"preview"},
    "event": {"events"},
    "update": {"version"},
}  # fmt: skip


def of(platform):
    return {key: entity for key, entity in ENTITIES.items() if entity["p"] == platform}


def rendered(template, message):
    return JINJA.from_string(template).render(value_json=json.loads(message.model_dump_json()))


def shown(key, message):
    return rendered(ENTITIES[key]["value_template"], message)


def test_every_entity_is_there_on_its_platform():
    assert {platform: set(of(platform)) for platform in WANTED} == WANTED
    assert sum(map(len, WANTED.values())) == len(ENTITIES)


def test_what_home_assistant_demands_of_the_whole():
    assert DOCUMENT["dev"]["ids"] == ["rigd_bench-1"]
    assert DOCUMENT["o"]["name"] == "rigd"
    (availability,) = DOCUMENT["availability"]
    assert availability == {
        "topic": f"{HERE}availability",
        "payload_available": "online",
        "payload_not_available": "offline",
    }
    ids = [entity["unique_id"] for entity in ENTITIES.values()]
    assert len(set(ids)) == len(ids)
    assert ids[0] == "rigd_bench-1_stop", "unique ids are in people's automations: they never change"
    assert all(entity["name"] for entity in ENTITIES.values())
    assert len({entity["name"] for entity in ENTITIES.values()}) == len(ENTITIES)


def test_no_topic_outside_of_the_contract():
    published = {channel.topic: channel for channel in PUBLISHED}
    taken = {f"request/{verb}" for verb in VERBS} | {f"set/{setting}" for setting in SETTINGS}
    for key, entity in ENTITIES.items():
        for name in TOPIC_KEYS:
            if name not in entity:
                continue
            topic = entity[name].removeprefix(HERE)
            assert topic != entity[name], f"{key} is outside of the rig's own topics"
            if name == "command_topic":
                assert topic in taken, key
            elif topic == "event/+":
                assert entity["p"] == "event"
            else:
                assert published[topic].retained, f"{key} would be unknown after a start of Home Assistant"
        assert not [name for name in entity if name.endswith("_topic") and name not in TOPIC_KEYS]
    assert published["preview/image"].carries == "jpeg"
    assert ENTITIES["events"]["event_types"] == list(EVENTS)


@pytest.mark.parametrize("key", sorted(of("button")))
def test_a_button_sends_a_command_that_the_desk_takes(key):
    button = ENTITIES[key]
    verb = VERBS[button["command_topic"].removeprefix(f"{HERE}request/")]
    payload = button["payload_press"]
    request = Request() if payload == "PRESS" else Request.model_validate_json(payload)
    verb.params.model_validate_json(json.dumps(request.params))
    assert verb.moves == (key in MOTION)
    assert "retain" not in button, "a retained press would be refused at every reconnect"


@pytest.mark.parametrize(("motion", "light"), [(False, True), (True, False), (False, False)])
def test_buttons_that_are_not_wanted_are_taken_away(motion, light):
    unlit = said.INFO.model_copy(update={"light": light})
    entities = discovery(unlit, "lab", motion=motion)["cmps"]
    gone = (set() if motion else MOTION) | (set() if light else {"identify"})
    assert {key for key, entity in entities.items() if entity == {"p": "button"}} == gone
    for key, entity in entities.items():
        verb = VERBS.get(entity.get("command_topic", "").removeprefix(f"{HERE}request/"))
        assert motion or verb is None or not verb.moves, key


@pytest.mark.parametrize("key", sorted(of("number")))
def test_a_number_has_bounds_that_the_rig_takes(key):
    number = ENTITIES[key]
    setting = number["command_topic"].removeprefix(f"{HERE}set/")
    assert number["min"] < number["max"]
    for value in (number["min"], number["max"], number["min"] + number["step"]):
        SettingsParams.model_validate_json(json.dumps({setting: value}))
    assert number["entity_category"] == "config"


def test_distances_are_bounded_by_the_rig():
    assert ENTITIES["step"]["max"] == said.INFO.limits.max_um
    assert ENTITIES["jog_distance"]["max"] == said.INFO.limits.jog_max_um
    slow = said.INFO.limits.model_copy(update={"jog_speed_um_per_s": 100})
    slowly = discovery(said.INFO.model_copy(update={"limits": slow}), "lab", motion=True)["cmps"]
    assert slowly["jog_distance"]["max"] == 500, "a press goes no farther than the longest hold does"
    held = json.loads(slowly["jog_away"]["payload_press"])["params"]
    assert held == {"nudge": "away", "hold_s": slow.jog_hold_max_s}


@pytest.mark.parametrize("microstep_um", [0.0001, 0.02, 0.3125, 1, 2.5, 40])
def test_distances_are_entered_to_a_decimal_place(microstep_um):
    rail = said.INFO.rail.model_copy(update={"microstep_um": microstep_um})
    step = discovery(said.INFO.model_copy(update={"rail": rail}), "lab", motion=True)["cmps"]["step"]
    assert step["step"] == step["min"] in (0.001, 0.01, 0.1)


@pytest.mark.parametrize("key", sorted(of("select")))
def test_a_choice_is_one_that_the_rig_takes(key):
    select = ENTITIES[key]
    setting = select["command_topic"].removeprefix(f"{HERE}set/")
    for option in select["options"]:
        sent = JINJA.from_string(select.get("command_template", "{{ value }}")).render(value=option)
        if sent:  # an empty one goes back to the config
            SettingsParams.model_validate_json(json.dumps({setting: sent}))
    for settings in said.SETTINGS:
        assert shown(key, settings) in select["options"]


def test_a_motor_that_cannot_be_switched_off_is_not_offered_to_be():
    rail = said.INFO.rail.model_copy(update={"can_release": False})
    entities = discovery(said.INFO.model_copy(update={"rail": rail}), "lab", motion=True)["cmps"]
    assert entities["end_action"]["options"] == ["park", "return", "stay"]


@pytest.mark.parametrize(
    ("key", "template", "topic"),
    [
        (key, entity[template], entity[topic].removeprefix(HERE))
        for key, entity in ENTITIES.items()
        for template, topic in (
            ("value_template", "state_topic"),
            ("json_attributes_template", "json_attributes_topic"),
        )
        if template in entity
    ],
)
def test_every_template_can_read_everything_that_its_topic_says(key, template, topic):
    entity = ENTITIES[key]
    values = {rendered(template, message) for message in SAMPLES[topic]}
    assert "" not in values, "an empty value is passed over by Home Assistant: the old one would stay"
    for value in values - {"None"}:
        assert len(value) <= 255
        if entity["p"] == "binary_sensor" and template == entity["value_template"]:
            assert value in ("ON", "OFF")
        elif "unit_of_measurement" in entity or "state_class" in entity or entity["p"] == "number":
            float(value)
        elif "options" in entity:
            assert value in entity["options"]


def test_what_is_known_is_shown_and_what_is_not_is_unknown():
    assert shown("position", said.CAPTURING) == "1234.5"
    assert shown("position", said.UNHOMED) == "None"
    assert shown("progress", said.CAPTURING) == "25.0"
    assert shown("progress", said.STARTING) == "None"
    assert shown("time_left", said.CAPTURING) == "33.25"
    assert shown("time_left", said.STARTING) == shown("time_left", said.UNHOMED) == "None"
    assert shown("frame", said.STARTING) == "0"
    assert shown("frame", said.UNHOMED) == "None"
    assert shown("last_error", said.UNHOMED) == "none"
    assert shown("undervoltage", said.NO_PI) == "None"
    assert shown("undervoltage", said.PI) == "ON"
    assert shown("disk_free", said.PI) == "12.35"
    assert shown("frames", said.ALL) == shown("frames", said.STEPPED) == "None"
    assert shown("frames", said.COUNTED) == "40"
    assert shown("profile", said.BARE) == "(none)"
    assert shown("homed", said.CAPTURING) == shown("running", said.CAPTURING) == "ON"
    assert shown("running", said.FAULT) == shown("camera_connected", said.FAULT) == "OFF"
    assert shown("problem", said.FAULT) == shown("problem", said.ESTOPPED) == "ON"
    assert shown("problem", said.CAPTURING) == "OFF"
    for entity in ("problem", "fault", "next_step"):
        attributes = json.loads(rendered(ENTITIES[entity]["json_attributes_template"], said.FAULT))
        assert attributes["next_step"] == "look at it"
    assert shown("next_step", said.FAULT) == "look at it"
    assert shown("fault", said.FAULT) == said.FAULT.fault.message[:255]
    assert shown("fault", said.CAPTURING) == shown("next_step", said.CAPTURING) == "none"
    assert json.loads(shown("version", said.BIRTH)) == {
        "installed_version": "0.1.0",
        "latest_version": "0.1.0",
    }


def test_the_version_is_read_only():
    assert "command_topic" not in ENTITIES["version"]


# ------------------------------------------------------------------------------------------------------------ announcer


class Kept:
    def __init__(self):
        self.sent = []

    def send(self, message):
        self.sent.append(message)


@pytest.fixture
def announced(tmp_path):
    def make(*overrides, info=True):
        path = tmp_path / "rig.yaml"
        path.write_text(SMALL)
        overrides = ("rig.id=bench-1", "mqtt={host: localhost, base: lab}", *overrides)
        switchboard, outlet = Switchboard(), Kept()
        if info:
            switchboard.publish(Outgoing.of(topics.INFO, said.INFO, retain=True))
        switchboard.attach(outlet)
        return Announcer(load(path, list(overrides)), switchboard), switchboard, outlet

    return make


def test_the_document_is_one_retained_message(announced):
    announcer, switchboard, outlet = announced()
    announcer.announce()
    (message,) = outlet.sent
    assert (message.topic, message.retain, message.absolute, message.qos) == (
        "homeassistant/device/bench-1/config",
        True,
        True,
        1,
    )
    assert json.loads(message.payload) == discovery(said.INFO, "lab", motion=False)
    assert switchboard.retained[announcer.topic] == message, "a broker that comes back is told again"


def test_announced_again_when_home_assistant_has_started(announced):
    announcer, _, outlet = announced("homeassistant.motion=true", "homeassistant.prefix=ha")
    assert announcer.status_topic == "ha/status"
    announcer.on_status(b"offline")
    announcer.on_status(b"")
    assert not outlet.sent
    announcer.on_status(b"online")
    assert outlet.sent[-1].topic == "ha/device/bench-1/config"
    assert json.loads(outlet.sent[-1].payload) == discovery(said.INFO, "lab", motion=True)


def test_not_wanted_it_takes_away_what_an_earlier_start_has_left(announced):
    announcer, switchboard, outlet = announced("homeassistant.enabled=false")
    announcer.announce()
    (message,) = outlet.sent
    assert (message.payload, message.retain) == (b"", True)
    assert announcer.topic not in switchboard.retained
    announcer.on_status(b"online")
    assert len(outlet.sent) == 1


def test_removed_cleanly(announced):
    announcer, switchboard, outlet = announced()
    announcer.announce()
    announcer.remove()
    assert outlet.sent[-1].payload == b""
    assert announcer.topic not in switchboard.retained


def test_before_the_rig_is_known_nothing_is_said(announced):
    announcer, _, outlet = announced(info=False)
    announcer.announce()
    assert not outlet.sent
