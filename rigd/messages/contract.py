"""The whole contract as one table: every topic, its direction, quality of service, and what it carries.

The documents (`docs/asyncapi.yaml`, `docs/mqtt.md`) and the checks of the tests are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rigd.messages import events, reports, topics
from rigd.messages.base import Outward


@dataclass(frozen=True, slots=True)
class Channel:
    """What a rig publishes on one topic."""

    topic: str
    """Relative to the rig's own; `{session}`, `{verb}` and `{kind}` stand for one level."""
    carries: type[Outward] | Literal["text", "jpeg"]
    qos: Literal[0, 1]
    retained: bool
    summary: str


PUBLISHED: tuple[Channel, ...] = (
    Channel(topics.AVAILABILITY, "text", 1, True, "`online` or `offline`; also the last will"),
    Channel(topics.BIRTH, reports.Birth, 1, True, "which daemon, which contract, since when"),
    Channel(topics.STATE, reports.State, 1, True, "what the rig does now"),
    Channel(topics.INFO, reports.Info, 1, True, "what the rig is and may do"),
    Channel(topics.SETTINGS, reports.Settings, 1, True, "what the next stack is taken with"),
    Channel(topics.HEALTH, reports.Health, 0, True, "the machine and the daemon; at most one in 10 s"),
    Channel("session/{session}/frame", reports.Frame, 0, False, "a frame is on disk, with its evidence"),
    Channel("session/{session}/summary", reports.Summary, 1, True, "digest of a session's manifest"),
    Channel(
        topics.PREVIEW_IMAGE, "jpeg", 0, True, "the growing picture, or a test shot; limited in size and rate"
    ),
    Channel(topics.PREVIEW_META, reports.PreviewMeta, 0, True, "what `preview/image` shows"),
    Channel("response/{verb}", reports.Reply, 1, False, "answers to requests that named no response topic"),
    *(
        Channel(f"{topics.EVENT}{kind}", model, 1, False, str(model.__doc__).splitlines()[0])
        for kind, model in events.EVENTS.items()
    ),
)
"""Everything that a rig publishes."""
