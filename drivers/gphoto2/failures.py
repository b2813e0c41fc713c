"""What libgphoto2's error codes mean, and what to do next.

Codes: gphoto2-port-result.h and gphoto2-result.h of libgphoto2.
"""

from __future__ import annotations

from drivers.base import AlarmResponse, DriverError, DriverNotAvailable, Unplugged
from drivers.gphoto2 import holders
from drivers.gphoto2.messages import Refused
from drivers.gphoto2.worker import NO_LIBRARY

UNKNOWN = -1
BAD_PARAMETERS = -2
NO_MEMORY = -3
NOT_SUPPORTED = -6
USB_FIND = -52
USB_CLAIM = -53
IO_LOCK = -60
MODEL_NOT_FOUND = -105
FILE_NOT_FOUND = -108
CAMERA_BUSY = -110
NO_SPACE = -115

IO = frozenset({-7, -10, -31, -34, -35, -37, -51, USB_FIND})
"""The line to the camera failed: it is gone, or it hangs."""
CLAIMED = frozenset({USB_CLAIM, IO_LOCK})
USED_UP = frozenset({NO_MEMORY, UNKNOWN})
"""What a session says that has taken too many pictures; the camera itself is well."""

WORDS = {
    UNKNOWN: "the camera refused without saying why: does it try to focus, or is its card full or missing?",
    NO_MEMORY: "libgphoto2 or the camera is out of memory",
    -7: "reading or writing failed: check cable and hub, and switch the camera off and on",
    -10: "the camera does not answer: check cable and hub, and switch it off and on",
    -34: "reading failed: check cable and hub, and switch the camera off and on",
    -35: "writing failed: check cable and hub, and switch the camera off and on",
    -31: "the port cannot be set up: unplug the camera and plug it in again",
    NOT_SUPPORTED: "this camera cannot do it by USB",
    MODEL_NOT_FOUND: "no such camera: switch it on, and compare with gphoto2 --auto-detect",
    FILE_NOT_FOUND: "the file is not there: was the card changed, or the picture deleted on the camera?",
    CAMERA_BUSY: "the camera is busy: leave its menus and playback, and wait until its card lamp is out",
    -113: "the camera reports an error: look at its display",
    NO_SPACE: "the card is full: empty it, or use capture_target: memory",
}


def failure(port: str, doing: str, said: Refused) -> DriverError:
    """The driver's error for what libgphoto2 said while `doing`."""
    if said.code == NO_LIBRARY:
        return DriverNotAvailable("camera", "gphoto2", f"{said.words}: python -m pip install gphoto2")
    if said.code == USB_FIND:
        return Unplugged(port, doing)
    if said.code in CLAIMED:
        return AlarmResponse(port, f"{said.code} while {doing}", holders.advice(port))
    meaning = WORDS.get(said.code, said.words)
    return AlarmResponse(port, f"{said.code} while {doing}", meaning)
