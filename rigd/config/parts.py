"""The sections of one config side by side, as far as each is right by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from drivers.base import CameraCapabilities, DriverError, RailCapabilities
from rigd.config.driver import DriverConfig
from rigd.config.model import Capture, Finish, Jog, Limits, Preview, Rig, Service
from rigd.config.optics import Optics
from rigd.config.panel import Panel
from rigd.config.plan import PlanSection
from rigd.config.problems import Problem
from rigd.config.remote import HomeAssistant, Mqtt, Profile, Remote
from rigd.config.settle import Motion, Settle
from rigd.config.source import Source
from rigd.optics import OpticsError, Setup

T = TypeVar("T")


@dataclass(slots=True)
class Parts:
    """The sections that are right, and where they came from. What is missing or wrong is None."""

    source: Source
    sections: Mapping[str, Any]
    rail_is: RailCapabilities | None = field(init=False, default=None)
    """The rail as its options declare it."""
    camera_is: CameraCapabilities | None = field(init=False, default=None)
    """The camera as its options declare it; None also where only the opened camera can tell."""
    undeclared: list[Problem] = field(init=False, default_factory=list)
    """Drivers that could not say what they are."""

    def __post_init__(self) -> None:
        rail, camera = self._declared("rail"), self._declared("camera")
        self.rail_is = rail if isinstance(rail, RailCapabilities) else None
        self.camera_is = camera if isinstance(camera, CameraCapabilities) else None

    def _declared(self, section: str) -> Any:
        device = self.device(section)
        declared = getattr(device.options, "declared", None) if device is not None else None
        if declared is None:
            return None
        try:
            return declared()
        except (DriverError, OSError, ValueError) as error:
            self.undeclared.append(self.problem(section, f"the {section} cannot be described: {error}", ""))
            return None

    def _get(self, name: str, kind: type[T]) -> T | None:
        section = self.sections.get(name)
        return section if isinstance(section, kind) else None

    def device(self, name: str) -> DriverConfig | None:
        """`rail`, `motor`, `camera`, `shutter` or `light`."""
        return self._get(name, DriverConfig)

    def devices(self) -> dict[str, DriverConfig]:
        """All drivers by the dotted path of their section."""
        found = {name: one for name, one in self.sections.items() if isinstance(one, DriverConfig)}
        switches = self._get("switches", dict) or {}
        panel = self.panel
        return {
            **found,
            **{f"switches.{name}": one for name, one in switches.items()},
            **dict(panel.devices() if panel is not None else ()),
        }

    @property
    def panel(self) -> Panel | None:
        """Buttons and LED."""
        return self._get("panel", Panel)

    @property
    def limits(self) -> Limits | None:
        """Soft limits."""
        return self._get("limits", Limits)

    @property
    def plan(self) -> PlanSection | None:
        """The stack to take."""
        return self._get("plan", PlanSection)

    @property
    def optics(self) -> Optics | None:
        """Lens and sensor, with what the named objective says."""
        return self._get("optics", Optics)

    @property
    def setup(self) -> Setup | None:
        """What follows from lens and sensor; None where too little is known, or it cannot be."""
        optics, preview = self.optics, self.preview
        if optics is None:
            return None
        width_px = self.camera_is.width if self.camera_is is not None else None
        try:
            return optics.setup(width_px, preview.pupil_to_focus_um if preview is not None else None)
        except OpticsError:
            return None  # said where the optics are checked

    @property
    def jog(self) -> Jog | None:
        """The slow move."""
        return self._get("jog", Jog)

    @property
    def motion(self) -> Motion | None:
        """The shape of moves."""
        return self._get("motion", Motion)

    @property
    def service(self) -> Service | None:
        """The daemon as a service."""
        return self._get("service", Service)

    @property
    def settle(self) -> Settle | None:
        """The wait for stillness."""
        return self._get("settle", Settle)

    @property
    def capture(self) -> Capture | None:
        """How a stack is taken."""
        return self._get("capture", Capture)

    @property
    def preview(self) -> Preview | None:
        """The growing picture."""
        return self._get("preview", Preview)

    @property
    def finish(self) -> Finish | None:
        """What becomes of a complete stack."""
        return self._get("finish", Finish)

    @property
    def rig(self) -> Rig | None:
        """Which rig this is."""
        return self._get("rig", Rig)

    @property
    def remote(self) -> Remote | None:
        """What is the same for every way to command the rig."""
        return self._get("remote", Remote)

    @property
    def mqtt(self) -> Mqtt | None:
        """The broker."""
        return self._get("mqtt", Mqtt)

    @property
    def homeassistant(self) -> HomeAssistant | None:
        """How Home Assistant finds the rig."""
        return self._get("homeassistant", HomeAssistant)

    @property
    def profiles(self) -> Mapping[str, Profile]:
        """Named sets of settings; those that are right."""
        profiles = self._get("profiles", dict) or {}
        return {name: one for name, one in profiles.items() if isinstance(one, Profile)}

    def problem(self, path: str, message: str, fix: str) -> Problem:
        """A problem at the value of a dotted path, or at the nearest thing around it that is in the file."""
        return Problem.at(self.source.value_place(tuple(path.split("."))), path, message, fix)
