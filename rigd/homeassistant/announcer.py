"""Tells Home Assistant of the rig, again when it has started anew, and takes it back where the config says so."""

from __future__ import annotations

import json
import logging

from rigd.config.model import RigConfig
from rigd.homeassistant.discovery import discovery, discovery_topic, status_topic
from rigd.messages import topics
from rigd.messages.reports import Info
from rigd.remote.bus import Outgoing, Switchboard

log = logging.getLogger(__name__)

HERE_AGAIN = b"online"
"""What Home Assistant says after its start."""


class Announcer:
    """Publishes the discovery document, made from the `info` that the switchboard keeps. On the loop's thread.

    A broker that comes back gets the document with everything else that is retained.

    Args:
        config: of the rig; `homeassistant` says whether it is announced at all, `mqtt` below which topics the rig is.
        switchboard: where the document goes, and where `info` is.
    """

    def __init__(self, config: RigConfig, switchboard: Switchboard) -> None:
        self._wanted = config.homeassistant
        self._base = config.mqtt.base if config.mqtt is not None else "rigd"
        self._switchboard = switchboard
        self.topic = discovery_topic(self._wanted.prefix, config.rig.id)
        """Of the document: a whole topic, outside the rig's own."""
        self.status_topic = status_topic(self._wanted.prefix)
        """A whole topic to subscribe to; its payloads belong to `on_status`."""

    def announce(self) -> None:
        """Publish the document; where the rig is not to be announced, take away what an earlier start has left at the broker.

        Call it when `info` has been published, and whenever that changes.
        """
        if not self._wanted.enabled:
            self.remove()
            return
        kept = self._switchboard.retained.get(topics.INFO)
        if kept is None:
            log.warning("Home Assistant is not told of the rig yet: nothing is known of it")
            return
        document = discovery(Info.model_validate_json(kept.payload), self._base, motion=self._wanted.motion)
        payload = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        self._publish(payload)

    def remove(self) -> None:
        """Take the rig out of Home Assistant: an empty retained document removes device and entities."""
        self._publish(b"")

    def on_status(self, payload: bytes) -> None:
        """Home Assistant's own birth and will: after `online` it is told again."""
        if payload == HERE_AGAIN and self._wanted.enabled:
            log.info("Home Assistant has started: announcing the rig again")
            self.announce()

    def _publish(self, payload: bytes) -> None:
        self._switchboard.publish(Outgoing(self.topic, payload, retain=True, absolute=True))
