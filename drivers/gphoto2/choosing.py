"""Which of the cameras there are is meant."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.base import DriverError
from drivers.gphoto2.options import Gphoto2Options

Found = tuple[str, str]
"""Model and port."""


class Absent(DriverError):
    """No such camera is there."""


def name_of(options: Gphoto2Options) -> str:
    """What the camera is called before it is found."""
    return options.port or options.model or "gphoto2 camera"


def candidates(found: Sequence[Found], options: Gphoto2Options) -> list[Found]:
    """Those that fit model and port. Card readers and mounted cards are none.

    Raises:
        Absent: none fits; the message says what is there.
    """
    if options.port is not None and options.port.startswith("ptpip:"):
        return [(options.model or "PTP/IP Camera", options.port)]
    cameras = [(model, port) for model, port in found if port.startswith("usb:")]
    fitting = [
        (model, port)
        for model, port in cameras
        if options.model in (None, model) and options.port in (None, port)
    ]
    if fitting:
        return fitting
    wanted = " on ".join(part for part in (options.model, options.port) if part) or "a camera"
    if cameras:
        raise Absent(name_of(options), f"{wanted} is not there; there is {told(cameras)}")
    raise Absent(
        name_of(options),
        f"{wanted} is not there: switch it on, check the cable, and let gphoto2 --auto-detect find it "
        "(some cameras must be set to PTP, not to mass storage)",
    )


def only(fitting: Sequence[Found], options: Gphoto2Options) -> Found:
    """The one there is. Raises `DriverError` when there are several."""
    if len(fitting) == 1:
        return fitting[0]
    raise DriverError(
        name_of(options),
        f"there are several cameras, {told(fitting)}: choose one by camera.model, camera.serial or camera.port",
    )


def told(cameras: Sequence[Found]) -> str:
    """For people."""
    return " and ".join(f"{model} ({port})" for model, port in cameras)
