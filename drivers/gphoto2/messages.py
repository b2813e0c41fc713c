"""What passes between the driver and its camera process: one request, one answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from drivers.apart.wire import Codec, Done, Leave, Message, Refused

__all__ = ["Done", "Leave", "Message", "Refused"]


# ----------------------------------------------------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class Detect(Message):
    """Which cameras are there? Answer: `Cameras`."""


@dataclass(frozen=True, slots=True)
class Open(Message):
    """Take a camera into use. Answer: `Opened`."""

    model: str
    port: str


@dataclass(frozen=True, slots=True)
class Describe(Message):
    """All settings. Answer: `Tree`."""


@dataclass(frozen=True, slots=True)
class Read(Message):
    """Settings as they are now. Answer: `Values`, without those that the camera will not tell."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Write(Message):
    """Change a setting. Answer: `Values`, as read back."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Trigger(Message):
    """Open the shutter. `wait`: by the call that returns when the picture is there. Answer: `Triggered`."""

    wait: bool


@dataclass(frozen=True, slots=True)
class Listen(Message):
    """Wait for the camera to say something. Answer: `Heard`."""

    limit_s: float


@dataclass(frozen=True, slots=True)
class Download(Message):
    """A file's data. Answer: `Data`."""

    folder: str
    name: str


@dataclass(frozen=True, slots=True)
class Delete(Message):
    """Remove a file from the camera. Answer: `Done`."""

    folder: str
    name: str


@dataclass(frozen=True, slots=True)
class Reset(Message):
    """Reset the USB port of a camera that is not open. Answer: `Done`."""

    port: str


# ------------------------------------------------------------------------------------------------------------ answers


@dataclass(frozen=True, slots=True)
class Cameras(Message):
    """Model and port of each."""

    found: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Opened(Message):
    """`triggers`: whether it knows the call that returns before the picture is there. `library`: its version."""

    triggers: bool
    library: str


@dataclass(frozen=True, slots=True)
class Widget:
    """One setting. `choices` is empty where any value goes."""

    name: str
    label: str
    readonly: bool
    value: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tree(Message):
    """All settings that have a value."""

    widgets: tuple[Widget, ...]

    @classmethod
    def revived(cls, fields: dict[str, Any]) -> Tree:
        """Its widgets are no messages of their own."""
        return cls(tuple(Widget(**each) for each in fields["widgets"]))


@dataclass(frozen=True, slots=True)
class Values(Message):
    """Settings by name."""

    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Triggered(Message):
    """CLOCK_MONOTONIC before and after the call, and the file where the call told it."""

    before_s: float
    after_s: float
    folder: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Heard(Message):
    """What the camera said, and CLOCK_MONOTONIC when it had."""

    kind: Literal["file", "complete", "other", "nothing"]
    at_s: float
    folder: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Data(Message):
    """A file is in the message's raw bytes; `size` is what the camera says it should be."""

    size: int | None


CODEC = Codec(
    Detect,
    Open,
    Describe,
    Read,
    Write,
    Trigger,
    Listen,
    Download,
    Delete,
    Reset,
    Opened,
    Cameras,
    Tree,
    Values,
    Triggered,
    Heard,
    Data,
)
"""All that passes. A refusal has libgphoto2's code and its words, in English."""
