"""Names of topics. Inside rigd they are relative to `<base>/<rig id>/`; a transport puts that in front."""

from __future__ import annotations

AVAILABILITY = "availability"
BIRTH = "birth"
STATE = "state"
INFO = "info"
HEALTH = "health"
SETTINGS = "settings"
PREVIEW_IMAGE = "preview/image"
PREVIEW_META = "preview/meta"
ESTOP = "estop"
REQUEST = "request/"
SET = "set/"
RESPONSE = "response/"
EVENT = "event/"

ONLINE, OFFLINE = "online", "offline"
REQUESTS = f"{REQUEST}+"
INBOUND = (REQUESTS, f"{SET}+", ESTOP)
"""What a rig subscribes to."""


def answer_to(topic: str) -> str:
    """Where an answer goes, unless the request named another topic: `response/<verb>`; all settings are answered on `response/set`."""
    if topic.startswith(REQUEST):
        return RESPONSE + topic.removeprefix(REQUEST)
    return RESPONSE + topic.split("/", 1)[0]


def session_frame(session: str) -> str:
    """Where a session's frames are told."""
    return f"session/{session}/frame"


def session_summary(session: str) -> str:
    """Where a session's digest is kept."""
    return f"session/{session}/summary"


def rig_prefix(base: str, rig: str) -> str:
    """What stands before every topic of a rig."""
    return f"{base}/{rig}/"
