"""From a config to drivers, made and not yet opened, and to a plan without any of them moving."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from drivers.attended import attended
from drivers.base import (
    Camera,
    CameraCapabilities,
    CameraOptions,
    DriverError,
    DriverNotAvailable,
    FireableCamera,
    Light,
    Motor,
    Rail,
    RailOptions,
    ShapingRail,
    Shutter,
    ShutterOptions,
    Switch,
)
from drivers.clock import Clock
from drivers.fired import fired, with_release
from drivers.registry import Context, create, find
from rigd.config import DriverConfig, RigConfig
from rigd.lens import calibration_of
from rigd.planning import DeclaredRail, Planned, RailForecast, plan_stack
from rigd.vibration.model import Vibration


@dataclass(slots=True)
class Parts:
    """The drivers of one rig, made and not yet opened."""

    rail: Rail
    camera: Camera
    light: Light | None = None
    switches: dict[str, Switch] = field(default_factory=dict)
    context: Context | None = None


def make_parts(config: RigConfig, clock: Clock) -> Parts:
    """Make every driver that a config names. Raises `DriverError` when one cannot be."""
    context = Context(clock=clock, seed=config.rig.seed)
    light, switches = config.light, config.switches
    return Parts(
        rail=_rail(config, context),
        camera=_camera(config, context),
        light=cast("Light", _made(light, context)) if light is not None else None,
        switches={name: cast("Switch", _made(section, context)) for name, section in switches.items()},
        context=context,
    )


def dry_plan(config: RigConfig, clock: Clock) -> tuple[Planned, CameraCapabilities]:
    """Plan without moving anything, also for a rig whose drivers are not here: its options say what it is.

    Opens the camera, and never its release, only where they do not tell its size. Raises `PlanError`, and `DriverError` when the camera is needed and fails.
    """
    context = Context(clock=clock, seed=config.rig.seed)
    try:
        rail: RailForecast = cast("Rail", _made(config.rail, context))
    except DriverNotAvailable:
        assert isinstance(config.rail.options, RailOptions)
        rail = DeclaredRail(config.rail.options.declared())
    options = config.camera.options
    capabilities = options.declared() if isinstance(options, CameraOptions) else None
    if capabilities is None:
        camera = cast("Camera", _made(config.camera, context))
        try:
            camera.open()
            capabilities = camera.capabilities
        finally:
            camera.close()
    if config.shutter is not None and isinstance(config.shutter.options, ShutterOptions):
        capabilities = with_release(capabilities, config.shutter.options.declared())
    present = rail.shaping if isinstance(rail, ShapingRail) else getattr(config.rail.options, "shaping", None)
    known = calibration_of(config)
    vibration = Vibration(config, known, rail.capabilities, capabilities, present)
    return plan_stack(config, rail, capabilities, vibration=vibration, calibration=known), capabilities


def _rail(config: RigConfig, context: Context) -> Rail:
    rail = cast("Rail", _made(config.rail, context))
    if config.motor is None:
        return rail
    return attended(rail, cast("Motor", _made(config.motor, context)), context.clock)


def _camera(config: RigConfig, context: Context) -> Camera:
    camera = cast("Camera", _made(config.camera, context))
    if config.shutter is None:
        return camera
    if not hasattr(camera, "expose_by"):
        raise DriverError(config.camera.driver, "fires its camera itself: take the section `shutter` away")
    shutter = cast("Shutter", _made(config.shutter, context))
    return fired(cast("FireableCamera", camera), shutter)


def _made(section: DriverConfig, context: Context) -> Any:
    return create(find(section.kind, section.driver), section.options, context)
