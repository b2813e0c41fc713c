"""The discovery document: one message that tells Home Assistant of the rig, of all its entities, and when they are there. Pure.

Format: device discovery of Home Assistant's MQTT integration, 2024.11 and later.
"""

from __future__ import annotations

from typing import Any

from rigd.homeassistant import entities
from rigd.homeassistant.entities import Entity
from rigd.messages import topics
from rigd.messages.reports import Info

TOPIC_KEYS = ("state_topic", "command_topic", "image_topic", "json_attributes_topic")
"""Keys of an entity that hold a topic."""


def discovery_topic(prefix: str, rig: str) -> str:
    """Where the document of a rig is published, below Home Assistant's discovery prefix."""
    return f"{prefix}/device/{rig}/config"


def status_topic(prefix: str) -> str:
    """Where Home Assistant says `online` when it has started."""
    return f"{prefix}/status"


def discovery(info: Info, base: str, *, motion: bool) -> dict[str, Any]:
    """The whole document, ready for JSON.

    Args:
        info: of the rig, as it publishes it.
        base: what the rig's topics begin with: `<base>/<rig>/`.
        motion: whether there are buttons that let the rail move.
    """
    here = topics.rig_prefix(base, info.rig)
    return {
        "dev": {
            "ids": [f"rigd_{info.rig}"],
            "name": info.name or info.rig,
            "mf": "rigd",
            "mdl": f"{info.rail.name}, {info.camera.name}",
            "sw": info.version,
        },
        "o": {"name": "rigd", "sw": info.version},
        "availability": [
            {
                "topic": f"{here}{topics.AVAILABILITY}",
                "payload_available": topics.ONLINE,
                "payload_not_available": topics.OFFLINE,
            }
        ],
        "cmps": {
            key: _placed(entity, here, f"rigd_{info.rig}_{key}")
            for key, entity in all_entities(info, motion=motion).items()
        },
    }


def all_entities(info: Info, *, motion: bool) -> dict[str, Entity]:
    """Every entity by its key, with topics relative to the rig's own. One with nothing but its platform is to be removed."""
    return {
        **entities.buttons(info, motion=motion),
        **entities.numbers(info),
        **entities.selects(info),
        **entities.sensors(),
        **entities.binary_sensors(),
        **entities.others(),
    }


def _placed(entity: Entity, here: str, unique_id: str) -> Entity:
    if set(entity) == {"p"}:
        return entity
    whole = {key: f"{here}{value}" if key in TOPIC_KEYS else value for key, value in entity.items()}
    # Home Assistant 2025.4 takes a `qos` for the whole document, and does not use it.
    return {**whole, "qos": 1, "unique_id": unique_id}
