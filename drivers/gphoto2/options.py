"""Options of the gphoto2 camera. They import nothing of libgphoto2."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from drivers.base import CameraCapabilities, CameraOptions, CameraSettings, NonNegative, Positive

Suffix = Annotated[str, Field(pattern=r"^\.[a-z0-9]{2,4}$")]
Percent = Annotated[float, Field(ge=0, le=100)]

LAG_S = 0.2
"""From the trigger to the shutter: what a DSLR takes that has neither to focus nor to wake."""
ISO_OF_GAIN_1 = 100.0


class Gphoto2Options(CameraOptions):
    """A tethered DSLR or mirrorless camera through libgphoto2."""

    can_be_fired: ClassVar[bool] = True

    model: str | None = None
    """As `gphoto2 --auto-detect` names it; None: the only one there is."""
    port: Annotated[str, Field(pattern=r"^(usb:[0-9]{3},[0-9]{3}|ptpip:.+)$")] | None = None
    """As `gphoto2 --auto-detect` names it, `usb:001,004`; it changes when the camera is plugged in anew. None: any."""
    serial: str | None = None
    """The camera's serial number, where two of one model are there; `gphoto2 --summary` shows it. None: any."""
    width: Annotated[int, Field(ge=64, le=30_000)] = 6016
    """Pixels across."""
    height: Annotated[int, Field(ge=64, le=30_000)] = 4016
    """Pixels down."""
    suffix: Suffix = ".jpg"
    """Ending of the files that are the frames, small letters: .jpg, .cr3, .nef."""
    companion: Suffix | None = None
    """Ending of the second file, where the camera stores RAW and JPEG together; it stays on the card. None: one file a picture."""
    frame_mb: Positive = 10.0
    """Typical size of one picture, in millions of bytes."""
    image_format: str | None = None
    """Image quality, in the camera's own words (`gphoto2 --get-config imageformat` or `imagequality`); None: as it is set."""
    exposure_s: Annotated[float, Field(gt=0, le=600)] = 0.02
    """Exposure time; the camera's nearest one is set and locked."""
    iso: Annotated[int, Field(ge=25, le=409_600)] = 100
    """Sensitivity, locked."""
    aperture: Annotated[float, Field(gt=0, le=64)] | None = None
    """F-number, locked; None: the lens has no aperture that the camera sets, or it is left as it is."""
    white_balance: str | None = None
    """White balance, locked, in the camera's own words (`gphoto2 --get-config whitebalance`); None: left and held as it is."""
    focus: Literal["manual", "as_is"] = "manual"
    """manual: autofocus is switched off where the camera lets it be."""
    mirror_up_s: NonNegative = 0.0
    """Wait between mirror and shutter; 0: no mirror, or none locked up. Otherwise the camera is triggered twice."""
    capture_target: Literal["memory", "card"] = "memory"
    """Where the camera keeps the picture until it is fetched."""
    transfer_s: NonNegative = 1.0
    """Expected time from the shutter closing to the data being here."""
    battery_warn_percent: Percent = 30.0
    """A battery below this is reported."""
    battery_min_percent: Percent = 5.0
    """A battery below this takes no picture; 0: never refused."""
    response_timeout_s: Positive = 10.0
    """How long the camera may take to answer, beyond exposures and transfers, before it counts as hung."""
    captures_per_session: Annotated[int, Field(ge=1)] = 200
    """Pictures after which the camera's process is replaced, between two frames: libgphoto2 and cameras hang after hundreds."""
    power_cycle: tuple[str, ...] | None = None
    """Command and arguments that switch the camera's power off and on, for one that hangs on: `[uhubctl, -l, 1-1, -a, cycle]`."""
    power_cycle_timeout_s: Positive = 30.0
    """How long that command may take, and how long after it the camera may take to be there again."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.companion is not None and self.companion == self.suffix:
            raise ValueError("companion must differ from suffix")
        if self.companion is not None and self.capture_target == "memory":
            raise ValueError("companion needs capture_target: card, or nobody would keep the second file")
        if self.power_cycle is not None and not self.power_cycle:
            raise ValueError("power_cycle needs a command")
        return self

    def declared(self) -> CameraCapabilities:
        """The camera as these options describe it."""
        return CameraCapabilities(
            name=self.model or "gphoto2 camera",
            width=self.width,
            height=self.height,
            suffix=self.suffix,
            frame_bytes=round(self.frame_mb * 1e6),
            exposure_s=self.exposure_s,
            overhead_s=LAG_S + self.mirror_up_s,
            transfer_s=self.transfer_s,
            settings=CameraSettings(exposure_s=self.exposure_s, gain=self.iso / ISO_OF_GAIN_1),
        )
