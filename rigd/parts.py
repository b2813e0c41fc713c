"""From a config to drivers, made and not yet opened, and to a plan without any of them moving."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from drivers.base import (
    Camera,
    CameraCapabilities,
    CameraOptions,
    DriverNotAvailable,
    Light,
    Rail,
    RailOptions,
    Switch,
)
from drivers.clock import Clock
from drivers.registry import Context, create, find
from rigd.config.model import DriverConfig, RigConfig
from rigd.planning import DeclaredRail, Planned, RailForecast, plan_stack


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
        rail=cast("Rail", _made(config.rail, context)),
        camera=cast("Camera", _made(config.camera, context)),
        light=cast("Light", _made(light, context)) if light is not None else None,
        switches={name: cast("Switch", _made(section, context)) for name, section in switches.items()},
        context=context,
    )


def dry_plan(config: RigConfig, clock: Clock) -> tuple[Planned, CameraCapabilities]:
    """Plan without moving anything, also for a rig whose drivers are not here: its options say what it is.

    Opens the camera only where they do not tell its size. Raises `PlanError`, and `DriverError` when the camera is needed and fails.
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
    return plan_stack(config, rail, capabilities), capabilities


def _made(section: DriverConfig, context: Context) -> Any:
    return create(find(section.kind, section.driver), section.options, context)
