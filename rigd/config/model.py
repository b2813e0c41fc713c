"""The sections of a rig's config, as frozen typed values. One definition for the check, the reference and the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from drivers.base import NonNegative, Positive
from rigd.config.driver import DriverConfig
from rigd.config.optics import Objective, Optics, RailProfile
from rigd.config.panel import Panel
from rigd.config.plan import PlanSection
from rigd.config.remote import HomeAssistant, Mqtt, Profile, Remote
from rigd.config.section import Section
from rigd.config.settle import Motion, Settle


class Rig(Section):
    """Which rig this is."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")] = "rig"
    """Short name for topics, folders and logs: small letters, digits and dashes."""
    name: str = ""
    """Name for people."""
    seed: int = 0
    """Of everything random in simulated drivers."""


class Limits(Section):
    """Soft limits of the rail: no target outside them is ever accepted."""

    min_um: NonNegative = 0.0
    """Lowest position, from home."""
    max_um: Positive
    """Highest position, from home."""


class Jog(Section):
    """The slow move that is allowed before home is known."""

    max_distance_um: Positive = 2000.0
    """Longest single jog."""
    speed_um_per_s: Positive = 500.0
    """Its speed."""


class Checks(Section):
    """What a frame must pass to be accepted."""

    evidence: bool = True
    """Exposure began after motion ended and the rig had settled. Only tests of the checks switch this off."""
    black_level: NonNegative = 8.0
    """A frame whose brightest hundredth is below this (of 255) is black."""
    sharpness_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """A frame less sharp than this share of what its neighbours lead to expect is retaken once. 0 switches it off."""
    exposure_tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.02
    """Relative difference of exposure time and gain from what was set that counts as drifted."""
    max_retries: Annotated[int, Field(ge=0, le=20)] = 3
    """Retakes of one frame before the session pauses and says why."""


class Capture(Section):
    """How a stack is taken and how it ends."""

    checks: Checks = Checks()
    """What a frame must pass."""
    end: Literal["park", "return", "release", "stay"] = "return"
    """What the rail does at the end: go to `park_um`, return to the first position, release the motor, or stay."""
    park_um: NonNegative = 0.0
    """Where `park` goes."""
    rehome_at_end: bool = False
    """Home again at the end, and report drift and lost steps."""
    exposure_timeout_s: Positive = 10.0
    """Beyond the exposure itself, how long the camera may take to close its shutter before it counts as hung."""
    transfer_timeout_s: Positive = 30.0
    """How long a picture's data may take before the camera counts as hung."""


class Preview(Section):
    """The picture that grows during the run."""

    max_megapixels: Annotated[float, Field(gt=0, le=200)] = 4.0
    """Frames larger than this are halved (again and again) before they are merged into the preview."""
    align: Literal["off", "rail", "track"] = "off"
    """`off`: frames lie on each other; `rail`: scaled by rail perspective; `track`: measured frame to frame."""
    pupil_to_focus_um: Positive | None = None
    """Entrance pupil to focal plane, for `rail`."""
    interval_s: NonNegative = 1.0
    """The preview on disk is renewed at most this often."""
    jpeg_quality: Annotated[int, Field(ge=50, le=100)] = 90
    """Of `preview.jpg`."""
    threads: Annotated[int, Field(ge=1, le=64)] = 2
    """Threads of the merging kernel."""


class Finish(Section):
    """What becomes of a stack when its last frame is in: the fused picture and the depth map, by `stackcore`, beside the frames."""

    enabled: bool = True
    """Whether every complete stack is finished. `rigd finish` does it by hand."""
    method: Literal["unveil", "pyramid", "weighted", "argmax", "wavelet", "labels", "depth"] = "unveil"
    """How frames are fused; `stackcore methods` says what each is for."""
    options: dict[str, bool | int | float | str] = {}
    """Of the method, by name."""
    picture: Literal["tif", "png", "jpg"] = "tif"
    """Format of the fused picture."""
    jpeg_quality: Annotated[int, Field(ge=50, le=100)] = 95
    """Of a `jpg`."""
    depth: bool = True
    """Depth map and its confidence at full size, in place of the preview's."""
    depth_picture: bool = True
    """Depth map in colours, with legend and scale."""
    mesh: Literal["off", "glb", "ply"] = "off"
    """The surface as triangles."""
    points: bool = False
    """The surface as a cloud of points."""
    um_per_px: Positive | None = None
    """Size of a pixel on the subject, for scale bar, mesh and points. Default: as the optics say, where they are known."""
    align: bool = True
    """Find out how each frame lies on the first. Off: they lie on each other."""
    even: bool = True
    """Even out exposure and colour from frame to frame."""
    orthographic: bool = False
    """Every depth at the same size, instead of in the first frame's perspective."""
    slab_frames: Annotated[int, Field(ge=2)] | None = None
    """Fuse so many frames at a time into a picture each, then those: for hairs that cross."""
    threads: Annotated[int, Field(ge=1, le=64)] = 2
    """At most so many work at once, at the lowest priority."""
    memory_mb: Annotated[float, Field(ge=200)] | None = None
    """At most this much memory. Default: three quarters of what is free when it begins."""
    max_temperature_c: Annotated[float, Field(ge=30, le=100)] = 78.0
    """It waits while the processor is hotter than this, is throttled, or a stack is being taken."""


class Storage(Section):
    """Where sessions go."""

    sessions: Path = Path("sessions")
    """Folder of all sessions, relative to where rigd is started."""
    keep_free_mb: NonNegative = 200.0
    """Free space that a plan must leave on that disk."""


class Service(Section):
    """The daemon as a service."""

    home_on_start: bool = False
    """Home as soon as the drivers are open."""
    unfinished: Literal["report", "resume"] = "report"
    """What to do at start with a session that was not finished."""
    state: Path = Path("state")
    """Folder for what outlives a restart: changed settings, commands acted on; below it each rig has its own. Relative to where rigd is started."""


class RigConfig(Section):
    """One rig, resolved: every default filled in, every driver's options checked by the driver's own declaration."""

    rig: Rig = Rig()
    """Which rig this is."""
    rail: DriverConfig
    """The motorised axis."""
    motor: DriverConfig | None = None
    """The stepper driver chip of its motor, where it has a wire of its own. Left away: nobody asks it."""
    camera: DriverConfig
    """What takes the frames."""
    shutter: DriverConfig | None = None
    """A wired release, for cameras that are fired by one. Left away: the camera driver fires its camera itself."""
    light: DriverConfig | None = None
    """A lamp that is on for a stack only. Left away: there is none to switch."""
    switches: dict[str, DriverConfig] = {}
    """Contacts by name, such as `estop`."""
    panel: Panel | None = None
    """Buttons and a status LED at the rig. Left away: there are none."""
    limits: Limits
    """Soft limits of the rail."""
    jog: Jog = Jog()
    """The slow move that is allowed before home is known."""
    optics: Optics = Optics()
    """The lens on the camera and the sensor behind it."""
    objectives: dict[str, Objective] = {}
    """Named lenses and objectives, for `optics.objective`."""
    rails: dict[str, RailProfile] = {}
    """Named rails, for `rail.model`."""
    plan: PlanSection | None = None
    """The stack to take. Left away: it is given when a stack is started."""
    motion: Motion = Motion()
    """The shape of moves, for rails whose driver times each step itself."""
    settle: Settle = Settle()
    """The wait from end of motion to start of exposure."""
    capture: Capture = Capture()
    """How a stack is taken and how it ends."""
    preview: Preview = Preview()
    """The picture that grows during the run."""
    finish: Finish = Finish()
    """What becomes of a stack when its last frame is in."""
    storage: Storage = Storage()
    """Where sessions go."""
    service: Service = Service()
    """The daemon as a service."""
    remote: Remote = Remote()
    """What is the same for every way to command the rig."""
    mqtt: Mqtt | None = None
    """The broker. Left away: none, unless `rigd run --with-broker`."""
    homeassistant: HomeAssistant = HomeAssistant()
    """How Home Assistant finds the rig; only with a broker."""
    profiles: dict[str, Profile] = {}
    """Named sets of settings, to be chosen by name."""
