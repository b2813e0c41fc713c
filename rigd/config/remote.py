"""The sections about commanding the rig from elsewhere: broker, Home Assistant, profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from drivers.base import NonNegative, Positive
from rigd.config.plan import StepChange
from rigd.config.section import Section

TopicPart = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        pattern=r"^[^+#/$\x00-\x20][^+#\x00-\x20]*[^+#/\x00-\x20]$|^[^+#/$\x00-\x20]$",
    ),
]
"""Levels of a topic, without wildcards, blanks and slashes at the ends."""


class Remote(Section):
    """What is the same for every way to command the rig."""

    local: bool = True
    """Take commands on a Unix socket too: `rigctl` on the rig itself needs no broker then."""
    socket: Path | None = None
    """Where that socket is. Default: `rigd-<rig id>.sock` in the service's runtime folder, the user's, or the folder `service.state`."""
    jog_hold_s: Annotated[float, Field(ge=0.2, le=60)] = 1.5
    """A jog stops this long after it was begun or last renewed, unless the command says otherwise."""
    jog_hold_max_s: Annotated[float, Field(ge=0.2, le=60)] = 5.0
    """The longest that a command may say."""
    lease_lapses: Literal["continue", "pause", "stop"] = "continue"
    """What becomes of a running stack when the lease of the one who commands lapses. `stop` lets go of it, to be resumed."""
    preview_interval_s: Annotated[float, Field(ge=0.2)] = 2.0
    """The growing picture is published at most this often."""
    preview_max_px: Annotated[int, Field(ge=160, le=4096)] = 1280
    """Its longer side."""
    preview_max_kb: Annotated[int, Field(ge=16, le=4096)] = 256
    """Its size; the quality is lowered until it fits."""


class Tls(Section):
    """Encryption, and who the other one is."""

    ca: Path | None = None
    """Certificates to trust. Default: those of the system."""
    certificate: Path | None = None
    """The rig's own, for brokers that ask for one."""
    key: Path | None = None
    """Its private key. Default: in the same file."""


class Mqtt(Section):
    """The broker."""

    host: Annotated[str, Field(min_length=1, max_length=253)]
    """Name or address."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Default: 1883, and 8883 with `tls`."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """`auto`: MQTT 5, and 3.1.1 where the broker speaks no other."""
    base: TopicPart = "rigd"
    """Topics are below `<base>/<rig id>/`."""
    client_id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Default: `rigd-<rig id>`."""
    credentials: Path | None = None
    """A file of two lines, `username: ...` and `password: ...`, that only rigd may read. Relative to the folder of the config."""
    credential: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] | None = None
    """The same as a systemd credential of this name (`LoadCredential=`)."""
    tls: Tls | None = None
    """Encryption. `tls: {}` is enough for a broker whose certificate the system trusts."""
    keepalive_s: Annotated[int, Field(ge=2, le=600)] = 10
    """A broker that is silent for one and a half times as long is lost."""
    reconnect_max_s: Annotated[float, Field(ge=1, le=600)] = 30.0
    """The longest wait between two tries; it grows from half a second, and is jittered. Where the broker's machine says that no
    broker listens, it stays below a second: that one is being started again."""
    lost: Literal["continue", "pause", "stop"] = "continue"
    """What becomes of a running stack when the broker is lost. `stop` lets go of it, to be resumed. A jog always stops."""
    lost_after_s: NonNegative = 10.0
    """When that happens, counted from the loss."""
    queue_events: Annotated[int, Field(ge=0, le=100_000)] = 1000
    """So many events are kept for a broker that is away; of more, the oldest are dropped and counted."""


class HomeAssistant(Section):
    """How Home Assistant finds the rig."""

    enabled: bool = True
    """Announce the rig."""
    prefix: TopicPart = "homeassistant"
    """Home Assistant's discovery prefix."""
    motion: bool = False
    """Announce buttons that move the rail: home, start, resume, jog."""


class Profile(Section):
    """A named set of settings; what it leaves away is as the config says."""

    step_um: Positive | None = None
    """Longest step."""
    frames: Annotated[int, Field(ge=2)] | None = None
    """Number of frames, instead of a step."""
    steps: tuple[StepChange, ...] | Literal["dof"] | None = None
    """Other steps from certain positions on, or `dof`, as in `plan`."""
    margin_frames: Annotated[int, Field(ge=0, le=50)] | None = None
    """Extra frames beyond each end."""
    direction: Literal["near_to_far", "far_to_near"] | None = None
    """Which end is photographed first."""
    settle_s: NonNegative | None = None
    """Wait after each move."""
    end: Literal["park", "return", "release", "stay"] | None = None
    """What the rail does at the end."""
