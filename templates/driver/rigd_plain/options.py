"""What a config may say about this rail. Every field has its unit in its name and a sentence: `rigd check` and the reference show them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from drivers.base import NonNegative, Positive, RailCapabilities, RailOptions


class PlainOptions(RailOptions):
    """A rail on a made-up controller."""

    port: str
    """Serial port: a path under /dev/serial/by-id, or `usb:VID:PID`."""
    microstep_um: Positive = 1.0
    """Travel of one microstep."""
    travel_um: Positive = 50_000.0
    """From home to the far end."""
    max_speed_um_per_s: Positive = 10_000.0
    """Highest speed."""
    backlash_um: NonNegative = 100.0
    """Lost motion at a reversal. Measure it; until then assume much."""
    response_timeout_s: Annotated[float, Field(ge=0.05, le=10)] = 0.5
    """How long an answer may take."""

    def declared(self) -> RailCapabilities:
        """The rail as these options describe it: plans are checked with that before anything is opened."""
        return RailCapabilities(
            name=f"plain controller on {self.port}",
            microstep_um=self.microstep_um,
            travel_um=self.travel_um,
            max_speed_um_per_s=self.max_speed_um_per_s,
            acceleration_um_per_s2=1e6,
            backlash_um=self.backlash_um,
        )
