"""What a rig says: answers, its state, and what it knows of itself."""

from __future__ import annotations

from typing import Any, Literal

from rigd.messages.base import Error, Outward, Utc


class Reply(Outward):
    """The answer to a request."""

    transaction: str | None = None
    """That of the request."""
    verb: str
    """What was asked."""
    status: Literal["ok", "accepted", "error"]
    """`accepted`: it has begun; `event/action_finished` tells its end."""
    data: dict[str, Any] = {}
    """As the verb declares it."""
    error: Error | None = None
    """With `error` only."""
    repeated: bool = False
    """The transaction was known: this is the old answer, and nothing was done again."""
    time: Utc
    """The rig's time: UTC."""


# ---------------------------------------------------------------------------------------------------- what answers carry


class Pong(Outward):
    """A sign of life."""

    boot_id: str
    contract: str
    mode: str


class JogHeld(Outward):
    """How long the jog goes on."""

    stops_in_s: float


class LeaseGranted(Outward):
    """A lease."""

    lease: str
    """The token that requests carry."""
    holder: str
    expires: Utc
    ttl_s: float


class SessionStarted(Outward):
    """A session that is being taken."""

    session: str
    """Its id."""
    frames: int
    """How many it will have."""
    done: int = 0
    """How many it has already."""


class SessionEntry(Outward):
    """A session on disk."""

    session: str
    name: str
    created: str
    outcome: str
    """`complete`, `aborted`, `unfinished` or `damaged`."""
    frames: int
    planned: int
    why: str = ""
    rig: str = ""
    """Id of the rig that took it; another one where rigs share a folder. Empty: not known."""


class SessionList(Outward):
    """Sessions on disk, newest first."""

    sessions: list[SessionEntry]
    total: int
    """How many there are; the list may be shorter."""


class PlanWarning(Outward):
    """One thing to know about a plan that is allowed and perhaps not wanted."""

    code: str
    """Short and stable, for programs: `step_beyond_depth`, `diffraction_pixel`, ..."""
    message: str
    fix: str
    """What to do about it, if it is not wanted."""


class PlanReport(Outward):
    """What a stack would be."""

    frames: int
    near_um: float
    far_um: float
    first_um: float
    last_um: float
    step_um: float
    """The even step; where it changes on the way, the longest."""
    depth_of_field_um: float | None = None
    """Of one frame, where the rig's optics are known."""
    approach_um: float
    overshoot_um: float
    margin_frames: int
    seconds: float
    motion_s: float
    settle_s: float
    exposure_s: float
    waiting_s: float
    bytes: int
    free_bytes: int
    reasons: list[str] = []
    """Why it is so, in plain words."""
    warnings: list[PlanWarning] = []
    """What to know before it is taken."""


class TestShot(Outward):
    """One picture outside of any session; the picture itself is on `preview/image`."""

    __test__ = False

    width: int
    height: int
    bytes: int
    sha256: str
    suffix: str
    metrics: dict[str, float] = {}
    """Brightness and sharpness, as the frame checks use them."""
    settings: dict[str, Any] = {}
    """As read back from the camera."""
    note: str = ""
    """Why a stack would refuse it: black, damaged, another exposure than was set. Empty: it would not."""


class SweepFound(Outward):
    """What a sweep found: a proposal, which nothing takes over."""

    near_um: float
    best_um: float
    """Where most of the picture is sharp at once."""
    far_um: float
    step_um: float
    """Each of them may be off by as much."""
    open_near: bool
    """The subject goes on before the begin of the sweep."""
    open_far: bool
    """The subject goes on beyond its end."""
    tiles: int
    """Parts of the picture that had a depth."""
    of_tiles: int
    positions_um: list[float] = []
    focus: list[float] = []
    """The whole picture's focus measure at each position, the highest 1."""


class Settings(Outward):
    """What the next stack is taken with."""

    near_um: float | None = None
    far_um: float | None = None
    step_um: float | None = None
    frames: int | str | None = None
    margin_frames: int = 0
    direction: str = "near_to_far"
    settle_s: float
    end: str
    profile: str | None = None
    jog_um: float
    changed: list[str] = []
    """Those that were changed and differ from the config now; kept over a restart."""


# ------------------------------------------------------------------------------------------------------------ retained


class Birth(Outward):
    """Who is there."""

    boot_id: str
    """Another one after every start of the daemon."""
    version: str
    contract: str
    started: Utc


class Rail(Outward):
    """The rail, as its driver says."""

    homed: bool
    position_um: float | None
    """From home; null when not known."""
    target_um: float | None = None
    moving: bool


class SessionNow(Outward):
    """The session under way."""

    id: str
    name: str
    phase: str
    frame: int
    """Frames accepted."""
    frames: int
    eta_s: float | None = None
    """Time left."""
    why: str = ""
    """Why it is paused."""


class Fault(Outward):
    """What went wrong."""

    code: str
    message: str
    next_step: str


class LeaseNow(Outward):
    """Who commands."""

    holder: str
    expires: Utc


class State(Outward):
    """What the rig does now; from the loop that runs the hardware, never from a request."""

    boot_id: str
    seq: int
    """Counts every state, event and frame of this start of the daemon: a gap in `state` alone is normal, as states collapse."""
    time: Utc
    mode: str
    rail: Rail
    session: SessionNow | None = None
    fault: Fault | None = None
    lease: LeaseNow | None = None
    last_settle_s: float | None = None
    """Between the end of motion and the exposure of the last frame."""
    last_error: str = ""
    """The last refusal, fault or failed action, in words; empty after a start."""
    camera_connected: bool = True


class RailInfo(Outward):
    """The rail's nature."""

    name: str
    travel_um: float
    microstep_um: float
    max_speed_um_per_s: float
    backlash_um: float
    can_release: bool


class CameraInfo(Outward):
    """The camera's nature."""

    name: str
    width: int
    height: int
    suffix: str
    exposure_s: float
    max_frames: int | None = None


class Limits(Outward):
    """What no command can exceed."""

    min_um: float
    max_um: float
    jog_max_um: float
    jog_speed_um_per_s: float
    jog_hold_max_s: float


class Info(Outward):
    """What the rig is."""

    rig: str
    name: str
    contract: str
    version: str
    config_hash: str
    rail: RailInfo
    camera: CameraInfo
    light: bool
    limits: Limits
    verbs: list[str]
    settings: list[str]
    profiles: list[str]


class ThrottlingNow(Outward):
    """What holds a Pi back."""

    under_voltage: bool
    frequency_capped: bool
    throttled: bool
    soft_temperature_limit: bool


class Throttling(Outward):
    """Now, and since it was switched on."""

    now: ThrottlingNow
    since_boot: ThrottlingNow


class Health(Outward):
    """The machine that rigd runs on, and how rigd itself is; null where the machine has no such thing."""

    time: Utc
    uptime_s: float
    """Of the daemon."""
    throttling: Throttling | None = None
    temperature_c: float | None = None
    disk_free_bytes: int | None = None
    memory_available_bytes: int | None = None
    memory_used_bytes: int | None = None
    """Resident memory of the daemon."""
    loop_lag_s: float | None = None
    """The latest that the control loop was since the last report."""
    loop_lag_p99_s: float | None = None
    rail_warnings: list[str] = []
    """What the rail and its motor's driver warn of: heat, an open coil."""
    camera_restarts: int = 0
    broker_losses: int = 0
    """How often the broker was lost since the start."""
    dropped_events: int = 0
    """Events that no broker was there for, and that did not fit into the queue."""
    refused_commands: int = 0


# -------------------------------------------------------------------------------------------------------- while capturing


class Frame(Outward):
    """A frame is on disk, with the evidence that it is a good one."""

    seq: int
    time: Utc
    session: str
    index: int
    """From 0."""
    frames: int
    """How many the session will have."""
    file: str
    bytes: int
    sha256: str
    position_um: float
    asked_um: float
    moved_s: float
    """End of the motion before it, on the rig's monotonic clock, as all times here."""
    settled_s: float
    start_s: float
    """Of the exposure."""
    end_s: float
    settle_s: float
    """How long the rig really stood still before the exposure."""
    settle_asked_s: float | None = None
    """How long it was to stand still at least."""
    settle_code: str = ""
    """Why: `fixed`, `model`, `measured`, `cap` (more was needed than may be), `fallback` (what was needed was not known)."""
    settle_why: str = ""
    """The same in words, with the figures."""
    retry: int = 0
    verdict: str = "accepted"
    metrics: dict[str, float] = {}
    settings: dict[str, Any] = {}
    note: str = ""


class Summary(Outward):
    """A session that was left; retained."""

    session: str
    name: str
    outcome: str
    """`complete`, `aborted` or `suspended`."""
    why: str = ""
    created: str
    finished: str | None = None
    frames: int
    planned: int
    rejected: int
    coverage: str = ""
    """Whether near and far were reached, in words."""
    home_error_um: float | None = None
    files: int
    """How many files the manifest lists."""
    manifest_sha256: str | None = None


class PreviewMeta(Outward):
    """What `preview/image` shows."""

    session: str | None = None
    """null: a test shot."""
    frames: int
    """How many frames it is merged of."""
    total: int
    width: int
    height: int
    bytes: int
    sha256: str
    coverage: str = ""
    """When the stack is complete: whether near and far were reached."""
    time: Utc
