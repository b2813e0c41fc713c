"""Where answers may go. A rig publishes with its own rights: an answer is not to pass for anything else."""

from __future__ import annotations

from rigd.messages import topics

MAX_TOPIC = 1024
"""Characters of a response topic."""
CLIENTS = "clients"
"""Below `<base>/`: where those who command have topics of their own. No rig is called so."""


def default_topic(topic: str) -> str:
    """Where the answer goes when the request named no topic: `response/<verb>`; `set/<setting>` is answered on `response/set`."""
    if topic.startswith(topics.REQUEST):
        return topics.RESPONSE + topic.removeprefix(topics.REQUEST)
    return topics.RESPONSE + topic.split("/", 1)[0]


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
    if any(character in topic for character in "+#") or any(ord(character) < 0x20 for character in topic):
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
