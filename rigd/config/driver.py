"""A section that names a driver."""

from __future__ import annotations

from pydantic import ConfigDict, SerializeAsAny

from drivers.base import Options
from rigd.config.section import Section


class DriverConfig(Section):
    """A driver by name and its options, already checked against the driver's declaration."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    kind: str
    """`rail`, `motor`, `camera`, `shutter`, `light` or `switch`."""
    driver: str
    """The driver's name, such as `sim`."""
    options: SerializeAsAny[Options]
    """As the driver declares them."""
