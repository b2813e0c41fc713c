"""Where answers may go. A rig publishes with its own rights: an answer is not to pass for anything else."""

from __future__ import annotations

import re

from rigd.messages import topics

MAX_TOPIC = 1024
"""Characters of a response topic."""
MAX_LEVELS = 100
"""Its levels. Brokers bound them too, and not at the same number (mosquitto at 200): one that takes the request may take the answer
for a malformed packet, and cut the rig off."""
_UNFIT = re.compile(
    "[+#\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(0x10000 * plane + 0xFFFE)}{chr(0x10000 * plane + 0xFFFF)}" for plane in range(17))
    + "]"
)
"""Wildcards; and control and non-characters, for which a broker may end the connection (MQTT 5, section 1.5.4)."""
CLIENTS = "clients"
"""Below `<base>/`: where those who command have topics of their own. No rig is called so."""


def refusal(topic: str, *, base: str, rig: str, discovery_prefix: str) -> str | None:
    """Why an answer must not go to that topic; None when it may.

    Below `<base>/` only the rig's own `response/` and what belongs to clients are open: an answer to `<base>/<rig>/request/...` would
    be a command in the rig's name, one to `.../state` a lie in it.

    Args:
        topic: the whole topic that the request names.
        base: of the rigs' topics.
        rig: this rig's id.
        discovery_prefix: Home Assistant's.
    """
    if len(topic) > MAX_TOPIC:
        return f"longer than {MAX_TOPIC} characters"
    if topic.count("/") >= MAX_LEVELS:
        return f"more than {MAX_LEVELS} levels"
    if _UNFIT.search(topic):
        return "wildcards and control characters have no place in it"
    if topic.startswith("$"):
        return "topics that begin with $ are the broker's own"
    if _below(topic, discovery_prefix):
        return f"'{discovery_prefix}/' is Home Assistant's"
    own = topics.rig_prefix(base, rig) + topics.RESPONSE
    if not _below(topic, base) or topic.startswith((own, f"{base}/{CLIENTS}/")):
        return None
    return f"below '{base}/' only '{own}...' and '{base}/{CLIENTS}/...' are for answers"


def _below(topic: str, prefix: str) -> bool:
    return topic == prefix or topic.startswith(prefix + "/")
