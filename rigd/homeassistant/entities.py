"""The entities of a rig in Home Assistant, each as its MQTT platform takes it. Pure.

Keys, device classes and units as in Home Assistant's documentation of the MQTT platforms (2024.11 and later). Topics here are
relative to the rig's own; `discovery` puts the prefix in front.
"""

from __future__ import annotations

import json
import math
from typing import Any, get_args

from rigd.messages import events, topics
from rigd.messages.reports import Info
from rigd.messages.verbs import Mode

Entity = dict[str, Any]

PRESS = "PRESS"
NO_PROFILE = "(none)"
BUSY = ("homing", "moving", "testing", "capturing", "stopping")
"""Modes in which the rig is at work."""
BROKEN = ("fault", "estopped")
ENDS = ("park", "return", "release", "stay")
LONGEST_STATE = 255
"""Characters that Home Assistant takes as a state."""
_FAULT = "{{ (value_json.fault or {}) | tojson }}"


def buttons(info: Info, *, motion: bool) -> dict[str, Entity]:
    """What can be pressed. Those that let the rail move are there with `motion` only; `identify` only where there is a light."""
    moving = {
        "home": _button("Home", "home", "mdi:home-import-outline"),
        "start": _button("Start", "session.start", "mdi:play"),
        "resume": _button("Resume", "session.resume", "mdi:play-pause"),
        "jog_toward": _button("Jog toward", "jog", "mdi:chevron-right", _nudge(info, "toward")),
        "jog_away": _button("Jog away", "jog", "mdi:chevron-left", _nudge(info, "away")),
    }
    blinking = {
        "identify": _button(
            "Identify", "identify", None, device_class="identify", entity_category="diagnostic"
        )
    }
    return {
        "stop": _button("Stop", "stop", "mdi:stop"),
        "mark_near": _button("Mark near", "mark_near", "mdi:ray-start"),
        "mark_far": _button("Mark far", "mark_far", "mdi:ray-end"),
        "pause": _button("Pause", "session.pause", "mdi:pause"),
        "abort": _button("Abort", "session.abort", "mdi:close-octagon"),
        "test_shot": _button("Test shot", "capture.test", "mdi:camera"),
        "clear_fault": _button("Clear fault", "fault.clear", "mdi:alert-remove"),
        **(moving if motion else _taken_away(moving)),
        **(blinking if info.light else _taken_away(blinking)),
    }


def _taken_away(entities: dict[str, Entity]) -> dict[str, Entity]:
    # An entity that is left out of a later document stays in Home Assistant; one with its platform alone is removed.
    return {key: {"p": entity["p"]} for key, entity in entities.items()}


def _button(name: str, verb: str, icon: str | None, payload: str = PRESS, **more: Any) -> Entity:
    drawn = {"icon": icon} if icon else {}
    return {
        "p": "button",
        "name": name,
        "command_topic": f"{topics.REQUEST}{verb}",
        "payload_press": payload,
        **drawn,
        **more,
    }


def _nudge(info: Info, which: str) -> str:
    # A press is not held: without the longest hold the dead-man would cut a long nudge short.
    return json.dumps({"params": {"nudge": which, "hold_s": _number(info.limits.jog_hold_max_s)}})


def numbers(info: Info) -> dict[str, Entity]:
    """Settings that are numbers: bounds from the rail and from the models."""
    grain_um = _grain_um(info.rail.microstep_um)
    travel_um = max(info.limits.max_um - info.limits.min_um, 2 * grain_um)
    jog_um = min(info.limits.jog_max_um, info.limits.jog_hold_max_s * info.limits.jog_speed_um_per_s)
    um: Entity = {"min": grain_um, "step": grain_um, "unit_of_measurement": "µm"}
    return {
        "step": _setting(
            "number", "Step", "step_um", **um, max=_number(travel_um), mode="box", icon="mdi:stairs"
        ),
        "frames": _setting(
            "number",
            "Frames",
            "frames",
            # `all`, in the config of a replay, is no number.
            value_template="{{ value_json.frames if value_json.frames is number else None }}",
            min=2,
            max=100_000,
            step=1,
            mode="box",
            icon="mdi:image-multiple-outline",
        ),
        "jog_distance": _setting(
            "number",
            "Jog distance",
            "jog_um",
            **um,
            max=_number(max(jog_um, 2 * grain_um)),
            mode="box",
            icon="mdi:arrow-left-right",
        ),
        "settle_limit": _setting(
            "number",
            "Settle limit",
            "settle_s",
            min=0,
            max=600,
            step=0.01,
            unit_of_measurement="s",
            device_class="duration",
            mode="box",
        ),
    }


def selects(info: Info) -> dict[str, Entity]:
    """Settings to choose from. No profile is a choice too: an empty value, which goes back to the config."""
    ends = [end for end in ENDS if end != "release" or info.rail.can_release]
    return {
        "profile": _setting(
            "select",
            "Profile",
            "profile",
            value_template="{{ value_json.profile or '" + NO_PROFILE + "' }}",
            command_template="{{ '' if value == '" + NO_PROFILE + "' else value }}",
            options=[NO_PROFILE, *info.profiles],
            icon="mdi:tune",
        ),
        "end_action": _setting("select", "End action", "end", options=ends, icon="mdi:flag-checkered"),
    }


def _setting(platform: str, name: str, setting: str, **more: Any) -> Entity:
    return {
        "p": platform,
        "name": name,
        "state_topic": topics.SETTINGS,
        "value_template": "{{ value_json." + setting + " }}",
        "command_topic": f"{topics.SET}{setting}",
        "entity_category": "config",
        **more,
    }


def sensors() -> dict[str, Entity]:
    """What can be read. What is not known renders as `None`, which Home Assistant takes for unknown."""
    measured: Entity = {"state_class": "measurement"}
    um: Entity = {"unit_of_measurement": "µm", "suggested_display_precision": 1}
    seconds: Entity = {"unit_of_measurement": "s", "device_class": "duration"}
    diagnostic: Entity = {"entity_category": "diagnostic"}
    return {
        "mode": _sensor("Mode", "value_json.mode", device_class="enum", options=list(get_args(Mode))),
        "position": _sensor("Position", "value_json.rail.position_um", **um, **measured, icon="mdi:ruler"),
        "near": _sensor("Near end", "value_json.near_um", topics.SETTINGS, **um, icon="mdi:ray-start"),
        "far": _sensor("Far end", "value_json.far_um", topics.SETTINGS, **um, icon="mdi:ray-end"),
        "progress": _sensor(
            "Progress",
            "(100 * value_json.session.frame / value_json.session.frames) | round(1)"
            " if value_json.session and value_json.session.frames else None",
            unit_of_measurement="%",
            suggested_display_precision=0,
            icon="mdi:progress-clock",
            **measured,
        ),
        "frame": _sensor(
            "Frame",
            "value_json.session.frame if value_json.session else None",
            icon="mdi:counter",
            **measured,
        ),
        "time_left": _sensor(
            "Time left",
            "value_json.session.eta_s if value_json.session else None",
            suggested_display_precision=0,
            **seconds,
            **measured,
        ),
        "last_settle": _sensor(
            "Last settle", "value_json.last_settle_s", suggested_display_precision=2, **seconds, **measured
        ),
        "temperature": _sensor(
            "Temperature",
            "value_json.temperature_c",
            topics.HEALTH,
            unit_of_measurement="°C",
            device_class="temperature",
            suggested_display_precision=1,
            **measured,
            **diagnostic,
        ),
        "disk_free": _sensor(
            "Disk free",
            "(value_json.disk_free_bytes / 1000000000) | round(2) if value_json.disk_free_bytes is number else None",
            topics.HEALTH,
            unit_of_measurement="GB",
            device_class="data_size",
            suggested_display_precision=1,
            **measured,
            **diagnostic,
        ),
        "fault": _while_faulty("Fault", "message", icon="mdi:alert-octagon-outline"),
        "next_step": _while_faulty("Next step", "next_step", icon="mdi:hand-pointing-right"),
        "last_error": _sensor(
            "Last error",
            f"(value_json.last_error or 'none')[:{LONGEST_STATE}]",
            icon="mdi:message-alert-outline",
            **diagnostic,
        ),
    }


def _while_faulty(name: str, what: str, **more: Any) -> Entity:
    # Apart from the last error, which any refused button overwrites while the fault still lasts. Whole in the attributes.
    return _sensor(
        name,
        f"(value_json.fault.{what} if value_json.fault else 'none')[:{LONGEST_STATE}]",
        json_attributes_topic=topics.STATE,
        json_attributes_template=_FAULT,
        **more,
    )


def _sensor(name: str, expression: str, topic: str = topics.STATE, **more: Any) -> Entity:
    return {
        "p": "sensor",
        "name": name,
        "state_topic": topic,
        "value_template": "{{ " + expression + " }}",
        **more,
    }


def binary_sensors() -> dict[str, Entity]:
    """What is so or not."""
    diagnostic: Entity = {"entity_category": "diagnostic"}
    return {
        "homed": _binary("Homed", "value_json.rail.homed", icon="mdi:home-circle-outline"),
        "running": _binary("Running", f"value_json.mode in {list(BUSY)}", device_class="running"),
        "problem": _binary(
            "Problem",
            f"value_json.fault or value_json.mode in {list(BROKEN)}",
            device_class="problem",
            json_attributes_topic=topics.STATE,
            json_attributes_template=_FAULT,
        ),
        "undervoltage": {
            "p": "binary_sensor",
            "name": "Undervoltage",
            "state_topic": topics.HEALTH,
            # Only a Pi tells; elsewhere it is unknown, which is not the same as no.
            "value_template": "{{ ('ON' if value_json.throttling.now.under_voltage else 'OFF')"
            " if value_json.throttling else None }}",
            "device_class": "problem",
            **diagnostic,
        },
        "camera_connected": _binary(
            "Camera connected", "value_json.camera_connected", device_class="connectivity", **diagnostic
        ),
    }


def _binary(name: str, condition: str, **more: Any) -> Entity:
    return {
        "p": "binary_sensor",
        "name": name,
        "state_topic": topics.STATE,
        "value_template": "{{ 'ON' if " + condition + " else 'OFF' }}",
        **more,
    }


def others() -> dict[str, Entity]:
    """The growing picture, what happens, and the version that runs."""
    return {
        "preview": {
            "p": "image",
            "name": "Preview",
            "image_topic": topics.PREVIEW_IMAGE,
            "content_type": "image/jpeg",
        },
        "events": {
            "p": "event",
            "name": "Events",
            "state_topic": f"{topics.EVENT}+",
            "event_types": list(events.EVENTS),
            "icon": "mdi:bell-outline",
        },
        "version": {
            "p": "update",
            "name": "Version",
            "title": "rigd",
            "state_topic": topics.BIRTH,
            # rigd asks nobody for newer versions: what runs is also the newest that it knows. No command: nothing to install.
            "value_template": "{{ {'installed_version': value_json.version,"
            " 'latest_version': value_json.version} | tojson }}",
            "entity_category": "diagnostic",
        },
    }


def _grain_um(microstep_um: float) -> float:
    """The decimal place that a distance is entered to: that of a microstep, between a thousandth and a tenth of a micrometre."""
    return float(10.0 ** min(-1, max(-3, math.floor(math.log10(microstep_um)))))


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value
