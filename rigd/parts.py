"""From a config to drivers, made and not yet opened, and to a plan without any of them moving."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from drivers.base import Camera, CameraCapabilities, Light, Rail, Switch
from drivers.clock import Clock
from drivers.registry import Context, create, find
from rigd.config.model import DriverConfig, RigConfig
from rigd.planning import Planned, plan_stack


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

    def made(section: DriverConfig) -> Any:
        return create(find(section.kind, section.driver), section.options, context)

    return Parts(
        rail=cast("Rail", made(config.rail)),
        camera=cast("Camera", made(config.camera)),
        light=cast("Light", made(config.light)) if config.light is not None else None,
        switches={name: cast("Switch", made(section)) for name, section in config.switches.items()},
        context=context,
    )


def dry_plan(config: RigConfig, clock: Clock) -> tuple[Planned, CameraCapabilities]:
    """Plan without moving anything. Opens the camera only where its options alone do not tell its size."""
    parts = make_parts(config, clock)
    declare = getattr(config.camera.options, "declared", None)
    capabilities: CameraCapabilities | None = declare() if declare is not None else None
    if capabilities is None:
        try:
            parts.camera.open()
            capabilities = parts.camera.capabilities
        finally:
            parts.camera.close()
    return plan_stack(config, parts.rail, capabilities), capabilities
