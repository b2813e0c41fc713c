"""What every driver is: some Protocols, one small family of errors, declared options, a registry of names.

This package knows no hardware and opens nothing. A driver's verbs are short (`start_move`, `poll`, `stop`); waiting
belongs to the daemon. The one verb that blocks is `Camera.expose`, which returns when the shutter has closed, and the
daemon gives each camera a thread of its own for it.
"""

from drivers.base.abilities import (
    BurstCamera,
    BurstCapabilities,
    BurstFrame,
    ShapeKind,
    Shaping,
    ShapingRail,
)
from drivers.base.entry import Entry
from drivers.base.errors import (
    AlarmResponse,
    CameraTimeout,
    DriverError,
    DriverNotAvailable,
    NoResponse,
    NotOpen,
    TransferFailed,
    UnknownDriver,
    Unplugged,
)
from drivers.base.options import CameraOptions, NonNegative, Options, Positive, RailOptions, ShutterOptions
from drivers.base.protocols import (
    Camera,
    CameraCapabilities,
    CameraSettings,
    Driver,
    Exposure,
    FireableCamera,
    Firing,
    FrameData,
    Light,
    Limit,
    Motor,
    MotorStatus,
    Rail,
    RailCapabilities,
    RailStatus,
    Shutter,
    ShutterCapabilities,
    Switch,
)

__all__ = [
    "AlarmResponse",
    "BurstCamera",
    "BurstCapabilities",
    "BurstFrame",
    "Camera",
    "CameraCapabilities",
    "CameraOptions",
    "CameraSettings",
    "CameraTimeout",
    "Driver",
    "DriverError",
    "DriverNotAvailable",
    "Entry",
    "Exposure",
    "FireableCamera",
    "Firing",
    "FrameData",
    "Light",
    "Limit",
    "Motor",
    "MotorStatus",
    "NoResponse",
    "NonNegative",
    "NotOpen",
    "Options",
    "Positive",
    "Rail",
    "RailCapabilities",
    "RailOptions",
    "RailStatus",
    "ShapeKind",
    "Shaping",
    "ShapingRail",
    "Shutter",
    "ShutterCapabilities",
    "ShutterOptions",
    "Switch",
    "TransferFailed",
    "UnknownDriver",
    "Unplugged",
]
