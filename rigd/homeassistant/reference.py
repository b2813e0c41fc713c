"""The table of `docs/homeassistant.md`, made from the entities themselves. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from rigd.homeassistant.discovery import all_entities
from rigd.homeassistant.entities import Entity
from rigd.messages.base import CONTRACT
from rigd.messages.reports import CameraInfo, Info, Limits, RailInfo
from rigd.messages.verbs import SETTINGS, VERBS

_KINDS = {
    "button": "Buttons",
    "number": "Numbers",
    "select": "Selects",
    "sensor": "Sensors",
    "binary_sensor": "Binary sensors",
    "image": "Image",
    "event": "Event",
    "update": "Update",
}
_ANY = Info(
    rig="rig",
    name="",
    contract=CONTRACT,
    version="",
    config_hash="",
    rail=RailInfo(
        name="", travel_um=1, microstep_um=1, max_speed_um_per_s=1, backlash_um=0, can_release=True
    ),
    camera=CameraInfo(name="", width=1, height=1, suffix="", exposure_s=1),
    light=True,
    limits=Limits(min_um=0, max_um=1, jog_max_um=1, jog_speed_um_per_s=1, jog_hold_max_s=1),
    verbs=list(VERBS),
    settings=list(SETTINGS),
    profiles=[],
)
"""What differs from rig to rig is not in the table."""


def entity_tables() -> str:
    """All entities by kind, Markdown."""
    return "\n".join(_tables()) + "\n"


def _tables() -> Iterator[str]:
    entities = all_entities(_ANY, motion=True)
    still = all_entities(_ANY, motion=False)
    yield "## Entities\n"
    for platform, title in _KINDS.items():
        yield f"### {title}\n"
        yield "| name | id ends in | reads | sends | |\n| --- | --- | --- | --- | --- |"
        for key, entity in entities.items():
            if entity["p"] == platform:
                yield _row(key, entity, needs_motion="name" not in still[key])
        yield ""


def _row(key: str, entity: Entity, *, needs_motion: bool) -> str:
    reads = entity.get("state_topic") or entity.get("image_topic", "")
    marks = [entity.get("entity_category", ""), entity.get("unit_of_measurement", "")]
    if needs_motion:
        marks.append("with `homeassistant.motion`")
    cells = (
        entity["name"],
        f"`{key}`",
        f"`{reads}`" if reads else "",
        f"`{entity['command_topic']}`" if "command_topic" in entity else "",
        ", ".join(mark for mark in marks if mark),
    )
    return f"| {' | '.join(cells)} |"
