"""The base of all declared options: frozen, typed, with no key that is not known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from drivers.base.protocols import CameraCapabilities, RailCapabilities, ShutterCapabilities

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


class Options(BaseModel):
    """A driver's declared options. Field names carry their unit; `Field(description=...)` is the reference manual."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class RailOptions(Options, ABC):
    """Options of a rail, from which a plan can be checked before anything is opened."""

    @abstractmethod
    def declared(self) -> RailCapabilities:
        """The rail as its options describe it. After `open()` the driver's own `capabilities` stand."""


class CameraOptions(Options, ABC):
    """Options of a camera, from which a plan can be checked before anything is opened."""

    can_be_fired: ClassVar[bool] = False
    """Whether the driver is a `FireableCamera`."""

    @abstractmethod
    def declared(self) -> CameraCapabilities | None:
        """The camera as its options describe it; None when only the opened camera can tell."""


class ShutterOptions(Options, ABC):
    """Options of a wired release."""

    @abstractmethod
    def declared(self) -> ShutterCapabilities:
        """The release as its options describe it."""
